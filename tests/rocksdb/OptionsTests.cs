using System.Globalization;
using static KvFs.RocksDb.Tests.TestBytes;

namespace KvFs.RocksDb.Tests;

/// <summary>RocksDB writes the options that it runs with to a file: what was set must stand there.</summary>
public sealed class OptionsTests
{
    [Fact]
    public void Every_option_of_a_database_reaches_RocksDB()
    {
        RocksOptions options = new()
        {
            ParanoidChecks = false,
            TotalWriteBufferBytes = 123 << 20,
            MaxOpenFiles = 321,
            MaxBackgroundJobs = 5,
            MaxSubcompactions = 3,
            BytesPerSync = 1 << 20,
            WalBytesPerSync = 2 << 20,
            WalRecovery = WalRecoveryMode.SkipCorrupted,
            MaxTotalWalBytes = 77 << 20,
            RecycledWalFiles = 4,
            ManualWalFlush = true,
            PipelinedWrite = true,
            DirectReads = true,
            DirectFlushAndCompaction = true,
            BackgroundBytesPerSecond = 50 << 20,
            InfoLogLevel = InfoLogLevel.Warn,
            KeepInfoLogFiles = 3,
            MaxInfoLogBytes = 1 << 16,
        };
        using TestDatabase test = new(options);
        Dictionary<string, string> used = ReadOptionsFile(test, "DBOptions");
        Assert.Equal("false", used["paranoid_checks"]);
        Assert.Equal(Number(123 << 20), used["db_write_buffer_size"]);
        Assert.Equal("321", used["max_open_files"]);
        Assert.Equal("5", used["max_background_jobs"]);
        Assert.Equal("3", used["max_subcompactions"]);
        Assert.Equal(Number(1 << 20), used["bytes_per_sync"]);
        Assert.Equal(Number(2 << 20), used["wal_bytes_per_sync"]);
        Assert.Equal("kSkipAnyCorruptedRecords", used["wal_recovery_mode"]);
        Assert.Equal(Number(77 << 20), used["max_total_wal_size"]);
        Assert.Equal("4", used["recycle_log_file_num"]);
        Assert.Equal("true", used["manual_wal_flush"]);
        Assert.Equal("true", used["enable_pipelined_write"]);
        Assert.Equal("true", used["use_direct_reads"]);
        Assert.Equal("true", used["use_direct_io_for_flush_and_compaction"]);
        Assert.Equal("WARN_LEVEL", used["info_log_level"]);
        Assert.Equal("3", used["keep_log_file_num"]);
        Assert.Equal(Number(1 << 16), used["max_log_file_size"]);
        test.Database.PutText("k", "v");
        test.Database.Flush(test.Default);
        Assert.Equal("v", test.Database.GetText("k"));
    }

