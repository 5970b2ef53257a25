using System.Buffers.Binary;
using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node;

/// <summary>What a node knows of itself: kept in its <c>sys</c> family.</summary>
/// <remarks>Key: "N", version 1. Value: an envelope with 10 bytes: 0-7: starts so far, which is the epoch of a pool of one;
/// 8-9: number of shards; little-endian. Source: docs/format.md#system.</remarks>
/// <param name="Starts">Rises with each start, durable before anything else is written: each start is a new boot.</param>
/// <param name="ShardCount">Shards of the pool: fixed when it was made.</param>
public sealed record NodeIdentity(ulong Starts, int ShardCount)
{
    private const int PayloadBytes = 10;

    private static ReadOnlySpan<byte> Key => "N\x01"u8;

    /// <summary>Reads the identity, or makes one for an empty disk, and counts this start, durably.</summary>
    /// <exception cref="StorageException">It is damaged or newer, or cannot be written.</exception>
    public static NodeIdentity Start(IKeyValueStore store, int shardCountOfNewPool)
    {
        ArgumentNullException.ThrowIfNull(store);
        ByteBuffer value = new();
        NodeIdentity identity = store.TryGet(Family.System, Key, value)
            ? Decode(value.Span)
            : new(0, shardCountOfNewPool);
        identity = identity with { Starts = identity.Starts + 1 };
        KeyValueBatch batch = new();
        identity.Encode(value);
        batch.Put(Family.System, Key, value.Span);
        Status status = store.Write(batch, logged: true);
        if (status == Status.Ok) { status = store.SyncLog(); }
        if (status != Status.Ok)
        {
            throw new StorageException(status, $"The start could not be recorded in the data folder: {status}.");
        }

        return identity;
    }

    private void Encode(ByteBuffer value)
    {
        Span<byte> payload = stackalloc byte[PayloadBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(payload, Starts);
        BinaryPrimitives.WriteUInt16LittleEndian(payload[8..], (ushort)ShardCount);
        RecordEnvelope.Write(default, whiteout: false, payload, value);
    }

    private static NodeIdentity Decode(ReadOnlySpan<byte> value)
    {
        Status status = RecordEnvelope.Read(value, out _, out ReadOnlySpan<byte> payload);
        if (status == Status.Ok && payload.Length != PayloadBytes) { status = Status.Corrupt; }
        if (status != Status.Ok)
        {
            throw new StorageException(
                status, $"The node's identity in the data folder cannot be read. {StorageException.AdviceFor(status)}");
        }

        return new(
            BinaryPrimitives.ReadUInt64LittleEndian(payload),
            BinaryPrimitives.ReadUInt16LittleEndian(payload[8..]));
    }
}
