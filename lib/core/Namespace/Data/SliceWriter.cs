namespace KvFs.Core;

/// <summary>Writes and deletes slice records, and keeps what depends on them: block references and coverage.</summary>
/// <remarks>Every change of a slice record goes through here. Growth of backed bytes is returned, not charged: an operation
/// charges the sum, so that what it frees pays for what it needs.</remarks>
internal static class SliceWriter
{
    /// <summary>Lays a slice over a cluster and adds the growth of its backed bytes to <paramref name="growth"/>.</summary>
    /// <returns><see cref="Status.Busy"/>: the cluster must be folded, or is cut off (<see cref="DriveTransaction.Obstacle"/>);
    /// <see cref="Status.Conflict"/>: the block is not the session's to name.</returns>
    public static Status Put(
        VNodeId node,
        in DataExtent extent,
        uint cluster,
        Slice slice,
        ReadOnlySpan<byte> inline,
        SessionId session,
        DriveTransaction transaction,
        ref long growth)
    {
        if (IsCut(node, extent, cluster, transaction)) { return Status.Busy; }
        ClusterCoverage coverage = transaction.CoverageOf(node, cluster);
        if (coverage.Deltas >= Limits.MaxSlices)
        {
            transaction.Obstacle = new(ObstacleKind.Fold, node, cluster);
            return Status.Busy;
        }

        if (slice.Kind == SliceKind.Block)
        {
            Status status = transaction.Blocks.Add(slice.Block, slice.Length, session);
            if (status != Status.Ok) { return status; }
        }

        RecordKey key = RecordKey.Slice(node, cluster, transaction.Cow, transaction.NextSequence());
        transaction.PutSlice(ref key, slice, inline);
        ulong hiddenBefore = coverage.HiddenBytes;
        bool wasHalfHidden = FoldPlanner.IsHalfHidden(hiddenBefore, coverage.MappedBytes);
        growth += coverage.LayDelta(slice);
        transaction.OnCoverageChanged(node, cluster);
        if (coverage.Deltas % Limits.FoldSlices == 0
            || hiddenBefore / Limits.FoldHiddenBytes != coverage.HiddenBytes / Limits.FoldHiddenBytes
            || (!wasHalfHidden && FoldPlanner.IsHalfHidden(coverage.HiddenBytes, coverage.MappedBytes)))
        {
            transaction.OnCrowded(new(
                node, cluster, coverage.Deltas, coverage.BaseRuns, coverage.HiddenBytes, coverage.MappedBytes));
        }

        return Status.Ok;
    }

    /// <summary>Whether the records of a cluster wait to be removed: then nothing can be laid over them yet, and the
    /// transaction has its <see cref="DriveTransaction.Obstacle"/>.</summary>
    public static bool IsCut(VNodeId node, in DataExtent extent, uint cluster, DriveTransaction transaction)
    {
        if (cluster < extent.FirstCut) { return false; }
        transaction.Obstacle = new(ObstacleKind.Cut, node, cluster);
        return true;
    }

    /// <summary>Deletes a slice or base record that a walk of this transaction showed.</summary>
    public static void Delete(
        ref RecordKey key, RecordHeader header, ReadOnlySpan<byte> payload, DriveTransaction transaction)
    {
        if (transaction.KeepsHistory(header)) { transaction.OnSuperseded(payload.Length); }
        else { transaction.Blocks.DropRecord(payload); }
        transaction.Delete(ref key);
    }
}
