namespace KvFs.Core;

/// <summary>A run of bytes in a drive's idvd that belongs to one block.</summary>
/// <param name="Start">The first allocation unit.</param>
/// <param name="Count">Allocation units, 1 to 4,096.</param>
public readonly record struct Extent(uint Start, uint Count)
{
    /// <summary>Bytes of an allocation unit: the page, and what O_DIRECT aligns to.</summary>
    public const int UnitBytes = 4096;

    /// <summary>Units of the longest extent: the largest block.</summary>
    public const int MaxUnits = Limits.BlockBytes / UnitBytes;

    /// <summary>Where it starts, in bytes.</summary>
    public long Offset => (long)Start * UnitBytes;

    /// <summary>Its length, in bytes.</summary>
    public int Length => (int)(Count * UnitBytes);

    /// <summary>The first unit behind it; a long, because an idvd may end where 32 bits do.</summary>
    public long End => (long)Start + Count;

    /// <summary>Units that hold so many bytes.</summary>
    public static int UnitsOf(int bytes) => (bytes + UnitBytes - 1) / UnitBytes;
}
