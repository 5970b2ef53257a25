using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>One entry of a shard's log: a batch that was decided, with the drive and the reign it belongs to.</summary>
/// <remarks>
/// Key, 12 bytes: 0: 'E'; 1: key version 1; 2-3: shard; 4-11: index; big-endian, so that a shard's log is one range.
/// Value: 0: record version 1; 1-8: epoch; 9-24: RUID; 25 on: the <see cref="RecordBatch"/>; last 4 bytes: CRC-32C of key
/// and value before it. Little-endian but for the RUID. Source: docs/format.md#log.
/// </remarks>
public static class LogEntry
{
    public const int KeyBytes = 12;

    private const byte KeyKind = (byte)'E';
    private const byte Version = 1;
    private const int HeaderBytes = 1 + 8 + DriveId.Size;
    private const int ChecksumBytes = 4;

    public static void WriteKey(ShardId shard, LogIndex index, Span<byte> key)
    {
        key[0] = KeyKind;
        key[1] = Version;
        BinaryPrimitives.WriteUInt16BigEndian(key[2..], shard.Value);
        BinaryPrimitives.WriteUInt64BigEndian(key[4..], index.Value);
    }

    public static bool TryReadKey(ReadOnlySpan<byte> key, out ShardId shard, out LogIndex index)
    {
        shard = default;
        index = default;
        if (key.Length != KeyBytes || key[0] != KeyKind || key[1] != Version) { return false; }
        shard = new(BinaryPrimitives.ReadUInt16BigEndian(key[2..]));
        index = new(BinaryPrimitives.ReadUInt64BigEndian(key[4..]));
        return true;
    }

    /// <summary>Replaces <paramref name="value"/> by the entry's value.</summary>
    public static void WriteValue(
        ReadOnlySpan<byte> key, Epoch epoch, DriveId drive, ReadOnlySpan<byte> batch, ByteBuffer value)
    {
        ArgumentNullException.ThrowIfNull(value);
        value.Clear();
        Span<byte> bytes = value.Extend(HeaderBytes + batch.Length + ChecksumBytes);
        bytes[0] = Version;
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[1..], epoch.Value);
        drive.Write(bytes[9..]);
        batch.CopyTo(bytes[HeaderBytes..]);
        uint crc = Crc32C.Append(Crc32C.Compute(key), bytes[..^ChecksumBytes]);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[^ChecksumBytes..], crc);
    }

    /// <summary>Opens an entry's value: Ok, Corrupt, or NotSupported if a newer version wrote it.</summary>
    public static Status ReadValue(
        ReadOnlySpan<byte> key,
        ReadOnlySpan<byte> value,
        out Epoch epoch,
        out DriveId drive,
        out ReadOnlySpan<byte> batch)
    {
        epoch = default;
        drive = default;
        batch = default;
        if (value.Length < HeaderBytes + ChecksumBytes) { return Status.Corrupt; }
        uint crc = Crc32C.Append(Crc32C.Compute(key), value[..^ChecksumBytes]);
        if (crc != BinaryPrimitives.ReadUInt32LittleEndian(value[^ChecksumBytes..])) { return Status.Corrupt; }
        if (value[0] != Version) { return Status.NotSupported; }
        epoch = new(BinaryPrimitives.ReadUInt64LittleEndian(value[1..]));
        drive = DriveId.Read(value[9..]);
        batch = value[HeaderBytes..^ChecksumBytes];
        return Status.Ok;
    }
}
