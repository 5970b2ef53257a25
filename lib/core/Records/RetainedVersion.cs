using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>A version of a drive that somebody still sees: the payload of a snapshot's, and of a pin's, record.</summary>
/// <remarks>Layout, 32 bytes, little-endian: 0-7: CoW number; 8-15: created, ns since 1970; 16-23: used bytes; 24-31: used
/// VNodes, both as of that version: what a clone starts with. Source: docs/format.md#snapshot.</remarks>
/// <param name="At">The version: it shows what transactions up to this number wrote.</param>
/// <param name="Created">When the snapshot, or the clone that pins, was made.</param>
/// <param name="UsedBytes">Backed bytes of all files.</param>
/// <param name="UsedInodes">VNodes.</param>
public readonly record struct RetainedVersion(CowNumber At, Timestamp Created, ulong UsedBytes, ulong UsedInodes)
{
    public const int PayloadBytes = 32;

    public void Encode(Span<byte> payload)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(payload, At.Value);
        BinaryPrimitives.WriteInt64LittleEndian(payload[8..], Created.Nanoseconds);
        BinaryPrimitives.WriteUInt64LittleEndian(payload[16..], UsedBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(payload[24..], UsedInodes);
    }

    public static bool TryDecode(ReadOnlySpan<byte> payload, out RetainedVersion version)
    {
        version = default;
        if (payload.Length != PayloadBytes) { return false; }
        version = new(
            new(BinaryPrimitives.ReadUInt64LittleEndian(payload)),
            new(BinaryPrimitives.ReadInt64LittleEndian(payload[8..])),
            BinaryPrimitives.ReadUInt64LittleEndian(payload[16..]),
            BinaryPrimitives.ReadUInt64LittleEndian(payload[24..]));
        return true;
    }
}
