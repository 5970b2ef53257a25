namespace KvFs.RocksDb.Native;

/// <summary>Turns our options into native ones.</summary>
internal static class OptionsBuilder
{
    /// <summary>How often the limiter hands out its budget, in microseconds: RocksDB's own default.</summary>
    private const long LimiterRefillUs = 100_000;

    /// <summary>One refill in ten serves flushes last, so that compactions do not starve: RocksDB's own
    /// default.</summary>
    private const int LimiterFairness = 10;

    internal static OptionsHandle Create(RocksOptions from)
    {
        OptionsHandle options = new();
        NativeMethods.rocksdb_options_set_create_if_missing(options, CallOptions.Flag(from.CreateIfMissing));
        NativeMethods.rocksdb_options_set_create_missing_column_families(
            options, CallOptions.Flag(from.CreateMissingFamilies));
        NativeMethods.rocksdb_options_set_error_if_exists(options, CallOptions.Flag(from.ErrorIfExists));
        NativeMethods.rocksdb_options_set_paranoid_checks(options, CallOptions.Flag(from.ParanoidChecks));
        NativeMethods.rocksdb_options_set_db_write_buffer_size(
            options, Size(from.TotalWriteBufferBytes, nameof(from.TotalWriteBufferBytes)));
        NativeMethods.rocksdb_options_set_max_open_files(options, from.MaxOpenFiles);
        NativeMethods.rocksdb_options_set_max_background_jobs(options, from.MaxBackgroundJobs);
        NativeMethods.rocksdb_options_set_max_subcompactions(
            options, (uint)Size(from.MaxSubcompactions, nameof(from.MaxSubcompactions)));
        NativeMethods.rocksdb_options_set_bytes_per_sync(options, Size(from.BytesPerSync, nameof(from.BytesPerSync)));
        NativeMethods.rocksdb_options_set_use_direct_reads(options, CallOptions.Flag(from.DirectReads));
        NativeMethods.rocksdb_options_set_use_direct_io_for_flush_and_compaction(
            options, CallOptions.Flag(from.DirectFlushAndCompaction));
        NativeMethods.rocksdb_options_set_atomic_flush(options, CallOptions.Flag(from.AtomicFlush));
        ApplyLog(options, from);
        ApplyDiagnostics(options, from);
        ApplyRateLimit(options, from.BackgroundBytesPerSecond);
        return options;
    }

    internal static OptionsHandle Create(ColumnFamilyOptions from, BlockCacheHandle cache)
    {
        OptionsHandle options = new();
        NativeMethods.rocksdb_options_set_write_buffer_size(
            options, Size(from.WriteBufferBytes, nameof(from.WriteBufferBytes)));
        NativeMethods.rocksdb_options_set_max_write_buffer_number(options, from.MaxWriteBuffers);
        NativeMethods.rocksdb_options_set_min_write_buffer_number_to_merge(options, from.MinWriteBuffersToMerge);
        NativeMethods.rocksdb_options_set_compression(options, (int)from.Compression);
        NativeMethods.rocksdb_options_set_bottommost_compression(options, (int)from.BottommostCompression);
        NativeMethods.rocksdb_options_set_optimize_filters_for_hits(
            options, CallOptions.Flag(from.SkipBloomOnLastLevel));
        ApplyCompaction(options, from);
        ApplyPrefix(options, from);
        ApplyTable(options, from, cache);
        return options;
    }

    private static void ApplyLog(OptionsHandle options, RocksOptions from)
    {
        NativeMethods.rocksdb_options_set_wal_bytes_per_sync(
            options, Size(from.WalBytesPerSync, nameof(from.WalBytesPerSync)));
        NativeMethods.rocksdb_options_set_wal_recovery_mode(options, (int)from.WalRecovery);
        NativeMethods.rocksdb_options_set_max_total_wal_size(
            options, Size(from.MaxTotalWalBytes, nameof(from.MaxTotalWalBytes)));
        NativeMethods.rocksdb_options_set_recycle_log_file_num(
            options, Size(from.RecycledWalFiles, nameof(from.RecycledWalFiles)));
        NativeMethods.rocksdb_options_set_manual_wal_flush(options, CallOptions.Flag(from.ManualWalFlush));
        NativeMethods.rocksdb_options_set_enable_pipelined_write(options, CallOptions.Flag(from.PipelinedWrite));
    }

