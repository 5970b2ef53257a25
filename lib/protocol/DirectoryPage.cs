using KvFs.Core;

namespace KvFs.Protocol;

/// <summary>A part of a directory, in cookie order; used again and again by whoever reads directories.</summary>
/// <remarks>Names lie one after the other in one buffer. Not thread safe.</remarks>
public sealed class DirectoryPage
{
    private readonly ByteBuffer names = new(4096);
    private readonly List<Entry> entries = [];

    /// <summary>Entries that a page holds at the most: bounds the time and memory of one request.</summary>
    public const int MaxEntries = 1024;

    public int Count => entries.Count;

    /// <summary>There is nothing behind the last entry.</summary>
    public bool IsLast { get; set; }

    public void Clear()
    {
        names.Clear();
        entries.Clear();
        IsLast = false;
    }

    /// <param name="name">The name.</param>
    /// <param name="cookie">Where a reader goes on behind this entry.</param>
    /// <param name="dentry">The child's id and kind.</param>
    /// <param name="info">The child, if it was asked for and read.</param>
    public void Add(ReadOnlySpan<byte> name, ulong cookie, Dentry dentry, NodeInfo info)
    {
        entries.Add(new(names.Length, name.Length, cookie, dentry, info));
        names.Append(name);
    }

    public ReadOnlySpan<byte> Name(int at) => names.Span.Slice(entries[at].NameStart, entries[at].NameLength);

    public ulong Cookie(int at) => entries[at].Cookie;

    public Dentry Dentry(int at) => entries[at].Dentry;

    public NodeInfo Info(int at) => entries[at].Info;

    /// <summary>The children of which it tells more than id and kind.</summary>
    public IReadOnlyList<VNodeId> Told() => [.. entries.Where(static entry => entry.Info.Id != VNodeId.None).Select(static entry => entry.Info.Id)];

    private readonly record struct Entry(int NameStart, int NameLength, ulong Cookie, Dentry Dentry, NodeInfo Info);
}
