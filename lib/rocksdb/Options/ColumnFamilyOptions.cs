namespace KvFs.RocksDb;

/// <summary>How one family is kept.</summary>
/// <remarks>The defaults are RocksDB 7.8's own, but without compression, and a null bloom filter means none. Immutable.
/// </remarks>
/// <param name="Name">Of the family; <see cref="DefaultName"/> always exists.</param>
public sealed record ColumnFamilyOptions(string Name)
{
    public const string DefaultName = "default";

    /// <summary>Bytes of a memtable before it is flushed.</summary>
    public long WriteBufferBytes { get; init; } = 64L << 20;

    /// <summary>Memtables, the one being filled included; writers stall when all are full.</summary>
    public int MaxWriteBuffers { get; init; } = 2;

    public int MinWriteBuffersToMerge { get; init; } = 1;

    /// <summary>Bytes of a table block before compression.</summary>
    public int BlockBytes { get; init; } = 4096;

    /// <summary>Bits per key of a filter that spares reads of absent keys; 10 lets one in a hundred through.</summary>
    public double? BloomBitsPerKey { get; init; }

    /// <summary>No filter on the last level: for keys that are nearly always there.</summary>
    public bool SkipBloomOnLastLevel { get; init; }

    /// <summary>Counts index and filter blocks in the block cache, which bounds memory; off, they are always in memory.
    /// </summary>
    public bool CacheIndexAndFilter { get; init; }

    /// <summary>Cuts them into blocks of 4 KiB, of which the cache keeps what is used. Whole, the filter of a table is a
    /// single block: in a cache of many parts one of megabytes finds no place, and is read again for every key.</summary>
    public bool PartitionIndexAndFilter { get; init; }

    /// <summary>Of those in the cache, level 0's are never evicted.</summary>
    public bool PinLevel0IndexAndFilter { get; init; }

    /// <summary>Bytes that all keys begin with and that prefix filters use. 0: none. Keys may not be shorter.</summary>
    public int PrefixBytes { get; init; }

    /// <summary>Share of the memtable given to a bloom filter of prefixes; needs <see cref="PrefixBytes"/>.</summary>
    public double MemtablePrefixBloomRatio { get; init; }

    public Compression Compression { get; init; } = Compression.None;

    public Compression BottommostCompression { get; init; } = Compression.Inherit;

    public CompactionStyle CompactionStyle { get; init; } = CompactionStyle.Level;

    public bool AutomaticCompaction { get; init; } = true;

    public int Levels { get; init; } = 7;

    /// <summary>Files in level 0 that start a compaction.</summary>
    public int Level0CompactionTrigger { get; init; } = 4;

    /// <summary>Files in level 0 that slow writers down.</summary>
    public int Level0SlowdownTrigger { get; init; } = 20;

    /// <summary>Files in level 0 that stop writers.</summary>
    public int Level0StopTrigger { get; init; } = 36;

    public long TargetFileBytes { get; init; } = 64L << 20;

    /// <summary>Bytes of level 1.</summary>
    public long MaxBytesForLevelBase { get; init; } = 256L << 20;

    /// <summary>How much larger each further level is.</summary>
    public double LevelMultiplier { get; init; } = 10;

    /// <summary>Sizes levels from the last one upwards, which bounds space amplification.</summary>
    public bool DynamicLevelBytes { get; init; }
}
