using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>How far the making or deleting of a drive's folder has come. Bytes on disk: never renumber.</summary>
public enum DriveFolderState : byte
{
    /// <summary>The folder may be half made; nothing was acknowledged, so it is removed.</summary>
    Creating = 1,

    /// <summary>The folder is whole.</summary>
    Active = 2,

    /// <summary>The drive is gone; its folder may be half removed.</summary>
    Deleting = 3,
}

/// <summary>What a node knows of a drive's folder: a value of the <c>sys</c> family.</summary>
/// <remarks>Key, 18 bytes: 0: kind 'D'; 1: key version 1; 2-17: RUID, big-endian. Value, little-endian: 0: record
/// version; 1: state; 2-9: generation; of version 2, 10: spread; last 4 bytes: CRC-32C of all before. Version 1, which says nothing of a
/// spread, is of a drive that has none, and is written for it. Source: docs/format.md#system.</remarks>
/// <param name="State">How far the folder has come.</param>
/// <param name="Generation">Raised by every opening; a bitmap of another generation is not believed.</param>
public readonly record struct DriveFolderRecord(DriveFolderState State, ulong Generation)
{
    /// <summary>Length of the key, in bytes.</summary>
    public const int KeySize = 2 + DriveId.Size;

    /// <summary>Length of the longest value, in bytes.</summary>
    public const int MaxSize = 15;

    private const byte Kind = (byte)'D';
    private const byte KeyVersion = 1;
    private const byte PlainVersion = 1;
    private const byte SpreadVersion = 2;
    private const int SpreadOffset = 10;

    /// <summary>Percent of the pool's shards over which the drive's blocks are spread; 0: they are with the drive.</summary>
    public int Spread { get; init; }

    /// <summary>Length of the value, in bytes.</summary>
    public int Size => Spread == 0 ? MaxSize - 1 : MaxSize;

    /// <summary>No key of such a record comes before it.</summary>
    public static ReadOnlySpan<byte> FirstKey => [Kind, KeyVersion];

    /// <summary>Every key of such a record comes before it.</summary>
    public static ReadOnlySpan<byte> EndKey => [Kind, KeyVersion + 1];

    public static void WriteKey(DriveId drive, Span<byte> key)
    {
        FirstKey.CopyTo(key);
        drive.Write(key[2..]);
    }

    /// <summary>Reads a key; false if it is none.</summary>
    public static bool TryReadKey(ReadOnlySpan<byte> key, out DriveId drive)
    {
        drive = default;
        if (key.Length != KeySize || !key.StartsWith(FirstKey)) { return false; }
        drive = DriveId.Read(key[2..]);
        return true;
    }

    /// <summary>Fills <see cref="Size"/> bytes.</summary>
    public void Write(Span<byte> value)
    {
        Invariant.Check(Spread is >= 0 and <= ShardOfBlock.MaxSpread);
        value[0] = Spread == 0 ? PlainVersion : SpreadVersion;
        value[1] = (byte)State;
        BinaryPrimitives.WriteUInt64LittleEndian(value[2..], Generation);
        if (Spread != 0) { value[SpreadOffset] = (byte)Spread; }
        int checksumOffset = Size - sizeof(uint);
        BinaryPrimitives.WriteUInt32LittleEndian(value[checksumOffset..], Crc32C.Compute(value[..checksumOffset]));
    }

    /// <summary>Reads a value: Corrupt if it is damaged, NotSupported if a newer version wrote it.</summary>
    public static Status Read(ReadOnlySpan<byte> value, out DriveFolderRecord record)
    {
        record = default;
        if (!SystemRecord.IsIntact(value)) { return Status.Corrupt; }
        if (value[0] is not (PlainVersion or SpreadVersion)) { return Status.NotSupported; }
        bool isSpread = value[0] == SpreadVersion;
        if (value.Length != (isSpread ? MaxSize : MaxSize - 1) || value[1] is < (byte)DriveFolderState.Creating or > (byte)DriveFolderState.Deleting)
        {
            return Status.Corrupt;
        }

        int spread = isSpread ? value[SpreadOffset] : 0;
        if (isSpread && spread is < 1 or > ShardOfBlock.MaxSpread) { return Status.Corrupt; }
        record = new DriveFolderRecord(
            (DriveFolderState)value[1], BinaryPrimitives.ReadUInt64LittleEndian(value[2..]))
        {
            Spread = spread,
        };
        return Status.Ok;
    }
}

/// <summary>The disk's identity as the <c>sys</c> family keeps it.</summary>
/// <remarks>Key: 'I', key version 1. Value, 21 bytes: 0: record version 1; 1-16: disk id, big-endian; 17-20: CRC-32C of all
/// before, little-endian. Source: docs/format.md#system.</remarks>
public static class DiskIdentityRecord
{
    /// <summary>Length of the value, in bytes.</summary>
    public const int Size = 1 + DiskId.Size + sizeof(uint);

    private const byte RecordVersion = 1;
    private const int ChecksumOffset = Size - sizeof(uint);

    public static ReadOnlySpan<byte> Key => [(byte)'I', 1];

    public static void Write(DiskId disk, Span<byte> value)
    {
        value[0] = RecordVersion;
        disk.Write(value[1..]);
        BinaryPrimitives.WriteUInt32LittleEndian(value[ChecksumOffset..], Crc32C.Compute(value[..ChecksumOffset]));
    }

    /// <summary>Reads a value: Corrupt if it is damaged, NotSupported if a newer version wrote it.</summary>
    public static Status Read(ReadOnlySpan<byte> value, out DiskId disk)
    {
        disk = default;
        if (!SystemRecord.IsIntact(value)) { return Status.Corrupt; }
        if (value[0] != RecordVersion) { return Status.NotSupported; }
        if (value.Length != Size) { return Status.Corrupt; }
        disk = DiskId.Read(value[1..]);
        return Status.Ok;
    }
}

/// <summary>What all values of the <c>sys</c> family share.</summary>
internal static class SystemRecord
{
    /// <summary>Whether the last four bytes are the CRC-32C of all before, and there is something before.</summary>
    internal static bool IsIntact(ReadOnlySpan<byte> value) =>
        value.Length > sizeof(uint)
        && BinaryPrimitives.ReadUInt32LittleEndian(value[^sizeof(uint)..]) == Crc32C.Compute(value[..^sizeof(uint)]);
}
