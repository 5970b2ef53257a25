using System.Collections.Concurrent;

namespace KvFs.Mount.Tests.Kernel;

/// <summary>Keeps some requests, for the test to answer.</summary>
internal sealed class KeepingFileSystem : DefaultFileSystem
{
    private readonly BlockingCollection<FuseRequest> kept = [];

    public FuseRequest NextKept()
    {
        Assert.True(kept.TryTake(out FuseRequest request, MountedFileSystem.Patience));
        return request;
    }

    public override void Statfs(FuseRequest request) => kept.Add(request);

    public override void Setlkw(FuseRequest request, in FuseLkIn body) => kept.Add(request);

    public override void Read(FuseRequest request, in FuseReadIn body) => kept.Add(request);

    public override void Write(FuseRequest request, in FuseWriteIn body, ReadOnlySpan<byte> data) => kept.Add(request);
}

/// <summary>Answers everything at once.</summary>
internal sealed class AnsweringFileSystem : DefaultFileSystem
{
    public override void Read(FuseRequest request, in FuseReadIn body) => request.ReplyFilled(request.ReplyRoom.Length);

    public override void Readdirplus(FuseRequest request, in FuseReadIn body)
    {
        DirectoryReply reply = request.BeginDirectory();
        ulong cookie = 1;
        while (reply.TryAddPlus("entry"u8, new FuseEntryOut { Nodeid = 5 }, 5, 8, cookie)) { cookie++; }
        request.ReplyDirectory(reply);
    }

    public override void Lookup(FuseRequest request, ReadOnlySpan<byte> name) =>
        request.ReplyEntry(new FuseEntryOut { Nodeid = (ulong)name.Length });
}
