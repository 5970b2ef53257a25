using System.Buffers.Binary;
using KvFs.Core;

namespace KvFs.Protocol.BlockChannel.Wire;

/// <summary>The first frame of a write.</summary>
/// <remarks>Fields behind the header, little-endian but for the RUID: 20-21: shard; 22-23: zero; 24-27: milliseconds that the
/// client waits, 0: without end; 28-35: epoch; 36-51: RUID of the owner; 52-59: block; 60-63: bytes of the block; 64 on:
/// checksums of the payload's pieces. Flags: <see cref="BlockWriteFlags"/>. Source: docs/block-channel.md#write.</remarks>
/// <param name="Write">Which block.</param>
/// <param name="TimeoutMs">What the client will wait.</param>
/// <param name="Length">Bytes of the block.</param>
internal readonly record struct WriteFrame(BlockWrite Write, uint TimeoutMs, int Length)
{
    private const int ChecksumsStart = 64;
    private const BlockWriteFlags KnownFlags = BlockWriteFlags.Forward | BlockWriteFlags.Durable;

    /// <summary>Writes the head; answers its length.</summary>
    public int Put(ulong request, int payloadBytes, ReadOnlySpan<uint> checksums, Span<byte> head)
    {
        Names.Put(Write.Shard, TimeoutMs, Write.Epoch, Write.Name, head);
        BinaryPrimitives.WriteInt32LittleEndian(head[60..], Length);
        Checksums.Write(checksums, head[ChecksumsStart..]);
        int length = ChecksumsStart + (checksums.Length * sizeof(uint));
        new FrameHeader(FrameKind.Write, (byte)Write.Flags, request, length, payloadBytes).Seal(head);
        return length;
    }

    /// <summary>Reads a whole head that is intact.</summary>
    /// <returns>Null, or what is wrong.</returns>
    public static string? Get(in FrameHeader header, ReadOnlySpan<byte> head, Span<uint> checksums, out WriteFrame frame)
    {
        frame = default;
        if (header.HeadBytes != ChecksumsStart + (BlockPieces.Count(0, header.PayloadBytes) * sizeof(uint)))
        {
            return $"a write's head with {header.HeadBytes} bytes does not fit {header.PayloadBytes} bytes of payload";
        }

        if (((BlockWriteFlags)header.Flags & ~KnownFlags) != 0) { return $"a write has no flags {header.Flags}"; }
        if (!Names.AreWhole(head)) { return "a write's reserved bytes are not zero"; }
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(head[60..]);
        if (length is 0 or > Limits.BlockBytes) { return $"a block cannot have {length} bytes"; }
        if (ChunkFrame.Misfit(0, header.PayloadBytes, (int)length) is { } misfit) { return misfit; }
        Names.Get(head, out ShardId shard, out uint timeoutMs, out Epoch epoch, out BlockName name);
        Checksums.Read(head[ChecksumsStart..], checksums);
        frame = new(new(shard, epoch, name, (BlockWriteFlags)header.Flags), timeoutMs, (int)length);
        return null;
    }
}
