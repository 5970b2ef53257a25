using KvFs.RocksDb.Native;

namespace KvFs.RocksDb;

/// <summary>A least-recently-used cache of table blocks that families, and databases, share.</summary>
/// <remarks>Thread safe. It may be disposed as soon as the databases that use it are open: they keep it.</remarks>
public sealed class BlockCache : IDisposable
{
    /// <param name="capacityBytes">How much to keep. Pinned blocks and open iterators may exceed it.</param>
    public BlockCache(long capacityBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(capacityBytes);
        Handle = new BlockCacheHandle((nuint)capacityBytes);
    }

    /// <summary>In bytes. A lower value evicts at once.</summary>
    public long Capacity
    {
        get => (long)NativeMethods.rocksdb_cache_get_capacity(Handle);
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            NativeMethods.rocksdb_cache_set_capacity(Handle, (nuint)value);
        }
    }

    /// <summary>Bytes in the cache, pinned ones included.</summary>
    public long Usage => (long)NativeMethods.rocksdb_cache_get_usage(Handle);

    /// <summary>Bytes that readers hold and that cannot be evicted.</summary>
    public long PinnedUsage => (long)NativeMethods.rocksdb_cache_get_pinned_usage(Handle);

    internal BlockCacheHandle Handle { get; }

    public void Dispose() => Handle.Dispose();
}
