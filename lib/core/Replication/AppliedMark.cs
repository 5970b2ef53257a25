using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>How far a shard's log is applied: written into the <c>ns</c> family with what it speaks of.</summary>
/// <remarks>Key, 20 bytes: 16 zero bytes (no drive has that RUID); 'a'; key version 1; shard, big-endian. Value: an envelope
/// with 8 bytes: the index, little-endian. Being of the same family and batch as the records, it is durable exactly when
/// they are: what is behind it in the log is applied again after a crash. Source: docs/format.md#log.</remarks>
public static class AppliedMark
{
    public const int KeyBytes = DriveId.Size + 4;

    public static void WriteKey(ShardId shard, Span<byte> key)
    {
        key[..KeyBytes].Clear();
        key[16] = (byte)'a';
        key[17] = RecordKey.KeyVersion;
        BinaryPrimitives.WriteUInt16BigEndian(key[18..], shard.Value);
    }

    public static void WriteValue(LogIndex applied, ByteBuffer value)
    {
        Span<byte> payload = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(payload, applied.Value);
        RecordEnvelope.Write(default, whiteout: false, payload, value);
    }

    public static Status ReadValue(ReadOnlySpan<byte> value, out LogIndex applied)
    {
        applied = default;
        Status status = RecordEnvelope.Read(value, out _, out ReadOnlySpan<byte> payload);
        if (status != Status.Ok) { return status; }
        if (payload.Length != 8) { return Status.Corrupt; }
        applied = new(BinaryPrimitives.ReadUInt64LittleEndian(payload));
        return Status.Ok;
    }
}
