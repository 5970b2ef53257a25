using System.Runtime.InteropServices;

namespace KvFs.Core;

/// <summary>Replaces the oldest records of a cluster by one base that shows the same.</summary>
/// <remarks>
/// In order: (1) the records to replace must be the cluster's oldest ones, exactly as they were read; newer ones stay above;
/// (2) the new runs must back what those backed, and may beyond that fill gaps of less than
/// <see cref="Limits.FillBytes"/>; that they hold the same bytes is the packer's word; (3) references move; (4) the base
/// replaces the records. New blocks come from the grants of session 0. The file's own record changes only if gaps were filled
/// (its backed bytes grow). Answers beside Ok: Stale (no such file); Conflict (read again, plan again); Invalid (the plan
/// does not show the same); NoSpace (for filled gaps).
/// </remarks>
public static class Fold
{
    public static Status Apply(FoldRequest request, DriveTransaction transaction)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(transaction);
        Status status = FileNodes.Find(request.Node, transaction, out VNode vnode);
        if (status != Status.Ok) { return status; }
        if (request.Cluster >= DataExtent.Read(request.Node, vnode, transaction).FirstCut) { return Status.Conflict; }
        if (!IsValid(request)) { return Status.Invalid; }

        // 1.
        ClusterMap replaced = new();
        ClusterMap before = new();
        ClusterMap after = new();
        foreach (Slice run in request.Runs) { after.Overlay(run, default); }
        if (!TryRead(request, transaction, replaced, before, after)) { return Status.Conflict; }

        // 2.
        if (!ShowsTheSame(request, replaced) || !OwnersAreKnown(request, replaced, transaction.Drive)) { return Status.Invalid; }

        // 3.
        foreach (Slice run in request.Runs)
        {
            if (run.Kind != SliceKind.Block) { continue; }
            status = transaction.Blocks.Add(run.Block, run.Length, default);
            if (status != Status.Ok) { return status; }
        }

        // 4.
        Replace(request, transaction);
        if (after.MappedBytes == before.MappedBytes) { return Status.Ok; }
        status = BackedBytes.Charge(ref vnode, (long)(after.MappedBytes - before.MappedBytes), transaction);
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

    /// <summary>Reads the cluster into three maps: what is replaced, what all shows, and (over the new runs) what it will
    /// show; false if the records to replace are not the oldest ones, unchanged.</summary>
    private static bool TryRead(
        FoldRequest request, DriveTransaction transaction, ClusterMap replaced, ClusterMap before, ClusterMap after)
    {
        int count = 0;
        using DriveCursor cursor = transaction.WalkPrefix(RecordKey.SlicesFrom(request.Node, request.Cluster));
        while (cursor.MoveNext())
        {
            bool isReplaced = count < request.Replaced.Count;
            if (isReplaced)
            {
                (RecordKey key, CowNumber written) = request.Replaced[count++];
                if (!cursor.Key.SequenceEqual(key.Relative) || cursor.Header.Written != written) { return false; }
            }

            if (!before.TryAdd(cursor.Payload) || !(isReplaced ? replaced : after).TryAdd(cursor.Payload))
            {
                RecordKey damaged = RecordKey.FromRelative(cursor.Key);
                transaction.ThrowCorrupt(ref damaged);
            }
        }

        return count == request.Replaced.Count;
    }

    private static bool ShowsTheSame(FoldRequest request, ClusterMap replaced)
    {
        ulong oldData = 0;
        ulong newData = 0;
        ulong filled = 0;
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

    private static void Replace(FoldRequest request, DriveTransaction transaction)
    {
        ByteBuffer payload = new();
        foreach ((RecordKey replacedKey, _) in request.Replaced)
        {
            RecordKey key = replacedKey;
            Invariant.Check(transaction.TryGet(ref key, payload, out RecordHeader header));
            SliceWriter.Delete(ref key, header, payload.Span, transaction);
        }

        transaction.ForgetCoverage(request.Node, request.Cluster);
        if (request.Runs.Count == 0) { return; }
        ClusterBase.Encode(CollectionsMarshal.AsSpan(request.Runs), payload);
        RecordKey baseKey = RecordKey.Slice(request.Node, request.Cluster, default, 0);
        transaction.Put(ref baseKey, payload.Span);
    }
}
