using System.Buffers;
using System.Runtime.InteropServices;

namespace KvFs.Memory;

/// <summary>Memory that starts at a multiple of 4 KiB, outside the garbage collector: what O_DIRECT takes as it is. From 2 MiB on it lies in
/// <see cref="LargePages"/>.</summary>
/// <remarks>The owner disposes it, when nobody uses its spans any more; nothing frees it otherwise.</remarks>
public sealed unsafe class AlignedMemory : MemoryManager<byte>
{
    /// <summary>Bytes of a page, and the boundary of the first.</summary>
    public const int PageBytes = 4 << 10;

    private readonly int length;
    private byte* start;

    /// <param name="length">Bytes, at least one. Their content is undefined.</param>
    public AlignedMemory(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        this.length = length;
        bool isLarge = length >= LargePages.Bytes;
        start = (byte*)NativeMemory.AlignedAlloc((nuint)length, isLarge ? (nuint)LargePages.Bytes : PageBytes);
        if (isLarge) { LargePages.Advise(start, (nuint)length); }
    }

    /// <summary>The first byte; null once disposed. Never moves.</summary>
    public byte* Pointer => start;

    // Safe: the span has the length that was allocated, and the owner promises that it ends before Dispose. Disposed, there is no byte.
    public override Span<byte> GetSpan() => new(start, start is null ? 0 : length);

    public override MemoryHandle Pin(int elementIndex = 0)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)length, nameof(elementIndex));

        // Safe: native memory does not move, so there is nothing to pin, and the index is within it.
        return new(start + elementIndex);
    }

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
        // Safe: freed once, and the pointer is gone afterwards.
        NativeMemory.AlignedFree(start);
        start = null;
    }
}
