using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using KvFs.Grpc.Tests.Support;

namespace KvFs.Grpc.Tests;

/// <summary>Servers that answer in HTTP, reset streams, go away or vanish: the status that the caller gets.</summary>
public sealed class FailureStatusTests
{
    // PROTOCOL-HTTP2.md, "Errors": the table of RST_STREAM codes.
    [Theory]
    [InlineData(0x1, GrpcStatusCode.Internal)]
    [InlineData(0x2, GrpcStatusCode.Internal)]
    [InlineData(0x3, GrpcStatusCode.Internal)]
    [InlineData(0x4, GrpcStatusCode.Internal)]
    [InlineData(0x6, GrpcStatusCode.Internal)]
    [InlineData(0x7, GrpcStatusCode.Unavailable)]
    [InlineData(0x8, GrpcStatusCode.Cancelled)]
    [InlineData(0x9, GrpcStatusCode.Internal)]
    [InlineData(0xa, GrpcStatusCode.Internal)]
    [InlineData(0xb, GrpcStatusCode.ResourceExhausted)]
    [InlineData(0xc, GrpcStatusCode.PermissionDenied)]
    public async Task A_stream_that_is_reset_ends_with_the_status_of_the_code(int reset, GrpcStatusCode code)
    {
        byte[] payload = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(payload, reset);
        Assert.Equal(code, (await FailureAsync(async (raw, id) => await raw.SendAsync(RawConnection.Reset, 0, id, payload))).Code);
        Assert.Equal(code, (await FailureAsync(async (raw, id) =>
        {
            await SendHeadersAsync(raw, id, end: false, (":status", "200"), ("content-type", "application/grpc"));
            await raw.SendAsync(RawConnection.Reset, 0, id, payload);
        })).Code);
    }

    [Theory]
    [InlineData(0x0)]
    [InlineData(0x2)]
    [InlineData(0xb)]
    public async Task A_connection_that_goes_away_makes_its_calls_unavailable(int goAway)
    {
        byte[] payload = new byte[8];
        BinaryPrimitives.WriteInt32BigEndian(payload.AsSpan(4), goAway);
        GrpcException failure = await FailureAsync(async (raw, id) =>
        {
            payload[3] = (byte)id;
            await raw.SendAsync(RawConnection.GoAway, 0, 0, payload);
            raw.Dispose();
        });
        Assert.Equal(GrpcStatusCode.Unavailable, failure.Code);
    }

    [Fact]
    public async Task A_connection_that_breaks_makes_its_calls_unavailable()
    {
        Assert.Equal(GrpcStatusCode.Unavailable, (await FailureAsync((raw, _) =>
        {
            raw.Dispose();
            return Task.CompletedTask;
        })).Code);
        Assert.Equal(GrpcStatusCode.Unavailable, (await FailureAsync(async (raw, id) =>
        {
            await SendHeadersAsync(raw, id, end: false, (":status", "200"), ("content-type", "application/grpc"));
            await raw.SendAsync(RawConnection.Data, 0, id, [0, 0, 0, 0, 9, 1]);
            raw.Dispose();
        })).Code);
    }

    // doc/http-grpc-status-mapping.md.
    [Theory]
    [InlineData("400", GrpcStatusCode.Internal)]
    [InlineData("401", GrpcStatusCode.Unauthenticated)]
    [InlineData("403", GrpcStatusCode.PermissionDenied)]
    [InlineData("404", GrpcStatusCode.Unimplemented)]
    [InlineData("429", GrpcStatusCode.Unavailable)]
    [InlineData("502", GrpcStatusCode.Unavailable)]
    [InlineData("503", GrpcStatusCode.Unavailable)]
    [InlineData("504", GrpcStatusCode.Unavailable)]
    [InlineData("500", GrpcStatusCode.Unknown)]
    [InlineData("302", GrpcStatusCode.Unknown)]
    public async Task An_answer_in_HTTP_becomes_a_status(string status, GrpcStatusCode code) =>
        Assert.Equal(code, (await FailureAsync((raw, id) => SendHeadersAsync(raw, id, end: true, (":status", status)))).Code);

