using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>Where the bytes of a block are and what they must look like: a value of the <c>block</c> family.</summary>
/// <remarks>
/// Layout, little-endian: 0: record version 1; 1: zero; 2-3: extents; 4-7: length in bytes; per extent: first unit (u32),
/// units (u16); per 64 KiB of the block: CRC-32C of its bytes (the last one of what is left, without padding); last 4
/// bytes: CRC-32C of all before. Immutable, so readers share it. Source: docs/format.md#block.
/// </remarks>
public sealed class BlockIndexEntry
{
    public const byte RecordVersion = 1;

    private const int HeaderBytes = 8;
    private const int ExtentBytes = 6;

    private readonly Extent[] extents;
    private readonly uint[] checksums;

    /// <summary>Takes the arrays over.</summary>
    public BlockIndexEntry(int length, Extent[] extents, uint[] checksums)
    {
        Invariant.Check(length is > 0 and <= Limits.BlockBytes);
        Invariant.Check(checksums.Length == UnitCount(length));
        Invariant.Check(CountUnits(extents) == Extent.UnitsOf(length));
        Length = length;
        this.extents = extents;
        this.checksums = checksums;
    }

    /// <summary>Bytes of the block.</summary>
    public int Length { get; }

    /// <summary>Where its bytes are, in their order.</summary>
    public ReadOnlySpan<Extent> Extents => extents;

    /// <summary>CRC-32C of each 64 KiB.</summary>
    public ReadOnlySpan<uint> Checksums => checksums;

    /// <summary>Checksum units of a block of so many bytes.</summary>
    public static int UnitCount(int length) => (length + Limits.ChecksumUnitBytes - 1) / Limits.ChecksumUnitBytes;

    /// <summary>Whether the block has this length and these checksums, wherever it lies.</summary>
    public bool HasContent(int length, ReadOnlySpan<uint> contentChecksums) =>
        Length == length && contentChecksums.SequenceEqual(checksums);

    /// <summary>Writes the record, replacing the content of <paramref name="value"/>.</summary>
    public void Write(ByteBuffer value)
    {
        value.Clear();
        Span<byte> rest = value.Extend(
            HeaderBytes + (extents.Length * ExtentBytes) + (checksums.Length * sizeof(uint)) + sizeof(uint));
        rest[0] = RecordVersion;
        rest[1] = 0;
        BinaryPrimitives.WriteUInt16LittleEndian(rest[2..], (ushort)extents.Length);
        BinaryPrimitives.WriteInt32LittleEndian(rest[4..], Length);
        rest = rest[HeaderBytes..];
        foreach (Extent extent in extents)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(rest, extent.Start);
            BinaryPrimitives.WriteUInt16LittleEndian(rest[4..], (ushort)extent.Count);
            rest = rest[ExtentBytes..];
        }

        foreach (uint checksum in checksums)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(rest, checksum);
            rest = rest[sizeof(uint)..];
        }

        BinaryPrimitives.WriteUInt32LittleEndian(rest, Crc32C.Compute(value.Span[..^sizeof(uint)]));
    }

    /// <summary>Reads a record: Corrupt if it is damaged or makes no sense, NotSupported if a newer version wrote it.</summary>
    public static Status Read(ReadOnlySpan<byte> value, out BlockIndexEntry? entry)
    {
        entry = null;
        if (value.Length < HeaderBytes + sizeof(uint)) { return Status.Corrupt; }
        uint stored = BinaryPrimitives.ReadUInt32LittleEndian(value[^sizeof(uint)..]);
        if (stored != Crc32C.Compute(value[..^sizeof(uint)])) { return Status.Corrupt; }
        if (value[0] != RecordVersion || value[1] != 0) { return Status.NotSupported; }
        int extentCount = BinaryPrimitives.ReadUInt16LittleEndian(value[2..]);
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(value[4..]);
        if (length is 0 or > Limits.BlockBytes) { return Status.Corrupt; }
        int unitCount = UnitCount((int)length);
        int size = HeaderBytes + (extentCount * ExtentBytes) + (unitCount * sizeof(uint)) + sizeof(uint);
        if (value.Length != size) { return Status.Corrupt; }

        ReadOnlySpan<byte> rest = value[HeaderBytes..];
        Extent[] extents = new Extent[extentCount];
        for (int i = 0; i < extents.Length; i++, rest = rest[ExtentBytes..])
        {
            extents[i] = new Extent(
                BinaryPrimitives.ReadUInt32LittleEndian(rest), BinaryPrimitives.ReadUInt16LittleEndian(rest[4..]));
            if (extents[i].Count is 0 or > Extent.MaxUnits) { return Status.Corrupt; }
        }

        if (CountUnits(extents) != Extent.UnitsOf((int)length)) { return Status.Corrupt; }
        uint[] checksums = new uint[unitCount];
        for (int i = 0; i < checksums.Length; i++, rest = rest[sizeof(uint)..])
        {
            checksums[i] = BinaryPrimitives.ReadUInt32LittleEndian(rest);
        }

        entry = new BlockIndexEntry((int)length, extents, checksums);
        return Status.Ok;
    }

    private static long CountUnits(ReadOnlySpan<Extent> extents)
    {
        long units = 0;
        foreach (Extent extent in extents) { units += extent.Count; }
        return units;
    }
}
