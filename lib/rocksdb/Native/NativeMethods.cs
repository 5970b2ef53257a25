using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

[assembly: DisableRuntimeMarshalling]

namespace KvFs.RocksDb.Native;

/// <summary>RocksDB's C API: C names, C types, no logic.</summary>
/// <remarks>
/// Source: rocksdb/c.h of version 7.8. An <c>error</c> argument points to a null pointer; after the call it is null or
/// a string that <see cref="RocksError"/> turns into an exception and frees.
/// Handles that are passed as <see cref="SafeHandle"/> stay open during the call, even if another thread disposes them.
/// <see cref="SuppressGCTransitionAttribute"/> stands only where the C function reads a field or two: it neither
/// blocks, allocates nor calls back.
/// </remarks>
internal static unsafe partial class NativeMethods
{
    private const string Library = NativeLibraryLoader.LibraryName;

    // Explicit, so that the resolver is in place before the first import of this class is bound.
    static NativeMethods() => NativeLibraryLoader.Register();

    [LibraryImport(Library)]
    internal static partial void rocksdb_free(void* memory);

    // Opening, closing, and what works on a folder.

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial nint rocksdb_open_column_families(
        OptionsHandle options, string path, int count, byte** names, nint* options_list, nint* families, byte** error);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial nint rocksdb_open_for_read_only_column_families(
        OptionsHandle options, string path, int count, byte** names, nint* options_list, nint* families,
        byte error_if_wal_file_exists, byte** error);

    [LibraryImport(Library)]
    internal static partial void rocksdb_close(nint database);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial byte** rocksdb_list_column_families(
        OptionsHandle options, string path, nuint* count, byte** error);

    [LibraryImport(Library)]
    internal static partial void rocksdb_list_column_families_destroy(byte** list, nuint count);

    [LibraryImport(Library)]
    internal static partial void rocksdb_column_family_handle_destroy(nint family);

    [LibraryImport(Library)]
    internal static partial uint rocksdb_column_family_handle_get_id(nint family);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial void rocksdb_destroy_db(OptionsHandle options, string path, byte** error);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial void rocksdb_repair_db(OptionsHandle options, string path, byte** error);

    // Writing.

    [LibraryImport(Library)]
    internal static partial void rocksdb_put_cf(
        DatabaseHandle database, nint write_options, ColumnFamilyHandle family,
        byte* key, nuint key_length, byte* value, nuint value_length, byte** error);

    [LibraryImport(Library)]
    internal static partial void rocksdb_delete_cf(
        DatabaseHandle database, nint write_options, ColumnFamilyHandle family,
        byte* key, nuint key_length, byte** error);

    [LibraryImport(Library)]
    internal static partial void rocksdb_delete_range_cf(
        DatabaseHandle database, nint write_options, ColumnFamilyHandle family,
        byte* begin, nuint begin_length, byte* end, nuint end_length, byte** error);

    [LibraryImport(Library)]
    internal static partial void rocksdb_write(
        DatabaseHandle database, nint write_options, WriteBatchHandle batch, byte** error);

    [LibraryImport(Library)]
    internal static partial void rocksdb_flush_cf(
        DatabaseHandle database, nint flush_options, ColumnFamilyHandle family, byte** error);

    [LibraryImport(Library)]
    internal static partial void rocksdb_flush_wal(DatabaseHandle database, byte sync, byte** error);

    // Reading.

    [LibraryImport(Library)]
    internal static partial nint rocksdb_get_pinned_cf(
        nint database, nint read_options, ColumnFamilyHandle family, byte* key, nuint key_length, byte** error);

    [LibraryImport(Library)]
    internal static partial void rocksdb_pinnableslice_destroy(nint slice);

    [LibraryImport(Library), SuppressGCTransition]
    internal static partial byte* rocksdb_pinnableslice_value(nint slice, nuint* length);

    [LibraryImport(Library)]
    internal static partial nint rocksdb_create_snapshot(nint database);

    [LibraryImport(Library)]
    internal static partial void rocksdb_release_snapshot(nint database, nint snapshot);

