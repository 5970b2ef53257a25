using KvFs.RocksDb.Native;

namespace KvFs.RocksDb;

public sealed unsafe partial class RocksDatabase
{
    /// <summary>The number of the last write, from 0 on. Every operation in a batch takes one.</summary>
    public ulong LatestSequenceNumber => NativeMethods.rocksdb_get_latest_sequence_number(_handle);

    public void Put(
        ColumnFamily family, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, WriteFlags flags = WriteFlags.None)
    {
        byte* error = null;
        fixed (byte* keyBytes = key, valueBytes = value)
        {
            NativeMethods.rocksdb_put_cf(
                _handle, CallOptions.Write(flags), Own(family),
                keyBytes, (nuint)key.Length, valueBytes, (nuint)value.Length, &error);
        }
        RocksError.ThrowIfSet(error);
    }

    /// <summary>An absent key is no error.</summary>
    public void Delete(ColumnFamily family, ReadOnlySpan<byte> key, WriteFlags flags = WriteFlags.None)
    {
        byte* error = null;
        fixed (byte* keyBytes = key)
        {
            NativeMethods.rocksdb_delete_cf(
                _handle, CallOptions.Write(flags), Own(family), keyBytes, (nuint)key.Length, &error);
        }
        RocksError.ThrowIfSet(error);
    }

    /// <summary>Deletes every key from <paramref name="begin"/> on and before <paramref name="end"/>, in one record.
    /// </summary>
    public void DeleteRange(
        ColumnFamily family, ReadOnlySpan<byte> begin, ReadOnlySpan<byte> end, WriteFlags flags = WriteFlags.None)
    {
        byte* error = null;
        fixed (byte* beginBytes = begin, endBytes = end)
        {
            NativeMethods.rocksdb_delete_range_cf(
                _handle, CallOptions.Write(flags), Own(family),
                beginBytes, (nuint)begin.Length, endBytes, (nuint)end.Length, &error);
        }
        RocksError.ThrowIfSet(error);
    }

    /// <summary>Applies a batch, all of it or nothing, also across a crash. The batch stays as it is.</summary>
    /// <exception cref="ArgumentException">The batch holds changes of another database.</exception>
    public void Write(WriteBatch batch, WriteFlags flags = WriteFlags.None)
    {
        ArgumentNullException.ThrowIfNull(batch);
        if (!batch.BelongsTo(this))
        {
            throw new ArgumentException("The batch holds changes of another database.", nameof(batch));
        }
        byte* error = null;
        NativeMethods.rocksdb_write(_handle, CallOptions.Write(flags), batch.Handle, &error);
        RocksError.ThrowIfSet(error);
    }

    /// <summary>Hands the log to the operating system and, if asked, syncs it: one call makes every earlier write
    /// durable. This is group commit for callers who collect their writers themselves.</summary>
    public void FlushWal(bool sync)
    {
        byte* error = null;
        NativeMethods.rocksdb_flush_wal(_handle, CallOptions.Flag(sync), &error);
        RocksError.ThrowIfSet(error);
    }

    /// <summary>Writes the family's memtable to a table file.</summary>
    /// <param name="family">Of this database.</param>
    /// <param name="wait">Whether to return only when it is durable.</param>
    public void Flush(ColumnFamily family, bool wait = true)
    {
        byte* error = null;
        NativeMethods.rocksdb_flush_cf(
            _handle, wait ? CallOptions.FlushAndWait : CallOptions.FlushLater, Own(family), &error);
        RocksError.ThrowIfSet(error);
    }

    /// <summary>Writes the memtables of all families to table files, as one, and waits. Needs
    /// <see cref="RocksOptions.AtomicFlush"/>.</summary>
    /// <remarks>The C API of 7.8 has no call for it. But a compaction of all of a family begins with exactly this, and the
    /// family given has nothing to compact. Whether it worked the C API does not say either: what must be durable is asked
    /// for with <see cref="TryGetPersisted"/>.</remarks>
    /// <param name="empty">A family of this database that never has a key.</param>
    public void FlushAll(ColumnFamily empty) => CompactRange(empty);
}
