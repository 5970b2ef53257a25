using System.Buffers.Binary;
using KvFs.Core;

namespace KvFs.Protocol.BlockChannel.Wire;

/// <summary>The next bytes of a write, or some of those that a read asked for.</summary>
/// <remarks>Fields behind the header: 20-23: offset of the first byte in the block; 24 on: checksums of the payload's pieces.
/// Flags: 1, of data only: these are the last. Source: docs/block-channel.md#chunks.</remarks>
internal static class ChunkFrame
{
    /// <summary>Flag: with these bytes the read is answered, and Ok.</summary>
    public const byte Last = 1;

    private const int ChecksumsStart = 24;

    /// <summary>Writes the head; answers its length.</summary>
    public static int Put(
        FrameKind kind, byte flags, ulong request, uint offset, int payloadBytes, ReadOnlySpan<uint> checksums, Span<byte> head)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(head[FrameHeader.Size..], offset);
        Checksums.Write(checksums, head[ChecksumsStart..]);
        int length = ChecksumsStart + (checksums.Length * sizeof(uint));
        new FrameHeader(kind, flags, request, length, payloadBytes).Seal(head);
        return length;
    }

    /// <summary>Reads a whole head that is intact.</summary>
    /// <returns>Null, or what is wrong.</returns>
    public static string? Get(in FrameHeader header, ReadOnlySpan<byte> head, Span<uint> checksums, out uint offset)
    {
        offset = 0;
        int known = header.Kind == FrameKind.Data ? Last : 0;
        if (header.HeadBytes < ChecksumsStart || header.PayloadBytes == 0) { return "a chunk has an offset and a payload"; }
        if ((header.Flags & ~known) != 0) { return $"a chunk has no flags {header.Flags}"; }
        offset = BinaryPrimitives.ReadUInt32LittleEndian(head[FrameHeader.Size..]);
        if (offset >= Limits.BlockBytes) { return $"a block has no byte {offset}"; }
        if (header.HeadBytes != ChecksumsStart + (BlockPieces.Count(offset, header.PayloadBytes) * sizeof(uint)))
        {
            return $"a chunk's head with {header.HeadBytes} bytes does not fit {header.PayloadBytes} bytes at {offset}";
        }

        Checksums.Read(head[ChecksumsStart..], checksums);
        return null;
    }

    /// <summary>What is wrong with a chunk between <paramref name="offset"/> and <paramref name="end"/>; null if nothing is:
    /// it has bytes, no more than there are, and it ends at the end or where a unit of the block does.</summary>
    public static string? Misfit(uint offset, int payloadBytes, int end)
    {
        long left = (long)end - offset;
        if (payloadBytes == 0 || payloadBytes > left) { return $"a chunk with {payloadBytes} bytes where {left} are left"; }
        return payloadBytes == left || (offset + (uint)payloadBytes) % Limits.ChecksumUnitBytes == 0
            ? null
            : $"a chunk ends at {offset + (uint)payloadBytes}, which is no multiple of 64 KiB";
    }
}
