using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>What tells two sets of blocks apart in a few bytes.</summary>
/// <remarks>The sum, modulo 2^64, of a hash of each block, so that the order does not matter. Equal sets have equal digests; sets that
/// rot or chance made different have different ones, but for one in 2^64. On the wire: never change it.</remarks>
/// <param name="Count">Blocks.</param>
/// <param name="Sum">Of their hashes.</param>
public readonly record struct BlockSetDigest(ulong Count, ulong Sum)
{
    /// <summary>Bytes that are hashed of the largest block.</summary>
    private const int MaxBytes = 12 + (Limits.BlockBytes / Limits.ChecksumUnitBytes * sizeof(uint));

    public BlockSetDigest With(ulong hash) => new(Count + 1, unchecked(Sum + hash));

    /// <summary>XXH64, seed 0, of the id (8 bytes), the length (4) and the checksums (4 each), little-endian.</summary>
    public static ulong HashOf(BlockId id, BlockIndexEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        Span<byte> bytes = stackalloc byte[MaxBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, id.Value);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[8..], entry.Length);
        int filled = 12;
        foreach (uint checksum in entry.Checksums)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(bytes[filled..], checksum);
            filled += sizeof(uint);
        }

        return XxHash64.Compute(bytes[..filled]);
    }
}
