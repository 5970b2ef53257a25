namespace KvFs.Core;

/// <summary>Reads what a fold may replace: a cluster's oldest records, and what they show.</summary>
public static class ReadForFold
{
    /// <summary>Bytes of records that one fold takes at the most, its base apart: where snapshots see them, they all go into
    /// the batch as history.</summary>
    private const int MaxRecordBytes = Limits.TransactionBytes / 2;

    /// <summary>Fills the request's node, cluster and replaced records, and the map; the runs are for
    /// <see cref="FoldPlanner"/>.</summary>
    /// <param name="id">The file.</param>
    /// <param name="cluster">Which cluster.</param>
    /// <param name="view">The drive's present state, as the driver reads it beside the shard's loop.</param>
    /// <param name="request">Where the records' names go.</param>
    /// <param name="map">What those records show.</param>
    /// <returns>Ok; Stale and the like: no such file; NoData: there are no records. A base alone is worth a fold if
    /// the plan copies something.</returns>
    public static Status Apply(VNodeId id, uint cluster, DriveView view, FoldRequest request, ClusterMap map)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(map);
        Status status = FileNodes.Find(id, view, out VNode vnode);
        if (status != Status.Ok) { return status; }
        request.Clear();
        map.Clear();
        request.Node = id;
        request.Cluster = cluster;
        if (cluster >= DataExtent.Read(id, vnode, view).FirstCut) { return Status.NoData; }
        int bytes = 0;
        using DriveCursor cursor = view.WalkPrefix(RecordKey.SlicesFrom(id, cluster));
        while (bytes < MaxRecordBytes && cursor.MoveNext())
        {
            RecordKey key = RecordKey.FromRelative(cursor.Key);
            if (!map.TryCollect(cursor.Payload)) { view.ThrowCorrupt(ref key); }
            request.Replaced.Add((key, cursor.Header.Written));
            if (map.DeltaCount > 0) { bytes += cursor.Payload.Length + RecordEnvelope.Overhead; }
        }

        request.IsPartial = bytes >= MaxRecordBytes;
        map.LayCollected();
        return request.Replaced.Count == 0 ? Status.NoData : Status.Ok;
    }
}
