namespace KvFs.Core;

/// <summary>Gives a file another size: the part of setattr(2) that changes data.</summary>
/// <remarks>
/// A larger size changes nothing else: no data lies behind a file's end, and preallocated space there reads as zeros. A size
/// that is not larger removes all that lies behind it, preallocated space included, as ext4 does: (1) a Hole hides the tail of
/// the cluster that the end lies in; (2) the records of all later clusters are removed. Where these are too many for one
/// transaction, a <see cref="RecordKind.Cut"/> record hides them at once and <see cref="ReapCut"/> removes them in steps;
/// until then they stay charged, and writes into them answer Busy.
/// </remarks>
internal static class Truncate
{
    /// <summary>Changes <paramref name="vnode"/>, which the caller writes.</summary>
    public static Status Apply(VNodeId id, ref VNode vnode, ulong size, DriveTransaction transaction)
    {
        if (size > Limits.FileBytes) { return Status.TooLarge; }
        Status status = size <= vnode.Size ? CutOff(id, ref vnode, size, transaction) : Status.Ok;
        if (status != Status.Ok) { return status; }
        vnode.Size = size;
        vnode.DataVersion = transaction.Cow;
        return Status.Ok;
    }

    private static Status CutOff(VNodeId id, ref VNode vnode, ulong size, DriveTransaction transaction)
    {
        DataExtent extent = DataExtent.Read(id, vnode, transaction);
        uint cluster = (uint)(size / Limits.ClusterBytes);
        uint tail = (uint)(size % Limits.ClusterBytes);
        if (tail > 0)
        {
            Status status = CutTail(id, ref vnode, extent, cluster, tail, transaction);
            if (status != Status.Ok) { return status; }
            cluster++;
        }

        if (cluster >= extent.FirstCut) { return Status.Ok; }
        bool done = SliceReaper.Step(id, ref vnode, cluster, SliceReaper.EndOfFile, transaction);
        if (done) { DataExtent.Remove(id, ref vnode, transaction); }
        else { DataExtent.Write(id, ref vnode, cluster, transaction); }
        return Status.Ok;
    }

    private static Status CutTail(
        VNodeId id, ref VNode vnode, in DataExtent extent, uint cluster, uint tail, DriveTransaction transaction)
    {
        if (cluster >= extent.FirstCut
            || transaction.CoverageOf(id, cluster).MappedIn(tail, Limits.ClusterBytes) == 0)
        {
            return Status.Ok;
        }

        Slice hole = new(tail, Limits.ClusterBytes - tail, SliceKind.Hole, default, 0);
        long growth = 0;
        Status status = SliceWriter.Put(id, extent, cluster, hole, default, default, transaction, ref growth);
        return status == Status.Ok ? BackedBytes.Charge(ref vnode, growth, transaction) : status;
    }
}
