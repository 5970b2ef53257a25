using KvFs.RocksDb.Native;

namespace KvFs.RocksDb;

public sealed unsafe partial class RocksDatabase
{
    /// <summary>Compacts the tables of a range, and waits. The C API does not say whether it worked.</summary>
    /// <param name="family">Of this database.</param>
    /// <param name="begin">The first key. Empty: from the start.</param>
    /// <param name="end">The last key. Empty: to the end.</param>
    /// <param name="rewriteBottommost">Also writes the last level anew, which drops deleted ranges there.</param>
    public void CompactRange(
        ColumnFamily family, ReadOnlySpan<byte> begin = default, ReadOnlySpan<byte> end = default,
        bool rewriteBottommost = false)
    {
        fixed (byte* beginBytes = begin, endBytes = end)
        {
            NativeMethods.rocksdb_compact_range_cf_opt(
                _handle, Own(family), rewriteBottommost ? CallOptions.CompactAll : CallOptions.Compact,
                beginBytes, (nuint)begin.Length, endBytes, (nuint)end.Length);
        }
    }

    /// <summary>Drops the table files that lie wholly in a range, at once: a fast start of deleting much.</summary>
    /// <remarks>Snapshots lose these keys, too. Keys in memtables, level 0 and files across the ends remain: delete the
    /// range as well.</remarks>
    /// <param name="family">Of this database.</param>
    /// <param name="begin">The first key. Empty: from the start.</param>
    /// <param name="end">The last key, included. Empty: to the end.</param>
    public void DeleteFilesInRange(ColumnFamily family, ReadOnlySpan<byte> begin, ReadOnlySpan<byte> end)
    {
        byte* error = null;
        fixed (byte* beginBytes = begin, endBytes = end)
        {
            NativeMethods.rocksdb_delete_file_in_range_cf(
                _handle, Own(family), beginBytes, (nuint)begin.Length, endBytes, (nuint)end.Length, &error);
        }
        RocksError.ThrowIfSet(error);
    }

    /// <summary>Makes a copy that can be opened, of hard links where the file system allows.</summary>
    /// <param name="path">Must not exist; its parent must.</param>
    /// <param name="flushIfWalExceedsBytes">Below it, the log is copied instead of the memtables flushed. 0: flush.
    /// </param>
    public void CreateCheckpoint(string path, long flushIfWalExceedsBytes = 0)
    {
        RequirePath(path);
        ArgumentOutOfRangeException.ThrowIfNegative(flushIfWalExceedsBytes);
        bool holdsDatabase = false;
        byte* error = null;
        try
        {
            // The checkpoint object points to the database for as long as it works.
            _handle.DangerousAddRef(ref holdsDatabase);
            nint checkpoint = NativeMethods.rocksdb_checkpoint_object_create(_handle, &error);
            RocksError.ThrowIfSet(error);
            NativeMethods.rocksdb_checkpoint_create(checkpoint, path, (ulong)flushIfWalExceedsBytes, &error);
            NativeMethods.rocksdb_checkpoint_object_destroy(checkpoint);
            RocksError.ThrowIfSet(error);
        }
        finally
        {
            if (holdsDatabase) { _handle.DangerousRelease(); }
        }
    }

    /// <summary>A text that RocksDB knows about a family; of the default one unless said. Null: no such name.</summary>
    /// <remarks>Names such as <c>rocksdb.stats</c>: see rocksdb/db.h, DB::Properties.</remarks>
    public string? GetProperty(string name, ColumnFamily? family = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        byte* value = NativeMethods.rocksdb_property_value_cf(_handle, Own(family ?? DefaultFamily), name);
        return value is null ? null : RocksError.TakeString(value);
    }

    /// <summary>The same for properties that are numbers.</summary>
    public ulong? GetIntProperty(string name, ColumnFamily? family = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ulong value;
        int result = NativeMethods.rocksdb_property_int_cf(_handle, Own(family ?? DefaultFamily), name, &value);
        return result == 0 ? value : null;
    }

    /// <summary>All counters since opening, as text. Null unless <see cref="RocksOptions.Statistics"/> was
    /// set.</summary>
    public string? GetStatistics()
    {
        ObjectDisposedException.ThrowIf(_handle.IsClosed, this);
        if (!_countsStatistics) { return null; }
        byte* text = NativeMethods.rocksdb_options_statistics_get_string(_options);
        return text is null ? null : RocksError.TakeString(text);
    }
}
