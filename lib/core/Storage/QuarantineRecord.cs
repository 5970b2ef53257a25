using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>What is kept of a block that was bad and whose place a good copy has taken: a value of the <c>block</c> family.
/// </summary>
/// <remarks>
/// Key, 30 bytes: 0-15: RUID; 16: kind 'Q'; 17: key version 1; 18-25: block id; 26-29: first unit of its first extent, or
/// 2^32 - 1 where it is not known which extents it had; all big-endian. Value, little-endian: 0: record version 1; 1: zero; 2-3:
/// extents n; n times first unit (u32), units (u16); then the index entry as it was found, if that was what was damaged; last 4
/// bytes: CRC-32C of all before. The bytes of its extents are given to nobody while the record is there.
/// Source: docs/format.md#quarantine.</remarks>
public sealed class QuarantineRecord
{
    /// <summary>Length of the key, in bytes.</summary>
    public const int KeySize = PrefixSize + 8 + 4;

    /// <summary>Length of the bounds of a drive's range, in bytes.</summary>
    public const int PrefixSize = BlockFamilyKey.PrefixSize;

    public const byte RecordVersion = 1;

    /// <summary>Bytes of a damaged index entry that are kept: what the entry of the largest block in some hundred pieces has.
    /// </summary>
    public const int MaxDamagedBytes = 4096;

    private const byte Kind = (byte)'Q';
    private const byte KeyVersion = 1;
    private const int HeaderBytes = 4;
    private const int ExtentBytes = 6;

    private readonly Extent[] extents;
    private readonly byte[] damagedEntry;

    /// <summary>Takes the arrays over.</summary>
    /// <param name="extents">Where the bad bytes are; none if that is not known.</param>
    /// <param name="damagedEntry">The index entry, if that was damaged; cut to <see cref="MaxDamagedBytes"/> before.</param>
    public QuarantineRecord(Extent[] extents, byte[] damagedEntry)
    {
        ArgumentNullException.ThrowIfNull(extents);
        ArgumentNullException.ThrowIfNull(damagedEntry);
        Invariant.Check(damagedEntry.Length <= MaxDamagedBytes && extents.Length <= Extent.MaxUnits);
        this.extents = extents;
        this.damagedEntry = damagedEntry;
    }

    /// <summary>Bytes that nobody gets.</summary>
    public ReadOnlySpan<Extent> Extents => extents;

    /// <summary>The damaged index entry; empty: it was not the entry.</summary>
    public ReadOnlySpan<byte> DamagedEntry => damagedEntry;

    /// <summary>Bytes of the idvd that are kept out of use.</summary>
    public long Bytes
    {
        get
        {
            long bytes = 0;
            foreach (Extent extent in extents) { bytes += extent.Length; }
            return bytes;
        }
    }

    /// <summary>Fills <see cref="KeySize"/> bytes.</summary>
    public void WriteKey(BlockName block, Span<byte> key)
    {
        WritePrefix(block.Owner, key);
        BinaryPrimitives.WriteUInt64BigEndian(key[PrefixSize..], block.Id.Value);
        BinaryPrimitives.WriteUInt32BigEndian(key[(PrefixSize + 8)..], extents.Length == 0 ? uint.MaxValue : extents[0].Start);
    }

    /// <summary>Fills <see cref="PrefixSize"/> bytes: what no key of the drive's records comes before.</summary>
    public static void WritePrefix(DriveId drive, Span<byte> key) => BlockFamilyKey.WritePrefix(drive, Kind, KeyVersion, key);

    /// <summary>Fills <see cref="PrefixSize"/> bytes: what every key of the drive's records comes before.</summary>
    public static void WriteEnd(DriveId drive, Span<byte> key) => BlockFamilyKey.WriteEnd(drive, Kind, KeyVersion, key);

    /// <summary>Reads which block a key is about; false if it is none.</summary>
    public static bool TryReadKey(ReadOnlySpan<byte> key, out BlockName block)
    {
        block = default;
        if (key.Length != KeySize || !BlockFamilyKey.IsOf(key, Kind, KeyVersion)) { return false; }
        block = new(DriveId.Read(key), new(BinaryPrimitives.ReadUInt64BigEndian(key[PrefixSize..])));
        return true;
    }

    /// <summary>Writes the value, replacing the content of <paramref name="value"/>.</summary>
    public void Write(ByteBuffer value)
    {
        ArgumentNullException.ThrowIfNull(value);
        value.Clear();
        Span<byte> rest = value.Extend(HeaderBytes + (extents.Length * ExtentBytes) + damagedEntry.Length + sizeof(uint));
        rest[0] = RecordVersion;
        rest[1] = 0;
        BinaryPrimitives.WriteUInt16LittleEndian(rest[2..], (ushort)extents.Length);
        rest = rest[HeaderBytes..];
        foreach (Extent extent in extents)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(rest, extent.Start);
            BinaryPrimitives.WriteUInt16LittleEndian(rest[4..], (ushort)extent.Count);
            rest = rest[ExtentBytes..];
        }

        damagedEntry.CopyTo(rest);
        BinaryPrimitives.WriteUInt32LittleEndian(rest[damagedEntry.Length..], Crc32C.Compute(value.Span[..^sizeof(uint)]));
    }

    /// <summary>Reads a value: Corrupt if it is damaged or makes no sense, NotSupported if a newer version wrote it.</summary>
    public static Status Read(ReadOnlySpan<byte> value, out QuarantineRecord? record)
    {
        record = null;
        if (value.Length < HeaderBytes + sizeof(uint) || !SystemRecord.IsIntact(value)) { return Status.Corrupt; }
        if (value[0] != RecordVersion || value[1] != 0) { return Status.NotSupported; }
        int count = BinaryPrimitives.ReadUInt16LittleEndian(value[2..]);
        ReadOnlySpan<byte> rest = value[HeaderBytes..^sizeof(uint)];
        if (rest.Length < count * ExtentBytes || rest.Length - (count * ExtentBytes) > MaxDamagedBytes) { return Status.Corrupt; }
        Extent[] extents = new Extent[count];
        for (int at = 0; at < count; at++, rest = rest[ExtentBytes..])
        {
            extents[at] = new(BinaryPrimitives.ReadUInt32LittleEndian(rest), BinaryPrimitives.ReadUInt16LittleEndian(rest[4..]));
            if (extents[at].Count is 0 or > Extent.MaxUnits) { return Status.Corrupt; }
        }

        record = new(extents, rest.ToArray());
        return Status.Ok;
    }
}
