using System.Runtime.CompilerServices;
using static KvFs.RocksDb.Tests.TestBytes;

namespace KvFs.RocksDb.Tests;

public sealed class LifetimeTests
{
    [Fact]
    public void A_disposed_database_is_closed_when_its_last_iterator_is()
    {
        using TestDatabase test = new();
        test.Database.PutText("k", "1");
        RocksIterator one = test.Database.CreateIterator(test.Default);
        RocksIterator two = test.Database.CreateIterator(test.Default);
        test.Database.Dispose();
        one.SeekToFirst();
        Assert.Equal("k", one.Key.Text());
        one.Dispose();
        AssertStillOpen(test);
        two.SeekToFirst();
        Assert.Equal("1", two.Value.Text());
        two.Dispose();
        AssertClosed(test);
    }

    [Fact]
    public void A_disposed_database_is_closed_when_its_last_snapshot_is()
    {
        using TestDatabase test = new();
        RocksSnapshot snapshot = test.Database.CreateSnapshot();
        test.Database.Dispose();
        AssertStillOpen(test);
        snapshot.Dispose();
        snapshot.Dispose();
        AssertClosed(test);
    }

    [Fact]
    public void A_disposed_database_is_closed_when_its_last_pinned_value_is()
    {
        using TestDatabase test = new();
        test.Database.PutText("k", "1");
        test.Database.Flush(test.Default);
        Assert.True(test.Database.TryGetPinned(test.Default, "k"u8, out PinnedValue pinned));
        test.Database.Dispose();
        AssertStillOpen(test);
        Assert.Equal("1", pinned.Span.Text());
        pinned.Dispose();
        pinned.Dispose();
        AssertClosed(test);
    }

    [Fact]
    public void Disposing_a_snapshot_before_its_iterator_and_after_its_database_closes_in_the_end()
    {
        using TestDatabase test = new();
        test.Database.PutText("k", "1");
        RocksSnapshot snapshot = test.Database.CreateSnapshot();
        RocksIterator iterator = test.Database.CreateIterator(test.Default, new ReadOptions { Snapshot = snapshot });
        test.Database.Dispose();
        snapshot.Dispose();
        iterator.SeekToFirst();
        Assert.True(iterator.IsValid);
        AssertStillOpen(test);
        iterator.Dispose();
        AssertClosed(test);
    }

    [Fact]
    public void After_Dispose_every_call_says_so()
    {
        using TestDatabase test = new();
        RocksDatabase database = test.Database;
        ColumnFamily family = test.Default;
        using WriteBatch batch = new();
        RocksSnapshot snapshot = database.CreateSnapshot();
        snapshot.Dispose();
        AssertDisposed(() => database.Get(family, "k"u8, snapshot));
        AssertDisposed(() => database.CreateIterator(family, new ReadOptions { Snapshot = snapshot }));
        database.Dispose();
        database.Dispose();

        AssertDisposed(() => database.Put(family, "k"u8, "v"u8));
        AssertDisposed(() => database.Delete(family, "k"u8));
        AssertDisposed(() => database.DeleteRange(family, "k"u8, "l"u8));
        AssertDisposed(() => database.Write(batch));
        AssertDisposed(() => database.FlushWal(sync: true));
        AssertDisposed(() => database.Flush(family));
        AssertDisposed(() => database.Get(family, "k"u8));
        AssertDisposed(() => database.Get(family, "k"u8, new byte[1].AsSpan()));
        AssertDisposed(() => database.TryGetPinned(family, "k"u8, out _));
        AssertDisposed(() => database.CreateSnapshot());
        AssertDisposed(() => database.CreateIterator(family));
        AssertDisposed(() => database.CompactRange(family));
        AssertDisposed(() => database.DeleteFilesInRange(family, "a"u8, "b"u8));
        AssertDisposed(() => database.CreateCheckpoint(test.Folder["checkpoint"]));
        AssertDisposed(() => database.GetProperty("rocksdb.stats"));
        AssertDisposed(() => database.GetIntProperty("rocksdb.estimate-num-keys"));
        AssertDisposed(() => database.GetStatistics());
        AssertDisposed(() => _ = database.LatestSequenceNumber);
        AssertDisposed(() => batch.Put(family, "k"u8, "v"u8));
        AssertClosed(test);
    }

