namespace KvFs.Core;

/// <summary>A block as the store and the namespace know it together.</summary>
/// <param name="Block">Its number.</param>
/// <param name="StoredBytes">Bytes that it occupies.</param>
/// <param name="LiveBytes">Bytes that slices refer to; overlaps count twice.</param>
public readonly record struct BlockFill(BlockId Block, uint StoredBytes, ulong LiveBytes)
{
    /// <summary>Bytes that come back once the block is gone.</summary>
    public ulong GarbageBytes => StoredBytes > LiveBytes ? StoredBytes - LiveBytes : 0;
}

/// <summary>Chooses blocks of which less than half is live, to be emptied by <see cref="MoveRuns"/>.</summary>
/// <remarks>Fed with all live blocks of a drive, in any number of calls; keeps the ones that give back most. Whether a block
/// can be emptied is for <see cref="RepackTally"/> to say: what a retained version sees stays where it is. Pure; not thread
/// safe.</remarks>
public sealed class RepackPlanner
{
    /// <summary>Blocks of one round: each needs all slices of the drive to be looked at, so many go together.</summary>
    public const int MaxBlocks = 1024;

    /// <summary>Live bytes that one round copies at the most.</summary>
    public const ulong MaxCopiedBytes = 1UL << 30;

    /// <summary>Bytes that a block must give back: less is not worth a copy.</summary>
    public const uint MinGarbageBytes = 64 << 10;

    private readonly PriorityQueue<BlockFill, (ulong Garbage, ulong Newest)> chosen = new();
    private readonly ulong copyBytes;

    /// <param name="copyBytes">Live bytes that there is room to copy; more than <see cref="MaxCopiedBytes"/> counts as that.
    /// </param>
    public RepackPlanner(ulong copyBytes = MaxCopiedBytes)
    {
        this.copyBytes = Math.Min(copyBytes, MaxCopiedBytes);
    }

    /// <summary>Live bytes of the chosen blocks.</summary>
    public ulong CopiedBytes { get; private set; }

    public static bool IsHalfDead(in BlockFill fill) =>
        fill.LiveBytes < fill.StoredBytes / 2 && fill.GarbageBytes >= MinGarbageBytes;

    public void Offer(in BlockFill fill)
    {
        if (!IsHalfDead(fill)) { return; }
        chosen.Enqueue(fill, (fill.GarbageBytes, ulong.MaxValue - fill.Block.Value));
        CopiedBytes += fill.LiveBytes;
        while (chosen.Count > MaxBlocks || CopiedBytes > copyBytes) { CopiedBytes -= chosen.Dequeue().LiveBytes; }
    }

    /// <summary>Ends the round: the chosen blocks by number.</summary>
    public IReadOnlyList<BlockFill> Take()
    {
        List<BlockFill> blocks = new(chosen.Count);
        while (chosen.TryDequeue(out BlockFill fill, out _)) { blocks.Add(fill); }
        blocks.Sort(static (left, right) => left.Block.Value.CompareTo(right.Block.Value));
        CopiedBytes = 0;
        return blocks;
    }
}
