using System.Buffers.Binary;
using KvFs.Core;

namespace KvFs.Protocol.BlockChannel.Wire;

/// <summary>What every frame starts with.</summary>
/// <remarks>Layout, 20 bytes, little-endian: 0-3: CRC-32C of bytes 4 to the end of the head; 4-5: bytes of the head: this
/// header, the fields of its kind, the checksums of the payload's pieces; 6: kind; 7: flags; 8-11: bytes of payload behind
/// the head; 12-19: request. Source: docs/block-channel.md#frames.</remarks>
internal readonly record struct FrameHeader(FrameKind Kind, byte Flags, ulong Request, int HeadBytes, int PayloadBytes)
{
    /// <summary>Bytes of the header itself.</summary>
    public const int Size = 20;

    /// <summary>Bytes of a head, at the most: also those of kinds that are not known yet.</summary>
    public const int MaxHeadBytes = 1024;

    /// <summary>Reads the header at the start of <paramref name="source"/>; nothing is checked but lengths.</summary>
    /// <param name="source">20 bytes or more.</param>
    /// <param name="maxPayloadBytes">What the reader told its peer that it takes.</param>
    /// <param name="header">The header.</param>
    /// <returns>Null, or what is wrong.</returns>
    public static string? Read(ReadOnlySpan<byte> source, int maxPayloadBytes, out FrameHeader header)
    {
        header = default;
        int head = BinaryPrimitives.ReadUInt16LittleEndian(source[4..]);
        uint payload = BinaryPrimitives.ReadUInt32LittleEndian(source[8..]);
        if (head is < Size or > MaxHeadBytes) { return $"a frame's head cannot have {head} bytes"; }
        if (payload > maxPayloadBytes) { return $"a frame with {payload} bytes of payload exceeds {maxPayloadBytes}"; }
        header = new((FrameKind)source[6], source[7], BinaryPrimitives.ReadUInt64LittleEndian(source[12..]), head, (int)payload);
        return null;
    }

    /// <summary>Whether a whole head is as it was sent.</summary>
    public static bool IsIntact(ReadOnlySpan<byte> head) =>
        BinaryPrimitives.ReadUInt32LittleEndian(head) == Crc32C.Compute(head[4..]);

    /// <summary>Writes the header before fields and checksums that are in their place already, and the checksum of all.</summary>
    /// <param name="head">The whole head, <see cref="HeadBytes"/> long or longer.</param>
    public void Seal(Span<byte> head)
    {
        head = head[..HeadBytes];
        BinaryPrimitives.WriteUInt16LittleEndian(head[4..], (ushort)HeadBytes);
        head[6] = (byte)Kind;
        head[7] = Flags;
        BinaryPrimitives.WriteInt32LittleEndian(head[8..], PayloadBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(head[12..], Request);
        BinaryPrimitives.WriteUInt32LittleEndian(head, Crc32C.Compute(head[4..]));
    }
}
