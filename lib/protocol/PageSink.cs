using KvFs.Core;

namespace KvFs.Protocol;

/// <summary>Puts what a directory read finds into the page of the one who asked.</summary>
public sealed class PageSink : IDirectorySink
{
    public DirectoryPage? Page { get; set; }

    public void Add(ReadOnlySpan<byte> name, ulong cookie, Dentry dentry, NodeInfo info)
    {
        Invariant.Check(Page is not null);
        Page.Add(name, cookie, dentry, info);
    }
}
