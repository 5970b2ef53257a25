using System.Runtime.CompilerServices;

namespace KvFs.Direct;

/// <summary>Bytes that travel beside a message, in memory that is used again: a block must not cost fresh memory each time.</summary>
/// <remarks>It begins at a multiple of 4 KiB, so that a disk takes it as it is. Whoever has it disposes it when nobody looks at its bytes
/// any more; what is forgotten is the garbage collector's.</remarks>
public sealed class AttachedBytes : IDisposable
{
    private const int PageBytes = 4 << 10;

    /// <summary>The smallest buffer, and the largest that is kept: a whole block of the direct streams.</summary>
    private const int MinBytes = 64 << 10;

    private const int MaxKeptBytes = 4 << 20;

    /// <summary>What the process keeps for later, all in all.</summary>
    private const long MaxFreeBytes = 64 << 20;

    private static readonly Lock s_gate = new();

    /// <summary>Free buffers, by the binary logarithm of their size.</summary>
    private static readonly Stack<byte[]>[] s_free = [.. Enumerable.Range(0, 32).Select(static _ => new Stack<byte[]>())];

    private static long s_freeBytes;

    private byte[]? buffer;

    private AttachedBytes(byte[] buffer, int start, int length)
    {
        this.buffer = buffer;
        Memory = buffer.AsMemory(start, length);
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
                if (s_free[int.Log2(bytes)].TryPop(out found)) { s_freeBytes -= bytes; }
            }
        }

        // Pinned, so that its pages stay where they are aligned.
        found ??= GC.AllocateUninitializedArray<byte>(bytes + PageBytes, pinned: true);
        return new(found, StartOf(found), length);
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref buffer, null) is not { } given) { return; }
        int bytes = given.Length - PageBytes;
        if (bytes > MaxKeptBytes) { return; }
        lock (s_gate)
        {
            if (s_freeBytes + bytes > MaxFreeBytes) { return; }
            s_freeBytes += bytes;
            s_free[int.Log2(bytes)].Push(given);
        }
    }

    private static int SizeOf(int length) =>
        length <= MinBytes ? MinBytes : length <= MaxKeptBytes ? (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)length) : length;

    /// <summary>Where the first page begins.</summary>
    private static unsafe int StartOf(byte[] pinned)
    {
        // Safe: the address is looked at, not followed, and the array is pinned for good.
        nint address = (nint)Unsafe.AsPointer(ref pinned[0]);
        return (int)(-address & (PageBytes - 1));
    }
}
