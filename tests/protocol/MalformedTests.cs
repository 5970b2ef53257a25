using System.Net;
using System.Net.Sockets;
using KvFs.Core;
using KvFs.Protocol.BlockChannel;
using KvFs.Protocol.BlockChannel.Wire;
using KvFs.Protocol.Tests.Support;

namespace KvFs.Protocol.Tests;

/// <summary>Peers that break the rules: each connection ends with a reason, nothing is kept of it, and others go on.</summary>
public sealed class MalformedTests
{
    private static readonly byte[] Unit = Samples.Bytes(64 << 10, 1);

    [Theory]
    [InlineData("not our magic", Status.Invalid, "no hello")]
    [InlineData("too long", Status.Invalid, "no hello")]
    [InlineData("too short", Status.Invalid, "no hello")]
    [InlineData("damaged", Status.Corrupt, "checksum")]
    [InlineData("newer version", Status.NotSupported, "version 1")]
    [InlineData("unknown feature", Status.NotSupported, "version 1")]
    [InlineData("reserved byte", Status.Invalid, "no hello")]
    [InlineData("tiny frames", Status.Invalid, "no hello")]
    [InlineData("another pool", Status.NotFound, "no node of pool")]
    public async Task A_hello_that_cannot_be_welcomed_is_refused_with_a_reason(string kind, Status status, string reason)
    {
        await using ChannelWorld world = new();
        byte[] hello = RawPeer.HelloBytes(kind == "another pool" ? new(5) : ChannelWorld.Pool);
        switch (kind)
        {
            case "not our magic": hello[0] = (byte)'G'; break;
            case "too long": hello[11] = 9; break;
            case "too short": hello[10] = 63; break;
            case "damaged": hello[20] ^= 1; break;
            case "newer version": hello[8] = 2; break;
            case "unknown feature": hello[36] = 1; break;
            case "reserved byte": hello[57] = 1; break;
            case "tiny frames": hello[42] = 0; break;
        }

        if (kind is not "damaged")
        {
            uint crc = Crc32C.Append(Crc32C.Compute(hello.AsSpan(0, 60)), hello.AsSpan(64));
            BitConverter.TryWriteBytes(hello.AsSpan(60), crc);
        }

        using RawPeer raw = new(await world.ConnectRawAsync());
        await raw.SendAsync(hello);
        Hello answer = await raw.ReadHelloAsync();
        Assert.Equal(status, answer.Status);
        Assert.Contains(reason, answer.Reason, StringComparison.Ordinal);
        raw.Dispose();
        Assert.Equal(status, (await world.NextEndAsync()).Status);
        await AssertServesAsync(world);
    }

    [Theory]
    [InlineData("head too short", "a frame's head cannot have 19 bytes")]
    [InlineData("head too long", "a frame's head cannot have 1025 bytes")]
    [InlineData("payload too long", "exceeds 524288")]
    [InlineData("damaged head", "does not have its checksum")]
    [InlineData("server's frame", "a client sends no frames of kind 65")]
    [InlineData("kind zero", "a client sends no frames of kind 0")]
    [InlineData("write with unknown flags", "a write has no flags 128")]
    [InlineData("write of nothing", "a block cannot have 0 bytes")]
    [InlineData("write too large", "a block cannot have 16777217 bytes")]
    [InlineData("write without bytes", "a chunk with 0 bytes")]
    [InlineData("write with too many bytes", "a chunk with 65536 bytes where 100 are left")]
    [InlineData("write that ends within a unit", "no multiple of 64 KiB")]
    [InlineData("write with reserved bytes", "reserved bytes are not zero")]
    [InlineData("write with the wrong number of checksums", "does not fit")]
    [InlineData("write twice", "request 1 is in flight already")]
    [InlineData("window exceeded", "exceed the window")]
    [InlineData("chunk of nothing known", "there is no write 1")]
    [InlineData("chunk of a read", "there is no write 1")]
    [InlineData("chunk out of order", "a chunk at 131072 where 65536 is next")]
    [InlineData("chunk behind the end", "a chunk with 65536 bytes where 34464 are left")]
    [InlineData("read of nothing", "no 0 bytes")]
    [InlineData("read behind the largest block", "no 2 bytes at 16777215")]
    [InlineData("read with flags", "a read has no flags 1")]
    [InlineData("read with payload", "no payload")]
    [InlineData("cancel with payload", "nothing but its header")]
    [InlineData("too many requests", "more than 4 requests in flight")]
    public async Task A_frame_that_breaks_a_rule_ends_its_connection_with_a_reason(string kind, string reason)
    {
        await using ChannelWorld world = new(change: options => options with { MaxRequests = 4, WindowBytes = 16 << 20 });
        using Held held = new();
        world.Blocks.Put(Samples.Name(1), Unit);
        world.Blocks.BeforeRead = async (_, _) =>
        {
            await held.Task;
            return BlockAnswer.Ok;
        };
        using RawPeer raw = new(await world.ConnectRawAsync());
        await raw.GreetAsync();
        await raw.SendAsync(Broken(kind));
        RawFrame? frame;
        while ((frame = await raw.ReadFrameAsync())!.Kind != FrameKind.Bye)
        {
            // A read that nobody had begun to serve before.
            Assert.Equal(Status.Unavailable, frame.Answer.Status);
        }

        (Status status, string told) = frame.Bye;
        held.Release();
        Assert.Equal(Status.Invalid, status);
        Assert.Contains(reason, told, StringComparison.Ordinal);
        Assert.Null(await raw.ReadFrameAsync());
        raw.Dispose();
        Assert.Equal(told, (await world.NextEndAsync()).Reason);
        world.Blocks.BeforeRead = null;
        await AssertServesAsync(world);
    }