    [Fact]
    public void Every_option_of_a_family_reaches_RocksDB()
    {
        ColumnFamilyOptions family = new("f")
        {
            WriteBufferBytes = 5 << 20,
            MaxWriteBuffers = 6,
            MinWriteBuffersToMerge = 2,
            BlockBytes = 16 << 10,
            BloomBitsPerKey = 10,
            SkipBloomOnLastLevel = true,
            CacheIndexAndFilter = true,
            PartitionIndexAndFilter = true,
            PinLevel0IndexAndFilter = true,
            PrefixBytes = 9,
            MemtablePrefixBloomRatio = 0.125,
            Compression = Compression.Lz4,
            BottommostCompression = Compression.Zstd,
            AutomaticCompaction = false,
            Levels = 5,
            Level0CompactionTrigger = 8,
            Level0SlowdownTrigger = 30,
            Level0StopTrigger = 40,
            TargetFileBytes = 3 << 20,
            MaxBytesForLevelBase = 33 << 20,
            LevelMultiplier = 7,
            DynamicLevelBytes = true,
        };
        using TestDatabase test = new(null, family);
        Dictionary<string, string> used = ReadOptionsFile(test, "CFOptions \"f\"");
        Assert.Equal(Number(5 << 20), used["write_buffer_size"]);
        Assert.Equal("6", used["max_write_buffer_number"]);
        Assert.Equal("2", used["min_write_buffer_number_to_merge"]);
        Assert.Equal("true", used["optimize_filters_for_hits"]);
        Assert.Contains("FixedPrefix.9", used["prefix_extractor"], StringComparison.Ordinal);
        Assert.Equal(0.125, double.Parse(used["memtable_prefix_bloom_size_ratio"], CultureInfo.InvariantCulture));
        Assert.Equal("kLZ4Compression", used["compression"]);
        Assert.Equal("kZSTD", used["bottommost_compression"]);
        Assert.Equal("kCompactionStyleLevel", used["compaction_style"]);
        Assert.Equal("true", used["disable_auto_compactions"]);
        Assert.Equal("5", used["num_levels"]);
        Assert.Equal("8", used["level0_file_num_compaction_trigger"]);
        Assert.Equal("30", used["level0_slowdown_writes_trigger"]);
        Assert.Equal("40", used["level0_stop_writes_trigger"]);
        Assert.Equal(Number(3 << 20), used["target_file_size_base"]);
        Assert.Equal(Number(33 << 20), used["max_bytes_for_level_base"]);
        Assert.Equal(7, double.Parse(used["max_bytes_for_level_multiplier"], CultureInfo.InvariantCulture));
        Assert.Equal("true", used["level_compaction_dynamic_level_bytes"]);
        Dictionary<string, string> table = ReadOptionsFile(test, "TableOptions/BlockBasedTable \"f\"");
        Assert.Equal(Number(16 << 10), table["block_size"]);
        Assert.Equal("bloomfilter", table["filter_policy"]);
        Assert.Equal("true", table["cache_index_and_filter_blocks"]);
        Assert.Equal("kTwoLevelIndexSearch", table["index_type"]);
        Assert.Equal("true", table["partition_filters"]);
        Assert.Equal("true", table["pin_top_level_index_and_filter"]);
        Assert.Equal("true", table["pin_l0_filter_and_index_blocks_in_cache"]);
    }

    [Fact]
    public void A_bloom_filter_spares_reads_of_absent_keys()
    {
        using TestDatabase test = new(
            new RocksOptions { Statistics = true }, new ColumnFamilyOptions("f") { BloomBitsPerKey = 20 });
        ColumnFamily family = test.Database.Family("f");
        test.Database.Put(family, "a"u8, "1"u8);
        test.Database.Put(family, "c"u8, "1"u8);
        test.Database.Flush(family);
        Assert.Null(test.Database.GetText("b", family));
        Assert.Contains(
            "rocksdb.bloom.filter.useful COUNT : 1", test.Database.GetStatistics(), StringComparison.Ordinal);
    }

    [Fact]
    public void Options_that_exclude_each_other_are_an_InvalidArgument()
    {
        using TemporaryFolder folder = new();
        Fails(RocksErrorCode.InvalidArgument, () => RocksDatabase.Open(
            folder["db"], new RocksOptions { AtomicFlush = true, PipelinedWrite = true }, []));
    }

    [Fact]
    public void Atomic_flush_reaches_RocksDB()
    {
        using TestDatabase test = new(new RocksOptions { AtomicFlush = true });
        Assert.Equal("true", ReadOptionsFile(test, "DBOptions")["atomic_flush"]);
    }

    [Fact]
    public void The_defaults_are_what_the_documentation_says()
    {
        using TestDatabase test = new();
        Dictionary<string, string> database = ReadOptionsFile(test, "DBOptions");
        Assert.Equal("-1", database["max_open_files"]);
        Assert.Equal("2", database["max_background_jobs"]);
        Assert.Equal("kPointInTimeRecovery", database["wal_recovery_mode"]);
        Assert.Equal("true", database["paranoid_checks"]);
        Assert.Equal("false", database["manual_wal_flush"]);
        Dictionary<string, string> family = ReadOptionsFile(test, "CFOptions \"default\"");
        Assert.Equal(Number(64 << 20), family["write_buffer_size"]);
        Assert.Equal("kNoCompression", family["compression"]);
        Assert.Equal("kDisableCompressionOption", family["bottommost_compression"]);
        Assert.Equal("nullptr", family["prefix_extractor"]);
    }

