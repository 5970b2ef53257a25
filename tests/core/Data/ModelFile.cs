namespace KvFs.Core.Tests;

/// <summary>A file as an array of cells: what the operations are compared with.</summary>
internal sealed class ModelFile
{
    private long[] cells = new long[DataWorkload.Cells];

    /// <summary>In cells.</summary>
    public int Size { get; private set; }

    /// <summary>Bytes of cells that are no hole.</summary>
    public ulong Backed => (ulong)(cells.Length - cells.AsSpan().Count(DataDrive.Hole)) * DataDrive.CellBytes;

    public ReadOnlySpan<long> Span => cells;

    public ModelFile Copy() => new() { cells = [.. cells], Size = Size };

    public bool Shows(ReadOnlySpan<long> shown) => shown.SequenceEqual(cells);

    public void Write(int at, ReadOnlySpan<long> tokens)
    {
        tokens.CopyTo(cells.AsSpan(at));
        Grow(at + tokens.Length);
    }

    public void Fill(int at, int length, long value) => cells.AsSpan(at, length).Fill(value);

    public void Grow(int size) => Size = Math.Max(Size, size);

    public void Truncate(int size)
    {
        if (size <= Size) { cells.AsSpan(size).Clear(); }
        Size = size;
    }
}