    [LibraryImport(Library)]
    internal static partial nint rocksdb_create_iterator_cf(
        DatabaseHandle database, nint read_options, ColumnFamilyHandle family);

    [LibraryImport(Library)]
    internal static partial void rocksdb_iter_destroy(nint iterator);

    [LibraryImport(Library), SuppressGCTransition]
    internal static partial byte rocksdb_iter_valid(nint iterator);

    [LibraryImport(Library), SuppressGCTransition]
    internal static partial byte* rocksdb_iter_key(nint iterator, nuint* length);

    [LibraryImport(Library), SuppressGCTransition]
    internal static partial byte* rocksdb_iter_value(nint iterator, nuint* length);

    [LibraryImport(Library)]
    internal static partial void rocksdb_iter_seek_to_first(nint iterator);

    [LibraryImport(Library)]
    internal static partial void rocksdb_iter_seek_to_last(nint iterator);

    [LibraryImport(Library)]
    internal static partial void rocksdb_iter_seek(nint iterator, byte* key, nuint key_length);

    [LibraryImport(Library)]
    internal static partial void rocksdb_iter_seek_for_prev(nint iterator, byte* key, nuint key_length);

    [LibraryImport(Library)]
    internal static partial void rocksdb_iter_next(nint iterator);

    [LibraryImport(Library)]
    internal static partial void rocksdb_iter_prev(nint iterator);

    [LibraryImport(Library)]
    internal static partial void rocksdb_iter_get_error(nint iterator, byte** error);

    // Batches.

    [LibraryImport(Library)]
    internal static partial nint rocksdb_writebatch_create();

    [LibraryImport(Library)]
    internal static partial void rocksdb_writebatch_destroy(nint batch);

    [LibraryImport(Library)]
    internal static partial void rocksdb_writebatch_clear(WriteBatchHandle batch);

    [LibraryImport(Library)]
    internal static partial int rocksdb_writebatch_count(WriteBatchHandle batch);

    [LibraryImport(Library)]
    internal static partial byte* rocksdb_writebatch_data(WriteBatchHandle batch, nuint* length);

    [LibraryImport(Library)]
    internal static partial void rocksdb_writebatch_put_cf(
        WriteBatchHandle batch, ColumnFamilyHandle family,
        byte* key, nuint key_length, byte* value, nuint value_length);

    [LibraryImport(Library)]
    internal static partial void rocksdb_writebatch_delete_cf(
        WriteBatchHandle batch, ColumnFamilyHandle family, byte* key, nuint key_length);

    [LibraryImport(Library)]
    internal static partial void rocksdb_writebatch_delete_range_cf(
        WriteBatchHandle batch, ColumnFamilyHandle family,
        byte* begin, nuint begin_length, byte* end, nuint end_length);

    [LibraryImport(Library)]
    internal static partial void rocksdb_writebatch_put_log_data(WriteBatchHandle batch, byte* data, nuint length);

    // Maintenance.

    [LibraryImport(Library)]
    internal static partial void rocksdb_compact_range_cf_opt(
        DatabaseHandle database, ColumnFamilyHandle family, nint compact_options,
        byte* begin, nuint begin_length, byte* end, nuint end_length);

    [LibraryImport(Library)]
    internal static partial void rocksdb_delete_file_in_range_cf(
        DatabaseHandle database, ColumnFamilyHandle family,
        byte* begin, nuint begin_length, byte* end, nuint end_length, byte** error);

    [LibraryImport(Library)]
    internal static partial nint rocksdb_checkpoint_object_create(DatabaseHandle database, byte** error);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial void rocksdb_checkpoint_create(
        nint checkpoint, string path, ulong log_size_for_flush, byte** error);

    [LibraryImport(Library)]
    internal static partial void rocksdb_checkpoint_object_destroy(nint checkpoint);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial byte* rocksdb_property_value_cf(
        DatabaseHandle database, ColumnFamilyHandle family, string name);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int rocksdb_property_int_cf(
        DatabaseHandle database, ColumnFamilyHandle family, string name, ulong* value);

    [LibraryImport(Library)]
    internal static partial ulong rocksdb_get_latest_sequence_number(DatabaseHandle database);
}
