namespace KvFs.RocksDb.Native;

/// <summary>The native options of single calls.</summary>
/// <remarks>Made once for the process, never changed after that and never freed: any thread may use them at any time,
/// and no call has to build its own.</remarks>
internal static class CallOptions
{
    private static readonly nint[] Writes = CreateWrites();

    /// <summary>The newest state, checksums verified, blocks cached.</summary>
    internal static readonly nint Read = NativeMethods.rocksdb_readoptions_create();

    /// <summary>The same, of what table files have.</summary>
    internal static readonly nint ReadPersisted = CreateReadPersisted();

    internal static readonly nint FlushAndWait = CreateFlush(wait: true);

    internal static readonly nint FlushLater = CreateFlush(wait: false);

    /// <summary>Automatic compactions go on meanwhile; a bottommost file is left alone.</summary>
    internal static readonly nint Compact = CreateCompact(rewriteBottommost: false);

    /// <summary>The same, but bottommost files are written anew, too.</summary>
    internal static readonly nint CompactAll = CreateCompact(rewriteBottommost: true);

    /// <exception cref="ArgumentOutOfRangeException">There is no such flag.</exception>
    internal static nint Write(WriteFlags flags)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)flags, (uint)Writes.Length, nameof(flags));
        return Writes[(int)flags];
    }

    internal static byte Flag(bool value) => value ? (byte)1 : (byte)0;

    private static nint[] CreateWrites()
    {
        nint[] all = new nint[(int)(WriteFlags.Sync | WriteFlags.DisableWal) + 1];
        for (int i = 0; i < all.Length; i++)
        {
            WriteFlags flags = (WriteFlags)i;
            all[i] = NativeMethods.rocksdb_writeoptions_create();
            NativeMethods.rocksdb_writeoptions_set_sync(all[i], Flag(flags.HasFlag(WriteFlags.Sync)));
            NativeMethods.rocksdb_writeoptions_disable_WAL(all[i], Flag(flags.HasFlag(WriteFlags.DisableWal)));
        }
        return all;
    }

    private static nint CreateReadPersisted()
    {
        // kPersistedTier of ReadTier, rocksdb/options.h.
        const int persistedTier = 2;
        nint options = NativeMethods.rocksdb_readoptions_create();
        NativeMethods.rocksdb_readoptions_set_read_tier(options, persistedTier);
        return options;
    }

    private static nint CreateFlush(bool wait)
    {
        nint options = NativeMethods.rocksdb_flushoptions_create();
        NativeMethods.rocksdb_flushoptions_set_wait(options, Flag(wait));
        return options;
    }

    private static nint CreateCompact(bool rewriteBottommost)
    {
        // BottommostLevelCompaction of rocksdb/options.h.
        const byte ifHaveCompactionFilter = 1;
        const byte forceOptimized = 3;
        nint options = NativeMethods.rocksdb_compactoptions_create();
        NativeMethods.rocksdb_compactoptions_set_exclusive_manual_compaction(options, Flag(false));
        NativeMethods.rocksdb_compactoptions_set_bottommost_level_compaction(
            options, rewriteBottommost ? forceOptimized : ifHaveCompactionFilter);
        return options;
    }
}
