using System.Numerics;
using KvFs.Core;

namespace KvFs.Client;

/// <summary>A bounded store of page-aligned native buffers of 4 KiB to 4 MiB.</summary>
/// <remarks>Thread safe. Memory is taken in slabs of 4 MiB as it is needed and kept until the pool is disposed; a slab
/// whose buffers are all back may be cut into another size. After warm-up nothing is allocated.</remarks>
public sealed class BufferPool : IDisposable
{
    /// <summary>Bytes of a slab, and of the largest buffer: the block of a stream.</summary>
    public const int SlabBytes = 4 << 20;

    /// <summary>Bytes of the smallest buffer: a page.</summary>
    public const int SmallestBytes = 4 << 10;

    /// <summary>4, 16, 64, 256 KiB, 1 and 4 MiB.</summary>
    private const int ClassCount = 6;

    private readonly Lock gate = new();
    private readonly int maxSlabs;
    private readonly List<Slab> slabs = [];
    private readonly Stack<Slab> unused = new();
    private readonly List<Slab>[] partial = new List<Slab>[ClassCount];
    private int rentedBuffers;
    private long rentedBytes;

    /// <param name="maxBytes">Bytes that may be out at once; at least one slab.</param>
    public BufferPool(long maxBytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxBytes, SlabBytes);
        maxSlabs = checked((int)(maxBytes / SlabBytes));
        for (int at = 0; at < ClassCount; at++) { partial[at] = []; }
    }

    public long MaxBytes => (long)maxSlabs * SlabBytes;

    /// <summary>Buffers that are out.</summary>
    public int RentedBuffers => Volatile.Read(ref rentedBuffers);

    /// <summary>Bytes of the buffers that are out.</summary>
    public long RentedBytes => Volatile.Read(ref rentedBytes);

    /// <summary>A buffer of the smallest size that holds as many bytes, or null if the pool is exhausted.</summary>
    public PoolBuffer? TryRent(int minBytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(minBytes, SlabBytes);
        int sizeClass = ClassOf(minBytes);
        lock (gate)
        {
            Slab? slab = partial[sizeClass].Count > 0 ? partial[sizeClass][^1] : TryCut(sizeClass);
            if (slab is null) { return null; }
            PoolBuffer buffer = slab.Take();
            Invariant.Check(!buffer.IsRented);
            buffer.IsRented = true;
            if (!slab.HasFree) { RemovePartial(slab); }
            rentedBuffers++;
            rentedBytes += buffer.Capacity;
            return buffer;
        }
    }

    public void Return(PoolBuffer buffer)
    {
        ArgumentNullException.ThrowIfNull(buffer);
        lock (gate)
        {
            Invariant.Check(buffer.IsRented);
            buffer.IsRented = false;
            Slab slab = buffer.Slab;
            slab.Put(buffer);
            rentedBuffers--;
            rentedBytes -= buffer.Capacity;
            if (slab.IsUnused)
            {
                RemovePartial(slab);
                unused.Push(slab);
            }
            else if (slab.PartialPlace < 0)
            {
                slab.PartialPlace = partial[slab.Class].Count;
                partial[slab.Class].Add(slab);
            }
        }
    }

    /// <summary>Frees the memory; nobody may use a buffer any more.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            foreach (Slab slab in slabs) { slab.Dispose(); }
            slabs.Clear();
            unused.Clear();
            foreach (List<Slab> list in partial) { list.Clear(); }
        }
    }

    internal static int ClassBytes(int sizeClass) => SmallestBytes << (2 * sizeClass);

    /// <summary>The smallest class that holds as many bytes.</summary>
    private static int ClassOf(int bytes)
    {
        int pages = Math.Max(1, (bytes + SmallestBytes - 1) / SmallestBytes);
        int bits = BitOperations.Log2((uint)pages) + (BitOperations.IsPow2(pages) ? 0 : 1);
        return (bits + 1) / 2;
    }

    private Slab? TryCut(int sizeClass)
    {
        if (!unused.TryPop(out Slab? slab))
        {
            if (slabs.Count == maxSlabs) { return null; }
            slab = new(slabs.Count, ClassCount);
            slabs.Add(slab);
        }

        slab.Cut(sizeClass);
        slab.PartialPlace = partial[sizeClass].Count;
        partial[sizeClass].Add(slab);
        return slab;
    }

    private void RemovePartial(Slab slab)
    {
        if (slab.PartialPlace < 0) { return; }
        List<Slab> list = partial[slab.Class];
        Slab last = list[^1];
        list[slab.PartialPlace] = last;
        last.PartialPlace = slab.PartialPlace;
        list.RemoveAt(list.Count - 1);
        slab.PartialPlace = -1;
    }
}
