namespace KvFs.RocksDb;

/// <summary>How a write becomes durable.</summary>
[Flags]
public enum WriteFlags
{
    /// <summary>Into the write-ahead log, not synced: survives the process, not the power.</summary>
    None = 0,

    /// <summary>Returns when the write-ahead log is synced. Writers that wait at the same time share one
    /// sync.</summary>
    Sync = 1,

    /// <summary>Past the log: durable only once its memtable is flushed. RocksDB refuses it together with
    /// Sync.</summary>
    DisableWal = 2,
}

/// <summary>Compression of table blocks.</summary>
/// <remarks>Numbers of rocksdb/c.h. Debian's library has all that are named here.</remarks>
public enum Compression
{
    None = 0,
    Snappy = 1,
    Zlib = 2,
    Bzip2 = 3,
    Lz4 = 4,
    Lz4HighCompression = 5,
    Zstd = 7,

    /// <summary>For the bottommost level only: whatever the other levels have.</summary>
    Inherit = 255,
}

/// <remarks>Numbers of rocksdb/c.h.</remarks>
public enum CompactionStyle
{
    Level = 0,
    Universal = 1,
    Fifo = 2,
}

/// <summary>What opening does with a write-ahead log whose tail is damaged.</summary>
/// <remarks>Numbers of rocksdb/c.h.</remarks>
public enum WalRecoveryMode
{
    /// <summary>A torn record at the very end is a crash's trace and dropped; anything else is Corruption.</summary>
    TolerateTornTail = 0,

    /// <summary>Any damage is Corruption.</summary>
    Absolute = 1,

    /// <summary>Replays up to the first damage and drops what follows: a consistent state, perhaps an old
    /// one.</summary>
    PointInTime = 2,

    /// <summary>Replays whatever still reads. For salvage only.</summary>
    SkipCorrupted = 3,
}

/// <remarks>Numbers of InfoLogLevel in rocksdb/env.h.</remarks>
public enum InfoLogLevel
{
    Debug = 0,
    Info = 1,
    Warn = 2,
    Error = 3,
    Fatal = 4,
    Header = 5,
}
