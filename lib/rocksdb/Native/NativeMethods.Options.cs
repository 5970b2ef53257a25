using System.Runtime.InteropServices;

namespace KvFs.RocksDb.Native;

/// <summary>The part of the C API that builds options.</summary>
/// <remarks>What a setter is given is copied, or its reference count is raised, so that it may be destroyed at once;
/// the exceptions are the filter policy and the prefix extractor, which the setter takes over.</remarks>
internal static unsafe partial class NativeMethods
{
    // One object for the options of a database and of a family.

    [LibraryImport(Library)]
    internal static partial nint rocksdb_options_create();

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_destroy(nint options);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_create_if_missing(OptionsHandle options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_create_missing_column_families(OptionsHandle options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_error_if_exists(OptionsHandle options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_paranoid_checks(OptionsHandle options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_max_open_files(OptionsHandle options, int value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_max_background_jobs(OptionsHandle options, int value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_max_subcompactions(OptionsHandle options, uint value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_bytes_per_sync(OptionsHandle options, ulong value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_wal_bytes_per_sync(OptionsHandle options, ulong value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_wal_recovery_mode(OptionsHandle options, int value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_max_total_wal_size(OptionsHandle options, ulong value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_recycle_log_file_num(OptionsHandle options, nuint value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_manual_wal_flush(OptionsHandle options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_enable_pipelined_write(OptionsHandle options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_atomic_flush(OptionsHandle options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_db_write_buffer_size(OptionsHandle options, nuint value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_use_direct_reads(OptionsHandle options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_use_direct_io_for_flush_and_compaction(
        OptionsHandle options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_info_log_level(OptionsHandle options, int value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_keep_log_file_num(OptionsHandle options, nuint value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_max_log_file_size(OptionsHandle options, nuint value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_enable_statistics(OptionsHandle options);

    [LibraryImport(Library)]
    internal static partial byte* rocksdb_options_statistics_get_string(OptionsHandle options);

    [LibraryImport(Library)]
    internal static partial nint rocksdb_ratelimiter_create(
        long bytes_per_second, long refill_period_us, int fairness);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_ratelimiter(OptionsHandle options, nint limiter);

    [LibraryImport(Library)]
    internal static partial void rocksdb_ratelimiter_destroy(nint limiter);

    // Of a family.

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_write_buffer_size(OptionsHandle options, nuint value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_max_write_buffer_number(OptionsHandle options, int value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_min_write_buffer_number_to_merge(OptionsHandle options, int value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_compression(OptionsHandle options, int value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_bottommost_compression(OptionsHandle options, int value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_compaction_style(OptionsHandle options, int value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_disable_auto_compactions(OptionsHandle options, int value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_num_levels(OptionsHandle options, int value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_level0_file_num_compaction_trigger(
        OptionsHandle options, int value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_level0_slowdown_writes_trigger(OptionsHandle options, int value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_level0_stop_writes_trigger(OptionsHandle options, int value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_target_file_size_base(OptionsHandle options, ulong value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_max_bytes_for_level_base(OptionsHandle options, ulong value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_max_bytes_for_level_multiplier(
        OptionsHandle options, double value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_level_compaction_dynamic_level_bytes(
        OptionsHandle options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_optimize_filters_for_hits(OptionsHandle options, int value);

    [LibraryImport(Library)]
    internal static partial nint rocksdb_slicetransform_create_fixed_prefix(nuint length);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_prefix_extractor(OptionsHandle options, nint transform);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_memtable_prefix_bloom_size_ratio(
        OptionsHandle options, double value);

    // Tables and their cache.

    [LibraryImport(Library)]
    internal static partial nint rocksdb_block_based_options_create();

    [LibraryImport(Library)]
    internal static partial void rocksdb_block_based_options_destroy(nint options);

    [LibraryImport(Library)]
    internal static partial void rocksdb_block_based_options_set_block_size(nint options, nuint value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_block_based_options_set_block_cache(nint options, BlockCacheHandle cache);

    [LibraryImport(Library)]
    internal static partial void rocksdb_block_based_options_set_cache_index_and_filter_blocks(
        nint options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_block_based_options_set_index_type(nint options, int value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_block_based_options_set_partition_filters(nint options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_block_based_options_set_pin_top_level_index_and_filter(
        nint options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(
        nint options, byte value);

    [LibraryImport(Library)]
    internal static partial nint rocksdb_filterpolicy_create_bloom_full(double bits_per_key);

    [LibraryImport(Library)]
    internal static partial void rocksdb_block_based_options_set_filter_policy(nint options, nint policy);

    [LibraryImport(Library)]
    internal static partial void rocksdb_options_set_block_based_table_factory(
        OptionsHandle options, nint table_options);

    [LibraryImport(Library)]
    internal static partial nint rocksdb_cache_create_lru(nuint capacity);

    [LibraryImport(Library)]
    internal static partial void rocksdb_cache_destroy(nint cache);

    [LibraryImport(Library)]
    internal static partial void rocksdb_cache_set_capacity(BlockCacheHandle cache, nuint capacity);

    [LibraryImport(Library)]
    internal static partial nuint rocksdb_cache_get_capacity(BlockCacheHandle cache);

    [LibraryImport(Library)]
    internal static partial nuint rocksdb_cache_get_usage(BlockCacheHandle cache);

    [LibraryImport(Library)]
    internal static partial nuint rocksdb_cache_get_pinned_usage(BlockCacheHandle cache);

    // Of one call.

    [LibraryImport(Library)]
    internal static partial nint rocksdb_writeoptions_create();

    [LibraryImport(Library)]
    internal static partial void rocksdb_writeoptions_set_sync(nint options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_writeoptions_disable_WAL(nint options, int value);

    [LibraryImport(Library)]
    internal static partial nint rocksdb_flushoptions_create();

    [LibraryImport(Library)]
    internal static partial void rocksdb_flushoptions_set_wait(nint options, byte value);

    [LibraryImport(Library)]
    internal static partial nint rocksdb_compactoptions_create();

    [LibraryImport(Library)]
    internal static partial void rocksdb_compactoptions_set_exclusive_manual_compaction(nint options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_compactoptions_set_bottommost_level_compaction(nint options, byte value);

    [LibraryImport(Library)]
    internal static partial nint rocksdb_readoptions_create();

    [LibraryImport(Library)]
    internal static partial void rocksdb_readoptions_destroy(nint options);

    [LibraryImport(Library)]
    internal static partial void rocksdb_readoptions_set_snapshot(nint options, nint snapshot);

    [LibraryImport(Library)]
    internal static partial void rocksdb_readoptions_set_iterate_lower_bound(
        nint options, byte* key, nuint key_length);

    [LibraryImport(Library)]
    internal static partial void rocksdb_readoptions_set_iterate_upper_bound(
        nint options, byte* key, nuint key_length);

    [LibraryImport(Library)]
    internal static partial void rocksdb_readoptions_set_read_tier(nint options, int value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_readoptions_set_fill_cache(nint options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_readoptions_set_verify_checksums(nint options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_readoptions_set_total_order_seek(nint options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_readoptions_set_prefix_same_as_start(nint options, byte value);

    [LibraryImport(Library)]
    internal static partial void rocksdb_readoptions_set_readahead_size(nint options, nuint value);
}
