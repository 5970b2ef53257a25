using System.Buffers.Binary;
using KvFs.Core;

namespace KvFs.Protocol.BlockChannel.Wire;

/// <summary>A read.</summary>
/// <remarks>Fields behind the header, as of a write up to 59; then 60-63: offset in the block; 64-67: bytes. No flags, no
/// payload. Source: docs/block-channel.md#read.</remarks>
/// <param name="Read">What to read.</param>
/// <param name="TimeoutMs">What the client will wait, in milliseconds; 0: without end.</param>
internal readonly record struct ReadFrame(BlockRead Read, uint TimeoutMs)
{
    public const int Size = 68;

    /// <summary>Writes the head; answers its length.</summary>
    public int Put(ulong request, Span<byte> head)
    {
        Names.Put(Read.Shard, TimeoutMs, Read.Epoch, Read.Name, head);
        BinaryPrimitives.WriteUInt32LittleEndian(head[Names.End..], Read.Offset);
        BinaryPrimitives.WriteInt32LittleEndian(head[64..], Read.Length);
        new FrameHeader(FrameKind.Read, 0, request, Size, 0).Seal(head);
        return Size;
    }

    /// <summary>Reads a whole head that is intact.</summary>
    /// <returns>Null, or what is wrong.</returns>
    public static string? Get(in FrameHeader header, ReadOnlySpan<byte> head, out ReadFrame frame)
    {
        frame = default;
        if (header.HeadBytes != Size || header.PayloadBytes != 0) { return "a read has 68 bytes of head and no payload"; }
        if (header.Flags != 0) { return $"a read has no flags {header.Flags}"; }
        if (!Names.AreWhole(head)) { return "a read's reserved bytes are not zero"; }
        uint offset = BinaryPrimitives.ReadUInt32LittleEndian(head[Names.End..]);
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(head[64..]);
        if (length is 0 or > Limits.BlockBytes || offset > Limits.BlockBytes - length)
        {
            return $"a block has no {length} bytes at {offset}";
        }

        Names.Get(head, out ShardId shard, out uint timeoutMs, out Epoch epoch, out BlockName name);
        frame = new(new(shard, epoch, name, offset, (int)length), timeoutMs);
        return null;
    }
}
