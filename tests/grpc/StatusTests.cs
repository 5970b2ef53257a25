using KvFs.Grpc.Tests.Support;

namespace KvFs.Grpc.Tests;

/// <summary>How calls end, and the metadata around them.</summary>
public sealed class StatusTests
{
    [Theory]
    [InlineData(GrpcStatusCode.NotFound)]
    [InlineData(GrpcStatusCode.Unavailable)]
    [InlineData(GrpcStatusCode.DataLoss)]
    [InlineData((GrpcStatusCode)77)]
    public async Task A_handler_says_how_its_call_ends(GrpcStatusCode code)
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using GrpcChannel channel = server.Connect();
        GrpcException failure = await FailureAsync(channel, TestServices.Fail, $"{(int)code} 100% ü\n");
        Assert.Equal(new GrpcStatus(code, "100% ü\n"), failure.Status);
        Assert.Equal("asked for", failure.Trailers.Get("reason"));
        Assert.Equal([8, 5], failure.Trailers.GetBytes(GrpcMetadata.StatusDetails));
    }

    [Fact]
    public async Task An_unexpected_exception_is_logged_and_keeps_its_text_to_itself()
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        server.Expect("a secret");
        using GrpcChannel channel = server.Connect();
        GrpcException failure = await FailureAsync(channel, TestServices.Throw, "");
        Assert.Equal(GrpcStatusCode.Unknown, failure.Code);
        Assert.DoesNotContain("secret", failure.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failure_behind_messages_comes_after_them()
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using GrpcChannel channel = server.Connect();
        using var call = channel.ServerStreaming(TestServices.FailLate, Text.Bytes("first"), GrpcCallOptions.None, CancellationToken.None);
        Assert.True(await call.WaitToReadAsync());
        Assert.True(call.TryRead(out ReadOnlyMemory<byte> first));
        Assert.Equal("first", Text.Of(first));
        GrpcException failure = await Assert.ThrowsAsync<GrpcException>(() => call.WaitToReadAsync().AsTask());
        Assert.Equal(GrpcStatusCode.Aborted, failure.Code);
        Assert.Equal("yes", call.Trailers.Get("late"));
        Assert.Same(failure, await Assert.ThrowsAsync<GrpcException>(() => call.WaitToReadAsync().AsTask()));
    }

    [Fact]
    public async Task A_method_that_is_not_there_is_unimplemented()
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using GrpcChannel channel = server.Connect();
        GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> missing =
            new(GrpcMethodKind.Unary, "kvfs.test.Echo", "Missing", Marshaller.Bytes, Marshaller.Bytes);
        Assert.Equal(GrpcStatusCode.Unimplemented, (await FailureAsync(channel, missing, "")).Code);
    }

    [Fact]
    public async Task A_writer_is_told_that_the_call_is_over_and_the_reader_why()
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using GrpcChannel channel = server.Connect();
        GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> missing =
            new(GrpcMethodKind.Duplex, "kvfs.test.Echo", "Missing", Marshaller.Bytes, Marshaller.Bytes);
        using var call = channel.Start(missing, GrpcCallOptions.None, CancellationToken.None);
        while (await call.Requests!.WriteAsync(new byte[100_000], CancellationToken.None)) { }
        GrpcException failure = await Assert.ThrowsAsync<GrpcException>(() => call.WaitToReadAsync().AsTask());
        Assert.Equal(GrpcStatusCode.Unimplemented, failure.Code);
    }

    [Fact]
    public async Task Metadata_travels_both_ways_as_text_and_as_bytes()
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using GrpcChannel channel = server.Connect();
        GrpcMetadata sent = [];
        sent.Add("x-text", "some text, with a comma");
        sent.Add("x-bytes-bin", [0, 255, 10]);
        sent.Add("empty-bin", []);
        using var call = channel.Start(TestServices.Mirror, new GrpcCallOptions { Headers = sent }, CancellationToken.None);
        await call.Requests!.WriteAsync(Text.Bytes(""), CancellationToken.None);
        await call.CompleteAsync();
        GrpcMetadata headers = await call.GetHeadersAsync();
        Assert.Equal("some text, with a comma", headers.Get("x-text"));
        Assert.Equal([0, 255, 10], headers.GetBytes("x-bytes-bin"));
        Assert.Empty(headers.GetBytes("empty-bin")!);
        await call.ReadOnlyOneAsync();
        Assert.Equal("some text, with a comma", call.Trailers.Get("trailing-x-text"));
        Assert.Equal([0, 255, 10], call.Trailers.GetBytes("trailing-x-bytes-bin"));
    }

    [Fact]
    public async Task Who_is_not_admitted_reaches_no_handler()
    {
        await using TestServer server = await TestServer.OverTcpAsync(endpoint => new GrpcServerOptions
        {
            Endpoints = [endpoint],
            Admit = call => call.RequestHeaders.Get("pass") == "yes"
                ? ValueTask.CompletedTask
                : throw new GrpcException(GrpcStatusCode.PermissionDenied, "no pass"),
        });
        using GrpcChannel channel = server.Connect();
        Assert.Equal(GrpcStatusCode.PermissionDenied, (await FailureAsync(channel, TestServices.Unary, "")).Code);
        GrpcMetadata pass = [];
        pass.Add("pass", "yes");
        await channel.UnaryAsync(TestServices.Unary, Text.Bytes("x"), new GrpcCallOptions { Headers = pass }, CancellationToken.None);
    }

    [Fact]
    public async Task Messages_above_the_limits_of_either_side_are_refused_with_the_limit()
    {
        await using TestServer server = await TestServer.OverTcpAsync(endpoint => new GrpcServerOptions
        {
            Endpoints = [endpoint],
            CallLimits = new GrpcCallLimits(1000, 2000),
        });
        using GrpcChannel channel = server.Connect();
        ReadOnlyMemory<byte> fits = new byte[1000];
        Assert.Equal(1000, (await channel.UnaryAsync(TestServices.Unary, fits, GrpcCallOptions.None, CancellationToken.None)).Length);

        GrpcException failure = await Assert.ThrowsAsync<GrpcException>(() =>
            channel.UnaryAsync(TestServices.Unary, new byte[1001], GrpcCallOptions.None, CancellationToken.None).AsTask());
        Assert.Equal(GrpcStatusCode.ResourceExhausted, failure.Code);
        Assert.Contains("1000", failure.Status.Detail, StringComparison.Ordinal);

        failure = await FailureAsync(channel, TestServices.Grow, "2001");
        Assert.Equal(GrpcStatusCode.ResourceExhausted, failure.Code);
        Assert.Contains("2000", failure.Status.Detail, StringComparison.Ordinal);

        GrpcCallOptions narrow = new() { Limits = new GrpcCallLimits(100, 50) };
        failure = await Assert.ThrowsAsync<GrpcException>(() =>
            channel.UnaryAsync(TestServices.Grow, Text.Bytes("101"), narrow, CancellationToken.None).AsTask());
        Assert.Equal(GrpcStatusCode.ResourceExhausted, failure.Code);
        failure = await Assert.ThrowsAsync<GrpcException>(() =>
            channel.UnaryAsync(TestServices.Grow, new byte[51], narrow, CancellationToken.None).AsTask());
        Assert.Equal(GrpcStatusCode.ResourceExhausted, failure.Code);
        using var stream = channel.Start(TestServices.Duplex, narrow, CancellationToken.None);
        Assert.Throws<GrpcException>(() => stream.Requests!.Write(new byte[51]));
    }

    [Fact]
    public async Task A_huge_request_is_refused_while_it_is_still_on_its_way()
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using GrpcChannel channel = server.Connect();
        GrpcCallOptions wide = new() { Limits = new GrpcCallLimits(64 << 20, 64 << 20) };
        GrpcException failure = await Assert.ThrowsAsync<GrpcException>(() =>
            channel.UnaryAsync(TestServices.Unary, new byte[48 << 20], wide, CancellationToken.None).AsTask());
        Assert.Equal(GrpcStatusCode.ResourceExhausted, failure.Code);
    }

    [Fact]
    public async Task Compressed_messages_are_read_and_answered_in_kind()
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using GrpcChannel channel = server.Connect();
        GrpcCallOptions gzip = new() { Gzip = true };
        ReadOnlyMemory<byte> bytes = new byte[100_000];
        Assert.True((await channel.UnaryAsync(TestServices.Unary, bytes, gzip, CancellationToken.None)).Span.SequenceEqual(bytes.Span));
        using var call = channel.Start(TestServices.Duplex, gzip, CancellationToken.None);
        for (int round = 0; round < 3; round++)
        {
            await call.Requests!.WriteAsync(bytes, CancellationToken.None);
            Assert.True(await call.WaitToReadAsync());
            Assert.True(call.TryRead(out ReadOnlyMemory<byte> answer));
            Assert.True(answer.Span.SequenceEqual(bytes.Span));
        }
    }

    private static Task<GrpcException> FailureAsync(
        GrpcChannel channel, GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> method, string request) =>
        Assert.ThrowsAsync<GrpcException>(() =>
            channel.UnaryAsync(method, Text.Bytes(request), GrpcCallOptions.None, CancellationToken.None).AsTask());
}
