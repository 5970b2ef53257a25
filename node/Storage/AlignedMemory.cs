using System.Buffers;
using System.Runtime.InteropServices;
using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>Memory that starts at a multiple of 4 KiB, outside the garbage collector: what O_DIRECT takes as it is.</summary>
/// <remarks>Give a block to the store in such memory and it goes to the disk without a copy. The owner disposes it, when
/// nobody uses its spans any more; nothing frees it otherwise.</remarks>
public sealed unsafe class AlignedMemory : MemoryManager<byte>
{
    private readonly int length;
    private byte* start;

    public AlignedMemory(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        this.length = length;
        start = (byte*)NativeMemory.AlignedAlloc((nuint)length, Extent.UnitBytes);
    }

    // Safe: the span has the length that was allocated, and the owner promises that it ends before Dispose.
    public override Span<byte> GetSpan() => new(start, length);

    // Safe: native memory does not move, so there is nothing to pin.
    public override MemoryHandle Pin(int elementIndex = 0)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)length, nameof(elementIndex));
        return new MemoryHandle(start + elementIndex);
    }

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
        NativeMemory.AlignedFree(start);
        start = null;
    }
}

/// <summary>Keeps a few aligned buffers of one size for use again and again.</summary>
/// <remarks>Thread safe.</remarks>
internal sealed class AlignedMemoryPool(int bufferBytes, int kept)
{
    private readonly Stack<AlignedMemory> free = new(kept);

    internal int BufferBytes => bufferBytes;

    internal AlignedMemory Rent()
    {
        lock (free)
        {
            if (free.TryPop(out AlignedMemory? buffer)) { return buffer; }
        }

        return new AlignedMemory(bufferBytes);
    }

    internal void Return(AlignedMemory buffer)
    {
        lock (free)
        {
            if (free.Count < kept)
            {
                free.Push(buffer);
                return;
            }
        }

        ((IDisposable)buffer).Dispose();
    }
}
