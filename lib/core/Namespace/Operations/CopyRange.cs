namespace KvFs.Core;

/// <summary>Makes a range of a file show what another range shows, by reference: copy_file_range(2) and reflinks.</summary>
/// <remarks>Blocks are referred to, not copied; inline bytes are. Copies as much as one transaction may and answers how much
/// that was, as the system call does; 0 only at the source's end. Ranges of one file at one version may not overlap. The
/// source may be a retained version: then the same file is another one. Answers beside Ok: Stale, IsDirectory, Invalid,
/// NotFound (no such version is retained), TooLarge, NoSpace, Busy.</remarks>
public static class CopyRange
{
    /// <summary>Pieces that one call copies at the most: gaps cost no batch, but time.</summary>
    private const int MaxPieces = 4096;

    public static Status Apply(
        in CopyRangeRequest request, DriveTransaction transaction, out ulong copied, out NodeInfo info)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        copied = 0;
        info = default;
        bool isHead = request.SourceAt == CowNumber.Head;
        if (!isHead && !transaction.State.Retained.Contains(request.SourceAt)) { return Status.NotFound; }
        DriveView view = transaction.ViewAt(request.SourceAt);
        Status status = FileNodes.Find(request.Source, view, out VNode source);
        if (status != Status.Ok) { return status; }
        status = FileNodes.Find(request.Target, transaction, out VNode target);
        if (status != Status.Ok) { return status; }
        ulong length = request.SourceOffset >= source.Size
            ? 0
            : Math.Min(request.Length, source.Size - request.SourceOffset);
        if (request.TargetOffset > Limits.FileBytes || length > Limits.FileBytes - request.TargetOffset)
        {
            return Status.TooLarge;
        }

        if (isHead && request.Source == request.Target && Overlap(request.SourceOffset, request.TargetOffset, length))
        {
            return Status.Invalid;
        }

        if (length == 0)
        {
            transaction.TryGetVNode(request.Target, out target, out CowNumber version);
            info = new(request.Target, target, version);
            return Status.Ok;
        }

        RangeSource pieces = new(request.Source, source, view, request.SourceOffset, request.SourceOffset + length);
        status = Copy(request, pieces, ref target, transaction, out copied);
        if (status != Status.Ok) { return status; }
        target.Size = Math.Max(target.Size, request.TargetOffset + copied);
        target.ModifyTime = transaction.Now;
        target.ChangeTime = transaction.Now;
        Xattrs.DropCapability(request.Target, target, transaction);
        info = FileNodes.PutChanged(request.Target, ref target, transaction);
        return Status.Ok;
    }

    private static bool Overlap(ulong source, ulong target, ulong length) =>
        source < target + length && target < source + length;

    private static Status Copy(
        in CopyRangeRequest request,
        RangeSource pieces,
        ref VNode target,
        DriveTransaction transaction,
        out ulong copied)
    {
        DataExtent extent = DataExtent.Read(request.Target, target, transaction);
        long shift = (long)request.TargetOffset - (long)request.SourceOffset;
        long growth = 0;
        copied = 0;
        for (int count = 0; count < MaxPieces && pieces.MoveNext(shift); count++)
        {
            ulong offset = (ulong)((long)pieces.Offset + shift);
            uint cluster = (uint)(offset / Limits.ClusterBytes);
            if (copied > 0 && (transaction.IsStepFull || cluster >= extent.FirstCut
                || transaction.CoverageOf(request.Target, cluster).Deltas >= Limits.MaxSlices))
            {
                break;
            }

            Status status = PiecePlacer.Put(
                request.Target, extent, offset, pieces.Piece, pieces.Inline, transaction, ref growth);
            if (status != Status.Ok) { return status; }
            copied += pieces.Piece.Length;
        }

        return BackedBytes.Charge(ref target, growth, transaction);
    }
}
