using System.Buffers.Binary;

namespace KvFs.Protocol.BlockChannel.Wire;

/// <summary>The checksums at the end of a head: one u32, little-endian, for each piece of the payload.</summary>
internal static class Checksums
{
    public static void Write(ReadOnlySpan<uint> checksums, Span<byte> destination)
    {
        foreach (uint checksum in checksums)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(destination, checksum);
            destination = destination[sizeof(uint)..];
        }
    }

    /// <summary>Reads as many as there are bytes for.</summary>
    public static void Read(ReadOnlySpan<byte> source, Span<uint> checksums)
    {
        for (int at = 0; !source.IsEmpty; at++, source = source[sizeof(uint)..])
        {
            checksums[at] = BinaryPrimitives.ReadUInt32LittleEndian(source);
        }
    }
}
