using System.Numerics;
using System.Runtime.CompilerServices;
using KvFs.Memory;

namespace KvFs.Direct;

/// <summary>Bytes that travel beside a message, in memory that is used again: a block must not cost fresh memory each time.</summary>
/// <remarks>It begins at a multiple of 4 KiB, so that a disk takes it as it is; large ones lie in large pages. Whoever has it disposes it when nobody looks at its bytes
/// any more; what is forgotten is the garbage collector's.</remarks>
public sealed class AttachedBytes : IDisposable
{
    /// <summary>The smallest buffer, and the largest that is kept: a whole block of the direct streams.</summary>
    private const int MinBytes = 64 << 10;

    /// <summary>The largest buffer that does not lie in large pages.</summary>
    private const int MaxSmallBytes = 256 << 10;

    private const int MaxKeptBytes = 4 << 20;

    /// <summary>What the process keeps for later, all in all.</summary>
    private const long MaxFreeBytes = 64 << 20;

    private static readonly Lock s_gate = new();

    /// <summary>Free buffers, by the binary logarithm of their size.</summary>
    private static readonly Stack<byte[]>[] s_free = [.. Enumerable.Range(0, 32).Select(static _ => new Stack<byte[]>())];

    private static long s_freeBytes;

    private readonly int bytes;
    private byte[]? buffer;

    private AttachedBytes(byte[] buffer, int bytes, int length)
    {
        this.buffer = buffer;
        this.bytes = bytes;
        Memory = buffer.AsMemory(StartOf(buffer, BoundaryOf(bytes)), length);
    }

    /// <summary>The bytes. Their content is undefined until somebody fills them.</summary>
    public Memory<byte> Memory { get; }

    /// <param name="length">How many; not negative.</param>
    public static AttachedBytes Rent(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        int bytes = SizeOf(length);
        byte[]? found = null;
        if (bytes <= MaxKeptBytes)
        {
            lock (s_gate)
            {
                if (s_free[int.Log2(bytes)].TryPop(out found)) { s_freeBytes -= found.Length; }
            }
        }

        return new(found ?? Allocate(bytes), bytes, length);
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref buffer, null) is not { } given) { return; }
        if (bytes > MaxKeptBytes) { return; }
        lock (s_gate)
        {
            if (s_freeBytes + given.Length > MaxFreeBytes) { return; }
            s_freeBytes += given.Length;
            s_free[int.Log2(bytes)].Push(given);
        }
    }

    /// <summary>Bytes of the buffer: a power of two, so that it is found again; nothing between a quarter of a MiB and a large page, so that what
    /// goes to a disk in one call lies in one.</summary>
    private static int SizeOf(int length) => length switch
    {
        <= MinBytes => MinBytes,
        <= MaxSmallBytes => (int)BitOperations.RoundUpToPowerOf2((uint)length),
        <= LargePages.Bytes => LargePages.Bytes,
        <= MaxKeptBytes => MaxKeptBytes,
        _ => length,
    };

    /// <summary>The boundary that the first byte of a buffer of a size lies on.</summary>
    private static int BoundaryOf(int bytes) => bytes <= MaxSmallBytes ? AlignedMemory.PageBytes : LargePages.Bytes;

    /// <summary>A buffer, and what it takes to begin on the boundary.</summary>
    private static unsafe byte[] Allocate(int bytes)
    {
        int boundary = BoundaryOf(bytes);

        // Pinned, so that its pages stay where they are aligned.
        byte[] pinned = GC.AllocateUninitializedArray<byte>(bytes + boundary, pinned: true);

        // Safe: within the array, which is pinned for good.
        if (boundary == LargePages.Bytes) { LargePages.Advise(Unsafe.AsPointer(ref pinned[StartOf(pinned, boundary)]), (nuint)bytes); }
        return pinned;
    }

    /// <summary>Where the first page begins.</summary>
    private static unsafe int StartOf(byte[] pinned, int boundary)
    {
        // Safe: the address is looked at, not followed, and the array is pinned for good.
        nint address = (nint)Unsafe.AsPointer(ref pinned[0]);
        return (int)(-address & (boundary - 1));
    }
}
