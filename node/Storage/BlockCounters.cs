namespace KvFs.Node.Storage;

/// <summary>What a block store has done since it was opened.</summary>
public readonly record struct BlockStatistics(
    long BlocksWritten, long BytesWritten, long BlocksRead, long BytesRead, long CorruptReads, long ReadErrors);

/// <summary>What was done about blocks that were bad here, since the store was opened.</summary>
/// <param name="BadBlocks">Blocks that were found damaged, or lacking though they are referred to; each time that one is.</param>
/// <param name="RepairedBlocks">Blocks in whose place a good copy was put.</param>
/// <param name="UnrepairableBlocks">Blocks that are bad now, and that nobody has any better: what is in them is lost unless a node
/// comes back that has it.</param>
/// <param name="QuarantinedBlocks">Bad blocks that are kept, of drives that are open.</param>
/// <param name="QuarantinedBytes">Bytes that they keep out of use.</param>
public readonly record struct RepairStatistics(
    long BadBlocks, long RepairedBlocks, long UnrepairableBlocks, long QuarantinedBlocks, long QuarantinedBytes);

/// <summary>Figures of one drive.</summary>
/// <param name="CapacityBytes">Length of the idvd.</param>
/// <param name="FreeBytes">Bytes of it that no block uses.</param>
/// <param name="PendingBlocks">Blocks written but not indexed.</param>
/// <param name="Syncs">Syncs of the idvd.</param>
/// <param name="FreeBuddies">Free buddies by order: 4 KiB, 8 KiB, … 16 MiB.</param>
/// <param name="QuarantinedBlocks">Bad blocks that are kept.</param>
/// <param name="QuarantinedBytes">Bytes of the idvd that they keep out of use.</param>
public sealed record DriveStatistics(
    long CapacityBytes, long FreeBytes, int PendingBlocks, long Syncs, IReadOnlyList<long> FreeBuddies,
    int QuarantinedBlocks, long QuarantinedBytes);

/// <summary>Counts. Thread safe.</summary>
internal sealed class BlockCounters
{
    private long blocksWritten;
    private long bytesWritten;
    private long blocksRead;
    private long bytesRead;
    private long corruptReads;
    private long readErrors;
    private long badBlocks;
    private long repairedBlocks;

    internal long BadBlocks => Interlocked.Read(ref badBlocks);

    internal long RepairedBlocks => Interlocked.Read(ref repairedBlocks);

    internal void OnWritten(int bytes)
    {
        Interlocked.Increment(ref blocksWritten);
        Interlocked.Add(ref bytesWritten, bytes);
    }

    internal void OnRead(int bytes)
    {
        Interlocked.Increment(ref blocksRead);
        Interlocked.Add(ref bytesRead, bytes);
    }

    internal void OnCorrupt() => Interlocked.Increment(ref corruptReads);

    internal void OnBad() => Interlocked.Increment(ref badBlocks);

    internal void OnRepaired() => Interlocked.Increment(ref repairedBlocks);

    internal void OnReadError() => Interlocked.Increment(ref readErrors);

    internal BlockStatistics Snapshot() => new(
        Interlocked.Read(ref blocksWritten), Interlocked.Read(ref bytesWritten), Interlocked.Read(ref blocksRead),
        Interlocked.Read(ref bytesRead), Interlocked.Read(ref corruptReads), Interlocked.Read(ref readErrors));
}
