using System.Buffers.Binary;
using System.Net.Sockets;
using KvFs.Core;
using KvFs.Protocol.BlockChannel;
using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.Tests.Support;

/// <summary>A frame as it came.</summary>
internal sealed record RawFrame(FrameHeader Header, byte[] Head, byte[] Payload)
{
    public FrameKind Kind => Header.Kind;

    /// <summary>Of the payload, in its block.</summary>
    public uint Offset => Kind == FrameKind.Write ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(Head.AsSpan(20));

    /// <summary>Where the checksums of the payload begin.</summary>
    public int ChecksumsStart => Kind == FrameKind.Write ? 64 : 24;

    public BlockAnswer Answer
    {
        get
        {
            Assert.Equal(FrameKind.Answer, Kind);
            Assert.Null(AnswerFrame.Get(Header, Head, out BlockAnswer answer));
            return answer;
        }
    }

    public (Status Status, string Reason) Bye
    {
        get
        {
            Assert.Equal(FrameKind.Bye, Kind);
            Assert.Null(ByeFrame.Get(Header, Head, out Status status, out string reason));
            return (status, reason);
        }
    }
}

/// <summary>One end of a connection by hand: sends what a test wants, and reads frames.</summary>
internal sealed class RawPeer(Socket socket) : IDisposable
{
    /// <summary>Of the hello of a server by hand: one block.</summary>
    public const int WindowBytes = 16 << 20;

    public Socket Socket => socket;

    public static byte[] HelloBytes(PoolId pool) => Bytes(
        Hello.MaxBytes, room => new Hello(Status.Ok, pool, 1 << 20, 0, 0, 0, string.Empty).Put(room));

    public static byte[] ServerHelloBytes(int windowBytes = WindowBytes) => Bytes(
        Hello.MaxBytes, room => new Hello(Status.Ok, ChannelWorld.Pool, 1 << 20, windowBytes, 8, 60_000, string.Empty).Put(room));

    public static byte[] Read(ulong request, BlockRead read, uint timeoutMs = 0) =>
        Bytes(FrameHeader.MaxHeadBytes, room => new ReadFrame(read, timeoutMs).Put(request, room));

    public static byte[] Bare(FrameKind kind, ulong request) =>
        Bytes(FrameHeader.MaxHeadBytes, room => BareFrame.Put(kind, request, room));

    public static byte[] Answer(ulong request, BlockAnswer answer) =>
        Bytes(FrameHeader.MaxHeadBytes, room => AnswerFrame.Put(request, answer, room));

    /// <summary>The first frame of a write, with its payload.</summary>
    public static byte[] Write(ulong request, BlockWrite write, ReadOnlySpan<byte> chunk, int length)
    {
        byte[] head = new byte[FrameHeader.MaxHeadBytes];
        int bytes = new WriteFrame(write, 0, length).Put(request, chunk.Length, ChecksumsOf(0, chunk), head);
        return [.. head.AsSpan(0, bytes), .. chunk];
    }

    /// <summary>A chunk of a write or a read, with its payload.</summary>
    public static byte[] Chunk(FrameKind kind, byte flags, ulong request, uint offset, ReadOnlySpan<byte> chunk)
    {
        byte[] head = new byte[FrameHeader.MaxHeadBytes];
        int bytes = ChunkFrame.Put(kind, flags, request, offset, chunk.Length, ChecksumsOf(offset, chunk), head);
        return [.. head.AsSpan(0, bytes), .. chunk];
    }

    public async Task SendAsync(params byte[][] parts)
    {
        foreach (byte[] part in parts)
        {
            for (int sent = 0; sent < part.Length;) { sent += await socket.SendAsync(part.AsMemory(sent)); }
        }
    }

    /// <summary>The client's side of the hellos.</summary>
    public async Task<Hello> GreetAsync()
    {
        await SendAsync(HelloBytes(ChannelWorld.Pool));
        Hello hello = await ReadHelloAsync();
        Assert.Equal(Status.Ok, hello.Status);
        return hello;
    }

    public async Task<Hello> ReadHelloAsync()
    {
        byte[] start = (await ReceiveAsync(Hello.Size))!;
        Assert.Equal(Status.Ok, Hello.GetLength(start, out int length));
        byte[] bytes = [.. start, .. (await ReceiveAsync(length - Hello.Size))!];
        Assert.Equal(Status.Ok, Hello.Get(bytes, out Hello hello));
        return hello;
    }

    /// <summary>The next frame, whose checksums must all be right; null at the end.</summary>
    public async Task<RawFrame?> ReadFrameAsync()
    {
        byte[]? start = await ReceiveAsync(FrameHeader.Size);
        if (start is null) { return null; }
        Assert.Null(FrameHeader.Read(start, WireLimits.MaxPayloadBytes, out FrameHeader header));
        byte[] head = [.. start, .. (await ReceiveAsync(header.HeadBytes - FrameHeader.Size))!];
        Assert.True(FrameHeader.IsIntact(head));
        byte[] payload = (await ReceiveAsync(header.PayloadBytes))!;
        RawFrame frame = new(header, head, payload);
        if (payload.Length > 0)
        {
            uint[] sent = new uint[WireLimits.MaxPieces];
            Checksums.Read(head.AsSpan(frame.ChecksumsStart), sent);
            Assert.Equal(ChecksumsOf(frame.Offset, payload), sent[..BlockPieces.Count(frame.Offset, payload.Length)]);
        }

        return frame;
    }

    /// <summary>The next frame of a kind; others, which must be pings and their answers, are passed over.</summary>
    public async Task<RawFrame> ReadAsync(FrameKind kind)
    {
        while (true)
        {
            RawFrame? frame = await ReadFrameAsync();
            Assert.NotNull(frame);
            if (frame.Kind == kind) { return frame; }
            Assert.Contains(frame.Kind, (FrameKind[])[FrameKind.Ping, FrameKind.Pong, FrameKind.Cancel]);
        }
    }

    /// <summary>Takes whatever comes until the peer ends.</summary>
    public async Task DrainAsync()
    {
        byte[] room = new byte[64 << 10];
        try
        {
            while (await Patience.WaitForAsync(token => socket.ReceiveAsync(room.AsMemory(), token)) > 0) { }
        }
        catch (SocketException)
        {
            // A reset is an end, too.
        }
    }

    public void Dispose() => socket.Dispose();

    private static uint[] ChecksumsOf(uint offset, ReadOnlySpan<byte> bytes)
    {
        uint[] checksums = new uint[BlockPieces.Count(offset, bytes.Length)];
        BlockPieces.Checksum(offset, bytes, checksums);
        return checksums;
    }

    private static byte[] Bytes(int room, Func<byte[], int> put)
    {
        byte[] bytes = new byte[room];
        return bytes[..put(bytes)];
    }

    private async Task<byte[]?> ReceiveAsync(int length)
    {
        byte[] bytes = new byte[length];
        for (int received = 0; received < length;)
        {
            int more = await Patience.WaitForAsync(token => socket.ReceiveAsync(bytes.AsMemory(received), token));
            if (more == 0) { return received == 0 ? null : throw new EndOfStreamException(); }
            received += more;
        }

        return bytes;
    }
}
