using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace KvFs.Grpc.Tests.Support;

internal sealed record RawFrame(byte Type, byte Flags, int Stream, byte[] Payload);

/// <summary>What a server answered on one stream.</summary>
internal sealed record RawResponse(List<(string Name, string Value)> Fields, byte[] Body, int? ResetCode, int? GoAwayCode)
{
    public string? Get(string name) => Fields.FindLast(field => field.Name == name).Value;
}

/// <summary>One end of an HTTP/2 connection that sends whatever it is told, frame by frame.</summary>
internal sealed class RawConnection(Socket socket) : IDisposable
{
    public const byte Data = 0;
    public const byte Headers = 1;
    public const byte Reset = 3;
    public const byte Settings = 4;
    public const byte Ping = 6;
    public const byte GoAway = 7;
    public const byte Continuation = 9;
    public const byte EndStream = 1;
    public const byte EndHeaders = 4;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly NetworkStream stream = new(socket, ownsSocket: true);
    private readonly Hpack reading = new();

    public Hpack Writing { get; } = new();

    public static byte[] Preface => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray();

    public async Task StartAsync()
    {
        await SendAsync([.. Preface, .. Frame(Settings, 0, 0, [])]);
    }

    /// <summary>As a server: takes what a client starts with.</summary>
    public async Task SkipPrefaceAsync() => await stream.ReadExactlyAsync(new byte[Preface.Length]);

    public async Task SendAsync(byte[] bytes) => await stream.WriteAsync(bytes);

    public Task SendAsync(byte type, byte flags, int id, byte[] payload) => SendAsync(Frame(type, flags, id, payload));

    public static byte[] Frame(byte type, byte flags, int id, byte[] payload)
    {
        byte[] frame = new byte[9 + payload.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame, payload.Length << 8);
        frame[3] = type;
        frame[4] = flags;
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), id);
        payload.CopyTo(frame, 9);
        return frame;
    }

    /// <summary>A gRPC message with its prefix.</summary>
    public static byte[] Message(string text, byte flag = 0)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        byte[] message = new byte[5 + bytes.Length];
        message[0] = flag;
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), bytes.Length);
        bytes.CopyTo(message, 5);
        return message;
    }

    /// <summary>The header block of a call.</summary>
    public byte[] CallBlock(string path, string authority = "localhost", params (string Name, string Value)[] more)
    {
        List<byte> block = [];
        Writing.Write(block, ":method", "POST", FieldForm.Indexed, huffman: false);
        Writing.Write(block, ":scheme", "http", FieldForm.Indexed, huffman: false);
        Writing.Write(block, ":path", path, FieldForm.Remembered, huffman: true);
        Writing.Write(block, ":authority", authority, FieldForm.Remembered, huffman: false);
        if (!more.Any(field => field.Name == "content-type"))
        {
            Writing.Write(block, "content-type", "application/grpc", FieldForm.Remembered, huffman: true);
        }
        Writing.Write(block, "te", "trailers", FieldForm.Remembered, huffman: false);
        foreach ((string name, string value) in more) { Writing.Write(block, name, value, FieldForm.Plain, huffman: false); }
        return [.. block];
    }

    /// <summary>A whole call with these bytes as its body.</summary>
    public async Task CallAsync(int id, string path, byte[] body, params (string Name, string Value)[] more)
    {
        await SendAsync(Headers, EndHeaders, id, CallBlock(path, "localhost", more));
        await SendAsync(Data, EndStream, id, body);
    }

    /// <summary>The next frame; null when the peer has closed. Settings and pings are answered by the way.</summary>
    public async Task<RawFrame?> ReadAsync()
    {
        using CancellationTokenSource patience = new(Patience);
        byte[] header = new byte[9];
        try
        {
            int read = await stream.ReadAtLeastAsync(header, header.Length, throwOnEndOfStream: false, patience.Token);
            if (read < header.Length) { return null; }
            byte[] payload = new byte[BinaryPrimitives.ReadInt32BigEndian(header) >>> 8];
            await stream.ReadExactlyAsync(payload, patience.Token);
            RawFrame frame = new(header[3], header[4], BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(5)) & int.MaxValue, payload);
            if (frame is { Type: Settings or Ping, Flags: 0 })
            {
                await SendAsync(frame.Type, 1, 0, frame.Type == Ping ? payload : []);
            }
            return frame;
        }
        catch (IOException)
        {
            return null;  // Reset by the peer.
        }
    }

    /// <summary>Everything about one stream, up to its end, its reset, or the end of the connection.</summary>
    public async Task<RawResponse> ReadResponseAsync(int id)
    {
        List<(string, string)> fields = [];
        List<byte> body = [];
        int? goAway = null;
        List<byte> block = [];
        while (await ReadAsync() is { } frame)
        {
            if (frame.Type == GoAway) { goAway = BinaryPrimitives.ReadInt32BigEndian(frame.Payload.AsSpan(4)); }
            if (frame.Type is Headers or Continuation)
            {
                block.AddRange(frame.Payload);
                if ((frame.Flags & EndHeaders) == 0) { continue; }
                List<(string, string)> read = reading.Read([.. block]);
                block.Clear();
                if (frame.Stream == id) { fields.AddRange(read); }
            }
            if (frame.Stream != id) { continue; }
            if (frame.Type == Data) { body.AddRange(frame.Payload); }
            if (frame.Type == Reset)
            {
                return new RawResponse(fields, [.. body], BinaryPrimitives.ReadInt32BigEndian(frame.Payload), goAway);
            }
            if (frame.Type is Data or Headers && (frame.Flags & EndStream) != 0) { break; }
        }
        return new RawResponse(fields, [.. body], null, goAway);
    }

    public void Dispose() => stream.Dispose();
}
