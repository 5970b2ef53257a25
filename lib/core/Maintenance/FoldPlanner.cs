namespace KvFs.Core;

/// <summary>What a fold copies into packed blocks; each more than the one before.</summary>
public enum FoldCopies
{
    /// <summary>Inline bytes, because a base has none: what a fold must do while the cluster is being written.</summary>
    Inline,

    /// <summary>Also windows in which many runs touch: for a cluster that has come to rest.</summary>
    Windows,

    /// <summary>Also what is small, with the gaps between: where a base has no room for so many runs.</summary>
    Gaps,
}

/// <summary>Decides when a cluster is worth folding, and what of it to copy into packed blocks.</summary>
/// <remarks>
/// Copied are: inline bytes, always, because a base has none; and, once the cluster is at rest, all blocks of a 1 MiB window in
/// which many runs touch, because reading it costs a read each. What cannot be read stays, too. Larger runs stay where they are, so that a fold writes little more than what was
/// written since the last one; what that leaves of a block is for <see cref="RepackPlanner"/>. If the base would still have too many runs, gaps of less than
/// <see cref="Limits.FillBytes"/> between copied runs are filled with zeros. Pure; the packer does the I/O.
/// </remarks>
public static class FoldPlanner
{
    /// <summary>Bytes of the windows that are rewritten as a whole.</summary>
    public const uint WindowBytes = 1 << 20;

    /// <summary>Places in one window where two runs touch, above which it is rewritten: 8 KiB a run.</summary>
    public const int WindowSeams = 128;

    /// <summary>Whether a fold pays: slices enough in comparison with the base that it rewrites, or many bytes hidden.
    /// </summary>
    public static bool IsWorthwhile(int deltas, int baseRuns, ulong hiddenBytes, ulong mappedBytes) =>
        deltas >= Limits.MaxSlices / 2
        || deltas >= Math.Max(Limits.FoldSlices, baseRuns / 4)
        || (deltas > 0 && (hiddenBytes >= Limits.FoldHiddenBytes || IsHalfHidden(hiddenBytes, mappedBytes)));

    /// <summary>The same for what a transaction or a search told; also of a base alone that may have windows to rewrite, which a
    /// fold that pressed leaves behind.</summary>
    public static bool IsWorthwhile(in CrowdedCluster cluster) =>
        IsWorthwhile(cluster.Deltas, cluster.BaseRuns, cluster.HiddenBytes, cluster.MappedBytes)
        || (cluster.Deltas == 0 && cluster.BaseRuns > WindowSeams);

    /// <summary>Whether a worthwhile fold should not wait until the writes have come to rest: it gives much space back, or its
    /// slices are on the way to where writers wait. A fold of many slices costs little more than one of few.</summary>
    public static bool IsUrgent(in CrowdedCluster cluster) =>
        cluster.Deltas >= Limits.MaxSlices / 4
        || cluster.HiddenBytes >= Limits.FoldHiddenBytes
        || IsHalfHidden(cluster.HiddenBytes, cluster.MappedBytes);

    /// <summary>Whether a cluster hides as much as it shows, and that is not little.</summary>
    internal static bool IsHalfHidden(ulong hiddenBytes, ulong mappedBytes) =>
        hiddenBytes >= Limits.FoldHalfHiddenBytes && hiddenBytes >= mappedBytes;

    /// <param name="map">What the records to fold show: <see cref="ReadForFold"/>.</param>
    /// <param name="plan">Is filled.</param>
    /// <param name="unreadable">Where runs begin whose bytes cannot be copied: they stay with their old blocks.</param>
    /// <param name="copies">What to copy, if the base has room for what is left.</param>
    public static void Plan(
        ClusterMap map, FoldPlan plan, IReadOnlySet<uint>? unreadable = null, FoldCopies copies = FoldCopies.Windows)
    {
        ArgumentNullException.ThrowIfNull(map);
        ArgumentNullException.ThrowIfNull(plan);
        Fill(map, plan, copies, unreadable);
        while (plan.RunCount > RunsWith(copies) && copies < FoldCopies.Gaps) { Fill(map, plan, ++copies, unreadable); }
    }

    /// <summary>Runs that a base may have before more is copied. Half of what fits where nothing but inline bytes is: such
    /// folds follow each other, and each writes all runs anew.</summary>
    private static int RunsWith(FoldCopies copies) =>
        copies == FoldCopies.Inline ? Limits.ClusterRuns / 2 : Limits.ClusterRuns;

    internal static void Fill(ClusterMap map, FoldPlan plan, FoldCopies copies, IReadOnlySet<uint>? unreadable = null)
    {
        bool fillsGaps = copies == FoldCopies.Gaps;
        plan.Clear();
        HashSet<DriveId> owners = OwnersOf(map, unreadable);
        bool lastPacked = false;
        uint lastEnd = 0;
        for (int first = 0; first < map.Runs.Count;)
        {
            uint window = map.Runs[first].Offset / WindowBytes;
            int end = WindowEnd(map, first, window);
            bool rewrites = copies >= FoldCopies.Windows && Seams(map, first, end) > WindowSeams;
            for (int at = first; at < end; at++)
            {
                Slice run = map.Runs[at];
                bool isMovable = unreadable is null || !unreadable.Contains(run.Offset);
                bool packs = run.Kind == SliceKind.Inline
                    || (run.Kind == SliceKind.Block
                        && ((isMovable && (IsSmall(run, fillsGaps) || (rewrites && run.Length < WindowBytes)))
                            || !HasPlace(run, owners)));
                if (!packs)
                {
                    plan.Keep(run);
                }
                else
                {
                    uint gap = run.Offset - lastEnd;
                    if (fillsGaps && lastPacked && gap is > 0 and < Limits.FillBytes)
                    {
                        plan.Pack(new(lastEnd, gap, SliceKind.Hole, default, 0));
                    }

                    plan.Pack(run);
                }

                lastPacked = packs;
                lastEnd = run.End;
            }

            first = end;
        }
    }

    /// <summary>The owners of what must stay: they come before those whose runs can be copied as well.</summary>
    private static HashSet<DriveId> OwnersOf(ClusterMap map, IReadOnlySet<uint>? unreadable)
    {
        HashSet<DriveId> owners = [];
        if (unreadable is null || unreadable.Count == 0) { return owners; }
        for (int at = 0; at < map.Runs.Count; at++)
        {
            Slice run = map.Runs[at];
            if (run.Kind == SliceKind.Block && unreadable.Contains(run.Offset)) { HasPlace(run, owners); }
        }

        return owners;
    }

    /// <summary>Whether the base can name the block's owner; one place is kept for the packed blocks.</summary>
    private static bool HasPlace(Slice run, HashSet<DriveId> owners) =>
        owners.Contains(run.Block.Owner) || (owners.Count < Limits.ClusterOwners - 1 && owners.Add(run.Block.Owner));

    /// <summary>A last resort copies what is smaller than the gaps that it fills, too.</summary>
    private static bool IsSmall(Slice run, bool fillsGaps) => fillsGaps && run.Length < Limits.FillBytes;

    private static int WindowEnd(ClusterMap map, int first, uint window)
    {
        int end = first + 1;
        while (end < map.Runs.Count && map.Runs[end].Offset / WindowBytes == window) { end++; }
        return end;
    }

    private static int Seams(ClusterMap map, int first, int end)
    {
        int seams = 0;
        for (int at = first + 1; at < end; at++)
        {
            bool touches = map.Runs[at - 1].End == map.Runs[at].Offset && map.Runs[at - 1].IsData && map.Runs[at].IsData;
            if (touches) { seams++; }
        }

        return seams;
    }
}
