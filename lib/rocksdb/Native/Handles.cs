using System.Runtime.InteropServices;

namespace KvFs.RocksDb.Native;

/// <summary>A native object that is released exactly once, by Dispose or by the finalizer.</summary>
internal abstract class RocksHandle() : SafeHandle(0, ownsHandle: true)
{
    public override bool IsInvalid => handle == 0;
}

/// <summary>A native object that must not outlive another one.</summary>
/// <remarks>It counts as a user of its parent from construction to release. So the parent, though disposed, is closed
/// for good only by whoever releases the last child: a caller, or the finalizer, in any order.</remarks>
internal abstract class ChildHandle : RocksHandle
{
    private readonly bool _holdsParent;

    /// <exception cref="ObjectDisposedException">The parent is closed.</exception>
    protected ChildHandle(SafeHandle parent)
    {
        Parent = parent;
        parent.DangerousAddRef(ref _holdsParent);
    }

    protected SafeHandle Parent { get; }

    /// <summary>The handle's own release. The parent is still open natively.</summary>
    protected abstract void ReleaseNative();

    protected sealed override bool ReleaseHandle()
    {
        ReleaseNative();
        if (_holdsParent) { Parent.DangerousRelease(); }
        return true;
    }

    /// <summary>Gives the parent back where the native object was never made: an invalid handle is not
    /// released.</summary>
    protected void Abandon()
    {
        if (_holdsParent) { Parent.DangerousRelease(); }
        SetHandleAsInvalid();
    }
}

/// <summary>An open database.</summary>
internal sealed class DatabaseHandle : RocksHandle
{
    internal DatabaseHandle(nint database) => SetHandle(database);

    protected override bool ReleaseHandle()
    {
        NativeMethods.rocksdb_close(handle);
        return true;
    }
}

/// <summary>One family of an open database.</summary>
internal sealed class ColumnFamilyHandle : ChildHandle
{
    internal ColumnFamilyHandle(DatabaseHandle database, nint family)
        : base(database)
    {
        SetHandle(family);
        Id = NativeMethods.rocksdb_column_family_handle_get_id(family);
    }

    internal uint Id { get; }

    protected override void ReleaseNative() => NativeMethods.rocksdb_column_family_handle_destroy(handle);
}

/// <summary>A snapshot, with the read options that select it.</summary>
internal sealed class SnapshotHandle : ChildHandle
{
    internal SnapshotHandle(DatabaseHandle database)
        : base(database)
    {
        SetHandle(NativeMethods.rocksdb_create_snapshot(database.DangerousGetHandle()));
        if (IsInvalid)
        {
            Abandon();
            throw new RocksException(RocksErrorCode.NotSupported, "The database gives no snapshots.");
        }
        ReadOptions = NativeMethods.rocksdb_readoptions_create();
        NativeMethods.rocksdb_readoptions_set_snapshot(ReadOptions, handle);
    }

    /// <summary>Valid as long as this handle.</summary>
    internal nint ReadOptions { get; }

    protected override void ReleaseNative()
    {
        NativeMethods.rocksdb_readoptions_destroy(ReadOptions);
        // The parent may be disposed, but is not closed before this method has returned.
        NativeMethods.rocksdb_release_snapshot(Parent.DangerousGetHandle(), handle);
    }
}

internal sealed class WriteBatchHandle : RocksHandle
{
    internal WriteBatchHandle(nint batch) => SetHandle(batch);

    protected override bool ReleaseHandle()
    {
        NativeMethods.rocksdb_writebatch_destroy(handle);
        return true;
    }
}

internal sealed class OptionsHandle : RocksHandle
{
    internal OptionsHandle() => SetHandle(NativeMethods.rocksdb_options_create());

    protected override bool ReleaseHandle()
    {
        NativeMethods.rocksdb_options_destroy(handle);
        return true;
    }
}

internal sealed class BlockCacheHandle : RocksHandle
{
    internal BlockCacheHandle(nuint capacity) => SetHandle(NativeMethods.rocksdb_cache_create_lru(capacity));

    protected override bool ReleaseHandle()
    {
        NativeMethods.rocksdb_cache_destroy(handle);
        return true;
    }
}
