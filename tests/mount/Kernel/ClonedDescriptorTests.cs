using System.Collections.Concurrent;

namespace KvFs.Mount.Tests.Kernel;

[Collection(KernelCollection.Name)]
public sealed class ClonedDescriptorTests
{
    private const int Workers = 4;

    /// <summary>The kernel takes an answer only where it gave the request out, so each must go back through its own.</summary>
    [Fact]
    public async Task Each_worker_reads_and_answers_through_a_descriptor_of_its_own()
    {
        string root = MountedFileSystem.NewDirectory();
        using GatheringFileSystem files = new();
        FuseConnection connection = FuseMount.Mount(root, files, MountedFileSystem.Options with { Workers = Workers });
        try
        {
            Assert.True(connection.HasClones);
            int[] ends = await Task.WhenAll(
                Enumerable.Range(0, Workers).Select(_ => MountedFileSystem.Run("stat", "-f", root)));
            Assert.All(ends, static end => Assert.Equal(0, end));
        }
        finally
        {
            connection.Dispose();
            Directory.Delete(root);
        }

        Assert.Equal(Workers, files.Devices.Count);
        Assert.Equal(Workers, files.Devices.Distinct().Count());
    }

    /// <summary>Answers once every worker has a request.</summary>
    private sealed class GatheringFileSystem : DefaultFileSystem, IDisposable
    {
        private readonly Barrier all = new(Workers);

        public ConcurrentBag<FuseDevice> Devices { get; } = [];

        public override void Statfs(FuseRequest request)
        {
            Devices.Add(request.Device!);
            if (all.SignalAndWait(MountedFileSystem.Patience)) { request.ReplyStatfs(default); }
            else { request.ReplyError(Errno.EIO); }
        }

        public void Dispose() => all.Dispose();
    }
}
