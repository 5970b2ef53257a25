using KvFs.RocksDb.Native;

namespace KvFs.RocksDb;

public sealed unsafe partial class RocksDatabase
{
    /// <summary>What <see cref="Get(ColumnFamily, ReadOnlySpan{byte}, Span{byte}, RocksSnapshot?)"/> returns for an
    /// absent key.</summary>
    public const int Absent = -1;

    /// <summary>Finds a value without copying it. Dispose the value, unless false is returned.</summary>
    public bool TryGetPinned(
        ColumnFamily family, ReadOnlySpan<byte> key, out PinnedValue value, RocksSnapshot? snapshot = null) =>
        TryGetPinned(family, key, CallOptions.Read, snapshot, out value);

    /// <summary>Finds a value as table files have it: what went past the log and was not flushed yet is not seen. Dispose the
    /// value, unless false is returned.</summary>
    /// <remarks>Until something goes past the log everything is seen, because then nothing can be lost.</remarks>
    public bool TryGetPersisted(ColumnFamily family, ReadOnlySpan<byte> key, out PinnedValue value) =>
        TryGetPinned(family, key, CallOptions.ReadPersisted, null, out value);

    private bool TryGetPinned(
        ColumnFamily family, ReadOnlySpan<byte> key, nint options, RocksSnapshot? snapshot, out PinnedValue value)
    {
        ColumnFamilyHandle familyHandle = Own(family);
        SnapshotHandle? snapshotHandle = Own(snapshot);
        bool holdsDatabase = false;
        nint slice = 0;
        try
        {
            // The value takes this reference over, since the slice may point into the database's memory.
            _handle.DangerousAddRef(ref holdsDatabase);
            slice = GetPinned(familyHandle, snapshotHandle, options, key);
            value = slice == 0 ? default : new PinnedValue(_handle, slice);
        }
        finally
        {
            if (slice == 0 && holdsDatabase) { _handle.DangerousRelease(); }
        }
        return slice != 0;
    }

    /// <summary>Copies a value into the caller's buffer.</summary>
    /// <returns>The value's length; if that exceeds the buffer, only its first bytes were copied.
    /// <see cref="Absent"/> if there is no such key.</returns>
    public int Get(
        ColumnFamily family, ReadOnlySpan<byte> key, Span<byte> destination, RocksSnapshot? snapshot = null)
    {
        if (!TryGetPinned(family, key, out PinnedValue value, snapshot)) { return Absent; }
        using (value)
        {
            value.Span[..Math.Min(value.Span.Length, destination.Length)].CopyTo(destination);
            return value.Span.Length;
        }
    }

    /// <summary>A copy of the value, or null if there is no such key. Allocates; not for hot paths.</summary>
    public byte[]? Get(ColumnFamily family, ReadOnlySpan<byte> key, RocksSnapshot? snapshot = null)
    {
        if (!TryGetPinned(family, key, out PinnedValue value, snapshot)) { return null; }
        using (value) { return value.Span.ToArray(); }
    }

    public RocksSnapshot CreateSnapshot() => new(this, new SnapshotHandle(_handle));

    public RocksIterator CreateIterator(ColumnFamily family) => CreateIterator(family, new ReadOptions());

    public RocksIterator CreateIterator(ColumnFamily family, in ReadOptions options)
    {
        Own(options.Snapshot);
        ArgumentOutOfRangeException.ThrowIfNegative(options.ReadAheadBytes, nameof(options));
        return new RocksIterator(new IteratorHandle(_handle, Own(family), options));
    }

    /// <remarks>The caller holds the database open.</remarks>
    private nint GetPinned(
        ColumnFamilyHandle family, SnapshotHandle? snapshot, nint options, ReadOnlySpan<byte> key)
    {
        bool holdsSnapshot = false;
        byte* error = null;
        nint slice;
        try
        {
            snapshot?.DangerousAddRef(ref holdsSnapshot);
            fixed (byte* keyBytes = key)
            {
                slice = NativeMethods.rocksdb_get_pinned_cf(
                    _handle.DangerousGetHandle(), snapshot?.ReadOptions ?? options, family,
                    keyBytes, (nuint)key.Length, &error);
            }
        }
        finally
        {
            if (holdsSnapshot) { snapshot!.DangerousRelease(); }
        }
        RocksError.ThrowIfSet(error);
        return slice;
    }
}
