using System.Globalization;
using System.Net;
using KvFs.Grpc.Tests.Support;

namespace KvFs.Grpc.Tests;

/// <summary>Deadlines, cancellation, and servers that stop.</summary>
public sealed class EndOfCallTests
{
    [Fact]
    public async Task A_deadline_ends_the_call_on_both_sides()
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using GrpcChannel channel = server.Connect();
        bool heard = false;
        for (TimeSpan timeout = TimeSpan.FromMilliseconds(200); !heard; timeout *= 2)
        {
            using var call = channel.Start(TestServices.Hang, new GrpcCallOptions { Timeout = timeout }, CancellationToken.None);
            GrpcException failure = await Assert.ThrowsAsync<GrpcException>(async () =>
            {
                await call.GetHeadersAsync();
                heard = true;  // Else the time was up before the handler ran, which a busy machine may do.
                await call.WaitToReadAsync();
            });
            Assert.Equal(GrpcStatusCode.DeadlineExceeded, failure.Code);
        }
        server.Services.AwaitCancelled();
    }

    [Fact]
    public async Task The_server_ends_a_call_whose_time_is_up_even_if_the_client_does_not()
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using RawConnection raw = await server.ConnectRawAsync();
        await raw.StartAsync();
        await raw.CallAsync(1, TestServices.Hang.Path, [], ("grpc-timeout", "50m"));
        RawResponse response = await raw.ReadResponseAsync(1);
        Assert.Equal("4", response.Get("grpc-status"));
        server.Services.AwaitCancelled();
    }

    [Fact]
    public async Task A_handler_that_is_deaf_cannot_turn_a_late_answer_into_a_good_one()
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using GrpcChannel channel = server.Connect();
        await Assert.ThrowsAsync<GrpcException>(() => channel.UnaryAsync(
            TestServices.Wait, Text.Bytes(""), new GrpcCallOptions { Timeout = TimeSpan.FromMilliseconds(100) }, CancellationToken.None).AsTask());
        server.Services.Gate.SetResult();
        await channel.UnaryAsync(TestServices.Unary, Text.Bytes(""), GrpcCallOptions.None, CancellationToken.None);
    }

    [Fact]
    public async Task A_handler_knows_how_much_time_is_left()
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using GrpcChannel channel = server.Connect();
        Assert.Equal("none", Text.Of(await channel.UnaryAsync(
            TestServices.Remaining, Text.Bytes(""), GrpcCallOptions.None, CancellationToken.None)));
        string left = Text.Of(await channel.UnaryAsync(
            TestServices.Remaining, Text.Bytes(""), new GrpcCallOptions { Timeout = TimeSpan.FromHours(1) }, CancellationToken.None));
        Assert.InRange(double.Parse(left, CultureInfo.InvariantCulture), 1, 3_600_000);
        await channel.UnaryAsync(
            TestServices.Remaining, Text.Bytes(""), new GrpcCallOptions { Timeout = TimeSpan.FromDays(3000) }, CancellationToken.None);
    }

    [Fact]
    public async Task A_time_that_was_up_before_the_call_is_a_deadline_too()
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using GrpcChannel channel = server.Connect();
        GrpcException failure = await Assert.ThrowsAsync<GrpcException>(() => channel.UnaryAsync(
            TestServices.Unary, Text.Bytes(""), new GrpcCallOptions { Timeout = TimeSpan.Zero }, CancellationToken.None).AsTask());
        Assert.Equal(GrpcStatusCode.DeadlineExceeded, failure.Code);
    }

    [Fact]
    public async Task Cancelling_reaches_the_handler_and_comes_back_as_the_callers_own()
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using GrpcChannel channel = server.Connect();
        using CancellationTokenSource source = new();
        using var call = channel.Start(TestServices.Hang, GrpcCallOptions.None, source.Token);
        await call.GetHeadersAsync();
        Task<bool> reading = call.WaitToReadAsync().AsTask();
        await source.CancelAsync();
        OperationCanceledException cancelled = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
        Assert.Equal(source.Token, cancelled.CancellationToken);
        server.Services.AwaitCancelled();
    }

    [Fact]
    public async Task Disposing_a_call_cancels_it()
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using GrpcChannel channel = server.Connect();
        using (var call = channel.Start(TestServices.Hang, GrpcCallOptions.None, CancellationToken.None)) { await call.GetHeadersAsync(); }
        server.Services.AwaitCancelled();
    }

    [Fact]
    public async Task A_call_that_races_with_its_cancellation_ends_one_way_or_the_other()
    {
        await using TestServer server = await TestServer.OverUnixAsync();
        using GrpcChannel channel = server.Connect();
        int seed = Seeds.Next();
        Random random = new(seed);
        for (int round = 0; round < 300; round++)
        {
            using CancellationTokenSource source = new();
            Task<ReadOnlyMemory<byte>> call = channel.UnaryAsync(TestServices.Unary, Text.Bytes("x"), GrpcCallOptions.None, source.Token).AsTask();
            for (int spin = random.Next(2000); spin > 0; spin--) { Thread.SpinWait(10); }
            await source.CancelAsync();
            try
            {
                Assert.Equal("x", Text.Of(await call));
            }
            catch (OperationCanceledException e)
            {
                Assert.True(e.CancellationToken == source.Token, $"seed {seed}");
            }
        }
        await channel.UnaryAsync(TestServices.Unary, Text.Bytes("x"), GrpcCallOptions.None, CancellationToken.None);
    }

    [Fact]
    public async Task A_server_that_stops_lets_calls_end_and_takes_no_new_ones()
    {
        await using TestServer server = await TestServer.OverUnixAsync();
        using GrpcChannel channel = server.Connect();
        Task<ReadOnlyMemory<byte>> running =
            channel.UnaryAsync(TestServices.Wait, Text.Bytes("done"), GrpcCallOptions.None, CancellationToken.None).AsTask();
        await server.Services.Waiting.Task;
        Task stopping = server.Server.StopAsync();
        GrpcException refused = await Assert.ThrowsAsync<GrpcException>(() => LateCallAsync(server));
        Assert.Equal(GrpcStatusCode.Unavailable, refused.Code);
        Assert.False(running.IsCompleted);
        server.Services.Gate.SetResult();
        Assert.Equal("done", Text.Of(await running));
        await stopping;
    }

    [Fact]
    public async Task A_call_that_outlasts_the_drain_time_ends_as_unavailable()
    {
        await using TestServer server = await TestServer.OverTcpAsync(Hasty);
        using GrpcChannel channel = server.Connect();
        using var call = channel.Start(TestServices.Hang, GrpcCallOptions.None, CancellationToken.None);
        await call.GetHeadersAsync();
        Task<GrpcException> failing = Assert.ThrowsAsync<GrpcException>(() => call.WaitToReadAsync().AsTask());
        await server.Server.StopAsync();
        Assert.Equal(GrpcStatusCode.Unavailable, (await failing).Code);
        server.Services.AwaitCancelled();
    }

    [Fact]
    public async Task A_deaf_handler_does_not_keep_the_server_from_stopping()
    {
        await using TestServer server = await TestServer.OverTcpAsync(Hasty);
        using GrpcChannel channel = server.Connect();
        Task<ReadOnlyMemory<byte>> running =
            channel.UnaryAsync(TestServices.Wait, Text.Bytes(""), GrpcCallOptions.None, CancellationToken.None).AsTask();
        await server.Services.Waiting.Task;
        Task stopping = server.Server.StopAsync();
        GrpcException failure = await Assert.ThrowsAsync<GrpcException>(() => running);
        Assert.Equal(GrpcStatusCode.Unavailable, failure.Code);
        server.Services.Gate.SetResult();
        await stopping;
    }

    [Fact]
    public async Task A_server_that_is_not_there_is_unavailable()
    {
        using GrpcChannel tcp = new(GrpcTarget.TcpPlainText("127.0.0.1", 1), new GrpcChannelOptions());
        using GrpcChannel unix = new(GrpcTarget.UnixSocket("/nonexistent/socket"), new GrpcChannelOptions());
        foreach (GrpcChannel channel in (GrpcChannel[])[tcp, unix])
        {
            GrpcException failure = await Assert.ThrowsAsync<GrpcException>(() =>
                channel.UnaryAsync(TestServices.Unary, Text.Bytes(""), GrpcCallOptions.None, CancellationToken.None).AsTask());
            Assert.Equal(GrpcStatusCode.Unavailable, failure.Code);
            using var call = channel.Start(TestServices.Duplex, GrpcCallOptions.None, CancellationToken.None);
            Assert.False(await call.Requests!.WriteAsync(Text.Bytes("x"), CancellationToken.None));
            failure = await Assert.ThrowsAsync<GrpcException>(() => call.WaitToReadAsync().AsTask());
            Assert.Equal(GrpcStatusCode.Unavailable, failure.Code);
        }
    }

    [Fact]
    public async Task A_client_that_answers_no_ping_is_gone_and_its_calls_are_cancelled()
    {
        await using TestServer server = await TestServer.OverTcpAsync(endpoint => new GrpcServerOptions
        {
            Endpoints = [endpoint],
            KeepAlivePingDelay = TimeSpan.FromSeconds(1),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(1),
        });
        using RawConnection raw = await server.ConnectRawAsync();
        await raw.StartAsync();
        await raw.CallAsync(1, TestServices.Hang.Path, []);
        server.Services.AwaitCancelled();  // The raw connection answers only while it is read from.
    }

    [Fact]
    public void An_idle_time_that_Kestrel_cannot_count_is_refused()
    {
        foreach (TimeSpan time in (TimeSpan[])[Timeout.InfiniteTimeSpan, TimeSpan.Zero, TimeSpan.MaxValue])
        {
            GrpcServerOptions options = new()
            {
                Endpoints = [GrpcEndpoint.TcpPlainText(new IPEndPoint(IPAddress.Loopback, 0))],
                IdleTime = time,
            };
            Assert.Throws<ArgumentOutOfRangeException>(() => new GrpcServer(new GrpcServices(), options, new TestLog()));
        }
    }

    private static GrpcServerOptions Hasty(GrpcEndpoint endpoint) =>
        new() { Endpoints = [endpoint], DrainTime = TimeSpan.FromMilliseconds(100) };

    private static async Task LateCallAsync(TestServer server)
    {
        using GrpcChannel late = server.Connect();
        await late.UnaryAsync(TestServices.Unary, Text.Bytes(""), GrpcCallOptions.None, CancellationToken.None);
    }
}
