using System.Buffers.Binary;

namespace KvFs.RocksDb.Tests;

public sealed class AllocationTests
{
    private const int Rounds = 200_000;

    [Fact]
    public void Gets_allocate_nothing()
    {
        using TestDatabase test = Filled(out byte[] key);
        byte[] buffer = new byte[128];
        using RocksSnapshot snapshot = test.Database.CreateSnapshot();
        AssertNoAllocation(i =>
        {
            BinaryPrimitives.WriteInt32BigEndian(key, i % 1_500);
            test.Database.Get(test.Default, key, buffer.AsSpan());
            if (test.Database.TryGetPinned(test.Default, key, out PinnedValue value, snapshot)) { value.Dispose(); }
        });
    }

    [Fact]
    public void Puts_and_deletes_allocate_nothing()
    {
        using TestDatabase test = Filled(out byte[] key);
        byte[] value = new byte[100];
        AssertNoAllocation(i =>
        {
            BinaryPrimitives.WriteInt32BigEndian(key, i % 1_500);
            test.Database.Put(test.Default, key, value, WriteFlags.DisableWal);
            if (i % 4 == 0) { test.Database.Delete(test.Default, key, WriteFlags.DisableWal); }
        });
    }

    [Fact]
    public void A_reused_batch_allocates_nothing()
    {
        using TestDatabase test = Filled(out byte[] key);
        byte[] value = new byte[100];
        using WriteBatch batch = new();
        AssertNoAllocation(i =>
        {
            batch.Clear();
            BinaryPrimitives.WriteInt32BigEndian(key, i % 1_500);
            batch.Put(test.Default, key, value);
            batch.Delete(test.Default, key);
            if (batch.Count != 2 || batch.DataSize == 0) { throw new InvalidOperationException(); }
            test.Database.Write(batch, WriteFlags.DisableWal);
        });
    }

    [Fact]
    public void Seeks_and_moves_allocate_nothing()
    {
        using TestDatabase test = Filled(out byte[] key);
        using RocksIterator iterator = test.Database.CreateIterator(test.Default);
        long seen = 0;
        AssertNoAllocation(i =>
        {
            BinaryPrimitives.WriteInt32BigEndian(key, i % 900);
            iterator.Seek(key);
            iterator.Next();
            iterator.Next();
            iterator.Prev();
            seen += iterator.Key.Length + iterator.Value.Length;
            iterator.ThrowIfFailed();
        });
        Assert.True(seen > Rounds);
    }

    private static TestDatabase Filled(out byte[] key)
    {
        TestDatabase test = new();
        key = new byte[4];
        for (int i = 0; i < 1_000; i++)
        {
            BinaryPrimitives.WriteInt32BigEndian(key, i);
            test.Database.Put(test.Default, key, new byte[100]);
            if (i == 500) { test.Database.Flush(test.Default); }
        }
        return test;
    }

    private static void AssertNoAllocation(Action<int> step)
    {
        for (int i = 0; i < 1_000; i++) { step(i); }
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < Rounds; i++) { step(i); }
        // A few bytes for what the runtime itself does meanwhile; one allocation per round would be millions.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, Rounds / 100);
    }
}
