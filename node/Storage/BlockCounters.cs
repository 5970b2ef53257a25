namespace KvFs.Node.Storage;

/// <summary>What a block store has done since it was opened.</summary>
public readonly record struct BlockStatistics(
    long BlocksWritten, long BytesWritten, long BlocksRead, long BytesRead, long CorruptReads, long ReadErrors);

/// <summary>Figures of one drive.</summary>
/// <param name="CapacityBytes">Length of the idvd.</param>
/// <param name="FreeBytes">Bytes of it that no block uses.</param>
/// <param name="PendingBlocks">Blocks written but not indexed.</param>
/// <param name="Syncs">Syncs of the idvd.</param>
/// <param name="FreeBuddies">Free buddies by order: 4 KiB, 8 KiB, … 16 MiB.</param>
public sealed record DriveStatistics(
    long CapacityBytes, long FreeBytes, int PendingBlocks, long Syncs, IReadOnlyList<long> FreeBuddies);

/// <summary>Counts. Thread safe.</summary>
internal sealed class BlockCounters
{
    private long blocksWritten;
    private long bytesWritten;
    private long blocksRead;
    private long bytesRead;
    private long corruptReads;
    private long readErrors;

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

    internal void OnReadError() => Interlocked.Increment(ref readErrors);

    internal BlockStatistics Snapshot() => new(
        Interlocked.Read(ref blocksWritten), Interlocked.Read(ref bytesWritten), Interlocked.Read(ref blocksRead),
        Interlocked.Read(ref bytesRead), Interlocked.Read(ref corruptReads), Interlocked.Read(ref readErrors));
}