    [Theory]
    [InlineData(Compression.None)]
    [InlineData(Compression.Snappy)]
    [InlineData(Compression.Zlib)]
    [InlineData(Compression.Bzip2)]
    [InlineData(Compression.Lz4)]
    [InlineData(Compression.Lz4HighCompression)]
    [InlineData(Compression.Zstd)]
    public void Every_compression_named_is_in_the_library(Compression compression)
    {
        using TestDatabase test = new(null, new ColumnFamilyOptions("f") { Compression = compression });
        ColumnFamily family = test.Database.Family("f");
        byte[] value = new byte[100_000];
        test.Database.Put(family, "k"u8, value);
        test.Database.Flush(family);
        Assert.Equal(value, test.Database.Get(family, "k"u8));
        ulong size = test.Database.GetIntProperty("rocksdb.total-sst-files-size", family)!.Value;
        Assert.Equal(compression == Compression.None, size > 50_000);
    }

    [Theory]
    [InlineData(CompactionStyle.Universal)]
    [InlineData(CompactionStyle.Fifo)]
    public void The_other_compaction_styles_work(CompactionStyle style)
    {
        using TestDatabase test = new(null, new ColumnFamilyOptions("f") { CompactionStyle = style });
        ColumnFamily family = test.Database.Family("f");
        test.Database.Put(family, "k"u8, "v"u8);
        test.Database.Flush(family);
        test.Database.CompactRange(family);
        Assert.Equal("v", test.Database.GetText("k", family));
    }

    [Fact]
    public void One_cache_serves_all_families_and_databases_and_keeps_its_bound()
    {
        using BlockCache cache = new(1 << 20);
        using TestDatabase one = new(new RocksOptions { BlockCache = cache }, new ColumnFamilyOptions("f"));
        using TestDatabase two = new(new RocksOptions { BlockCache = cache });
        Assert.Equal(1 << 20, cache.Capacity);
        long before = cache.Usage;
        foreach ((RocksDatabase database, ColumnFamily family) in ((RocksDatabase, ColumnFamily)[])
            [(one.Database, one.Default), (one.Database, one.Database.Family("f")), (two.Database, two.Default)])
        {
            database.Put(family, "k"u8, new byte[3_000]);
            database.Flush(family);
            Assert.NotNull(database.Get(family, "k"u8));
            Assert.True(cache.Usage >= before + 3_000);
            before = cache.Usage;
        }
        Assert.True(two.Database.TryGetPinned(two.Default, "k"u8, out PinnedValue pinned));
        using (pinned) { Assert.True(cache.PinnedUsage >= 3_000); }
        cache.Capacity = 0;
        Assert.True(cache.Usage < before);
        Assert.Equal(0, cache.Capacity);
        Assert.NotNull(two.Database.Get(two.Default, "k"u8));
        Assert.Throws<ArgumentOutOfRangeException>(() => cache.Capacity = -1);
        Assert.Throws<ArgumentOutOfRangeException>(() => new BlockCache(-1));
    }

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static Dictionary<string, string> ReadOptionsFile(TestDatabase test, string section)
    {
        string file = Directory.GetFiles(test.Folder["db"], "OPTIONS-*").Order().Last();
        return File.ReadLines(file)
            .SkipWhile(line => line != $"[{section}]").Skip(1)
            .TakeWhile(line => !line.StartsWith('['))
            .Select(line => line.Trim().Split('=', 2)).Where(parts => parts.Length == 2)
            .ToDictionary(parts => parts[0], parts => parts[1], StringComparer.Ordinal);
    }
}
