namespace KvFs.Core;

/// <summary>Reads what covers a cluster from its records.</summary>
internal static class CoverageLoader
{
    /// <exception cref="RecordCorruptException">A record is damaged beyond its envelope.</exception>
    public static ClusterCoverage Load(DriveView view, VNodeId node, uint cluster)
    {
        ClusterCoverage coverage = new();
        using DriveCursor cursor = view.WalkPrefix(RecordKey.SlicesFrom(node, cluster));
        while (cursor.MoveNext())
        {
            if (!TryLay(cursor.Payload, coverage))
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
