using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>What is wrong with a drive's store.</summary>
public enum DriveProblemKind
{
    /// <summary>An index entry cannot be read.</summary>
    BadEntry,

    /// <summary>An extent reaches beyond the idvd.</summary>
    OutOfBounds,

    /// <summary>Two blocks claim the same bytes.</summary>
    Overlap,

    /// <summary>Bytes do not have their checksum, or cannot be read.</summary>
    BadBytes,

    /// <summary>A block's bytes are marked as free: they may be overwritten.</summary>
    UsedMarkedFree,

    /// <summary>Bytes are marked as used, and no block claims them: space is lost until the bitmap is rebuilt.</summary>
    FreeMarkedUsed,

    /// <summary>A block was bad, and a good copy has taken its place: what was bad is kept.</summary>
    Quarantined,

    /// <summary>What is kept of a bad block cannot be read.</summary>
    BadQuarantine,
}

/// <param name="Kind">What.</param>
/// <param name="Block">Which block; none for bytes that no block claims.</param>
/// <param name="Offset">Where in the idvd, in bytes; -1 if not known.</param>
public readonly record struct DriveProblem(DriveProblemKind Kind, BlockName? Block, long Offset);

/// <summary>How far a verification is.</summary>
public readonly record struct VerifyProgress(long Blocks, long Bytes, long Problems);

/// <param name="Blocks">Index entries looked at.</param>
/// <param name="Bytes">Bytes of blocks read and checked.</param>
/// <param name="ProblemCount">All problems, also those beyond the list's bound.</param>
/// <param name="Problems">The first ones.</param>
public sealed record DriveReport(long Blocks, long Bytes, long ProblemCount, IReadOnlyList<DriveProblem> Problems)
{
    public bool IsClean => ProblemCount == 0;
}

/// <summary>Checks everything that a drive's store says of itself, while it is in use.</summary>
/// <remarks>Memory: two bitmaps (64 MiB per TiB of idvd at most), one buffer, and a bounded list of problems.</remarks>
internal sealed class DriveVerifier(
    StoreContext context, DriveId drive, DriveStore store, DriveMoment moment, bool readBytes,
    Action<VerifyProgress>? onProgress)
{
    /// <summary>Problems that are listed: enough to see a pattern, little enough to read.</summary>
    private const int MaxProblems = 1000;

    /// <summary>Blocks between two reports of progress.</summary>
    private const int ProgressBlocks = 256;

    private readonly List<DriveProblem> problems = [];
    private readonly BuddyAllocator claimed = new();
    private readonly byte[] buffer = new byte[Limits.ChecksumUnitBytes];
    private long blocks;
    private long bytes;
    private long problemCount;

    internal DriveReport Run(CancellationToken cancellation)
    {
        bool grew = claimed.TryGrow(moment.Allocator.ChunkCount);
        Invariant.Check(grew);
        foreach (Extent extent in moment.Unindexed) { claimed.TryReserve(extent); }
        using (BlockCursor cursor = new(moment.Snapshot, drive))
        {
            while (cursor.MoveNext())
            {
                cancellation.ThrowIfCancellationRequested();
                CheckBlock(cursor);
                if (++blocks % ProgressBlocks == 0) { onProgress?.Invoke(new(blocks, bytes, problemCount)); }
            }
        }

        CheckQuarantine();
        CompareBitmaps();
        onProgress?.Invoke(new(blocks, bytes, problemCount));
        return new DriveReport(blocks, bytes, problemCount, problems);
    }

    private void CheckBlock(BlockCursor cursor)
    {
        if (cursor.Entry is not { } entry)
        {
            Report(DriveProblemKind.BadEntry, cursor.Name, -1);
            return;
        }

        Claim(cursor.Name, entry.Extents);
        if (readBytes) { CheckBytes(cursor.Name, entry); }
    }

    private void CheckQuarantine()
    {
        using QuarantineCursor cursor = new(moment.Snapshot, drive);
        while (cursor.MoveNext())
        {
            if (cursor.Record is not { } record)
            {
                Report(DriveProblemKind.BadQuarantine, cursor.Block, -1);
                continue;
            }

            Claim(cursor.Block, record.Extents);
            Report(DriveProblemKind.Quarantined, cursor.Block, record.Extents.IsEmpty ? -1 : record.Extents[0].Offset);
        }
    }

    private void Claim(BlockName name, ReadOnlySpan<Extent> extents)
    {
        foreach (Extent extent in extents)
        {
            if (extent.End * Extent.UnitBytes > claimed.CapacityBytes)
            {
                Report(DriveProblemKind.OutOfBounds, name, extent.Offset);
            }
            else if (!claimed.TryReserve(extent))
            {
                Report(DriveProblemKind.Overlap, name, extent.Offset);
            }
            else if (!moment.Allocator.IsAllocated(extent))
            {
                Report(DriveProblemKind.UsedMarkedFree, name, extent.Offset);
            }
        }
    }

    private void CheckBytes(BlockName name, BlockIndexEntry entry)
    {
        for (int offset = 0; offset < entry.Length; offset += buffer.Length)
        {
            Span<byte> unit = buffer.AsSpan(0, Math.Min(buffer.Length, entry.Length - offset));
            if (store.Read(entry, offset, unit) == Status.Ok)
            {
                bytes += unit.Length;
                continue;
            }

            // A block that was dropped since the snapshot was taken may have been overwritten.
            bool isGone = store.Find(name.Id, useCache: false, out _) == Status.NotFound;
            if (!isGone) { Report(DriveProblemKind.BadBytes, name, entry.Extents[0].Offset); }
            return;
        }
    }

    private void CompareBitmaps()
    {
        Span<ulong> used = stackalloc ulong[BuddyAllocator.ChunkBytes / Extent.UnitBytes / 64];
        Span<ulong> owned = stackalloc ulong[used.Length];
        for (int chunk = 0; chunk < claimed.ChunkCount; chunk++)
        {
            moment.Allocator.CopyChunk(chunk, used);
            claimed.CopyChunk(chunk, owned);
            for (int word = 0; word < used.Length; word++)
            {
                if ((used[word] & ~owned[word]) == 0) { continue; }
                long unit = (((long)chunk * used.Length) + word) * 64;
                Report(DriveProblemKind.FreeMarkedUsed, null, unit * Extent.UnitBytes);
            }
        }
    }

    private void Report(DriveProblemKind kind, BlockName? block, long offset)
    {
        problemCount++;
        if (problems.Count < MaxProblems) { problems.Add(new(kind, block, offset)); }
        if (kind is DriveProblemKind.BadBytes or DriveProblemKind.BadEntry) { context.Counters.OnCorrupt(); }
    }
}

/// <summary>What a drive's store was at one moment: index, bitmap, and what is in neither.</summary>
internal sealed record DriveMoment(IKeyValueSnapshot Snapshot, BuddyAllocator Allocator, IReadOnlyList<Extent> Unindexed)
    : IDisposable
{
    public void Dispose() => Snapshot.Dispose();
}
