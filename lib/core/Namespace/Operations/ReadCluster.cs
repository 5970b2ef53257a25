namespace KvFs.Core;

/// <summary>Tells what one cluster of a file shows, at a version.</summary>
/// <remarks>Between the map's runs, and in Unwritten ones, are zeros; what lies behind the file's size is for nobody. A map that
/// was read is right until the file's <see cref="VNode.DataVersion"/> or the cluster's folding changes it; one from before a
/// fold may name blocks that died by it: who reads with it must be done, or read it again, before those are dropped.</remarks>
public static class ReadCluster
{
    /// <summary>Answers Ok, Stale, IsDirectory, Invalid, TooLarge (no such cluster).</summary>
    /// <exception cref="RecordCorruptException">A record is damaged.</exception>
    public static Status Apply(VNodeId id, uint cluster, DriveView view, ClusterMap map)
    {
        ArgumentNullException.ThrowIfNull(view);
        Status status = FileNodes.Find(id, view, out VNode vnode);
        if (status != Status.Ok) { return status; }
        return cluster < Limits.FileBytes / Limits.ClusterBytes ? Apply(id, vnode, cluster, view, map) : Status.TooLarge;
    }

    /// <summary>The same for a file whose VNode was read from this view before.</summary>
    public static Status Apply(VNodeId id, in VNode vnode, uint cluster, DriveView view, ClusterMap map)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(map);
        map.Clear();
        if (cluster >= DataExtent.Read(id, vnode, view).FirstCut) { return Status.Ok; }
        if (map.TryLoad(view, id, cluster)) { return Status.Ok; }
        RecordKey key = RecordKey.SlicesFrom(id, cluster);
        view.ThrowCorrupt(ref key);
        return Status.Corrupt;
    }
}
