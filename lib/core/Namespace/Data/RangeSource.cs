namespace KvFs.Core;

/// <summary>Walks what a range of a file shows, piece by piece: runs, and the gaps between them.</summary>
/// <remarks>Loads one cluster's map at a time. <see cref="Inline"/> is valid until the next move.</remarks>
internal sealed class RangeSource(VNodeId node, VNode vnode, DriveView view, ulong offset, ulong end)
{
    private readonly ClusterMap map = new();
    private ulong at = offset;
    private uint loaded = uint.MaxValue;
    private int run;

    /// <summary>First byte of the piece, in the file.</summary>
    public ulong Offset { get; private set; }

    /// <summary>The piece; its offset is of no meaning, a gap is a <see cref="SliceKind.Hole"/>.</summary>
    public Slice Piece { get; private set; }

    /// <summary>The bytes of an inline piece.</summary>
    public ReadOnlySpan<byte> Inline => Piece.Kind == SliceKind.Inline
        ? map.Inline.Slice((int)Piece.SourceOffset, (int)Piece.Length)
        : default;

    /// <summary>Moves to the next piece, which does not reach over a cluster's end nor, in logical space shifted by
    /// <paramref name="shift"/>, over one there.</summary>
    public bool MoveNext(long shift)
    {
        if (at >= end) { return false; }
        uint cluster = (uint)(at / Limits.ClusterBytes);
        if (cluster != loaded)
        {
            ReadCluster.Apply(node, vnode, cluster, view, map);
            loaded = cluster;
            run = map.FirstEndingAfter((uint)(at % Limits.ClusterBytes));
        }

        uint from = (uint)(at % Limits.ClusterBytes);
        while (run < map.Runs.Count && map.Runs[run].End <= from) { run++; }
        ulong room = Math.Min(end - at, Limits.ClusterBytes - from);
        room = Math.Min(room, Limits.ClusterBytes - ((ulong)((long)at + shift) % Limits.ClusterBytes));
        Offset = at;
        if (run == map.Runs.Count || map.Runs[run].Offset > from)
        {
            uint gapEnd = run == map.Runs.Count ? Limits.ClusterBytes : map.Runs[run].Offset;
            Piece = new(from, (uint)Math.Min(room, gapEnd - from), SliceKind.Hole, default, 0);
        }
        else
        {
            Slice whole = map.Runs[run];
            bool hasSource = whole.Kind is SliceKind.Inline or SliceKind.Block;
            uint source = hasSource ? whole.SourceOffset + (from - whole.Offset) : 0;
            Piece = new(from, (uint)Math.Min(room, whole.End - from), whole.Kind, whole.Block, source);
        }

        at += Piece.Length;
        return true;
    }
}
