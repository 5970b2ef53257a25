using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>The key of a block's entry in the <c>block</c> family.</summary>
/// <remarks>Layout, 26 bytes: 0-15: RUID; 16: kind 'B'; 17: key version 1; 18-25: block id; all big-endian, so one range
/// holds a drive's blocks in the order of their ids. Source: docs/format.md#block.</remarks>
public static class BlockKey
{
    /// <summary>Length, in bytes.</summary>
    public const int Size = 26;

    /// <summary>Length of the bounds of a drive's range, in bytes.</summary>
    public const int PrefixSize = BlockFamilyKey.PrefixSize;

    private const byte Kind = (byte)'B';
    private const byte KeyVersion = 1;

    /// <summary>Fills <see cref="Size"/> bytes.</summary>
    public static void Write(BlockName block, Span<byte> key)
    {
        WritePrefix(block.Owner, key);
        BinaryPrimitives.WriteUInt64BigEndian(key[PrefixSize..], block.Id.Value);
    }

    /// <summary>Fills <see cref="PrefixSize"/> bytes: what no key of the drive's blocks comes before.</summary>
    public static void WritePrefix(DriveId drive, Span<byte> key) => BlockFamilyKey.WritePrefix(drive, Kind, KeyVersion, key);

    /// <summary>Fills <see cref="PrefixSize"/> bytes: what every key of the drive's blocks comes before.</summary>
    public static void WriteEnd(DriveId drive, Span<byte> key) => BlockFamilyKey.WriteEnd(drive, Kind, KeyVersion, key);

    /// <summary>Reads a key; false if it is none.</summary>
    public static bool TryRead(ReadOnlySpan<byte> key, out BlockName block)
    {
        block = default;
        if (key.Length != Size || !BlockFamilyKey.IsOf(key, Kind, KeyVersion)) { return false; }
        block = new BlockName(DriveId.Read(key), new BlockId(BinaryPrimitives.ReadUInt64BigEndian(key[PrefixSize..])));
        return true;
    }
}
