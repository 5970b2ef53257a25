namespace KvFs.Core;

/// <summary>Bytes that a packer copies: from the map's inline bytes, from a block, or zeros.</summary>
/// <param name="PackedOffset">Where in the packed bytes they go.</param>
/// <param name="Length">How many.</param>
/// <param name="Kind">Inline, Block, or Hole for zeros.</param>
/// <param name="Block">The block, for <see cref="SliceKind.Block"/>.</param>
/// <param name="SourceOffset">The first byte in the block, or in <see cref="ClusterMap.Inline"/>.</param>
/// <param name="Run">Where in the cluster the run begins that it is a part of.</param>
public readonly record struct PackedPiece(
    ulong PackedOffset, uint Length, SliceKind Kind, BlockName Block, uint SourceOffset, uint Run);

/// <summary>What a packer is to copy, and what the folded cluster will be made of.</summary>
/// <remarks>The packed bytes are cut into blocks of <see cref="Limits.BlockBytes"/>; nearly always there is one, or none.
/// </remarks>
public sealed class FoldPlan
{
    private readonly List<Slice> runs = [];
    private readonly List<PackedPiece> pieces = [];

    /// <summary>Bytes to copy, in the order of the packed bytes.</summary>
    public IReadOnlyList<PackedPiece> Pieces => pieces;

    /// <summary>All bytes to copy.</summary>
    public ulong PackedBytes { get; private set; }

    /// <summary>Blocks that the packer needs.</summary>
    public int BlockCount => (int)((PackedBytes + Limits.BlockBytes - 1) / Limits.BlockBytes);

    /// <summary>The bytes of the block at a place.</summary>
    public int BlockLength(int block) =>
        (int)Math.Min(Limits.BlockBytes, PackedBytes - ((ulong)block * Limits.BlockBytes));

    public void Clear()
    {
        runs.Clear();
        pieces.Clear();
        PackedBytes = 0;
    }

    /// <summary>Names the packed blocks and adds the runs to a request; they must be stored and durable by then.</summary>
    public void Complete(ReadOnlySpan<BlockName> blocks, FoldRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentOutOfRangeException.ThrowIfNotEqual(blocks.Length, BlockCount);
        foreach (Slice run in runs)
        {
            if (run.Kind != SliceKind.Inline)
            {
                request.Runs.Add(run);
                continue;
            }

            int block = (int)(run.SourceOffset / Limits.BlockBytes);
            request.Runs.Add(
                run with { Kind = SliceKind.Block, Block = blocks[block], SourceOffset = run.SourceOffset % Limits.BlockBytes });
        }
    }

    /// <summary>Runs that the base will have.</summary>
    internal int RunCount => runs.Count;

    internal void Keep(Slice run) => runs.Add(run);

    /// <summary>Takes a run of bytes into the packed ones; neighbours become one run.</summary>
    internal void Pack(Slice piece)
    {
        uint run = piece.Offset;
        while (piece.Length > 0)
        {
            uint room = Limits.BlockBytes - (uint)(PackedBytes % Limits.BlockBytes);
            uint length = Math.Min(piece.Length, room);
            pieces.Add(new(PackedBytes, length, piece.Kind, piece.Block, piece.SourceOffset, run));
            AddPacked(piece.Offset, length);
            PackedBytes += length;
            uint source = piece.Kind == SliceKind.Hole ? 0 : piece.SourceOffset + length;
            piece = piece with { Offset = piece.Offset + length, Length = piece.Length - length, SourceOffset = source };
        }
    }

    private void AddPacked(uint offset, uint length)
    {
        uint packed = (uint)PackedBytes;
        if (runs.Count > 0 && runs[^1] is { Kind: SliceKind.Inline } last && last.End == offset
            && last.SourceOffset + last.Length == packed && packed % Limits.BlockBytes != 0)
        {
            runs[^1] = last with { Length = last.Length + length };
            return;
        }

        runs.Add(new(offset, length, SliceKind.Inline, default, packed));
    }
}
