using System.Buffers;
using System.Numerics;
using System.Runtime.InteropServices;

namespace KvFs.Protocol.BlockChannel.Connection;

/// <summary>A bounded store of native buffers of 4 KiB to 16 MiB, each a power of two that starts at a page: what O_DIRECT
/// takes as it is.</summary>
/// <remarks>Thread safe. What comes back is kept for the next, up to a bound: memory that is new to the process costs a
/// page fault every 4 KiB, as much as half of the network.</remarks>
internal sealed class ChannelMemory(long maxBytes, long keptBytes) : IDisposable
{
    private const int SmallestBytes = 4 << 10;
    private const int ClassCount = 13;

    private readonly Lock gate = new();
    private readonly Stack<ChannelBuffer>[] free =
        [.. Enumerable.Range(0, ClassCount).Select(static _ => new Stack<ChannelBuffer>())];
    private long freeBytes;
    private long rentedBytes;
    private int rentedBuffers;
    private bool isDisposed;
    private bool wasUsed;
    private int idleTicks;

    /// <summary>Bytes of the largest buffer.</summary>
    public const int LargestBytes = SmallestBytes << (ClassCount - 1);

    /// <summary>Bytes of the buffers that are out.</summary>
    public long RentedBytes => Volatile.Read(ref rentedBytes);

    /// <summary>Buffers that are out.</summary>
    public int RentedBuffers => Volatile.Read(ref rentedBuffers);

    /// <summary>A buffer of at least so many bytes; null if then more than the bound were out.</summary>
    public ChannelBuffer? TryRent(int bytes) => Rent(bytes, maxBytes);

    /// <summary>A buffer of at least so many bytes, whatever is out: the caller has a bound of its own.</summary>
    public ChannelBuffer RentBeyond(int bytes) => Rent(bytes, long.MaxValue)!;

    public void Return(ChannelBuffer buffer)
    {
        lock (gate)
        {
            rentedBytes -= buffer.Capacity;
            rentedBuffers--;
            if (!isDisposed && freeBytes + buffer.Capacity <= keptBytes)
            {
                freeBytes += buffer.Capacity;
                free[ClassOf(buffer.Capacity)].Push(buffer);
                return;
            }
        }

        buffer.Free();
    }

    /// <summary>Gives what is kept back to the system once nothing was rented for so many ticks.</summary>
    public void Tick(int ticks)
    {
        lock (gate)
        {
            idleTicks = wasUsed || rentedBuffers > 0 ? 0 : idleTicks + 1;
            wasUsed = false;
            if (idleTicks >= ticks) { FreeKept(); }
        }
    }

    /// <summary>Frees what is kept, and what comes back later when it does.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            isDisposed = true;
            FreeKept();
        }
    }

    private void FreeKept()
    {
        foreach (Stack<ChannelBuffer> buffers in free)
        {
            while (buffers.TryPop(out ChannelBuffer? buffer)) { buffer.Free(); }
        }

        freeBytes = 0;
    }

    private ChannelBuffer? Rent(int bytes, long bound)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, LargestBytes);
        int sizeClass = ClassOf(bytes);
        int capacity = SmallestBytes << sizeClass;
        lock (gate)
        {
            if (rentedBytes > bound - capacity) { return null; }
            rentedBytes += capacity;
            rentedBuffers++;
            wasUsed = true;
            if (free[sizeClass].TryPop(out ChannelBuffer? kept))
            {
                freeBytes -= capacity;
                return kept;
            }
        }

        return new ChannelBuffer(capacity);
    }

    private static int ClassOf(int bytes) =>
        bytes <= SmallestBytes ? 0 : BitOperations.Log2((uint)(bytes - 1) / SmallestBytes) + 1;
}

/// <summary>A buffer of <see cref="ChannelMemory"/>.</summary>
internal sealed unsafe class ChannelBuffer : MemoryManager<byte>
{
    private const int PageBytes = 4096;

    private byte* start;

    public ChannelBuffer(int capacity)
    {
        Capacity = capacity;
        start = (byte*)NativeMemory.AlignedAlloc((nuint)capacity, PageBytes);
    }

    public int Capacity { get; }

    // Safe: the span has the length that was allocated, and who rented the buffer uses it no longer than that.
    public override Span<byte> GetSpan() => new(start, Capacity);

    // Safe: native memory does not move, so there is nothing to pin.
    public override MemoryHandle Pin(int elementIndex = 0)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)Capacity, nameof(elementIndex));
        return new MemoryHandle(start + elementIndex);
    }

    public override void Unpin()
    {
    }

    /// <summary>Gives the memory back to the system. Nobody uses it any more.</summary>
    internal void Free()
    {
        NativeMemory.AlignedFree(start);
        start = null;
    }

    protected override void Dispose(bool disposing) => Free();
}
