using System.Collections.Immutable;
using System.Runtime.InteropServices;
using KvFs.Core;

namespace KvFs.Simulation.Nodes;

/// <summary>A file's data, told cell by cell: what a naive file system would have.</summary>
/// <remarks>Immutable. A cell is 4 KiB and has one value: a hole, preallocated, or a token that stands for its bytes. The first
/// cells lie at the file's start, the others at the start of its second cluster. The size always ends with a cell.</remarks>
internal sealed record ModelFile(ImmutableArray<int> Cells, int SizeCells)
{
    internal const int CellBytes = Limits.InlineSliceBytes;
    internal const int Hole = 0;
    internal const int Unwritten = 1;
    internal const int FirstToken = 2;
    internal const int FirstClusterCells = 56;
    internal const int CellCount = 64;

    internal static readonly ModelFile Empty = new([.. new int[CellCount]], 0);

    internal ulong Size => EndOf(SizeCells);

    /// <summary>Bytes that a quota is charged.</summary>
    internal ulong Backed => (ulong)Cells.Count(static cell => cell != Hole) * CellBytes;

    internal string Text => string.Join(',', Cells);

    internal static ulong OffsetOf(int cell) => cell < FirstClusterCells
        ? (ulong)cell * CellBytes
        : Limits.ClusterBytes + ((ulong)(cell - FirstClusterCells) * CellBytes);

    /// <summary>The end of the first <paramref name="cells"/> cells.</summary>
    internal static ulong EndOf(int cells) => cells == 0 ? 0 : OffsetOf(cells - 1) + CellBytes;

    /// <summary>Cells from one on that lie side by side in one cluster.</summary>
    internal static int RoomFrom(int cell) => (cell < FirstClusterCells ? FirstClusterCells : CellCount) - cell;

    /// <summary>Writes the bytes that a token stands for.</summary>
    internal static void Fill(Span<byte> cell, int token) => MemoryMarshal.Cast<byte, int>(cell).Fill(token);

    /// <summary>The token that bytes stand for; -1 if they stand for none.</summary>
    internal static int TokenOf(ReadOnlySpan<byte> cell)
    {
        ReadOnlySpan<int> words = MemoryMarshal.Cast<byte, int>(cell);
        return words.IndexOfAnyExcept(words[0]) < 0 ? words[0] : -1;
    }

    internal ModelFile With(int at, ReadOnlySpan<int> values, bool grows)
    {
        int[] cells = [.. Cells];
        values.CopyTo(cells.AsSpan(at));
        return new([.. cells], grows ? Math.Max(SizeCells, at + values.Length) : SizeCells);
    }

    internal ModelFile WithFilled(int at, int length, Func<int, int> change)
    {
        int[] values = [.. Cells.AsSpan(at, length)];
        for (int i = 0; i < length; i++) { values[i] = change(values[i]); }
        return With(at, values, grows: false);
    }

    internal ModelFile Truncated(int cells)
    {
        ModelFile cut = cells <= SizeCells ? WithFilled(cells, CellCount - cells, static _ => Hole) : this;
        return cut with { SizeCells = cells };
    }

    public bool Equals(ModelFile? other) =>
        other is not null && SizeCells == other.SizeCells && Cells.AsSpan().SequenceEqual(other.Cells.AsSpan());

    public override int GetHashCode() => HashCode.Combine(SizeCells, Cells[0]);
}