    [Fact]
    public async Task A_request_that_is_not_known_yet_is_answered_and_the_connection_goes_on()
    {
        await using ChannelWorld world = new();
        world.Blocks.Put(Samples.Name(1), Unit);
        using RawPeer raw = new(await world.ConnectRawAsync());
        await raw.GreetAsync();
        byte[] unknown = new byte[200];
        new FrameHeader(FrameKind.HasBlocks, 77, 9, 200, Unit.Length).Seal(unknown);
        await raw.SendAsync(unknown, Unit, RawPeer.Read(10, Samples.Read(1, 0, Unit.Length)));
        RawFrame answer = await raw.ReadAsync(FrameKind.Answer);
        Assert.Equal(9UL, answer.Header.Request);
        Assert.Equal(Status.NotSupported, answer.Answer.Status);
        Assert.Equal(Unit, (await raw.ReadAsync(FrameKind.Data)).Payload);
    }

    [Fact]
    public async Task A_write_whose_bytes_are_damaged_is_answered_and_the_connection_goes_on()
    {
        await using ChannelWorld world = new();
        using RawPeer raw = new(await world.ConnectRawAsync());
        await raw.GreetAsync();
        byte[] write = RawPeer.Write(1, Samples.Write(1), Unit, Unit.Length);
        write[^1] ^= 0x10;
        await raw.SendAsync(write, RawPeer.Write(2, Samples.Write(2), Unit, Unit.Length));
        Assert.Equal(Status.Corrupt, (await raw.ReadAsync(FrameKind.Answer)).Answer.Status);
        Assert.Equal(Status.Ok, (await raw.ReadAsync(FrameKind.Answer)).Answer.Status);
        Assert.Null(world.Blocks.Find(Samples.Name(1)));
        Assert.Equal(Unit, world.Blocks.Find(Samples.Name(2)));
    }

    [Theory]
    [InlineData("answer of nothing", "no request 77 waits")]
    [InlineData("data of nothing", "no read 77 waits")]
    [InlineData("data too early", "data at 65536 where 0 is next")]
    [InlineData("data too long", "a chunk with 65536 bytes where 1000 are left")]
    [InlineData("last too early", "the last data")]
    [InlineData("not last at the end", "the last data")]
    [InlineData("read answered with ok", "a read is answered by its data")]
    [InlineData("pong of nothing", "nobody waits for the answer of ping 77")]
    [InlineData("client's frame", "a server sends no frames of kind 3")]
    [InlineData("damaged head", "does not have its checksum")]
    public async Task A_server_that_breaks_a_rule_loses_the_client_and_requests_end(string kind, string reason)
    {
        using RawServer listener = new();
        (BlockChannelClient client, RawPeer server) = await listener.ConnectAsync(ChannelWorld.ClientOptions);
        await using BlockChannelClient owned = client;
        using RawPeer end = server;
        int length = kind == "data too long" ? 1000 : 100_000;
        Task<BlockAnswer> reading = client.ReadAsync(1, 0, new byte[length]).AsTask();
        ulong id = (await server.ReadAsync(FrameKind.Read)).Header.Request;
        await server.SendAsync(BrokenByServer(kind, id));
        Assert.Equal(Status.Unavailable, (await reading).Status);
        Assert.Equal(Status.Invalid, client.End!.Status);
        Assert.Contains(reason, client.End.Reason, StringComparison.Ordinal);
        Assert.Equal((Status.Invalid, client.End.Reason), (await server.ReadAsync(FrameKind.Bye)).Bye);
        Assert.Equal(Status.Unavailable, (await client.ReadAsync(1, 0, new byte[1])).Status);
        server.Dispose();
    }

    private static async Task AssertServesAsync(ChannelWorld world)
    {
        BlockChannelClient client = await world.ConnectAsync();
        byte[] content = Samples.Bytes(100_000, 5);
        Assert.Equal(BlockAnswer.Ok, await client.WriteAsync(99, content));
        byte[] read = new byte[content.Length];
        Assert.Equal(BlockAnswer.Ok, await client.ReadAsync(99, 0, read));
        Assert.Equal(content, read);
    }

