using KvFs.RocksDb.Native;

namespace KvFs.RocksDb;

/// <summary>Changes that are applied together or not at all, in the order in which they were added.</summary>
/// <remarks>Not thread safe. Keeps its buffer when cleared: one batch per loop, reused, allocates nothing.
/// Until it is cleared it belongs to the database of its first family. A batch that names a family which is not there
/// would be logged, and half applied, before RocksDB notices; so the binding never lets one come about.</remarks>
public sealed unsafe class WriteBatch : IDisposable
{
    /// <summary>Bytes of an empty batch: a sequence number (8) and a count (4).</summary>
    public const int HeaderBytes = 12;

    private RocksDatabase? _database;

    public WriteBatch() => Handle = new WriteBatchHandle(NativeMethods.rocksdb_writebatch_create());

    /// <summary>Operations in the batch.</summary>
    public int Count => NativeMethods.rocksdb_writebatch_count(Handle);

    /// <summary>Length of <see cref="Data"/>.</summary>
    public int DataSize => Data.Length;

    /// <summary>The batch in RocksDB's own form. Valid until the batch is next changed, written or disposed.</summary>
    public ReadOnlySpan<byte> Data
    {
        get
        {
            nuint length;
            byte* data = NativeMethods.rocksdb_writebatch_data(Handle, &length);
            return new ReadOnlySpan<byte>(data, checked((int)length));
        }
    }

    internal WriteBatchHandle Handle { get; }

    public void Put(ColumnFamily family, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        fixed (byte* keyBytes = key, valueBytes = value)
        {
            NativeMethods.rocksdb_writebatch_put_cf(
                Handle, Join(family), keyBytes, (nuint)key.Length, valueBytes, (nuint)value.Length);
        }
    }

    public void Delete(ColumnFamily family, ReadOnlySpan<byte> key)
    {
        fixed (byte* keyBytes = key)
        {
            NativeMethods.rocksdb_writebatch_delete_cf(Handle, Join(family), keyBytes, (nuint)key.Length);
        }
    }

    /// <summary>Deletes every key from <paramref name="begin"/> on and before <paramref name="end"/>.</summary>
    public void DeleteRange(ColumnFamily family, ReadOnlySpan<byte> begin, ReadOnlySpan<byte> end)
    {
        fixed (byte* beginBytes = begin, endBytes = end)
        {
            NativeMethods.rocksdb_writebatch_delete_range_cf(
                Handle, Join(family), beginBytes, (nuint)begin.Length, endBytes, (nuint)end.Length);
        }
    }

    /// <summary>Adds bytes that are for the log alone: no family gets them, they count as no operation.</summary>
    public void PutLogData(ReadOnlySpan<byte> data)
    {
        fixed (byte* bytes = data)
        {
            NativeMethods.rocksdb_writebatch_put_log_data(Handle, bytes, (nuint)data.Length);
        }
    }

    /// <summary>Empties the batch, and keeps its buffer.</summary>
    public void Clear()
    {
        NativeMethods.rocksdb_writebatch_clear(Handle);
        _database = null;
    }

    public void Dispose() => Handle.Dispose();

    internal bool BelongsTo(RocksDatabase database) => _database is null || ReferenceEquals(_database, database);

    private ColumnFamilyHandle Join(ColumnFamily family)
    {
        ArgumentNullException.ThrowIfNull(family);
        if (!BelongsTo(family.Database))
        {
            throw new ArgumentException("The batch already holds changes of another database.", nameof(family));
        }
        _database = family.Database;
        return family.Handle;
    }
}
