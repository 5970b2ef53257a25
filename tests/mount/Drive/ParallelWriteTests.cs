using KvFs.Mount.Tests.Kernel;

namespace KvFs.Mount.Tests.Drive;

[Collection(KernelCollection.Name)]
public sealed class ParallelWriteTests
{
    private const int PageBytes = 4096;

    /// <summary>Makes a file of two pages, then writes both from two threads.</summary>
    private const string Writers = """
        import mmap, os, sys, threading
        fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_DIRECT)
        whole = mmap.mmap(-1, 8192)
        assert os.pwritev(fd, [whole], 0) == 8192
        written = []
        def write(i):
            page = mmap.mmap(-1, 4096)
            page.write(bytes([ord('a') + i]) * 4096)
            written.append(os.pwritev(fd, [page], i * 4096))
        threads = [threading.Thread(target=write, args=(i,)) for i in range(2)]
        for t in threads: t.start()
        for t in threads: t.join()
        assert written == [4096, 4096]
        assert os.preadv(fd, [whole], 0) == 8192
        assert whole[:] == b'a' * 4096 + b'b' * 4096
        """;

    /// <summary>Neither of the two is answered before both are here: one behind the other would wait for ever.</summary>
    [Fact]
    public async Task Direct_writes_into_one_file_reach_the_drive_beside_each_other()
    {
        await using NodeFolder node = await NodeFolder.StartAsync(TimeProvider.System);
        DriveMountOptions options = new();
        await using DriveFileSystem files = new(await node.OpenAsync(), options);
        string root = MountedFileSystem.NewDirectory();
        using PairedWrites paired = new(files);
        FuseConnection connection = FuseMount.Mount(root, paired, MountedFileSystem.Options);
        try
        {
            Assert.Equal(0, await MountedFileSystem.Run("python3", "-c", Writers, Path.Combine(root, "f")));
        }
        finally
        {
            connection.Dispose();
            Directory.Delete(root);
        }

        Assert.Equal(1, paired.Pairs);
        Assert.Equal(Core.Status.Ok, await files.CloseAsync());
    }

    /// <summary>A drive that is told of writes of one page only when there are two of them.</summary>
    private sealed class PairedWrites(DriveFileSystem files) : DefaultFileSystem, IDisposable
    {
        private readonly Barrier both = new(2);

        /// <summary>How often two were here at once.</summary>
        public long Pairs => both.CurrentPhaseNumber;

        public override void Mounted(FuseConnection connection) => files.Mounted(connection);

        public override void Unmounted(FuseEnd end) => files.Unmounted(end);

        public override void Forget(ulong nodeId, ulong lookups) => files.Forget(nodeId, lookups);

        public override void Lookup(FuseRequest request, ReadOnlySpan<byte> name) => files.Lookup(request, name);

        public override void Getattr(FuseRequest request, in FuseGetattrIn body) => files.Getattr(request, body);

        public override void Create(FuseRequest request, in FuseCreateIn body, ReadOnlySpan<byte> name) =>
            files.Create(request, body, name);

        public override void Read(FuseRequest request, in FuseReadIn body) => files.Read(request, body);

        public override void Write(FuseRequest request, in FuseWriteIn body, ReadOnlySpan<byte> data)
        {
            if (data.Length == PageBytes && !both.SignalAndWait(MountedFileSystem.Patience)) { request.ReplyError(Errno.EIO); }
            else { files.Write(request, body, data); }
        }

        public override void Flush(FuseRequest request, in FuseFlushIn body) => files.Flush(request, body);

        public override void Release(FuseRequest request, in FuseReleaseIn body) => files.Release(request, body);

        public void Dispose() => both.Dispose();
    }
}
