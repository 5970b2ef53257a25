namespace KvFs.Core;

/// <summary>What lseek(2) looks for.</summary>
public enum SeekKind : byte
{
    /// <summary>SEEK_DATA: written bytes.</summary>
    Data = 1,

    /// <summary>SEEK_HOLE: what was never written; preallocated space, too, as on ext4; at the latest the file's end.</summary>
    Hole = 2,
}

/// <summary>Finds the next data or hole of a file: SEEK_DATA and SEEK_HOLE of lseek(2).</summary>
public static class SeekData
{
    /// <summary>Answers Ok; NoData (ENXIO): the offset is not before the end, or no data follows; Stale, IsDirectory,
    /// Invalid.</summary>
    public static Status Apply(VNodeId id, SeekKind kind, ulong offset, DriveView view, out ulong found)
    {
        ArgumentNullException.ThrowIfNull(view);
        found = 0;
        Status status = FileNodes.Find(id, view, out VNode vnode);
        if (status != Status.Ok) { return status; }
        if (kind is not (SeekKind.Data or SeekKind.Hole)) { return Status.Invalid; }
        if (offset >= vnode.Size) { return Status.NoData; }
        found = kind == SeekKind.Data ? NextData(id, vnode, offset, view) : NextHole(id, vnode, offset, view);
        return found < vnode.Size || kind == SeekKind.Hole ? Status.Ok : Status.NoData;
    }

    private static ulong NextData(VNodeId id, in VNode vnode, ulong offset, DriveView view)
    {
        ClusterMap map = new();
        uint from = (uint)(offset % Limits.ClusterBytes);
        uint cluster = (uint)(offset / Limits.ClusterBytes);
        while (TryFindCluster(id, cluster, view, out cluster))
        {
            ulong start = (ulong)cluster * Limits.ClusterBytes;
            if (start >= vnode.Size) { break; }
            if (start > offset) { from = 0; }
            ReadCluster.Apply(id, vnode, cluster, view, map);
            for (int at = map.FirstEndingAfter(from); at < map.Runs.Count; at++)
            {
                if (map.Runs[at].IsData) { return start + Math.Max(from, map.Runs[at].Offset); }
            }

            cluster++;
        }

        return vnode.Size;
    }

    private static ulong NextHole(VNodeId id, in VNode vnode, ulong offset, DriveView view)
    {
        ClusterMap map = new();
        while (offset < vnode.Size)
        {
            uint cluster = (uint)(offset / Limits.ClusterBytes);
            uint from = (uint)(offset % Limits.ClusterBytes);
            ReadCluster.Apply(id, vnode, cluster, view, map);
            int at = map.FirstEndingAfter(from);
            while (at < map.Runs.Count && map.Runs[at].Offset <= from && map.Runs[at].IsData) { from = map.Runs[at++].End; }
            offset = ((ulong)cluster * Limits.ClusterBytes) + from;
            if (from < Limits.ClusterBytes) { break; }
        }

        return Math.Min(offset, vnode.Size);
    }

    /// <summary>The first cluster from a number on that has records.</summary>
    private static bool TryFindCluster(VNodeId id, uint from, DriveView view, out uint cluster)
    {
        cluster = from;
        using DriveCursor cursor = view.Walk(
            RecordKey.SlicesFrom(id, from), RecordKey.SlicesFrom(id, SliceReaper.EndOfFile));
        if (!cursor.MoveNext()) { return false; }
        if (!RecordKey.TrySplitSlice(cursor.Key, out SliceKey key))
        {
            RecordKey bad = RecordKey.FromRelative(cursor.Key);
            view.ThrowCorrupt(ref bad);
        }

        cluster = key.Cluster;
        return true;
    }
}