    [Fact]
    public async Task Answers_that_are_no_gRPC_are_told_apart()
    {
        Assert.Equal(GrpcStatusCode.Unknown, (await FailureAsync((raw, id) =>
            SendHeadersAsync(raw, id, end: true, (":status", "200"), ("content-type", "text/html")))).Code);
        GrpcException failure = await FailureAsync((raw, id) =>
            SendHeadersAsync(raw, id, end: true, (":status", "200"), ("content-type", "application/grpc")));
        Assert.Equal(GrpcStatusCode.Unknown, failure.Code);
        Assert.Contains("without a status", failure.Status.Detail, StringComparison.Ordinal);
        failure = await FailureAsync((raw, id) => SendHeadersAsync(
            raw, id, end: true, (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "5"), ("grpc-message", "no%20way")));
        Assert.Equal(new GrpcStatus(GrpcStatusCode.NotFound, "no way"), failure.Status);
        failure = await FailureAsync((raw, id) => SendHeadersAsync(
            raw, id, end: true, (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "0")));
        Assert.Equal(GrpcStatusCode.Unimplemented, failure.Code);  // OK, but without the response.
    }

    [Theory]
    [InlineData(new byte[] { 0, 0x7F, 0, 0, 0 }, GrpcStatusCode.ResourceExhausted)]
    [InlineData(new byte[] { 1, 0, 0, 0, 1, 7 }, GrpcStatusCode.Internal)]
    [InlineData(new byte[] { 9, 0, 0, 0, 1, 7 }, GrpcStatusCode.Internal)]
    [InlineData(new byte[] { 0, 0, 0, 0, 9, 7 }, GrpcStatusCode.Internal)]
    public async Task A_server_that_breaks_the_framing_is_found_out(byte[] body, GrpcStatusCode code) =>
        Assert.Equal(code, (await FailureAsync(async (raw, id) =>
        {
            await SendHeadersAsync(raw, id, end: false, (":status", "200"), ("content-type", "application/grpc"));
            await raw.SendAsync(RawConnection.Data, RawConnection.EndStream, id, body);
        })).Code);

    [Fact]
    public async Task A_server_that_answers_no_ping_is_gone()
    {
        TaskCompletionSource over = new(TaskCreationOptions.RunContinuationsAsynchronously);
        GrpcChannelOptions impatient = new()
        {
            KeepAlivePingDelay = TimeSpan.FromSeconds(1),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(1),
        };
        GrpcException failure = await FailureAsync((_, _) => over.Task, impatient);
        Assert.Equal(GrpcStatusCode.Unavailable, failure.Code);
        over.SetResult();
    }

    private static Task SendHeadersAsync(RawConnection raw, int id, bool end, params (string Name, string Value)[] fields)
    {
        List<byte> block = [];
        foreach ((string name, string value) in fields) { raw.Writing.Write(block, name, value, FieldForm.Plain, huffman: false); }
        byte flags = end ? (byte)(RawConnection.EndHeaders | RawConnection.EndStream) : RawConnection.EndHeaders;
        return raw.SendAsync(RawConnection.Headers, flags, id, [.. block]);
    }

    /// <summary>Calls a server that reads one request and then does what the script says.</summary>
    private static async Task<GrpcException> FailureAsync(Func<RawConnection, int, Task> script, GrpcChannelOptions? options = null)
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        using GrpcChannel channel = new(
            GrpcTarget.TcpPlainText("127.0.0.1", ((IPEndPoint)listener.LocalEndpoint).Port), options ?? new GrpcChannelOptions());
        Task<GrpcException> failing = Assert.ThrowsAsync<GrpcException>(() => channel.UnaryAsync(
            TestServices.Unary, Text.Bytes("x"), GrpcCallOptions.None, CancellationToken.None).AsTask());
        Task serving = ServeAsync(listener, script, failing);
        GrpcException failure = await failing;
        listener.Stop();
        await serving;
        return failure;
    }

    /// <summary>Serves connections alike until the call has failed: .NET tries again where nothing can have been applied.</summary>
    private static async Task ServeAsync(TcpListener listener, Func<RawConnection, int, Task> script, Task until)
    {
        List<Task> connections = [];
        try
        {
            while (!until.IsCompleted) { connections.Add(ServeOneAsync(await listener.AcceptSocketAsync(), script)); }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Stopped.
        }
        _ = Task.WhenAll(connections);
    }

    private static async Task ServeOneAsync(Socket socket, Func<RawConnection, int, Task> script)
    {
        using RawConnection raw = new(socket);
        try
        {
            await raw.SkipPrefaceAsync();
            await raw.SendAsync(RawConnection.Settings, 0, 0, []);
            while (await raw.ReadAsync() is { } frame)
            {
                bool isWhole = frame.Type == RawConnection.Data && (frame.Flags & RawConnection.EndStream) != 0;
                if (isWhole) { await script(raw, frame.Stream); }
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The script, or the client, has closed.
        }
    }
}
