using System.Numerics;

namespace KvFs.Core;

/// <summary>Knows which bytes of an idvd are free, and finds room for blocks.</summary>
/// <remarks>
/// Buddies of orders 4 KiB … 16 MiB over chunks of 16 MiB; the idvd grows and shrinks by chunks. A length gets one
/// run at the start of the smallest free buddy that holds it (what is behind the run stays free), or, if none does,
/// a list of smaller buddies; less than 4 KiB is wasted either way. Lowest addresses first, so that the end comes free
/// and can be given back. Memory: 512 bytes per chunk that is neither all free nor all used: 32 MiB per TiB at most.
/// Pure and deterministic; not thread safe, the drive's lock owns it.
/// </remarks>
public sealed class BuddyAllocator
{
    /// <summary>Bytes of a chunk.</summary>
    public const int ChunkBytes = ChunkMap.Units * Extent.UnitBytes;

    /// <summary>Chunks of the largest idvd: extents count their units in 32 bits (16 TiB).</summary>
    public const int MaxChunks = 1 << 20;

    private readonly ChunkSet[] byLargest = MakeSets();
    private readonly List<Chunk> chunks = [];
    private long freeUnits;

    /// <summary>What is known of a chunk. Without a map it is all free or all used.</summary>
    private readonly record struct Chunk(ulong[]? Map, sbyte Largest)
    {
        internal static readonly Chunk Free = new(null, ChunkMap.MaxOrder);

        internal static readonly Chunk Used = new(null, ChunkMap.NoOrder);

        internal bool IsFree => Largest == ChunkMap.MaxOrder;
    }

    public int ChunkCount => chunks.Count;

    /// <summary>Bytes that the allocator governs: the length of the idvd.</summary>
    public long CapacityBytes => (long)chunks.Count * ChunkBytes;

    public long FreeBytes => freeUnits * Extent.UnitBytes;

    /// <summary>Chunks at the end that nothing uses: they can be given back.</summary>
    public int TrailingFreeChunks
    {
        get
        {
            int count = 0;
            while (count < chunks.Count && chunks[^(count + 1)].IsFree) { count++; }
            return count;
        }
    }

    /// <summary>Adds free chunks at the end; false if the idvd would exceed <see cref="MaxChunks"/>.</summary>
    public bool TryGrow(int count)
    {
        if (count > MaxChunks - chunks.Count) { return false; }
        for (int i = 0; i < count; i++)
        {
            byLargest[ChunkMap.MaxOrder].Add(chunks.Count);
            chunks.Add(Chunk.Free);
        }

        freeUnits += (long)count * ChunkMap.Units;
        return true;
    }

    /// <summary>Takes chunks off the end, which must be free.</summary>
    public void Shrink(int count)
    {
        Invariant.Check(count <= TrailingFreeChunks);
        for (int i = 0; i < count; i++)
        {
            byLargest[ChunkMap.MaxOrder].Remove(chunks.Count - 1);
            chunks.RemoveAt(chunks.Count - 1);
        }

        freeUnits -= (long)count * ChunkMap.Units;
    }

    /// <summary>Finds room for so many bytes and adds its extents, in the order of the bytes, to
    /// <paramref name="extents"/>; all of it or, with false, nothing.</summary>
    /// <param name="bytes">1 to 16 MiB.</param>
    /// <param name="maxExtents">Into how many pieces the caller is willing to split.</param>
    /// <param name="extents">Gets the extents.</param>
    public bool TryAllocate(int bytes, int maxExtents, List<Extent> extents)
    {
        Invariant.Check(bytes is > 0 and <= Limits.BlockBytes);
        int units = Extent.UnitsOf(bytes);
        if (units > freeUnits) { return false; }
        int first = extents.Count;
        int left = units;
        while (left > 0)
        {
            int wanted = Math.Min(left, TakeablePiece(left));
            Extent piece = TakeBestFit(wanted);
            left -= wanted;
            if (extents.Count > first && extents[^1].End == piece.Start)
            {
                extents[^1] = new Extent(extents[^1].Start, extents[^1].Count + piece.Count);
            }
            else
            {
                extents.Add(piece);
            }

            if (extents.Count - first > maxExtents)
            {
                GiveBack(extents, first);
                return false;
            }
        }

        return true;
    }

    /// <summary>Makes the units of an extent free again. Freeing what is not allocated is a bug.</summary>
    public void Free(Extent extent)
    {
        Invariant.Check(IsAllocated(extent));
        Mark(extent, areUsed: false);
    }

    /// <summary>Marks an extent that an index names as used; false if it is out of bounds or overlaps another one.</summary>
    public bool TryReserve(Extent extent)
    {
        if (extent.Count == 0 || !AllAre(extent, areUsed: false)) { return false; }
        Mark(extent, areUsed: true);
        return true;
    }

    /// <summary>Whether every unit of the extent lies within the idvd and is used.</summary>
    public bool IsAllocated(Extent extent) => AllAre(extent, areUsed: true);

    /// <summary>Whole free buddies by order: 4 KiB, 8 KiB, … 16 MiB.</summary>
    public long[] CountFreeBuddies()
    {
        long[] byOrder = new long[ChunkMap.MaxOrder + 1];
        foreach (Chunk chunk in chunks)
        {
            if (chunk.Map is not null) { ChunkMap.CountWhole(chunk.Map, byOrder); }
            else if (chunk.IsFree) { byOrder[ChunkMap.MaxOrder]++; }
        }

        return byOrder;
    }

