using System.Buffers;

namespace KvFs.Direct;

/// <summary>Bytes that wait for a socket to take them: they go in at one end and out at the other, and are never moved.</summary>
/// <remarks>Not thread safe: its stream's gate guards it.</remarks>
internal sealed class OutgoingBytes
{
    /// <summary>Of one piece: what one call gives to the socket.</summary>
    public const int PieceBytes = 64 << 10;

    /// <summary>All but the last are full. The one that is left when all is sent stays.</summary>
    private readonly Queue<byte[]> pieces = new([new byte[PieceBytes]]);

    private byte[] last;

    /// <summary>What was taken of the first piece.</summary>
    private int start;

    /// <summary>What is filled of the last piece.</summary>
    private int end;

    public OutgoingBytes() => last = pieces.Peek();

    public long Length { get; private set; }

    /// <summary>Puts bytes behind those that wait.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (end == PieceBytes)
            {
                last = ArrayPool<byte>.Shared.Rent(PieceBytes);
                pieces.Enqueue(last);
                end = 0;
            }

            ReadOnlySpan<byte> part = bytes[..Math.Min(bytes.Length, PieceBytes - end)];
            part.CopyTo(last.AsSpan(end));
            end += part.Length;
            Length += part.Length;
            bytes = bytes[part.Length..];
        }
    }

    /// <summary>The first of the bytes that wait; none: nothing waits.</summary>
    public ReadOnlySpan<byte> Next => pieces.Peek().AsSpan(start..(pieces.Count == 1 ? end : PieceBytes));

    /// <summary>So many of <see cref="Next"/> have left.</summary>
    public void Take(int bytes)
    {
        start += bytes;
        Length -= bytes;
        if (pieces.Count > 1 && start == PieceBytes)
        {
            ArrayPool<byte>.Shared.Return(pieces.Dequeue());
            start = 0;
        }

        if (pieces.Count == 1 && start == end)
        {
            start = 0;
            end = 0;
        }
    }

    /// <summary>None of what waits will leave.</summary>
    public void Clear()
    {
        while (Length > 0) { Take(Next.Length); }
    }
}
