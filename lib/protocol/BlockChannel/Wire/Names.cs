using System.Buffers.Binary;
using KvFs.Core;

namespace KvFs.Protocol.BlockChannel.Wire;

/// <summary>The fields that a write and a read share: bytes 20 to 59 of the head.</summary>
internal static class Names
{
    public const int End = 60;

    public static void Put(ShardId shard, uint timeoutMs, Epoch epoch, BlockName name, Span<byte> head)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(head[20..], shard.Value);
        BinaryPrimitives.WriteUInt16LittleEndian(head[22..], 0);
        BinaryPrimitives.WriteUInt32LittleEndian(head[24..], timeoutMs);
        BinaryPrimitives.WriteUInt64LittleEndian(head[28..], epoch.Value);
        name.Owner.Write(head[36..]);
        BinaryPrimitives.WriteUInt64LittleEndian(head[52..], name.Id.Value);
    }

    /// <summary>Whether the bytes that say nothing are zero.</summary>
    public static bool AreWhole(ReadOnlySpan<byte> head) => head[22] == 0 && head[23] == 0;

    public static void Get(
        ReadOnlySpan<byte> head, out ShardId shard, out uint timeoutMs, out Epoch epoch, out BlockName name)
    {
        shard = new(BinaryPrimitives.ReadUInt16LittleEndian(head[20..]));
        timeoutMs = BinaryPrimitives.ReadUInt32LittleEndian(head[24..]);
        epoch = new(BinaryPrimitives.ReadUInt64LittleEndian(head[28..]));
        name = new(DriveId.Read(head[36..]), new(BinaryPrimitives.ReadUInt64LittleEndian(head[52..])));
    }
}
