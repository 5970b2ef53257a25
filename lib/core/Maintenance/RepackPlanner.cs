namespace KvFs.Core;

/// <summary>A block as the store and the namespace know it together.</summary>
/// <param name="Block">Its number.</param>
/// <param name="StoredBytes">Bytes that it occupies.</param>
/// <param name="LiveBytes">Bytes that slices refer to; overlaps count twice.</param>
public readonly record struct BlockFill(BlockId Block, uint StoredBytes, ulong LiveBytes);

/// <summary>Chooses blocks of which less than half is live, to be emptied by folding the clusters that refer to them.</summary>
/// <remarks>Fed with all live blocks of a drive, in any number of calls; keeps the ones that give back most. What snapshots
/// refer to stays; so a block that a fold could not empty is live in history, and goes when that does. Pure; not thread
/// safe.</remarks>
public sealed class RepackPlanner
{
    /// <summary>Blocks of one round: each needs all clusters of the drive to be looked at once, so many go together.</summary>
    public const int MaxBlocks = 1024;

    /// <summary>Live bytes that one round copies at the most.</summary>
    public const ulong MaxCopiedBytes = 1UL << 30;

    /// <summary>Bytes that a block must give back: less is not worth a new base.</summary>
    public const uint MinGarbageBytes = 64 << 10;

    private readonly PriorityQueue<BlockFill, (ulong Garbage, ulong Newest)> chosen = new();

    /// <summary>Live bytes of the chosen blocks.</summary>
    public ulong CopiedBytes { get; private set; }

    public static bool IsHalfDead(in BlockFill fill) =>
        fill.LiveBytes < fill.StoredBytes / 2 && fill.StoredBytes - fill.LiveBytes >= MinGarbageBytes;

    public void Offer(in BlockFill fill)
    {
        if (!IsHalfDead(fill)) { return; }
        chosen.Enqueue(fill, (fill.StoredBytes - fill.LiveBytes, ulong.MaxValue - fill.Block.Value));
        CopiedBytes += fill.LiveBytes;
        while (chosen.Count > MaxBlocks || CopiedBytes > MaxCopiedBytes) { CopiedBytes -= chosen.Dequeue().LiveBytes; }
    }

    /// <summary>Ends the round: the chosen blocks by number.</summary>
    public IReadOnlyList<BlockId> Take()
    {
        List<BlockId> blocks = new(chosen.Count);
        while (chosen.TryDequeue(out BlockFill fill, out _)) { blocks.Add(fill.Block); }
        blocks.Sort(static (left, right) => left.Value.CompareTo(right.Value));
        CopiedBytes = 0;
        return blocks;
    }
}
