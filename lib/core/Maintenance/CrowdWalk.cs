namespace KvFs.Core;

/// <summary>Looks through the slices of a drive for clusters that are worth folding, a bounded part at a time.</summary>
/// <remarks>Only the drive's own records are looked at: what a clone inherited is its origin's to fold. What it finds is a
/// hint; a fold looks for itself. Not thread safe.</remarks>
public sealed class CrowdWalk
{
    private readonly ClusterCoverage coverage = new();
    private RecordKey next = RecordKey.Single(RecordKind.Slice);

    /// <summary>Looks at so many records, and at the rest of the cluster in which that ends.</summary>
    /// <param name="own">The drive's own records, at present.</param>
    /// <param name="records">Records after which it ends with the cluster: at most <see cref="Limits.MaxSlices"/> more.</param>
    /// <param name="found">Gets the clusters that are worth folding.</param>
    /// <returns>True if there is more to look at.</returns>
    /// <exception cref="RecordCorruptException">A slice record is damaged.</exception>
    public bool Step(DriveView own, int records, ICollection<CrowdedCluster> found)
    {
        ArgumentNullException.ThrowIfNull(own);
        ArgumentNullException.ThrowIfNull(found);
        RecordKey end = RecordKey.Single(RecordKind.Slice);
        end.ToPrefixEnd();
        using DriveCursor cursor = own.Walk(next, end);
        SliceKey? last = null;
        int looked = 0;
        coverage.Clear();
        while (cursor.MoveNext())
        {
            RecordKey key = RecordKey.FromRelative(cursor.Key);
            if (!RecordKey.TrySplitSlice(cursor.Key, out SliceKey place)) { own.ThrowCorrupt(ref key); }
            if (last is { } before && (before.Node != place.Node || before.Cluster != place.Cluster))
            {
                Offer(before, found);
                next = key;
                if (looked >= records) { return true; }
            }

            looked++;
            last = place;
            if (!cursor.Header.Whiteout && !CoverageLoader.TryLay(cursor.Payload, coverage)) { own.ThrowCorrupt(ref key); }
        }

        if (last is { } rest) { Offer(rest, found); }
        return false;
    }

    private void Offer(SliceKey place, ICollection<CrowdedCluster> found)
    {
        CrowdedCluster cluster = new(
            place.Node, place.Cluster, coverage.Deltas, coverage.BaseRuns, coverage.HiddenBytes, coverage.MappedBytes);
        if (FoldPlanner.IsWorthwhile(cluster)) { found.Add(cluster); }
        coverage.Clear();
    }
}
