namespace KvFs.Core;

/// <summary>Reads what covers a cluster from its records.</summary>
internal static class CoverageLoader
{
    /// <exception cref="RecordCorruptException">A record is damaged beyond its envelope.</exception>
    public static ClusterCoverage Load(DriveView view, VNodeId node, uint cluster)
    {
        using DriveCursor cursor = view.WalkPrefix(RecordKey.SlicesFrom(node, cluster));
        return Load(view, cursor);
    }

    /// <summary>The same from the cluster's records as they are walked.</summary>
    public static ClusterCoverage Load(DriveView view, DriveCursor cursor)
    {
        ClusterCoverage coverage = new();
        while (cursor.MoveNext())
        {
            if (!cursor.Hides && !TryLay(cursor.Payload, coverage))
            {
                RecordKey key = RecordKey.FromRelative(cursor.Key);
                view.ThrowCorrupt(ref key);
            }
        }

        return coverage;
    }

    /// <summary>Lays one record over those before it; false if it is damaged.</summary>
    public static bool TryLay(ReadOnlySpan<byte> payload, ClusterCoverage coverage)
    {
        if (!ClusterBase.IsBase(payload))
        {
            if (!Slice.TryDecode(payload, out Slice slice, out _)) { return false; }
            coverage.LayDelta(slice);
            return true;
        }

        List<Slice> runs = [];
        if (coverage.StackedBytes > 0 || coverage.Deltas > 0 || !ClusterBase.TryDecode(payload, runs)) { return false; }
        coverage.LayBase(runs);
        return true;
    }
}
