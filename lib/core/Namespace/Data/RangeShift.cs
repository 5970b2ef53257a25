namespace KvFs.Core;

/// <summary>Moves all that lies behind a place of a file up or down: the two kinds of fallocate(2) that do.</summary>
/// <remarks>
/// One transaction, because half of it would be a file that never was: so it is possible only where not too much lies behind
/// that place; else the answer is NotSupported, and programs copy instead. In order: (1) the pieces are read, all of them,
/// because they may be laid over one another; (2) Collapse cuts the file's end off, so that what this frees is free for the
/// rest; (3) the pieces are laid over their new places, and for Insert a hole over the range; (4) the growth is charged. Space
/// preallocated behind the file's end does not move.
/// </remarks>
internal static class RangeShift
{
    /// <summary>Offsets and lengths are multiples of this: what ext4 with 4 KiB blocks asks.</summary>
    public const int UnitBytes = 4096;

    /// <summary>Pieces that one shift may move: bounds its batch, and fits a cluster's slices after a fold.</summary>
    private const int MaxPieces = 2048;

    public static Status Collapse(in RangeRequest request, ref VNode vnode, DriveTransaction transaction)
    {
        MovedPieces moved = new(request.Node);
        ulong from = request.Offset + request.Length;
        Status status = moved.Read(vnode, from, -(long)request.Length, transaction);
        if (status != Status.Ok) { return status; }
        status = Truncate.Apply(request.Node, ref vnode, vnode.Size - request.Length, transaction);
        if (status != Status.Ok) { return status; }
        long growth = 0;
        status = moved.Lay(vnode, transaction, ref growth);
        return status == Status.Ok ? BackedBytes.Charge(ref vnode, growth, transaction) : status;
    }

    public static Status Insert(in RangeRequest request, ref VNode vnode, DriveTransaction transaction)
    {
        MovedPieces moved = new(request.Node);
        Status status = moved.Read(vnode, request.Offset, (long)request.Length, transaction);
        if (status == Status.Ok) { status = moved.AddHole(request.Offset, request.Length); }
        if (status != Status.Ok) { return status; }
        long growth = 0;
        status = moved.Lay(vnode, transaction, ref growth);
        if (status != Status.Ok) { return status; }
        vnode.Size += request.Length;
        return BackedBytes.Charge(ref vnode, growth, transaction);
    }

    private sealed class MovedPieces(VNodeId id)
    {
        private readonly List<Moved> pieces = [];
        private readonly ByteBuffer inline = new();

        public Status Read(in VNode vnode, ulong from, long shift, DriveTransaction transaction)
        {
            RangeSource source = new(id, vnode, transaction, from, vnode.Size);
            while (source.MoveNext(shift))
            {
                if (pieces.Count == MaxPieces || inline.Length > Limits.StepBytes) { return Status.NotSupported; }
                pieces.Add(new((ulong)((long)source.Offset + shift), source.Piece, inline.Length));
                inline.Append(source.Inline);
            }

            return Status.Ok;
        }

        public Status AddHole(ulong offset, ulong length)
        {
            ulong end = offset + length;
            while (offset < end)
            {
                if (pieces.Count >= 2 * MaxPieces) { return Status.NotSupported; }
                ulong pieceEnd = Math.Min(end, ((offset / Limits.ClusterBytes) + 1) * Limits.ClusterBytes);
                pieces.Add(new(offset, new(0, (uint)(pieceEnd - offset), SliceKind.Hole, default, 0), 0));
                offset = pieceEnd;
            }

            return Status.Ok;
        }

        public Status Lay(in VNode vnode, DriveTransaction transaction, ref long growth)
        {
            DataExtent extent = DataExtent.Read(id, vnode, transaction);
            foreach (Moved piece in pieces)
            {
                ReadOnlySpan<byte> bytes = piece.Slice.Kind == SliceKind.Inline
                    ? inline.Span.Slice(piece.InlineStart, (int)piece.Slice.Length)
                    : default;
                Status status = PiecePlacer.Put(id, extent, piece.Offset, piece.Slice, bytes, transaction, ref growth);
                if (status != Status.Ok) { return status; }
            }

            return Status.Ok;
        }
    }

    private readonly record struct Moved(ulong Offset, Slice Slice, int InlineStart);
}
