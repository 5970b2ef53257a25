using static KvFs.RocksDb.Tests.TestBytes;

namespace KvFs.RocksDb.Tests;

/// <summary>What is in the files at a moment is what a killed process leaves behind.</summary>
public sealed class DurabilityTests
{
    [Fact]
    public void A_killed_process_keeps_what_went_through_the_log_and_loses_what_did_not()
    {
        using TestDatabase test = new();
        test.Database.PutText("logged", "1");
        test.Database.PutText("synced", "1", WriteFlags.Sync);
        test.Database.PutText("past the log", "1", WriteFlags.DisableWal);
        using RocksDatabase left = RocksDatabase.Open(test.Folder.Copy("db", "left"), new RocksOptions(), []);
        Assert.Equal("1", left.GetText("logged"));
        Assert.Equal("1", left.GetText("synced"));
        Assert.Null(left.GetText("past the log"));
    }

    [Fact]
    public void A_flush_makes_durable_what_went_past_the_log()
    {
        using TestDatabase test = new();
        test.Database.PutText("past the log", "1", WriteFlags.DisableWal);
        test.Database.Flush(test.Default);
        using RocksDatabase left = RocksDatabase.Open(test.Folder.Copy("db", "left"), new RocksOptions(), []);
        Assert.Equal("1", left.GetText("past the log"));
    }

    [Fact]
    public void A_flush_of_all_families_leaves_nothing_that_went_past_the_log_in_memory()
    {
        using TestDatabase test = new(new RocksOptions { AtomicFlush = true }, new("a"), new("b"));
        ColumnFamily[] families = [test.Database.Family("a"), test.Database.Family("b")];
        for (byte round = 1; round <= 3; round++)
        {
            foreach (ColumnFamily family in families)
            {
                test.Database.Put(family, "k"u8, [round], WriteFlags.DisableWal);
                Assert.Equal(round - 1, Persisted(test.Database, family));
            }

            test.Database.FlushAll(test.Default);
            using RocksDatabase left = RocksDatabase.Open(
                test.Folder.Copy("db", $"left{round}"), new RocksOptions(), [new("a"), new("b")]);
            foreach (ColumnFamily family in families)
            {
                Assert.Equal(round, Persisted(test.Database, family));
                Assert.Equal(round, Persisted(left, left.Family(family.Name)));
            }
        }
    }

    private static int Persisted(RocksDatabase database, ColumnFamily family)
    {
        if (!database.TryGetPersisted(family, "k"u8, out PinnedValue value)) { return 0; }
        using (value) { return value.Span[0]; }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void With_a_manual_log_nothing_reaches_the_files_before_FlushWal(bool sync)
    {
        using TestDatabase test = new(new RocksOptions { ManualWalFlush = true });
        test.Database.PutText("k", "1");
        using (RocksDatabase early = RocksDatabase.Open(test.Folder.Copy("db", "early"), new RocksOptions(), []))
        {
            Assert.Null(early.GetText("k"));
        }
        test.Database.FlushWal(sync);
        using RocksDatabase late = RocksDatabase.Open(test.Folder.Copy("db", "late"), new RocksOptions(), []);
        Assert.Equal("1", late.GetText("k"));
    }

    [Fact]
    public void FlushWal_may_be_called_at_any_time()
    {
        using TestDatabase test = new();
        test.Database.FlushWal(sync: true);
        test.Database.PutText("k", "1");
        test.Database.FlushWal(sync: false);
        test.Database.FlushWal(sync: true);
        Assert.Equal("1", test.Database.GetText("k"));
    }

    [Fact]
    public void Writers_of_many_threads_share_the_log_and_all_of_their_synced_writes_are_there()
    {
        const int writers = 4;
        const int each = 100;
        using TestDatabase test = new(new RocksOptions { PipelinedWrite = true });
        Thread[] threads = [.. Enumerable.Range(0, writers).Select(writer => new Thread(() =>
        {
            for (int i = 0; i < each; i++) { test.Database.PutText($"{writer}/{i}", "1", WriteFlags.Sync); }
        }))];
        foreach (Thread thread in threads) { thread.Start(); }
        foreach (Thread thread in threads) { thread.Join(); }
        using RocksDatabase left = RocksDatabase.Open(test.Folder.Copy("db", "left"), new RocksOptions(), []);
        Assert.Equal(writers * each, (int)left.LatestSequenceNumber);
        Assert.Equal("1", left.GetText($"{writers - 1}/{each - 1}"));
    }

    [Fact]
    public void Closing_and_opening_again_loses_nothing()
    {
        using TemporaryFolder folder = new();
        for (int round = 0; round < 5; round++)
        {
            using RocksDatabase database = RocksDatabase.Open(folder["db"], new RocksOptions(), []);
            for (int earlier = 0; earlier < round; earlier++) { Assert.Equal("1", database.GetText($"{earlier}")); }
            database.PutText($"{round}", "1", round % 2 == 0 ? WriteFlags.None : WriteFlags.Sync);
        }
    }

    [Fact]
    public void A_write_to_a_read_only_database_is_not_supported()
    {
        using TestDatabase test = new();
        test.Database.PutText("k", "1");
        using RocksDatabase reader = RocksDatabase.OpenReadOnly(test.Folder["db"], new RocksOptions(), []);
        Assert.Equal("1", reader.GetText("k"));
        using RocksSnapshot snapshot = reader.CreateSnapshot();
        using RocksIterator iterator = reader.CreateIterator(
            reader.DefaultFamily, new ReadOptions { Snapshot = snapshot });
        iterator.SeekToFirst();
        Assert.Equal("k", iterator.Key.Text());
        Fails(RocksErrorCode.NotSupported, () => reader.PutText("k", "2"));
        test.Database.PutText("k", "2");
        Assert.Equal("1", reader.GetText("k"));
    }
}
