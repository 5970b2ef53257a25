namespace KvFs.Core;

/// <summary>Checks a file's size and backed bytes against its slices, one cluster at a time.</summary>
internal sealed class SliceCheck(DriveView view, NodeRecords slices, IFindingSink findings)
{
    private readonly ClusterMap map = new();

    /// <summary>Takes all slices of a file off the walk.</summary>
    public void Check(VNodeId id, in VNode vnode)
    {
        uint firstCut = DataExtent.Read(id, vnode, view).FirstCut;
        ulong backed = 0;
        ulong dataEnd = 0;
        while (slices.IsAt(id))
        {
            uint cluster = LoadCluster(id);
            backed += map.MappedBytes;
            if (cluster < firstCut) { dataEnd = Math.Max(dataEnd, DataEnd(cluster)); }
        }

        if (backed != vnode.AllocatedBytes)
        {
            findings.Add(new(
                FindingKind.WrongBackedBytes, id, VNodeId.None, backed, vnode.AllocatedBytes, "backed bytes"));
        }

        if (dataEnd > vnode.Size)
        {
            findings.Add(new(FindingKind.DataBehindEnd, id, VNodeId.None, dataEnd, vnode.Size, "size"));
        }
    }

    /// <summary>Lays the records of the next cluster over one another.</summary>
    private uint LoadCluster(VNodeId id)
    {
        map.Clear();
        uint cluster = Place().Cluster;
        for (; slices.IsAt(id) && Place().Cluster == cluster; slices.Move())
        {
            if (!map.TryAdd(slices.Payload)) { throw new RecordCorruptException(Status.Corrupt, slices.Key); }
        }

        return cluster;
    }

    private SliceKey Place()
    {
        if (!RecordKey.TrySplitSlice(slices.Key, out SliceKey place))
        {
            throw new RecordCorruptException(Status.Corrupt, slices.Key);
        }

        return place;
    }

    private ulong DataEnd(uint cluster)
    {
        uint end = 0;
        foreach (Slice run in map.Runs)
        {
            if (run.IsData) { end = Math.Max(end, run.End); }
        }

        return end == 0 ? 0 : ((ulong)cluster * Limits.ClusterBytes) + end;
    }
}
