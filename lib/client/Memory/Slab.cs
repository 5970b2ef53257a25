using System.Buffers;
using System.Runtime.InteropServices;
using KvFs.Core;

namespace KvFs.Client;

/// <summary>A run of native memory on a page boundary, cut into buffers of one size at a time.</summary>
/// <remarks>Outside of the collected heap, so that direct I/O may use it without pinning. The pool's lock guards it.
/// </remarks>
internal sealed unsafe class Slab : MemoryManager<byte>
{
    private const int PageBytes = 4096;

    private readonly PoolBuffer[]?[] buffersByClass;
    private readonly Stack<PoolBuffer> free = new();
    private byte* memory;

    public Slab(int index, int classes)
    {
        Index = index;
        buffersByClass = new PoolBuffer[]?[classes];
        memory = (byte*)NativeMemory.AlignedAlloc(BufferPool.SlabBytes, PageBytes);
    }

    /// <summary>Its place among the pool's slabs.</summary>
    public int Index { get; }

    public int Class { get; private set; }

    /// <summary>Its place in the pool's list of slabs of its class that have free buffers; -1 if it is not
    /// there.</summary>
    public int PartialPlace { get; set; } = -1;

    public bool HasFree => free.Count > 0;

    public bool IsUnused => free.Count == BufferPool.SlabBytes / BufferPool.ClassBytes(Class);

    /// <summary>Cuts the slab, of which no buffer is out, into buffers of a class.</summary>
    public void Cut(int sizeClass)
    {
        Class = sizeClass;
        free.Clear();
        int size = BufferPool.ClassBytes(sizeClass);
        PoolBuffer[] buffers = buffersByClass[sizeClass] ??= new PoolBuffer[BufferPool.SlabBytes / size];
        for (int at = buffers.Length - 1; at >= 0; at--)
        {
            free.Push(buffers[at] ??= new PoolBuffer(this, at * size, size));
        }
    }

    public PoolBuffer Take() => free.Pop();

    public void Put(PoolBuffer buffer) => free.Push(buffer);

    public override Span<byte> GetSpan()
    {
        Invariant.Check(memory != null);

        // Safe: the pool frees the memory only when it is disposed, and nobody uses a buffer after that.
        return new(memory, BufferPool.SlabBytes);
    }

    public override MemoryHandle Pin(int elementIndex = 0)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)BufferPool.SlabBytes);

        // Safe: native memory does not move, and the index is within it.
        return new(memory + elementIndex);
    }

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
        // Safe: freed once, and the pointer is gone afterwards.
        NativeMemory.AlignedFree(memory);
        memory = null;
    }
}

/// <summary>A buffer of a pool. Whoever rented it owns it until it is returned.</summary>
public sealed class PoolBuffer
{
    private readonly Slab slab;
    private readonly int start;

    internal PoolBuffer(Slab slab, int start, int capacity)
    {
        this.slab = slab;
        this.start = start;
        Capacity = capacity;
    }

    public int Capacity { get; }

    /// <summary>Its place in the pool, in units of 4 KiB: what a flat record names it by.</summary>
    public int Slot => ((slab.Index * BufferPool.SlabBytes) + start) / BufferPool.SmallestBytes;

    public Memory<byte> Memory => slab.Memory.Slice(start, Capacity);

    public Span<byte> Span => slab.GetSpan().Slice(start, Capacity);

    internal Slab Slab => slab;

    internal bool IsRented { get; set; }
}
