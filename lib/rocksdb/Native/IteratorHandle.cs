using System.Runtime.InteropServices;

namespace KvFs.RocksDb.Native;

/// <summary>An iterator with all that it points to: its read options, its bounds, its snapshot, its database.</summary>
internal sealed unsafe class IteratorHandle : ChildHandle
{
    private readonly nint _readOptions;
    private readonly void* _bounds;

    /// <remarks>The native read options keep pointers to the bounds, and the iterator one to the read options; so all
    /// three live in native memory and are freed in the opposite order.</remarks>
    internal IteratorHandle(DatabaseHandle database, ColumnFamilyHandle family, in ReadOptions options)
        : base(options.Snapshot is null ? database : options.Snapshot.Handle)
    {
        try
        {
            _readOptions = options.Snapshot is null
                ? NativeMethods.rocksdb_readoptions_create()
                : CreateSnapshotOptions(options.Snapshot.Handle);
            _bounds = CopyBounds(options.LowerBound, options.UpperBound);
            SetBounds(options.LowerBound.Length, options.UpperBound.Length);
            Apply(options);
            SetHandle(NativeMethods.rocksdb_create_iterator_cf(database, _readOptions, family));
        }
        catch
        {
            FreeOptions();
            Abandon();
            throw;
        }
    }

    protected override void ReleaseNative()
    {
        NativeMethods.rocksdb_iter_destroy(handle);
        FreeOptions();
    }

    private static nint CreateSnapshotOptions(SnapshotHandle snapshot)
    {
        nint options = NativeMethods.rocksdb_readoptions_create();
        // The base constructor has added a reference to the snapshot: its pointer stays valid.
        NativeMethods.rocksdb_readoptions_set_snapshot(options, snapshot.DangerousGetHandle());
        return options;
    }

    private static void* CopyBounds(ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper)
    {
        int total = checked(lower.Length + upper.Length);
        if (total == 0) { return null; }
        void* bounds = NativeMemory.Alloc((nuint)total);
        Span<byte> memory = new(bounds, total);
        lower.CopyTo(memory);
        upper.CopyTo(memory[lower.Length..]);
        return bounds;
    }

    private void SetBounds(int lowerLength, int upperLength)
    {
        byte* bounds = (byte*)_bounds;
        if (lowerLength > 0)
        {
            NativeMethods.rocksdb_readoptions_set_iterate_lower_bound(_readOptions, bounds, (nuint)lowerLength);
        }
        if (upperLength > 0)
        {
            NativeMethods.rocksdb_readoptions_set_iterate_upper_bound(
                _readOptions, bounds + lowerLength, (nuint)upperLength);
        }
    }

    private void Apply(in ReadOptions options)
    {
        NativeMethods.rocksdb_readoptions_set_fill_cache(_readOptions, CallOptions.Flag(options.FillCache));
        NativeMethods.rocksdb_readoptions_set_verify_checksums(_readOptions, CallOptions.Flag(options.VerifyChecksums));
        NativeMethods.rocksdb_readoptions_set_total_order_seek(_readOptions, CallOptions.Flag(options.TotalOrder));
        NativeMethods.rocksdb_readoptions_set_prefix_same_as_start(
            _readOptions, CallOptions.Flag(options.WithinPrefix));
        NativeMethods.rocksdb_readoptions_set_readahead_size(_readOptions, (nuint)options.ReadAheadBytes);
    }

    private void FreeOptions()
    {
        if (_readOptions != 0) { NativeMethods.rocksdb_readoptions_destroy(_readOptions); }
        NativeMemory.Free(_bounds);
    }
}
