using KvFs.Core;

namespace KvFs.Client.Tests;

public sealed class BatchOrderTests : IDisposable
{
    private readonly DirtyMemory memory = new(4 << 20);
    private readonly MapBudget maps = new();
    private readonly QuotaKeeper quota;
    private readonly BatchOrder order;

    public BatchOrderTests()
    {
        quota = new(new MemorySession(new(0), new(), new ManualTime()), 1 << 20);
        order = new(memory, quota, static _ => { });
    }

    public void Dispose() => memory.Dispose();

    [Fact]
    public void Who_cannot_hold_all_batches_of_a_file_holds_none_and_wakes_nobody()
    {
        FileState file = new(new(7), CowNumber.Head, default, memory, quota, maps, isShared: false);
        FlushBatch parked = Add(file, 1);
        FlushBatch running = Add(file, 2);
        Assert.True(order.TryClaim(running));
        List<FlushBatch> held = [];
        Task woken;
        lock (order.Gate)
        {
            woken = order.WaitProgressAsync();
            Assert.False(order.TryHold(file, held));
        }

        Assert.Empty(held);
        Assert.Equal(BatchState.Captured, parked.State);
        Assert.False(woken.IsCompleted);

        order.LetGo([running], Status.NoSpace);
        Assert.True(woken.IsCompleted);
        lock (order.Gate) { Assert.True(order.TryHold(file, held)); }
        Assert.Equal([parked, running], held);
    }

    private static FlushBatch Add(FileState file, ulong number)
    {
        FlushBatch batch = new();
        batch.Begin(number, direct: false);
        batch.For(file);
        file.Batches.Add(batch);
        return batch;
    }
}