    private static void ApplyDiagnostics(OptionsHandle options, RocksOptions from)
    {
        NativeMethods.rocksdb_options_set_info_log_level(options, (int)from.InfoLogLevel);
        NativeMethods.rocksdb_options_set_keep_log_file_num(
            options, Size(from.KeepInfoLogFiles, nameof(from.KeepInfoLogFiles)));
        NativeMethods.rocksdb_options_set_max_log_file_size(
            options, Size(from.MaxInfoLogBytes, nameof(from.MaxInfoLogBytes)));
        if (from.Statistics) { NativeMethods.rocksdb_options_enable_statistics(options); }
    }

    private static void ApplyRateLimit(OptionsHandle options, long bytesPerSecond)
    {
        if (Size(bytesPerSecond, nameof(RocksOptions.BackgroundBytesPerSecond)) == 0) { return; }
        nint limiter = NativeMethods.rocksdb_ratelimiter_create(bytesPerSecond, LimiterRefillUs, LimiterFairness);
        NativeMethods.rocksdb_options_set_ratelimiter(options, limiter);
        NativeMethods.rocksdb_ratelimiter_destroy(limiter);
    }

    private static void ApplyCompaction(OptionsHandle options, ColumnFamilyOptions from)
    {
        NativeMethods.rocksdb_options_set_compaction_style(options, (int)from.CompactionStyle);
        NativeMethods.rocksdb_options_set_disable_auto_compactions(
            options, CallOptions.Flag(!from.AutomaticCompaction));
        NativeMethods.rocksdb_options_set_num_levels(options, from.Levels);
        NativeMethods.rocksdb_options_set_level0_file_num_compaction_trigger(options, from.Level0CompactionTrigger);
        NativeMethods.rocksdb_options_set_level0_slowdown_writes_trigger(options, from.Level0SlowdownTrigger);
        NativeMethods.rocksdb_options_set_level0_stop_writes_trigger(options, from.Level0StopTrigger);
        NativeMethods.rocksdb_options_set_target_file_size_base(
            options, Size(from.TargetFileBytes, nameof(from.TargetFileBytes)));
        NativeMethods.rocksdb_options_set_max_bytes_for_level_base(
            options, Size(from.MaxBytesForLevelBase, nameof(from.MaxBytesForLevelBase)));
        NativeMethods.rocksdb_options_set_max_bytes_for_level_multiplier(options, from.LevelMultiplier);
        NativeMethods.rocksdb_options_set_level_compaction_dynamic_level_bytes(
            options, CallOptions.Flag(from.DynamicLevelBytes));
    }

    private static void ApplyPrefix(OptionsHandle options, ColumnFamilyOptions from)
    {
        nuint length = Size(from.PrefixBytes, nameof(from.PrefixBytes));
        if (length == 0) { return; }
        NativeMethods.rocksdb_options_set_prefix_extractor(
            options, NativeMethods.rocksdb_slicetransform_create_fixed_prefix(length));
        NativeMethods.rocksdb_options_set_memtable_prefix_bloom_size_ratio(options, from.MemtablePrefixBloomRatio);
    }

    /// <summary>BlockBasedTableOptions::IndexType::kTwoLevelIndexSearch.</summary>
    private const int TwoLevelIndex = 2;

    private static void ApplyTable(OptionsHandle options, ColumnFamilyOptions from, BlockCacheHandle cache)
    {
        nuint blockBytes = Size(from.BlockBytes, nameof(from.BlockBytes));
        nint table = NativeMethods.rocksdb_block_based_options_create();
        try
        {
            NativeMethods.rocksdb_block_based_options_set_block_size(table, blockBytes);
            NativeMethods.rocksdb_block_based_options_set_block_cache(table, cache);
            NativeMethods.rocksdb_block_based_options_set_cache_index_and_filter_blocks(
                table, CallOptions.Flag(from.CacheIndexAndFilter));
            if (from.PartitionIndexAndFilter)
            {
                NativeMethods.rocksdb_block_based_options_set_index_type(table, TwoLevelIndex);
                NativeMethods.rocksdb_block_based_options_set_partition_filters(table, CallOptions.Flag(true));
                NativeMethods.rocksdb_block_based_options_set_pin_top_level_index_and_filter(
                    table, CallOptions.Flag(true));
            }

            NativeMethods.rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(
                table, CallOptions.Flag(from.PinLevel0IndexAndFilter));
            if (from.BloomBitsPerKey is { } bits)
            {
                NativeMethods.rocksdb_block_based_options_set_filter_policy(
                    table, NativeMethods.rocksdb_filterpolicy_create_bloom_full(bits));
            }
            NativeMethods.rocksdb_options_set_block_based_table_factory(options, table);
        }
        finally
        {
            NativeMethods.rocksdb_block_based_options_destroy(table);
        }
    }

    private static nuint Size(long value, string name)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(value, name);
        return (nuint)value;
    }
}
