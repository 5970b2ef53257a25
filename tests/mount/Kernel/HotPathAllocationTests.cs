namespace KvFs.Mount.Tests.Kernel;

[Collection(KernelCollection.Name)]
public sealed unsafe class HotPathAllocationTests
{
    private const int Requests = 5000;
    private const int Rounds = 4;

    /// <summary>Bytes that the runtime itself may allocate meanwhile (compiling a method anew, a timer): 5,000 requests
    /// of the smallest object each, 24 bytes, would be above.</summary>
    private const long Slack = 64 << 10;

    [Fact]
    public void No_request_of_the_hot_paths_allocates()
    {
        using MountedFileSystem mounted = new(new MemoryFileSystem { DirectIo = true });
        File.WriteAllBytes(mounted["a"], new byte[64 << 10]);
        int descriptor = NativeFile.Open(mounted["a"], 2, 0);
        Run(descriptor);

        // The count is the whole process's: the quietest of some rounds tells what the requests themselves allocate.
        long least = long.MaxValue;
        for (int round = 0; round < Rounds; round++)
        {
            long before = GC.GetTotalAllocatedBytes(precise: true);
            Run(descriptor);
            least = Math.Min(least, GC.GetTotalAllocatedBytes(precise: true) - before);
        }

        Assert.InRange(least, 0, Slack);
        Assert.Equal(0, NativeFile.Close(descriptor));
    }

    /// <summary>A getattr, a read and a write of 4 KiB each.</summary>
    private static void Run(int descriptor)
    {
        byte* buffer = stackalloc byte[4096];
        byte* stat = stackalloc byte[NativeFile.StatBytes];
        long failures = 0;
        for (int i = 0; i < Requests; i++)
        {
            failures += NativeFile.Fstat(descriptor, stat) == 0 ? 0 : 1;
            failures += NativeFile.Pread(descriptor, buffer, 4096, i % 16 * 4096) == 4096 ? 0 : 1;
            failures += NativeFile.Pwrite(descriptor, buffer, 4096, i % 16 * 4096) == 4096 ? 0 : 1;
        }

        Assert.Equal(0, failures);
    }
}
