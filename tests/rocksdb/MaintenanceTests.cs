using static KvFs.RocksDb.Tests.TestBytes;

namespace KvFs.RocksDb.Tests;

public sealed class MaintenanceTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1L << 40)]
    public void A_checkpoint_opens_with_the_state_at_its_time(long flushIfWalExceedsBytes)
    {
        using TestDatabase test = new(null, new ColumnFamilyOptions("ns"));
        ColumnFamily ns = test.Database.Family("ns");
        test.Database.PutText("k", "flushed");
        test.Database.Flush(test.Default);
        test.Database.Put(ns, "k"u8, "in the log"u8);
        test.Database.CreateCheckpoint(test.Folder["checkpoint"], flushIfWalExceedsBytes);
        test.Database.PutText("k", "later");
        Assert.Equal(["default", "ns"],
            RocksDatabase.ListColumnFamilies(test.Folder["checkpoint"], new RocksOptions()).Order());
        using RocksDatabase copy = RocksDatabase.Open(test.Folder["checkpoint"], new RocksOptions(), [new("ns")]);
        Assert.Equal("flushed", copy.GetText("k"));
        Assert.Equal("in the log", copy.GetText("k", copy.Family("ns")));
        copy.PutText("only here", "1");
        Assert.Null(test.Database.GetText("only here"));
    }

    [Fact]
    public void A_checkpoint_into_an_existing_folder_is_refused()
    {
        using TestDatabase test = new();
        Directory.CreateDirectory(test.Folder["taken"]);
        Fails(RocksErrorCode.InvalidArgument, () => test.Database.CreateCheckpoint(test.Folder["taken"]));
        Assert.Throws<ArgumentException>(() => test.Database.CreateCheckpoint("a\0b"));
        test.Database.CreateCheckpoint(test.Folder["free"]);
    }

    [Fact]
    public void Compaction_drops_what_was_deleted()
    {
        using TestDatabase test = new();
        FillTables(test, tables: 3);
        test.Database.DeleteRange(test.Default, "t0"u8, "t2"u8);
        test.Database.Flush(test.Default);
        long before = TableBytes(test);
        test.Database.CompactRange(test.Default, rewriteBottommost: true);
        Assert.True(TableBytes(test) < before / 2, $"{before} -> {TableBytes(test)}");
        Assert.Null(test.Database.GetText("t0/0001"));
        Assert.NotNull(test.Database.GetText("t2/0001"));
    }

    [Fact]
    public void Compaction_of_a_range_leaves_the_rest()
    {
        using TestDatabase test = new(null, new ColumnFamilyOptions("f") { AutomaticCompaction = false });
        FillTables(test, tables: 3, test.Database.Family("f"));
        Assert.Equal("3", test.Database.GetProperty("rocksdb.num-files-at-level0", test.Database.Family("f")));
        test.Database.CompactRange(test.Database.Family("f"), "t1/0000"u8, "t1/9999"u8);
        Assert.NotEqual("3", test.Database.GetProperty("rocksdb.num-files-at-level0", test.Database.Family("f")));
        Assert.NotNull(test.Database.GetText("t0/0001", test.Database.Family("f")));
    }

    [Fact]
    public void Deleting_files_in_a_range_drops_only_those_within()
    {
        using TestDatabase test = new(null, new ColumnFamilyOptions("f") { TargetFileBytes = 64 << 10 });
        ColumnFamily family = test.Database.Family("f");
        FillTables(test, tables: 3, family);
        test.Database.CompactRange(family, rewriteBottommost: true);
        ulong before = test.Database.GetIntProperty("rocksdb.total-sst-files-size", family)!.Value;
        test.Database.DeleteFilesInRange(family, "t0"u8, "t2"u8);
        ulong after = test.Database.GetIntProperty("rocksdb.total-sst-files-size", family)!.Value;
        Assert.True(after < before, $"{before} -> {after}");
        Assert.NotNull(test.Database.GetText("t2/0999", family));
        test.Database.DeleteFilesInRange(family, default, default);
        Assert.Null(test.Database.GetText("t2/0999", family));
    }

    [Fact]
    public void Properties_are_known_by_name()
    {
        using TestDatabase test = new(null, new ColumnFamilyOptions("ns"));
        ColumnFamily ns = test.Database.Family("ns");
        test.Database.Put(ns, "k"u8, "v"u8);
        Assert.Equal(1ul, test.Database.GetIntProperty("rocksdb.estimate-num-keys", ns));
        Assert.Equal(0ul, test.Database.GetIntProperty("rocksdb.estimate-num-keys"));
        Assert.Contains("Compaction Stats", test.Database.GetProperty("rocksdb.stats"), StringComparison.Ordinal);
        Assert.Null(test.Database.GetProperty("rocksdb.no-such-thing"));
        Assert.Null(test.Database.GetIntProperty("rocksdb.no-such-thing", ns));
    }

    [Fact]
    public void Statistics_are_there_on_demand()
    {
        using TestDatabase without = new();
        Assert.Null(without.Database.GetStatistics());
        using TestDatabase with = new(new RocksOptions { Statistics = true });
        with.Database.PutText("k", "v");
        Assert.Contains(
            "rocksdb.number.keys.written COUNT : 1", with.Database.GetStatistics(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_flush_that_is_not_waited_for_comes_true_before_one_that_is()
    {
        using TestDatabase test = new();
        test.Database.PutText("k", "v");
        test.Database.Flush(test.Default, wait: false);
        test.Database.Flush(test.Default);
        Assert.True(TableBytes(test) > 0);
    }

    private static void FillTables(TestDatabase test, int tables, ColumnFamily? family = null)
    {
        byte[] value = new byte[200];
        Random random = new(7);
        for (int table = 0; table < tables; table++)
        {
            for (int i = 0; i < 1_000; i++)
            {
                random.NextBytes(value);
                test.Database.Put(family ?? test.Default, $"t{table}/{i:d4}".B(), value);
            }
            test.Database.Flush(family ?? test.Default);
        }
    }

    private static long TableBytes(TestDatabase test) =>
        (long)test.Database.GetIntProperty("rocksdb.total-sst-files-size")!.Value;
}
