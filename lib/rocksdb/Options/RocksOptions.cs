namespace KvFs.RocksDb;

/// <summary>How a database as a whole behaves.</summary>
/// <remarks>The defaults are RocksDB 7.8's own, except that a missing folder or family is created, and that the
/// families share one block cache. Immutable; may serve any number of databases.</remarks>
public sealed record RocksOptions
{
    public bool CreateIfMissing { get; init; } = true;

    /// <summary>Families that are asked for but not there are created.</summary>
    public bool CreateMissingFamilies { get; init; } = true;

    public bool ErrorIfExists { get; init; }

    /// <summary>Stops at the first sign of corruption instead of limping on.</summary>
    public bool ParanoidChecks { get; init; } = true;

    /// <summary>Of all families. Null: one of <see cref="DefaultBlockCacheBytes"/> for this database.</summary>
    public BlockCache? BlockCache { get; init; }

    /// <summary>What RocksDB would give each family on its own.</summary>
    public const long DefaultBlockCacheBytes = 8L << 20;

    /// <summary>Memtables of all families together, in bytes; beyond it the oldest is flushed. 0: no common
    /// bound.</summary>
    /// <remarks>The C API of 7.8 has no write buffer manager to share between databases; this is one per
    /// database.</remarks>
    public long TotalWriteBufferBytes { get; init; }

    /// <summary>Table files held open; -1: all.</summary>
    public int MaxOpenFiles { get; init; } = -1;

    /// <summary>Flushes and compactions that may run at the same time.</summary>
    public int MaxBackgroundJobs { get; init; } = 2;

    /// <summary>Threads that one compaction may be split over.</summary>
    public int MaxSubcompactions { get; init; } = 1;

    /// <summary>Starts writing a table file back every so many bytes, so that its sync at the end is short. 0:
    /// never.</summary>
    public long BytesPerSync { get; init; }

    /// <summary>The same for the write-ahead log.</summary>
    public long WalBytesPerSync { get; init; }

    public WalRecoveryMode WalRecovery { get; init; } = WalRecoveryMode.PointInTime;

    /// <summary>Flushes the families that hold old logs back beyond this many bytes. 0: four times all
    /// memtables.</summary>
    public long MaxTotalWalBytes { get; init; }

    /// <summary>Old log files kept for reuse, which spares the file system's journal on each sync.</summary>
    /// <remarks>RocksDB 7.8 recycles only under <see cref="WalRecoveryMode.SkipCorrupted"/>; otherwise it quietly ignores the
    /// number (its OPTIONS file shows 0).</remarks>
    public int RecycledWalFiles { get; init; }

    /// <summary>Keeps log records in the process until <see cref="RocksDatabase.FlushWal"/>: faster, and lost with the
    /// process. Off, each write has reached the operating system when it returns.</summary>
    public bool ManualWalFlush { get; init; }

    /// <summary>Lets the next group write its log while the last one still fills memtables.</summary>
    public bool PipelinedWrite { get; init; }

    /// <summary>Flushes that RocksDB starts by itself take all families as one, so that they agree after a crash even
    /// without the log. <see cref="RocksDatabase.Flush"/> still takes one only. Excludes <see cref="PipelinedWrite"/>.
    /// </summary>
    public bool AtomicFlush { get; init; }

    public bool DirectReads { get; init; }

    public bool DirectFlushAndCompaction { get; init; }

    /// <summary>Bytes per second for flushes and compactions. 0: unlimited.</summary>
    public long BackgroundBytesPerSecond { get; init; }

    /// <summary>Counts everything, for <see cref="RocksDatabase.GetStatistics"/>; costs some percent.</summary>
    public bool Statistics { get; init; }

    /// <summary>Of RocksDB's own text file LOG in the folder.</summary>
    public InfoLogLevel InfoLogLevel { get; init; } = InfoLogLevel.Info;

    public int KeepInfoLogFiles { get; init; } = 1000;

    /// <summary>0: one file per opening.</summary>
    public long MaxInfoLogBytes { get; init; }
}
