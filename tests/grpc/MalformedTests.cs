using KvFs.Grpc.Tests.Support;

namespace KvFs.Grpc.Tests;

/// <summary>Clients that break HTTP/2, the framing or the messages: each gets a clear answer, and others go on.</summary>
public sealed class MalformedTests
{
    [Theory]
    [InlineData("unknown method", "12")]
    [InlineData("truncated message", "13")]
    [InlineData("truncated prefix", "13")]
    [InlineData("message above the limit", "8")]
    [InlineData("compressed without encoding", "13")]
    [InlineData("compressed garbage", "13")]
    [InlineData("flag of two", "13")]
    [InlineData("no message", "12")]
    [InlineData("two messages", "12")]
    [InlineData("garbage protobuf", "13")]
    [InlineData("unknown encoding", "12")]
    [InlineData("bad timeout", "13")]
    [InlineData("bad base64", "13")]
    public async Task A_broken_call_has_a_status_and_the_connection_goes_on(string kind, string status)
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using RawConnection raw = await server.ConnectRawAsync();
        await raw.StartAsync();
        (string path, byte[] body, string? name, string? value) = Broken(kind);
        (string, string)[] more = name is null ? [] : [(name, value!)];
        await raw.CallAsync(1, path, body, more);
        RawResponse response = await raw.ReadResponseAsync(1);
        Assert.Equal("200", response.Get(":status"));
        Assert.Equal("application/grpc", response.Get("content-type"));
        Assert.Equal(status, response.Get("grpc-status"));
        Assert.Equal(kind == "unknown encoding" ? "identity,gzip" : null, response.Get("grpc-accept-encoding"));
        await AssertServesAsync(raw, 3);
    }

    [Theory]
    [InlineData("application/json", "415")]
    [InlineData("application/grpc-web", "415")]
    public async Task A_request_of_another_media_type_is_no_call(string mediaType, string status)
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using RawConnection raw = await server.ConnectRawAsync();
        await raw.StartAsync();
        await raw.CallAsync(1, TestServices.Unary.Path, RawConnection.Message("x"), ("content-type", mediaType));
        Assert.Equal(status, (await raw.ReadResponseAsync(1)).Get(":status"));
        await AssertServesAsync(raw, 3);
    }

    [Fact]
    public async Task A_request_that_is_no_POST_is_no_call()
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using RawConnection raw = await server.ConnectRawAsync();
        await raw.StartAsync();
        List<byte> block = [];
        foreach ((string name, string value) in ((string, string)[])[(":method", "GET"), (":scheme", "http"), (":path", TestServices.Unary.Path), (":authority", "x")])
        {
            raw.Writing.Write(block, name, value, FieldForm.Remembered, huffman: true);
        }
        await raw.SendAsync(RawConnection.Headers, RawConnection.EndHeaders | RawConnection.EndStream, 1, [.. block]);
        Assert.Equal("405", (await raw.ReadResponseAsync(1)).Get(":status"));
        await AssertServesAsync(raw, 3);
    }

    [Theory]
    [InlineData("no preface")]
    [InlineData("HTTP/1.1")]
    [InlineData("data before headers")]
    [InlineData("frame above the limit")]
    [InlineData("settings of an odd length")]
    [InlineData("header block that is no HPACK")]
    [InlineData("continuation out of order")]
    [InlineData("window of zero")]
    [InlineData("even stream")]
    public async Task A_client_that_breaks_HTTP2_loses_its_connection_and_nobody_else_does(string kind)
    {
        foreach (string transport in (string[])["tcp", "unix"])
        {
            await using TestServer server = await TestServer.OverAsync(transport);
            using RawConnection good = await server.ConnectRawAsync();
            await good.StartAsync();
            await AssertServesAsync(good, 1);
            using RawConnection bad = await server.ConnectRawAsync();
            byte[] start = [.. RawConnection.Preface, .. RawConnection.Frame(RawConnection.Settings, 0, 0, [])];
            byte[] bytes = kind switch
            {
                "no preface" => new byte[20_000],
                "HTTP/1.1" => "GET / HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray(),
                "data before headers" => [.. start, .. RawConnection.Frame(RawConnection.Data, 0, 1, [1, 2, 3])],
                "frame above the limit" => [.. start, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 1],
                "settings of an odd length" => [.. start, .. RawConnection.Frame(RawConnection.Settings, 0, 0, [1, 2, 3])],
                "header block that is no HPACK" => [.. start, .. RawConnection.Frame(RawConnection.Headers, 4, 1, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF])],
                "continuation out of order" => [.. start, .. RawConnection.Frame(RawConnection.Continuation, 4, 1, [0x82])],
                "window of zero" => [.. start, .. RawConnection.Frame(8, 0, 0, [0, 0, 0, 0])],
                "even stream" => [.. start, .. RawConnection.Frame(RawConnection.Headers, 4, 2, bad.CallBlock(TestServices.Unary.Path))],
                _ => throw new ArgumentOutOfRangeException(nameof(kind)),
            };
            try
            {
                await bad.SendAsync(bytes);
            }
            catch (IOException)
            {
                // The server had enough before the end.
            }
            while (await bad.ReadAsync() is not null) { }
            await AssertServesAsync(good, 3);
        }
    }

    [Fact]
    public async Task Random_frames_never_stop_the_server_from_serving_others()
    {
        await using TestServer server = await TestServer.OverUnixAsync();
        using GrpcChannel channel = server.Connect();
        for (int round = 0; round < 60; round++)
        {
            int seed = Seeds.Next();
            Random random = new(seed);
            (byte[] bytes, _) = RandomConnection.Build(random);
            for (int flips = random.Next(4); flips > 0; flips--) { bytes[random.Next(24, bytes.Length)] = (byte)random.Next(256); }
            using (RawConnection raw = await server.ConnectRawAsync())
            {
                try
                {
                    await raw.SendAsync(bytes);
                }
                catch (IOException)
                {
                    // The server had enough before the end.
                }
            }
            ReadOnlyMemory<byte> answer = await channel.UnaryAsync(
                TestServices.Unary, Text.Bytes("x"), new GrpcCallOptions { Timeout = TimeSpan.FromSeconds(60) }, CancellationToken.None);
            Assert.True(Text.Of(answer) == "x", $"seed {seed}");
        }
    }

    private static (string Path, byte[] Body, string? Name, string? Value) Broken(string kind) => kind switch
    {
        "unknown method" => ("/kvfs.test.Echo/None", RawConnection.Message("x"), null, null),
        "truncated message" => (TestServices.Unary.Path, RawConnection.Message("hello")[..7], null, null),
        "truncated prefix" => (TestServices.Unary.Path, [0, 0], null, null),
        "message above the limit" => (TestServices.Unary.Path, [0, 0x7F, 0, 0, 0], null, null),
        "compressed without encoding" => (TestServices.Unary.Path, RawConnection.Message("x", flag: 1), null, null),
        "compressed garbage" => (TestServices.Unary.Path, RawConnection.Message("x", flag: 1), "grpc-encoding", "gzip"),
        "flag of two" => (TestServices.Unary.Path, RawConnection.Message("x", flag: 2), null, null),
        "no message" => (TestServices.Unary.Path, [], null, null),
        "two messages" => (TestServices.Unary.Path, [.. RawConnection.Message("x"), .. RawConnection.Message("y")], null, null),
        "garbage protobuf" => (TestServices.Notes.Path, RawConnection.Message("\u0001\u0002\u0003"), null, null),
        "unknown encoding" => (TestServices.Unary.Path, RawConnection.Message("x"), "grpc-encoding", "br"),
        "bad timeout" => (TestServices.Unary.Path, RawConnection.Message("x"), "grpc-timeout", "soon"),
        "bad base64" => (TestServices.Mirror.Path, RawConnection.Message("x"), "x-bin", "***"),
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    internal static async Task AssertServesAsync(RawConnection raw, int id)
    {
        await raw.CallAsync(id, TestServices.Unary.Path, RawConnection.Message("still here"));
        RawResponse response = await raw.ReadResponseAsync(id);
        Assert.Equal("0", response.Get("grpc-status"));
        Assert.Equal(RawConnection.Message("still here"), response.Body);
    }
}
