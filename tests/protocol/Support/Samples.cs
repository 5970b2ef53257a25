using KvFs.Core;
using KvFs.Protocol.BlockChannel;

namespace KvFs.Protocol.Tests.Support;

/// <summary>Blocks, their names and contents.</summary>
internal static class Samples
{
    public static readonly DriveId Drive = new(UInt128.Parse("2123456789012345678901234567890", System.Globalization.CultureInfo.InvariantCulture));

    public static BlockName Name(ulong id) => new(Drive, new(id));

    public static BlockWrite Write(ulong id, BlockWriteFlags flags = BlockWriteFlags.None) => new(new(3), new(7), Name(id), flags);

    public static BlockRead Read(ulong id, uint offset, int length) => new(new(3), new(7), Name(id), offset, length);

    /// <summary>Bytes that follow from the seed.</summary>
    public static byte[] Bytes(int length, int seed)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    public static ValueTask<BlockAnswer> WriteAsync(this BlockChannelClient client, ulong id, byte[] content) =>
        client.WriteAsync(Write(id), content, default, Deadline.None, CancellationToken.None);

    public static ValueTask<BlockAnswer> ReadAsync(this BlockChannelClient client, ulong id, uint offset, Memory<byte> destination) =>
        client.ReadAsync(Read(id, offset, destination.Length), destination, default, Deadline.None, CancellationToken.None);
}
