using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Tests.Storage;

/// <summary>The cache before a real store: it must never answer anything else than the store would.</summary>
public sealed class CachedKeyValueStoreTests : IDisposable
{
    /// <summary>So few slots that keys of a test push each other out.</summary>
    private const int Slots = 16;

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("kvfs-cached-");
    private readonly JournaledKeyValueStore inner;
    private readonly CachedKeyValueStore store;

    public CachedKeyValueStoreTests()
    {
        inner = JournaledKeyValueStore.Open($"{folder.FullName}/db");
        store = new(inner, Slots);
    }

    public void Dispose()
    {
        store.Dispose();
        folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Any_sequence_of_writes_reads_as_the_store_itself(int seed)
    {
        Random random = new(seed);
        ByteBuffer expected = new();
        ByteBuffer answered = new();
        KeyValueBatch batch = new();
        for (int step = 0; step < 4000; step++)
        {
            batch.Clear();
            for (int i = random.Next(3); i >= 0; i--) { AddChange(random, batch); }
            Assert.Equal(Status.Ok, store.Write(batch, logged: false));
            for (int i = 0; i < 4; i++)
            {
                byte[] key = Key(random.Next(64));
                bool present = inner.TryGet(Family.Namespace, key, expected);
                bool found = store.TryGet(Family.Namespace, key, answered);
                Assert.True(
                    present == found && expected.Span.SequenceEqual(answered.Span),
                    $"seed {seed}, step {step}: the store has {present} ({expected.Length} bytes), the cache answered "
                    + $"{found} ({answered.Length} bytes)");
            }
        }
    }

    [Fact]
    public void An_answer_that_was_overtaken_by_a_write_is_not_kept()
    {
        RecordCache cache = new(Slots);
        ByteBuffer value = new();
        Assert.Equal(CachedRecord.Unknown, cache.Find(Key(1), value, out long ticket));
        cache.OnWritten(Key(1), present: true, [2]);
        cache.OnWritten(Key(1), present: true, new byte[RecordCache.SlotBytes]);
        cache.Offer(Key(1), present: true, [1], ticket);
        Assert.Equal(CachedRecord.Unknown, cache.Find(Key(1), value, out ticket));
        cache.Clear();
        cache.Offer(Key(1), present: true, [1], ticket);
        Assert.Equal(CachedRecord.Unknown, cache.Find(Key(1), value, out ticket));
        cache.Offer(Key(1), present: true, [3], ticket);
        Assert.Equal(CachedRecord.Present, cache.Find(Key(1), value, out _));
        Assert.Equal([3], value.Span.ToArray());
    }

    [Fact]
    public async Task Readers_beside_a_writer_never_see_an_older_value_after_a_newer_one()
    {
        const int Rounds = 20_000;
        KeyValueBatch batch = new();
        using CancellationTokenSource done = new();
        Task<int>[] readers = [.. Enumerable.Range(0, 2).Select(number => Task.Run(() => Watch(number, done.Token)))];
        for (int round = 1; round <= Rounds; round++)
        {
            batch.Clear();
            batch.Put(Family.Namespace, Key(round % 24), BitConverter.GetBytes(round));
            Assert.Equal(Status.Ok, store.Write(batch, logged: false));
        }

        await done.CancelAsync();
        foreach (int backwards in await Task.WhenAll(readers)) { Assert.Equal(0, backwards); }
        ByteBuffer value = new();
        for (int i = 0; i < 24; i++)
        {
            Assert.True(store.TryGet(Family.Namespace, Key(i), value));
            Assert.True(inner.TryGet(Family.Namespace, Key(i), value));
        }
    }

    /// <summary>Reads keys until told to stop; how often one went back.</summary>
    private int Watch(int number, CancellationToken stop)
    {
        int[] seen = new int[24];
        int backwards = 0;
        ByteBuffer value = new();
        for (int i = number; !stop.IsCancellationRequested; i++)
        {
            if (!store.TryGet(Family.Namespace, Key(i % seen.Length), value)) { continue; }
            int round = BitConverter.ToInt32(value.Span);
            if (round < seen[i % seen.Length]) { backwards++; }
            seen[i % seen.Length] = round;
        }

        return backwards;
    }

    private static void AddChange(Random random, KeyValueBatch batch)
    {
        byte[] key = Key(random.Next(64));
        switch (random.Next(20))
        {
            case 0:
                batch.DeleteRange(Family.Namespace, key, Key(key[0] + random.Next(4)));
                break;
            case < 6:
                batch.Delete(Family.Namespace, key);
                break;
            default:
                byte[] value = new byte[random.Next(RecordCache.SlotBytes + 32)];
                random.NextBytes(value);
                batch.Put(Family.Namespace, key, value);
                break;
        }
    }

    private static byte[] Key(int number) => [(byte)number, 0xFF];
}
