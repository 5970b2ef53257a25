namespace KvFs.Core.Tests;

/// <summary>A file as an array of cells: what the operations are compared with.</summary>
internal sealed class ModelFile
{
    private int[] cells = new int[DataWorkload.Cells];

    /// <summary>In cells.</summary>
    public int Size { get; private set; }

    /// <summary>Bytes of cells that are no hole.</summary>
    public ulong Backed => (ulong)(cells.Length - cells.AsSpan().Count(DataDrive.Hole)) * DataDrive.CellBytes;

    public ReadOnlySpan<int> Span => cells;

    public ModelFile Copy() => new() { cells = [.. cells], Size = Size };

    public bool Shows(ReadOnlySpan<int> shown) => shown.SequenceEqual(cells);

    public void Write(int at, ReadOnlySpan<int> tokens)
    {
        // The tokens may be this file's own, as in a copy.
        tokens.CopyTo(cells.AsSpan(at));
        Grow(at + tokens.Length);
    }

    public void Fill(int at, int length, int value) => cells.AsSpan(at, length).Fill(value);

    public void Replace(int at, int length, int old, int value) => cells.AsSpan(at, length).Replace(old, value);

    /// <summary>What is preallocated behind the end does not move down, but goes.</summary>
    public void Collapse(int at, int length)
    {
        cells.AsSpan(at + length, Size - at - length).CopyTo(cells.AsSpan(at));
        Truncate(Size - length);
    }

    /// <summary>What is preallocated behind the end stays where it is, or is overlaid.</summary>
    public void Insert(int at, int length)
    {
        cells.AsSpan(at, Size - at).ToArray().CopyTo(cells.AsSpan(at + length));
        Fill(at, length, DataDrive.Hole);
        Size += length;
    }

    /// <summary>The next cell, from one on, that has (or has no) written bytes; the size if there is none.</summary>
    public int Find(int from, bool seeksData)
    {
        ReadOnlySpan<int> rest = cells.AsSpan(Math.Min(from, Size), Size - Math.Min(from, Size));
        int found = seeksData
            ? rest.IndexOfAnyExceptInRange(DataDrive.Hole, DataDrive.Unwritten)
            : rest.IndexOfAnyInRange(DataDrive.Hole, DataDrive.Unwritten);
        return found < 0 ? Size : from + found;
    }

    public void Grow(int size) => Size = Math.Max(Size, size);

    public void Truncate(int size)
    {
        if (size <= Size) { cells.AsSpan(size).Clear(); }
        Size = size;
    }
}
