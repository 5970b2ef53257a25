using KvFs.Core;
using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.BlockChannel.Connection;

/// <summary>Compares a payload with its checksums while it comes in, so that bytes are looked at while the processor still
/// has them at hand.</summary>
internal sealed class PieceCheck
{
    private readonly uint[] expected = new uint[WireLimits.MaxPieces];
    private int piece;
    private uint offset;
    private int left;
    private int leftInPiece;
    private uint crc;

    /// <summary>Where the checksums of the payload to come are put.</summary>
    public Span<uint> Expected => expected;

    /// <summary>Whether no piece differed so far.</summary>
    public bool IsIntact { get; private set; }

    /// <param name="start">The first byte to come, in its block.</param>
    /// <param name="length">Bytes to come.</param>
    public void Start(uint start, int length)
    {
        piece = 0;
        crc = 0;
        offset = start;
        left = length;
        leftInPiece = BlockPieces.First(start, length);
        IsIntact = true;
    }

    /// <summary>Takes the next bytes.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            ReadOnlySpan<byte> part = bytes[..Math.Min(bytes.Length, leftInPiece)];
            bytes = bytes[part.Length..];
            crc = Crc32C.Append(crc, part);
            offset += (uint)part.Length;
            left -= part.Length;
            leftInPiece -= part.Length;
            if (leftInPiece > 0) { continue; }
            IsIntact &= crc == expected[piece++];
            crc = 0;
            leftInPiece = BlockPieces.First(offset, left);
        }
    }
}
