using KvFs.Core;

namespace KvFs.Protocol.BlockChannel;

/// <summary>The pieces of a run of a block's bytes: what is left of it between multiples of 64 KiB of the block.</summary>
/// <remarks>A piece that is a whole unit of the block has the checksum that the disk keeps of the unit, so what was computed
/// where the bytes were made goes with them as it is. The others have one of their own.</remarks>
public static class BlockPieces
{
    /// <summary>How many pieces there are.</summary>
    /// <param name="offset">First byte of the run, in the block.</param>
    /// <param name="length">Bytes of the run, 0 to 16 MiB.</param>
    public static int Count(uint offset, int length) => length == 0
        ? 0
        : (int)(((offset + (uint)length - 1) / Limits.ChecksumUnitBytes) - (offset / Limits.ChecksumUnitBytes)) + 1;

    /// <summary>Bytes of the first piece.</summary>
    public static int First(uint offset, int length) =>
        Math.Min(Limits.ChecksumUnitBytes - (int)(offset % Limits.ChecksumUnitBytes), length);

    /// <summary>Computes the CRC-32C of each piece.</summary>
    /// <param name="offset">First byte of the run, in the block.</param>
    /// <param name="bytes">The run.</param>
    /// <param name="checksums">Takes one for each piece; may be longer.</param>
    public static void Checksum(uint offset, ReadOnlySpan<byte> bytes, Span<uint> checksums)
    {
        for (int piece = 0; !bytes.IsEmpty; piece++)
        {
            int length = First(offset, bytes.Length);
            checksums[piece] = Crc32C.Compute(bytes[..length]);
            offset += (uint)length;
            bytes = bytes[length..];
        }
    }
}
