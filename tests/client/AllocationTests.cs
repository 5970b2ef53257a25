using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client.Tests;

public sealed class AllocationTests
{
    private const int Pages = 10_000;
    private const int PageBytes = 4096;

    [Fact]
    public async Task Small_reads_and_writes_allocate_nothing_once_they_are_warm()
    {
        // Quota is asked for in one step here; each step costs a task.
        ClientOptions options = ClientWorld.Still with { DirtyBytes = 64 << 20, ReserveStepBytes = 64 << 20 };
        await using ClientWorld world = new(options);
        OpenFile file = await world.Create("a");
        byte[] page = ClientWorld.Bytes(PageBytes, 1);
        byte[] buffer = new byte[PageBytes];
        for (int round = 0; round < 2; round++)
        {
            WriteAll(world.Client, file, page);
            ReadAll(world.Client, file, buffer);
            Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
            ReadAll(world.Client, file, buffer);
        }

        long written = AllocatedBy(() => WriteAll(world.Client, file, page));
        long overwritten = AllocatedBy(() => WriteAll(world.Client, file, page));
        long readDirty = AllocatedBy(() => ReadAll(world.Client, file, buffer));
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        ReadAll(world.Client, file, buffer);
        long readStored = AllocatedBy(() => ReadAll(world.Client, file, buffer));

        // Less than a byte for each: what the runtime does once, whenever it likes, is not ours.
        Assert.All([written, overwritten, readDirty, readStored], bytes => Assert.InRange(bytes, 0, Pages - 1));
        Assert.Equal(page, buffer);
    }

    private static long AllocatedBy(Action work)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        work();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    /// <summary>Writes every page once, far from in order, so that each is a run of its own at first.</summary>
    private static void WriteAll(DriveClient client, OpenFile file, byte[] page)
    {
        for (int i = 0; i < Pages; i++)
        {
            ulong at = (ulong)(i * 7919 % Pages) * PageBytes;
            CheckEnded(client.WriteAsync(file, at, page, default));
        }
    }

    private static void CheckEnded(ValueTask<Reply<int>> answer)
    {
        if (!answer.IsCompletedSuccessfully) { throw new InvalidOperationException("It did not end at once."); }
    }

    private static void ReadAll(DriveClient client, OpenFile file, byte[] buffer)
    {
        for (int i = 0; i < Pages; i++)
        {
            ulong at = (ulong)(i * 7919 % Pages) * PageBytes;
            CheckEnded(client.ReadAsync(file, at, buffer));
        }
    }
}
