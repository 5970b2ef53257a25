using System.Runtime.InteropServices;

namespace KvFs.Core;

/// <summary>Replaces the oldest records of a cluster by one base that shows the same.</summary>
/// <remarks>
/// In order: (1) the new runs must back what the replaced records show, and may beyond that fill gaps of less than
/// <see cref="Limits.FillBytes"/>; that they hold the same bytes is the packer's word; (2) the records to replace must be the
/// cluster's oldest ones, exactly as they were read, so that they still show that; newer ones stay above; (3) references
/// move; (4) the base replaces the records. New blocks come from the grants of session 0. The file's own record changes only
/// if gaps were filled (its backed bytes grow). Answers beside Ok: Stale (no such file); Conflict (read again, plan again);
/// Invalid (the plan does not show the same); NoSpace (for filled gaps).
/// </remarks>
public static class Fold
{
    /// <param name="request">What to replace, and by what.</param>
    /// <param name="shown">What the records to replace show, as <see cref="ReadForFold"/> read them.</param>
    /// <param name="transaction">Gets the changes.</param>
    public static Status Apply(FoldRequest request, ClusterMap shown, DriveTransaction transaction)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(shown);
        ArgumentNullException.ThrowIfNull(transaction);
        Status status = FileNodes.Find(request.Node, transaction, out VNode vnode);
        if (status != Status.Ok) { return status; }
        if (request.Cluster >= DataExtent.Read(request.Node, vnode, transaction).FirstCut) { return Status.Conflict; }

        // 1.
        if (!IsValid(request) || !ShowsTheSame(request, shown, out ulong filled)
            || !OwnersAreKnown(request, shown, transaction.Drive))
        {
            return Status.Invalid;
        }

        long growth = filled > 0 ? GrowthOf(request, transaction) : 0;

        // 2, 3.
        foreach (Slice run in request.Runs)
        {
            if (run.Kind != SliceKind.Block) { continue; }
            status = transaction.Blocks.Add(run.Block, run.Length, default);
            if (status != Status.Ok) { return status; }
        }

        if (!TryRemove(request, transaction)) { return Status.Conflict; }

        // 4.
        PutBase(request, transaction);
        if (growth == 0) { return Status.Ok; }
        status = BackedBytes.Charge(ref vnode, growth, transaction);
        if (status == Status.Ok) { transaction.PutVNode(request.Node, vnode); }
        return status;
    }

    private static bool IsValid(FoldRequest request)
    {
        ulong end = 0;
        foreach (Slice run in request.Runs)
        {
            bool valid = run.Length is > 0 and <= Limits.ClusterBytes && run.Offset >= end
                && (ulong)run.Offset + run.Length <= Limits.ClusterBytes
                && (run.Kind == SliceKind.Unwritten || (run.Kind == SliceKind.Block
                        && (ulong)run.SourceOffset + run.Length <= Limits.BlockBytes));
            if (!valid) { return false; }
            end = run.End;
        }

        return request.Replaced.Count > 0 && request.Runs.Count <= Limits.ClusterRuns;
    }

    /// <summary>Blocks of other drives are kept, never brought in: the pin keeps what the replaced records named.</summary>
    private static bool OwnersAreKnown(FoldRequest request, ClusterMap replaced, DriveId drive)
    {
        HashSet<DriveId> known = [drive];
        foreach (Slice run in replaced.Runs) { known.Add(run.Block.Owner); }
        foreach (Slice run in request.Runs)
        {
            if (run.Kind == SliceKind.Block && !known.Contains(run.Block.Owner)) { return false; }
        }

        return true;
    }

    /// <summary>By how much the cluster's backed bytes grow: newer records may hide what is filled.</summary>
    private static long GrowthOf(FoldRequest request, DriveTransaction transaction)
    {
        ClusterMap before = new();
        ClusterMap after = new();
        foreach (Slice run in request.Runs) { after.Overlay(run, default); }
        int count = 0;
        using DriveCursor cursor = transaction.WalkPrefix(RecordKey.SlicesFrom(request.Node, request.Cluster));
        while (cursor.MoveNext())
        {
            bool isReplaced = count++ < request.Replaced.Count;
            if (!before.TryCollect(cursor.Payload) || (!isReplaced && !after.TryCollect(cursor.Payload)))
            {
                RecordKey damaged = RecordKey.FromRelative(cursor.Key);
                transaction.ThrowCorrupt(ref damaged);
            }
        }

        before.LayCollected();
        after.LayCollected();
        return (long)(after.MappedBytes - before.MappedBytes);
    }

    /// <summary>Removes the records to replace; false if they are not the oldest ones, unchanged.</summary>
    private static bool TryRemove(FoldRequest request, DriveTransaction transaction)
    {
        using DriveCursor cursor = transaction.WalkPrefix(RecordKey.SlicesFrom(request.Node, request.Cluster));
        foreach ((RecordKey replaced, CowNumber written) in request.Replaced)
        {
            RecordKey key = replaced;
            if (!cursor.MoveNext() || !cursor.Key.SequenceEqual(key.Relative) || cursor.Header.Written != written)
            {
                return false;
            }

            SliceWriter.Delete(ref key, cursor.Header, cursor.Payload, transaction);
        }

        transaction.ForgetCoverage(request.Node, request.Cluster);
        return true;
    }

    private static bool ShowsTheSame(FoldRequest request, ClusterMap replaced, out ulong filled)
    {
        ulong oldData = 0;
        ulong newData = 0;
        filled = 0;
        uint at = 0;
        ClusterCoverage runs = new();
        runs.LayBase(request.Runs);
        foreach (Slice run in request.Runs) { newData += run.IsData ? run.Length : 0; }
        foreach (Slice run in replaced.Runs)
        {
            oldData += run.IsData ? run.Length : 0;
            ulong backed = runs.MappedIn(at, run.Offset);
            bool isFilled = backed == run.Offset - at && at > 0 && backed < Limits.FillBytes;
            if (backed > 0 && !isFilled) { return false; }
            filled += backed;
            at = run.End;
        }

        return runs.MappedIn(at, Limits.ClusterBytes) == 0
            && runs.MappedBytes == replaced.MappedBytes + filled
            && newData == oldData + filled;
    }

    private static void PutBase(FoldRequest request, DriveTransaction transaction)
    {
        if (request.Runs.Count == 0) { return; }
        ByteBuffer payload = new();
        ClusterBase.Encode(CollectionsMarshal.AsSpan(request.Runs), payload);
        RecordKey baseKey = RecordKey.Slice(request.Node, request.Cluster, default, 0);
        transaction.Put(ref baseKey, payload.Span);
    }
}
