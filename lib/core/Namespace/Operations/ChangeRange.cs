namespace KvFs.Core;

/// <summary>Changes what backs a range of a file: fallocate(2).</summary>
/// <remarks>
/// Allocate, PunchHole and Zero work in steps: what one transaction does not reach is left in <c>rest</c>, and the driver goes
/// on with that in the next one until its length is 0. Each is idempotent, so a range that was changed in part is what a
/// crash in the middle leaves of it; the size grows with the last step. Collapse and Insert are one transaction each, or not
/// possible (NotSupported): see <see cref="RangeShift"/>.
/// </remarks>
public static class ChangeRange
{
    public static Status Apply(
        in RangeRequest request, DriveTransaction transaction, out RangeRequest rest, out NodeInfo info)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        rest = request with { Length = 0 };
        info = default;
        Status status = FileNodes.Find(request.Node, transaction, out VNode vnode);
        if (status == Status.Ok) { status = Check(request, vnode); }
        if (status != Status.Ok) { return status; }

        status = request.Operation switch
        {
            RangeOperation.PunchHole => Punch(request, ref vnode, transaction, ref rest),
            RangeOperation.Collapse => RangeShift.Collapse(request, ref vnode, transaction),
            RangeOperation.Insert => RangeShift.Insert(request, ref vnode, transaction),
            _ => Back(request, ref vnode, transaction, ref rest),
        };
        if (status != Status.Ok) { return status; }
        bool grows = request.Operation is RangeOperation.Allocate or RangeOperation.Zero && !request.KeepSize;
        if (grows && rest.Length == 0) { vnode.Size = Math.Max(vnode.Size, request.Offset + request.Length); }
        vnode.ModifyTime = transaction.Now;
        vnode.ChangeTime = transaction.Now;
        Xattrs.DropCapability(request.Node, vnode, transaction);
        info = FileNodes.PutChanged(request.Node, ref vnode, transaction);
        return Status.Ok;
    }

    private static Status Check(in RangeRequest request, in VNode vnode)
    {
        if (request.Length == 0 || request.Operation is < RangeOperation.Allocate or > RangeOperation.Insert)
        {
            return Status.Invalid;
        }

        if (request.Offset > Limits.FileBytes || request.Length > Limits.FileBytes - request.Offset)
        {
            return Status.TooLarge;
        }

        bool shifts = request.Operation is RangeOperation.Collapse or RangeOperation.Insert;
        if (!shifts) { return Status.Ok; }
        bool isWhole = request.Offset % RangeShift.UnitBytes == 0 && request.Length % RangeShift.UnitBytes == 0;
        ulong last = request.Operation == RangeOperation.Collapse ? request.Offset + request.Length : request.Offset;
        if (!isWhole || request.KeepSize || last >= vnode.Size) { return Status.Invalid; }
        bool fits = request.Operation == RangeOperation.Collapse || vnode.Size <= Limits.FileBytes - request.Length;
        return fits ? Status.Ok : Status.TooLarge;
    }

    /// <remarks>In order: (1) the ends of the range, which are parts of clusters, are hidden by holes; (2) whole clusters lose
    /// their records, so that their blocks are free at once.</remarks>
    private static Status Punch(
        in RangeRequest request, ref VNode vnode, DriveTransaction transaction, ref RangeRequest rest)
    {
        DataExtent extent = DataExtent.Read(request.Node, vnode, transaction);
        ulong end = request.Offset + request.Length;
        ulong firstWhole = (request.Offset + Limits.ClusterBytes - 1) / Limits.ClusterBytes;
        ulong endWhole = end / Limits.ClusterBytes;
        Status status = Status.Ok;
        if (firstWhole > endWhole)
        {
            return PunchPart(request.Node, ref vnode, extent, request.Offset, end, transaction);
        }

        // 1.
        if (firstWhole * Limits.ClusterBytes > request.Offset)
        {
            ulong headEnd = firstWhole * Limits.ClusterBytes;
            status = PunchPart(request.Node, ref vnode, extent, request.Offset, headEnd, transaction);
        }

        if (status == Status.Ok && end > endWhole * Limits.ClusterBytes)
        {
            status = PunchPart(request.Node, ref vnode, extent, endWhole * Limits.ClusterBytes, end, transaction);
        }

        // 2.
        uint endShown = (uint)Math.Min(endWhole, extent.FirstCut);
        if (status == Status.Ok && firstWhole < endShown
            && !SliceReaper.Step(request.Node, ref vnode, (uint)firstWhole, endShown, transaction))
        {
            ulong offset = firstWhole * Limits.ClusterBytes;
            rest = request with { Offset = offset, Length = (endWhole * Limits.ClusterBytes) - offset };
        }

        return status;
    }

    private static Status PunchPart(
        VNodeId id, ref VNode vnode, in DataExtent extent, ulong offset, ulong end, DriveTransaction transaction)
    {
        uint cluster = (uint)(offset / Limits.ClusterBytes);
        Slice hole = Part(offset, end, SliceKind.Hole);
        if (cluster >= extent.FirstCut || transaction.CoverageOf(id, cluster).MappedIn(hole.Offset, hole.End) == 0)
        {
            return Status.Ok;
        }

        long growth = 0;
        Status status = SliceWriter.Put(id, extent, cluster, hole, default, default, transaction, ref growth);
        return status == Status.Ok ? BackedBytes.Charge(ref vnode, growth, transaction) : status;
    }

    /// <summary>Allocate and Zero: cluster by cluster, until the range ends or the transaction is full.</summary>
    private static Status Back(
        in RangeRequest request, ref VNode vnode, DriveTransaction transaction, ref RangeRequest rest)
    {
        DataExtent extent = DataExtent.Read(request.Node, vnode, transaction);
        ulong end = request.Offset + request.Length;
        ulong at = request.Offset;
        while (at < end)
        {
            ulong clusterEnd = Math.Min(end, ((at / Limits.ClusterBytes) + 1) * Limits.ClusterBytes);
            Status status = request.Operation == RangeOperation.Zero
                ? ZeroPart(request.Node, ref vnode, extent, at, clusterEnd, transaction, out ulong next)
                : AllocatePart(request.Node, ref vnode, extent, at, clusterEnd, transaction, out next);
            if (status != Status.Ok) { return status; }
            bool stopped = next < clusterEnd;
            at = next;
            if ((stopped || transaction.IsStepFull) && at < end)
            {
                rest = request with { Offset = at, Length = end - at };
                break;
            }
        }

        return Status.Ok;
    }

    /// <summary>Makes a part of a cluster preallocated space; a whole one loses its records first.</summary>
    private static Status ZeroPart(
        VNodeId id,
        ref VNode vnode,
        in DataExtent extent,
        ulong offset,
        ulong end,
        DriveTransaction transaction,
        out ulong next)
    {
        uint cluster = (uint)(offset / Limits.ClusterBytes);
        next = offset;
        if (SliceWriter.IsCut(id, extent, cluster, transaction)) { return Status.Busy; }
        if (end - offset == Limits.ClusterBytes
            && !SliceReaper.Step(id, ref vnode, cluster, cluster + 1, transaction))
        {
            return Status.Ok;
        }

        long growth = 0;
        Slice zeros = Part(offset, end, SliceKind.Unwritten);
        Status status = SliceWriter.Put(id, extent, cluster, zeros, default, default, transaction, ref growth);
        if (status == Status.Ok) { status = BackedBytes.Charge(ref vnode, growth, transaction); }
        if (status == Status.Ok) { next = end; }
        return status;
    }

    /// <summary>Backs the gaps of a part of a cluster, up to where the cluster must be folded or the transaction is full.
    /// </summary>
    private static Status AllocatePart(
        VNodeId id,
        ref VNode vnode,
        in DataExtent extent,
        ulong offset,
        ulong end,
        DriveTransaction transaction,
        out ulong next)
    {
        uint cluster = (uint)(offset / Limits.ClusterBytes);
        ulong start = (ulong)cluster * Limits.ClusterBytes;
        next = offset;
        if (SliceWriter.IsCut(id, extent, cluster, transaction)) { return Status.Busy; }
        ClusterCoverage coverage = transaction.CoverageOf(id, cluster);
        bool progressed = transaction.HasWrites;
        while (next < end)
        {
            (uint gapStart, uint gapEnd) = coverage.NextGap((uint)(next - start), (uint)(end - start));
            next = start + gapStart;
            if (gapStart == gapEnd) { break; }
            if (progressed && (transaction.IsStepFull || coverage.Deltas >= Limits.MaxSlices)) { break; }
            long growth = 0;
            Slice space = new(gapStart, gapEnd - gapStart, SliceKind.Unwritten, default, 0);
            Status status = SliceWriter.Put(id, extent, cluster, space, default, default, transaction, ref growth);
            if (status == Status.Ok) { status = BackedBytes.Charge(ref vnode, growth, transaction); }
            if (status != Status.Ok) { return status; }
            progressed = true;
            next = start + gapEnd;
        }

        return Status.Ok;
    }

    private static Slice Part(ulong offset, ulong end, SliceKind kind) =>
        new((uint)(offset % Limits.ClusterBytes), (uint)(end - offset), kind, default, 0);
}