    private static byte[][] Broken(string kind)
    {
        byte[] write = RawPeer.Write(1, Samples.Write(1), Unit, 100_000);
        byte[] read = RawPeer.Read(1, Samples.Read(1, 0, 1000));
        byte[] header = new byte[FrameHeader.MaxHeadBytes];
        switch (kind)
        {
            case "head too short": return [Changed(read, 4, 19)];
            case "head too long": return [Changed(Changed(read, 4, 1), 5, 4)];
            case "payload too long": return [Changed(read, 11, 1)];
            case "damaged head":
                read[30] ^= 1;
                return [read];
            case "server's frame": return [RawPeer.Chunk(FrameKind.Data, 0, 1, 0, Unit)];
            case "kind zero": return [RawPeer.Bare(0, 1)];
            case "write with unknown flags": return [Changed(write, 7, 128)];
            case "write of nothing": return [RawPeer.Write(1, Samples.Write(1), Unit, 0)];
            case "write too large": return [RawPeer.Write(1, Samples.Write(1), Unit, (16 << 20) + 1)];
            case "write without bytes": return [RawPeer.Write(1, Samples.Write(1), [], 100_000)];
            case "write with too many bytes": return [RawPeer.Write(1, Samples.Write(1), Unit, 100)];
            case "write that ends within a unit": return [RawPeer.Write(1, Samples.Write(1), Unit.AsSpan(1), 100_000)];
            case "write with reserved bytes": return [Changed(write, 22, 1)];
            case "write with the wrong number of checksums":
                new FrameHeader(FrameKind.Write, 0, 1, 72, Unit.Length).Seal(header);
                return [header[..72], Unit];
            case "write twice": return [write, write];
            case "window exceeded":
                return [RawPeer.Write(1, Samples.Write(1), Unit, 16 << 20), RawPeer.Write(2, Samples.Write(2), Unit, 100_000)];
            case "chunk of nothing known": return [RawPeer.Chunk(FrameKind.WriteMore, 0, 1, 65_536, Unit)];
            case "chunk of a read": return [read, RawPeer.Chunk(FrameKind.WriteMore, 0, 1, 65_536, Unit)];
            case "chunk out of order": return [write, RawPeer.Chunk(FrameKind.WriteMore, 0, 1, 131_072, Unit)];
            case "chunk behind the end": return [write, RawPeer.Chunk(FrameKind.WriteMore, 0, 1, 65_536, Unit)];
            case "read of nothing": return [RawPeer.Read(1, Samples.Read(1, 0, 0))];
            case "read behind the largest block": return [RawPeer.Read(1, Samples.Read(1, (16 << 20) - 1, 2))];
            case "read with flags": return [Changed(read, 7, 1)];
            case "read with payload": return [Changed(read, 8, 1), [1]];
            case "cancel with payload": return [Changed(RawPeer.Bare(FrameKind.Cancel, 1), 8, 1), [1]];
            case "too many requests": return [.. Enumerable.Range(1, 5).Select(id => RawPeer.Read((ulong)id, Samples.Read(1, 0, 1000)))];
            default: throw new ArgumentOutOfRangeException(nameof(kind));
        }
    }

    private static byte[][] BrokenByServer(string kind, ulong id)
    {
        byte[] data = RawPeer.Chunk(FrameKind.Data, 0, id, 0, Unit);
        switch (kind)
        {
            case "answer of nothing": return [RawPeer.Answer(77, BlockAnswer.Ok)];
            case "data of nothing": return [RawPeer.Chunk(FrameKind.Data, 0, 77, 0, Unit)];
            case "data too early": return [RawPeer.Chunk(FrameKind.Data, 0, id, 65_536, Unit.AsSpan(0, 34_464))];
            case "data too long": return [data];
            case "last too early": return [RawPeer.Chunk(FrameKind.Data, ChunkFrame.Last, id, 0, Unit)];
            case "not last at the end": return [data, RawPeer.Chunk(FrameKind.Data, 0, id, 65_536, Unit.AsSpan(0, 34_464))];
            case "read answered with ok": return [RawPeer.Answer(id, BlockAnswer.Ok)];
            case "pong of nothing": return [RawPeer.Bare(FrameKind.Pong, 77)];
            case "client's frame": return [RawPeer.Read(1, Samples.Read(1, 0, 1))];
            case "damaged head":
                data[10] ^= 1;
                return [data];
            default: throw new ArgumentOutOfRangeException(nameof(kind));
        }
    }

    /// <summary>A frame with another byte in its head, and the checksum that then is right.</summary>
    private static byte[] Changed(byte[] frame, int at, byte value)
    {
        frame[at] = value;
        int head = BitConverter.ToUInt16(frame, 4);
        if (head >= FrameHeader.Size && head <= frame.Length)
        {
            BitConverter.TryWriteBytes(frame, Crc32C.Compute(frame.AsSpan(4, head - 4)));
        }

        return frame;
    }
}