    /// <summary>Copies the used bits of a chunk, 64 words; the lowest bit of the first word is the first unit.</summary>
    public void CopyChunk(int chunk, Span<ulong> used)
    {
        Chunk source = chunks[chunk];
        if (source.Map is not null) { source.Map.CopyTo(used); }
        else { used[..ChunkMap.Words].Fill(source.IsFree ? 0 : ulong.MaxValue); }
    }

    /// <summary>A copy that changes on its own.</summary>
    public BuddyAllocator Clone()
    {
        BuddyAllocator copy = new();
        Span<ulong> used = stackalloc ulong[ChunkMap.Words];
        for (int chunk = 0; chunk < chunks.Count; chunk++)
        {
            CopyChunk(chunk, used);
            copy.TryAddChunk(used);
        }

        return copy;
    }

    /// <summary>Adds a chunk at the end whose used bits are given; the way back from <see cref="CopyChunk"/>.</summary>
    internal bool TryAddChunk(ReadOnlySpan<ulong> used)
    {
        if (!TryGrow(1)) { return false; }
        ulong[] map = used.ToArray();
        int usedUnits = 0;
        foreach (ulong word in map) { usedUnits += BitOperations.PopCount(word); }
        freeUnits -= usedUnits;
        Replace(chunks.Count - 1, map);
        return true;
    }

    private static ChunkSet[] MakeSets()
    {
        ChunkSet[] sets = new ChunkSet[ChunkMap.MaxOrder + 1];
        for (int order = 0; order < sets.Length; order++) { sets[order] = new ChunkSet(); }
        return sets;
    }

    /// <summary>Units of the largest piece of a length that one free buddy holds: all of it, if one does.</summary>
    private int TakeablePiece(int units)
    {
        if (FindChunk(OrderOf(units)) >= 0) { return units; }
        for (int order = BitOperations.Log2((uint)units); order > 0; order--)
        {
            if (FindChunk(order) >= 0) { return 1 << order; }
        }

        return 1;
    }

    /// <summary>The least order that holds so many units.</summary>
    private static int OrderOf(int units) => BitOperations.Log2((uint)((units * 2) - 1));

    /// <summary>The chunk to allocate in: the one whose largest free buddy is smallest, the first of those.</summary>
    private int FindChunk(int order)
    {
        for (int largest = order; largest <= ChunkMap.MaxOrder; largest++)
        {
            int chunk = byLargest[largest].First();
            if (chunk >= 0) { return chunk; }
        }

        return -1;
    }

    private Extent TakeBestFit(int units)
    {
        int order = OrderOf(units);
        int chunk = FindChunk(order);
        Invariant.Check(chunk >= 0);
        int unit = chunks[chunk].Map is { } map ? ChunkMap.FindBestFit(map, order) : 0;
        Invariant.Check(unit >= 0);
        Extent extent = new((uint)((chunk * ChunkMap.Units) + unit), (uint)units);
        Mark(extent, areUsed: true);
        return extent;
    }

    private void GiveBack(List<Extent> extents, int first)
    {
        for (int i = first; i < extents.Count; i++) { Mark(extents[i], areUsed: false); }
        extents.RemoveRange(first, extents.Count - first);
    }

    private bool AllAre(Extent extent, bool areUsed)
    {
        if (extent.End > (long)chunks.Count * ChunkMap.Units) { return false; }
        for (long unit = extent.Start; unit < extent.End;)
        {
            (int chunk, int start, int count) = Part(unit, extent.End);
            Chunk state = chunks[chunk];
            bool all = state.Map is null
                ? state.IsFree != areUsed
                : ChunkMap.All(state.Map, start, count, areUsed);
            if (!all) { return false; }
            unit += count;
        }

        return true;
    }

    private void Mark(Extent extent, bool areUsed)
    {
        for (long unit = extent.Start; unit < extent.End;)
        {
            (int chunk, int start, int count) = Part(unit, extent.End);
            ulong[] map = chunks[chunk].Map ?? MakeMap(chunks[chunk]);
            ChunkMap.Set(map, start, count, areUsed);
            freeUnits += areUsed ? -count : count;
            Replace(chunk, map);
            unit += count;
        }
    }

    /// <summary>The part of [unit, end) that lies in the unit's chunk. Merged extents may reach into the next one.</summary>
    private static (int Chunk, int Start, int Count) Part(long unit, long end)
    {
        int start = (int)(unit % ChunkMap.Units);
        return ((int)(unit / ChunkMap.Units), start, (int)Math.Min(ChunkMap.Units - start, end - unit));
    }

    private static ulong[] MakeMap(Chunk chunk)
    {
        ulong[] map = new ulong[ChunkMap.Words];
        if (!chunk.IsFree) { Array.Fill(map, ulong.MaxValue); }
        return map;
    }

    private void Replace(int chunk, ulong[] map)
    {
        int before = chunks[chunk].Largest;
        int largest = ChunkMap.LargestOrder(map);
        chunks[chunk] = largest switch
        {
            ChunkMap.MaxOrder => Chunk.Free,
            ChunkMap.NoOrder => Chunk.Used,
            _ => new Chunk(map, (sbyte)largest),
        };
        if (before == largest) { return; }
        if (before != ChunkMap.NoOrder) { byLargest[before].Remove(chunk); }
        if (largest != ChunkMap.NoOrder) { byLargest[largest].Add(chunk); }
    }
}
