namespace KvFs.Node.Maintenance;

/// <summary>How fast a node reads its own blocks, to find those that have rotted before anybody needs them.</summary>
public sealed record ScrubOptions
{
    /// <summary>Bytes a second at the most; 0: blocks are not read.</summary>
    public long BytesPerSecond { get; init; } = 16L << 20;

    /// <summary>How long all blocks may take: what is slower, this or <see cref="BytesPerSecond"/>, holds.</summary>
    public TimeSpan PassTime { get; init; } = TimeSpan.FromDays(7);

    /// <summary>How often the primary of a drive compares which blocks the copies have; zero: never.</summary>
    public TimeSpan CompareInterval { get; init; } = TimeSpan.FromHours(1);

    /// <summary>How often a node looks for what it has left of shards that have moved on, and of drives that were deleted while it was away;
    /// zero: never.</summary>
    public TimeSpan LeftoverInterval { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>That goes once it has been of no use for so long: copies are to have been compared once without it.</summary>
    public TimeSpan LeftoverAge { get; init; } = TimeSpan.FromHours(2);
}
