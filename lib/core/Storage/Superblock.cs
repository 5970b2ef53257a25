using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>The content of <c>drives/&lt;RUID&gt;/.meta</c>: whose bytes the idvd beside it holds.</summary>
/// <remarks>
/// Layout, 4,096 bytes, little-endian: 0-7: magic "KVFSMETA"; 8-11: format version 1; 12-15: bytes of an allocation unit;
/// 16-31: RUID, big-endian; 32-47: disk id, big-endian; 48-51: bytes of a chunk; 64-575: encryption header, zero = not
/// encrypted; 4092-4095: CRC-32C of all before. All else is zero. Magic, version and checksum stay where they are in every
/// version, so that an older program can tell a newer format from damage. Written once. Source: docs/format.md#superblock.
/// </remarks>
public readonly record struct Superblock(DriveId Drive, DiskId Disk)
{
    /// <summary>Length, in bytes.</summary>
    public const int Size = 4096;

    public const uint FormatVersion = 1;

    private const int EncryptionOffset = 64;
    private const int EncryptionBytes = 512;
    private const int ChecksumOffset = Size - sizeof(uint);

    private static ReadOnlySpan<byte> Magic => "KVFSMETA"u8;

    /// <summary>Fills <see cref="Size"/> bytes.</summary>
    public void Write(Span<byte> destination)
    {
        destination = destination[..Size];
        destination.Clear();
        Magic.CopyTo(destination);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[8..], FormatVersion);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[12..], Extent.UnitBytes);
        Drive.Write(destination[16..]);
        Disk.Write(destination[32..]);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[48..], BuddyAllocator.ChunkBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(
            destination[ChecksumOffset..], Crc32C.Compute(destination[..ChecksumOffset]));
    }

    /// <summary>Reads one: Corrupt if it is damaged, truncated or none of ours; NotSupported if a newer version wrote
    /// it, or it is encrypted.</summary>
    public static Status Read(ReadOnlySpan<byte> source, out Superblock superblock)
    {
        superblock = default;
        if (source.Length != Size || !source.StartsWith(Magic)) { return Status.Corrupt; }
        uint stored = BinaryPrimitives.ReadUInt32LittleEndian(source[ChecksumOffset..]);
        if (stored != Crc32C.Compute(source[..ChecksumOffset])) { return Status.Corrupt; }
        if (BinaryPrimitives.ReadUInt32LittleEndian(source[8..]) != FormatVersion
            || BinaryPrimitives.ReadUInt32LittleEndian(source[12..]) != Extent.UnitBytes
            || BinaryPrimitives.ReadUInt32LittleEndian(source[48..]) != BuddyAllocator.ChunkBytes
            || source.Slice(EncryptionOffset, EncryptionBytes).ContainsAnyExcept((byte)0))
        {
            return Status.NotSupported;
        }

        superblock = new Superblock(DriveId.Read(source[16..]), DiskId.Read(source[32..]));
        return Status.Ok;
    }
}