    [Fact]
    public void Disposed_iterators_batches_and_caches_say_so()
    {
        using TestDatabase test = new();
        test.Database.PutText("k", "1");
        RocksIterator iterator = test.Database.CreateIterator(test.Default);
        iterator.SeekToFirst();
        iterator.Dispose();
        iterator.Dispose();
        Assert.False(iterator.IsValid);
        AssertDisposed(iterator.SeekToFirst);
        AssertDisposed(iterator.SeekToLast);
        AssertDisposed(() => iterator.Seek("k"u8));
        AssertDisposed(() => iterator.SeekForPrev("k"u8));
        AssertDisposed(iterator.Next);
        AssertDisposed(iterator.Prev);
        AssertDisposed(() => iterator.Key.ToArray());
        AssertDisposed(() => iterator.Value.ToArray());
        AssertDisposed(iterator.ThrowIfFailed);
        WriteBatch batch = new();
        batch.Dispose();
        batch.Dispose();
        AssertDisposed(() => batch.Put(test.Default, "k"u8, "v"u8));
        AssertDisposed(() => _ = batch.Count);
        AssertDisposed(batch.Clear);
        AssertDisposed(() => test.Database.Write(batch));
        BlockCache cache = new(1 << 20);
        cache.Dispose();
        AssertDisposed(() => _ = cache.Usage);
    }

    [Fact]
    public void A_cache_may_be_disposed_while_databases_use_it()
    {
        BlockCache cache = new(1 << 20);
        using TestDatabase test = new(new RocksOptions { BlockCache = cache });
        cache.Dispose();
        test.Database.PutText("k", "1");
        test.Database.Flush(test.Default);
        Assert.Equal("1", test.Database.GetText("k"));
    }

    [Fact]
    public void Calls_that_run_while_the_database_is_disposed_finish_or_say_so()
    {
        for (int round = 0; round < 20; round++)
        {
            using TestDatabase test = new();
            test.Database.PutText("k", "1");
            using Barrier barrier = new(3);
            Exception? unexpected = null;
            Thread[] threads = [.. Enumerable.Range(0, 2).Select(_ => new Thread(() =>
            {
                barrier.SignalAndWait();
                try
                {
                    while (true)
                    {
                        test.Database.PutText("k", "2");
                        Assert.NotNull(test.Database.GetText("k"));
                        using RocksIterator iterator = test.Database.CreateIterator(test.Default);
                        iterator.SeekToFirst();
                    }
                }
                catch (ObjectDisposedException)
                {
                    // The one way out that is right.
                }
                catch (Exception e)
                {
                    unexpected = e;
                }
            }))];
            foreach (Thread thread in threads) { thread.Start(); }
            barrier.SignalAndWait();
            test.Database.Dispose();
            foreach (Thread thread in threads) { thread.Join(); }
            Assert.Null(unexpected);
            AssertClosed(test);
        }
    }

    [Fact]
    public void What_nobody_disposed_is_closed_by_the_finalizers_in_any_order()
    {
        using TemporaryFolder folder = new();
        for (int round = 0; round < 10; round++)
        {
            LeaveOpen(folder["db"]);
            GC.Collect();
            GC.WaitForPendingFinalizers();
            RocksDatabase.Open(folder["db"], new RocksOptions(), []).Dispose();
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void LeaveOpen(string path)
    {
        RocksDatabase database = RocksDatabase.Open(path, new RocksOptions(), []);
        database.PutText("k", "1");
        RocksSnapshot snapshot = database.CreateSnapshot();
        database.CreateIterator(database.DefaultFamily, new ReadOptions { Snapshot = snapshot }).SeekToFirst();
        database.CreateIterator(database.DefaultFamily).SeekToFirst();
    }

    private static void AssertStillOpen(TestDatabase test) =>
        Fails(RocksErrorCode.Locked, () => RocksDatabase.Open(test.Folder["db"], new RocksOptions(), []));

    private static void AssertClosed(TestDatabase test) =>
        RocksDatabase.Open(test.Folder["db"], new RocksOptions(), []).Dispose();

    private static void AssertDisposed(Action call) => Assert.Throws<ObjectDisposedException>(call);
}
