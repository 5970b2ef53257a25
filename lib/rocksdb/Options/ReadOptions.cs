namespace KvFs.RocksDb;

/// <summary>What an iterator sees.</summary>
/// <remarks>The bounds are copied when the iterator is made.</remarks>
public ref struct ReadOptions
{
    public ReadOptions()
    {
    }

    /// <summary>Null: the state at the time the iterator is made.</summary>
    public RocksSnapshot? Snapshot { get; init; }

    /// <summary>The first key that may be met. Empty: no bound.</summary>
    public ReadOnlySpan<byte> LowerBound { get; init; }

    /// <summary>The key before which it ends. Empty: no bound.</summary>
    public ReadOnlySpan<byte> UpperBound { get; init; }

    /// <summary>Whether blocks that are read enter the block cache; off for long scans.</summary>
    public bool FillCache { get; init; } = true;

    public bool VerifyChecksums { get; init; } = true;

    /// <summary>Ignores prefix filters, so that a seek finds keys of other prefixes, too.</summary>
    public bool TotalOrder { get; init; }

    /// <summary>Ends with the last key that has the prefix of the key last sought.</summary>
    public bool WithinPrefix { get; init; }

    /// <summary>Bytes read ahead from the start; 0: only once reading looks sequential.</summary>
    public int ReadAheadBytes { get; init; }
}
