using System.Net;
using System.Net.Sockets;
using KvFs.Core;
using KvFs.Protocol.BlockChannel;
using KvFs.Protocol.BlockChannel.Wire;
using KvFs.Protocol.Tests.Support;

namespace KvFs.Protocol.Tests;

/// <summary>Thousands of random and of changed conversations to both ends: each ends, nothing escapes, nothing is kept, and others
/// are served.</summary>
public sealed class FuzzTests
{
    private const int Rounds = 2000;

    [Fact]
    public Task Whatever_a_client_sends_the_server_lives() => Seeds.RunAsync(async random =>
    {
        await using ChannelWorld world = new("unix", options => options with { MaxRequests = 8, WindowBytes = 16 << 20 });
        BlockChannelClient good = await world.ConnectAsync();
        byte[] content = Samples.Bytes(70_000, 1);
        Assert.Equal(BlockAnswer.Ok, await good.WriteAsync(1, content));
        for (int round = 0; round < Rounds; round++)
        {
            byte[] hello = RawPeer.HelloBytes(ChannelWorld.Pool);
            byte[] stream = Conversation(random, () => ClientFrame(random));
            Mutate(random, hello, stream, out byte[] bytes);
            using (RawPeer raw = new(await world.ConnectRawAsync()))
            {
                try
                {
                    await raw.SendAsync(bytes);
                    raw.Socket.Shutdown(SocketShutdown.Send);
                }
                catch (SocketException)
                {
                    // The server had enough before the end.
                }

                if (random.Next(2) == 0) { await raw.DrainAsync(); }
            }

            await world.NextEndAsync();
            if (round % 100 != 0) { continue; }
            byte[] read = new byte[content.Length];
            Assert.Equal(BlockAnswer.Ok, await good.ReadAsync(1, 0, read));
            Assert.Equal(content, read);
        }

        Assert.Equal(1, world.Server.Connections);
    });

    [Fact]
    public Task Whatever_a_server_sends_every_request_of_the_client_ends() => Seeds.RunAsync(async random =>
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        BlockChannelTarget target = BlockChannelTarget.TcpPlainText("127.0.0.1", ((IPEndPoint)listener.LocalEndPoint!).Port);
        for (int round = 0; round < Rounds; round++)
        {
            Task<ConnectOutcome> connecting = BlockChannelClient.ConnectAsync(target, ChannelWorld.ClientOptions, CancellationToken.None);
            using RawPeer raw = new(await listener.AcceptAsync());
            await raw.ReadHelloAsync();
            byte[] stream = Conversation(random, () => ServerFrame(random));
            Mutate(random, RawPeer.ServerHelloBytes(), stream, out byte[] bytes);
            Task sending = SendAsync(raw, bytes);
            ConnectOutcome outcome = await connecting;
            Assert.True(outcome.Client is null != outcome.Failure is null);
            if (outcome.Client is not null) { await AskAsync(outcome.Client, random); }
            await sending;
        }
    });

    private static async Task SendAsync(RawPeer raw, byte[] bytes)
    {
        try
        {
            await raw.SendAsync(bytes);
            raw.Socket.Shutdown(SocketShutdown.Send);
            await raw.DrainAsync();
        }
        catch (SocketException)
        {
            // The client had enough before the end.
        }

        raw.Dispose();
    }

    private static async Task AskAsync(BlockChannelClient client, Random random)
    {
        Task<BlockAnswer>[] asking =
        [
            client.ReadAsync(1, 0, new byte[100_000]).AsTask(),
            client.WriteAsync(2, Samples.Bytes(random.Next(1, 200_000), 1)).AsTask(),
            client.ReadAsync(1, 5, new byte[1]).AsTask(),
        ];
        foreach (Task<BlockAnswer> each in asking) { await each; }
        await client.DisposeAsync();
        Assert.NotNull(client.End);
        Assert.False(client.End.Status == Status.Unknown, client.End.Reason);
    }

    private static byte[] Conversation(Random random, Func<byte[]> frame)
    {
        List<byte> bytes = [];
        for (int frames = random.Next(12); frames > 0; frames--) { bytes.AddRange(frame()); }
        return [.. bytes];
    }

    /// <summary>As it is, or with bytes changed, cut, put in, left out, or nothing but random bytes.</summary>
    private static void Mutate(Random random, byte[] hello, byte[] stream, out byte[] bytes)
    {
        bytes = [.. hello, .. stream];
        int at = random.Next(bytes.Length);
        switch (random.Next(6))
        {
            case 0: random.NextBytes(bytes); break;
            case 1: random.NextBytes(bytes.AsSpan(Math.Min(hello.Length, bytes.Length))); break;
            case 2: bytes = bytes[..at]; break;
            case 3: bytes = [.. bytes[..at], .. bytes[Math.Min(bytes.Length, at + random.Next(100))..]]; break;
            case 4: bytes = [.. bytes[..at], (byte)random.Next(256), .. bytes[at..]]; break;
            default:
                for (int changes = random.Next(3); changes > 0; changes--) { bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8)); }
                break;
        }
    }

    private static byte[] ClientFrame(Random random)
    {
        ulong id = (ulong)random.Next(6);
        byte[] chunk = Samples.Bytes(random.Next(3) == 0 ? 64 << 10 : random.Next(1, 2000), 1);
        return random.Next(8) switch
        {
            0 or 1 => RawPeer.Write(id, Samples.Write((ulong)random.Next(50)), chunk, random.Next(2) == 0 ? chunk.Length : random.Next(1, 1 << 24)),
            2 => RawPeer.Chunk(FrameKind.WriteMore, 0, id, (uint)random.Next(3) << 16, chunk),
            3 or 4 => RawPeer.Read(id, Samples.Read((ulong)random.Next(3), (uint)random.Next(70_000), random.Next(1, 70_000))),
            5 => RawPeer.Bare(FrameKind.Cancel, id),
            6 => RawPeer.Bare((FrameKind)random.Next(90), id),
            _ => RawPeer.Bare(FrameKind.Ping, id),
        };
    }

    /// <summary>The client's first request has number 0x10000, the next 0x20001.</summary>
    private static byte[] ServerFrame(Random random)
    {
        ulong slot = (ulong)random.Next(4);
        ulong id = ((slot + 1) << 16) | slot;
        byte[] chunk = Samples.Bytes(random.Next(3) == 0 ? 64 << 10 : random.Next(1, 2000), 1);
        return random.Next(7) switch
        {
            0 or 1 => RawPeer.Chunk(FrameKind.Data, 0, id, (uint)random.Next(2) << 16, chunk),
            2 => RawPeer.Chunk(FrameKind.Data, ChunkFrame.Last, id, 5, [1]),
            3 => RawPeer.Answer(id, BlockAnswer.Of((Status)random.Next(60))),
            4 => RawPeer.Bare(FrameKind.Pong, (ulong)random.Next(3)),
            5 => RawPeer.Bare((FrameKind)random.Next(90), id),
            _ => RawPeer.Bare(random.Next(3) == 0 ? FrameKind.Drain : FrameKind.Pong, 1),
        };
    }
}
