namespace KvFs.Core;

/// <summary>Checks the counts of references to the drive's blocks against all slices, those in history included.</summary>
/// <remarks>Counts in a window of block ids, 12 bytes each. For each window that a reference or a count falls into: a walk
/// over all slices and one over all history. Blocks of origins are not counted by a clone.</remarks>
internal sealed class BlockCheck
{
    /// <summary>Ids in one window, at the most: 4 MiB of memory.</summary>
    private const int WindowIds = (4 << 20) / 12;

    private readonly DriveView view;
    private uint[] references = new uint[1024];
    private ulong[] liveBytes = new ulong[1024];
    private readonly List<Slice> runs = [];
    private ulong first;

    /// <summary>The least referenced id behind the window; <see cref="ulong.MaxValue"/> for none.</summary>
    private ulong next;

    private BlockCheck(DriveView view) => this.view = view;

    public static void Run(DriveView view, IFindingSink findings)
    {
        BlockCheck check = new(view);
        do
        {
            check.first = check.next;
            check.next = ulong.MaxValue;
            Array.Clear(check.references);
            Array.Clear(check.liveBytes);
            check.CountSlices();
            check.CountHistory();
            check.Compare(findings);
        }
        while (check.next != ulong.MaxValue);
    }

    private void CountSlices()
    {
        using DriveCursor cursor = view.WalkPrefix(RecordKey.Single(RecordKind.Slice));
        while (cursor.MoveNext()) { Count(cursor); }
    }

    private void CountHistory()
    {
        using DriveCursor cursor = view.WalkPrefix(RecordKey.HistoryFrom(RecordKey.Single(RecordKind.Slice).Relative));
        while (cursor.MoveNext())
        {
            if (!cursor.Header.Whiteout) { Count(cursor); }
        }
    }

    private void Count(DriveCursor cursor)
    {
        runs.Clear();
        if (ClusterBase.IsBase(cursor.Payload))
        {
            if (!ClusterBase.TryDecode(cursor.Payload, runs))
            {
                throw new RecordCorruptException(Status.Corrupt, cursor.Key);
            }
        }
        else
        {
            if (!Slice.TryDecode(cursor.Payload, out Slice slice, out _))
            {
                throw new RecordCorruptException(Status.Corrupt, cursor.Key);
            }

            runs.Add(slice);
        }

        foreach (Slice run in runs)
        {
            bool isOwn = run.Kind == SliceKind.Block && run.Block.Owner == view.Drive;
            if (!isOwn || !IsInWindow(run.Block.Id.Value)) { continue; }
            int at = (int)(run.Block.Id.Value - first);
            if (at >= references.Length) { Grow(at + 1); }
            references[at]++;
            liveBytes[at] += run.Length;
        }
    }

    private void Grow(int needed)
    {
        int length = Math.Min(WindowIds, needed * 2);
        Array.Resize(ref references, length);
        Array.Resize(ref liveBytes, length);
    }

    private bool IsInWindow(ulong block)
    {
        if (block < first) { return false; }
        if (block - first < WindowIds) { return true; }
        next = Math.Min(next, block);
        return false;
    }

    private void Compare(IFindingSink findings)
    {
        RecordKey end = RecordKey.Single(RecordKind.BlockLive);
        end.ToPrefixEnd();
        ulong expected = first;
        using DriveCursor cursor = view.Walk(RecordKey.Numbered(RecordKind.BlockLive, first), end);
        while (cursor.MoveNext())
        {
            if (!RecordKey.TrySplitNumbers(cursor.Key, out ulong block, out _)
                || !BlockUse.TryDecode(cursor.Payload, out BlockUse use))
            {
                throw new RecordCorruptException(Status.Corrupt, cursor.Key);
            }

            if (!IsInWindow(block)) { break; }
            for (; expected < block && IsCounted(expected); expected++) { Compare(expected, default, findings); }
            Compare(block, use, findings);
            expected = block + 1;
        }

        for (; IsCounted(expected); expected++) { Compare(expected, default, findings); }
    }

    private bool IsCounted(ulong block) => block - first < (ulong)references.Length;

    private void Compare(ulong block, BlockUse stored, IFindingSink findings)
    {
        uint counted = IsCounted(block) ? references[block - first] : 0;
        ulong bytes = IsCounted(block) ? liveBytes[block - first] : 0;
        if (counted == stored.References && bytes == stored.LiveBytes) { return; }
        findings.Add(new(
            FindingKind.WrongBlockUse,
            VNodeId.None,
            VNodeId.None,
            counted,
            stored.References,
            $"block {block}: {bytes} live bytes, {stored.LiveBytes} stored"));
    }
}
