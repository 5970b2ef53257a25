using KvFs.RocksDb.Native;

namespace KvFs.RocksDb;

/// <summary>A value where RocksDB has it: in its block cache, or in a buffer of its own.</summary>
/// <remarks>Dispose it once, and no copy of it: until then its block cannot be evicted and its database not be closed.
/// Its default is an absent value: empty, and free to dispose.</remarks>
public unsafe ref struct PinnedValue : IDisposable
{
    private readonly DatabaseHandle? _database;
    private nint _slice;

    /// <summary>Takes over the slice and one reference to the database.</summary>
    internal PinnedValue(DatabaseHandle database, nint slice)
    {
        _database = database;
        _slice = slice;
        nuint length;
        byte* value = NativeMethods.rocksdb_pinnableslice_value(slice, &length);
        // The slice keeps these bytes where they are until it is destroyed, which is what Dispose does.
        Span = new ReadOnlySpan<byte>(value, checked((int)length));
    }

    /// <summary>Valid until <see cref="Dispose"/>.</summary>
    public ReadOnlySpan<byte> Span { get; private set; }

    public void Dispose()
    {
        if (_slice == 0) { return; }
        NativeMethods.rocksdb_pinnableslice_destroy(_slice);
        _slice = 0;
        Span = default;
        _database!.DangerousRelease();
    }
}
