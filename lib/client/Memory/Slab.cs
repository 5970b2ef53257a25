using KvFs.Memory;

namespace KvFs.Client;

/// <summary>A run of native memory, cut into buffers of one size at a time.</summary>
/// <remarks>The pool's lock guards it.</remarks>
internal sealed class Slab : IDisposable
{
    private readonly PoolBuffer[]?[] buffersByClass;
    private readonly Stack<PoolBuffer> free = new();
    private readonly AlignedMemory memory = new(BufferPool.SlabBytes);

    public Slab(int index, int classes)
    {
        Index = index;
        buffersByClass = new PoolBuffer[]?[classes];
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

    /// <summary>The bytes of one of its buffers.</summary>
    public Memory<byte> Slice(int start, int length) => memory.Memory.Slice(start, length);

    /// <summary>As <see cref="Slice"/>.</summary>
    public Span<byte> SpanOf(int start, int length) => memory.GetSpan().Slice(start, length);

    /// <summary>Frees the memory; nobody may use a buffer any more.</summary>
    public void Dispose() => ((IDisposable)memory).Dispose();
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

    public Memory<byte> Memory => slab.Slice(start, Capacity);

    public Span<byte> Span => slab.SpanOf(start, Capacity);

    internal Slab Slab => slab;

    internal bool IsRented { get; set; }
}
