using System.Buffers.Binary;
using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Maintenance;

/// <summary>How far the scrub is: kept in the <c>sys</c> family, so that a node that is started often comes around, too.</summary>
/// <remarks>Key: "C", version 1. Value: an envelope with 40 bytes: 0-15: RUID, big-endian; 16-23: block; 24-31: when the pass began;
/// 32-39: when the last whole pass ended, 0: none has; little-endian. What is read is not worth a sync: it is written without the
/// journal. Source: docs/format.md#system.</remarks>
/// <param name="Drive">The drive that it is at.</param>
/// <param name="Next">The next block there.</param>
/// <param name="Began">When the pass began.</param>
/// <param name="LastEnded">When the last whole pass ended; zero: none has.</param>
internal readonly record struct ScrubPosition(DriveId Drive, BlockId Next, Timestamp Began, Timestamp LastEnded)
{
    private const int PayloadBytes = 40;

    private static ReadOnlySpan<byte> Key => "C\x01"u8;

    /// <summary>Reads it; one that is not there, or makes no sense, is the beginning: nothing is lost by reading all again.</summary>
    public static ScrubPosition Read(IKeyValueReader store)
    {
        ByteBuffer value = new();
        if (!store.TryGet(Family.System, Key, value)
            || RecordEnvelope.Read(value.Span, out _, out ReadOnlySpan<byte> payload) != Status.Ok
            || payload.Length != PayloadBytes)
        {
            return default;
        }

        return new(
            DriveId.Read(payload),
            new(BinaryPrimitives.ReadUInt64LittleEndian(payload[16..])),
            new(BinaryPrimitives.ReadInt64LittleEndian(payload[24..])),
            new(BinaryPrimitives.ReadInt64LittleEndian(payload[32..])));
    }

    /// <returns>What the store answered: nothing depends on it.</returns>
    public Status Write(IKeyValueStore store)
    {
        Span<byte> payload = stackalloc byte[PayloadBytes];
        Drive.Write(payload);
        BinaryPrimitives.WriteUInt64LittleEndian(payload[16..], Next.Value);
        BinaryPrimitives.WriteInt64LittleEndian(payload[24..], Began.Nanoseconds);
        BinaryPrimitives.WriteInt64LittleEndian(payload[32..], LastEnded.Nanoseconds);
        ByteBuffer value = new();
        RecordEnvelope.Write(default, whiteout: false, payload, value);
        KeyValueBatch batch = new();
        batch.Put(Family.System, Key, value.Span);
        return store.Write(batch, logged: false);
    }
}
