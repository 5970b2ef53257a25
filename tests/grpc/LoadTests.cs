using System.Globalization;
using KvFs.Grpc.Tests.Messages;
using KvFs.Grpc.Tests.Support;

namespace KvFs.Grpc.Tests;

/// <summary>Many calls, slow readers, and servers that go away beneath them.</summary>
public sealed class LoadTests
{
    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    public async Task A_thousand_calls_at_once_get_their_own_answers(string transport)
    {
        await using TestServer server = await TestServer.OverAsync(transport);
        using GrpcChannel channel = server.Connect();
        Task<Note>[] calls = [.. Enumerable.Range(0, 1000).Select(number =>
            channel.UnaryAsync(TestServices.Notes, new Note { Number = number }, GrpcCallOptions.None, CancellationToken.None).AsTask())];
        Note[] answers = await Task.WhenAll(calls);
        Assert.Equal(Enumerable.Range(0, 1000), answers.Select(answer => (int)answer.Number));
    }

    [Fact]
    public async Task A_thousand_streams_at_once_take_turns()
    {
        await using TestServer server = await TestServer.OverUnixAsync();
        using GrpcChannel channel = server.Connect();
        await Task.WhenAll(Enumerable.Range(0, 1000).Select(async number =>
        {
            using var call = channel.Start(TestServices.NoteStream, GrpcCallOptions.None, CancellationToken.None);
            for (int round = 0; round < 3; round++)
            {
                await call.Requests!.WriteAsync(new Note { Number = number + round }, CancellationToken.None);
                Assert.True(await call.WaitToReadAsync());
                Assert.True(call.TryRead(out Note answer));
                Assert.Equal(number + round, answer.Number);
            }
            await call.CompleteAsync();
            Assert.False(await call.WaitToReadAsync());
        }));
    }

    [Fact]
    public async Task A_reader_that_rests_stops_the_writer_and_loses_nothing()
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using GrpcChannel channel = server.Connect(new GrpcChannelOptions { StreamWindowBytes = 64 << 10 });
        using var call = channel.Start(TestServices.Duplex, GrpcCallOptions.None, CancellationToken.None);
        const int count = 400;
        const int bytes = 100_000;
        int written = 0;
        Task writing = Task.Run(async () =>
        {
            for (int number = 0; number < count; number++)
            {
                byte[] message = new byte[bytes];
                message[0] = (byte)number;
                Assert.True(await call.Requests!.WriteAsync(message, CancellationToken.None));
                Volatile.Write(ref written, number);
            }
            await call.CompleteAsync();
        });
        Assert.True(await call.WaitToReadAsync());
        Assert.True(call.TryRead(out _));
        for (int number = 1; number < count; number++)
        {
            // 40 MB are under way at no time: windows and buffers hold some of them, and the writer waits for the reader.
            Assert.InRange(Volatile.Read(ref written), 0, number + 250);
            while (!call.TryRead(out ReadOnlyMemory<byte> message) || message.Span[0] != (byte)number) { Assert.True(await call.WaitToReadAsync()); }
        }
        await writing;
        Assert.False(await call.WaitToReadAsync());
    }

    [Fact]
    public async Task A_stalled_stream_does_not_hold_up_the_others_on_its_connection()
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using GrpcChannel channel = server.Connect(new GrpcChannelOptions { MultipleConnections = false });
        using var stalled = channel.ServerStreaming(TestServices.Count, Text.Bytes("3000000"), GrpcCallOptions.None, CancellationToken.None);
        Assert.True(await stalled.WaitToReadAsync());
        for (int round = 0; round < 200; round++)
        {
            await channel.UnaryAsync(TestServices.Unary, Text.Bytes("x"), GrpcCallOptions.None, CancellationToken.None);
        }
    }

    [Fact]
    public async Task Calls_above_the_limit_of_a_connection_wait_or_go_over_another()
    {
        await using TestServer server = await TestServer.OverTcpAsync(endpoint =>
            new GrpcServerOptions { Endpoints = [endpoint], MaxCallsPerConnection = 100 });
        foreach (bool multiple in (bool[])[false, true])
        {
            using GrpcChannel channel = server.Connect(new GrpcChannelOptions { MultipleConnections = multiple });
            await Task.WhenAll(Enumerable.Range(0, 500).Select(number => channel.UnaryAsync(
                TestServices.Unary, Text.Bytes(number.ToString(CultureInfo.InvariantCulture)), GrpcCallOptions.None, CancellationToken.None).AsTask()));
        }
    }

    [Fact]
    public async Task Connections_above_the_limit_are_closed()
    {
        await using TestServer server = await TestServer.OverTcpAsync(endpoint => new GrpcServerOptions { Endpoints = [endpoint], MaxConnections = 1 });
        server.Expect("rejected");
        using GrpcChannel first = server.Connect();
        await first.UnaryAsync(TestServices.Unary, Text.Bytes("x"), GrpcCallOptions.None, CancellationToken.None);
        using GrpcChannel second = server.Connect();
        GrpcException failure = await Assert.ThrowsAsync<GrpcException>(() =>
            second.UnaryAsync(TestServices.Unary, Text.Bytes("x"), GrpcCallOptions.None, CancellationToken.None).AsTask());
        Assert.Equal(GrpcStatusCode.Unavailable, failure.Code);
        await first.UnaryAsync(TestServices.Unary, Text.Bytes("x"), GrpcCallOptions.None, CancellationToken.None);
    }

    [Fact]
    public async Task Calls_that_meet_a_server_on_its_way_down_end_well_or_as_unavailable()
    {
        for (int round = 0; round < 5; round++)
        {
            await using TestServer server = await TestServer.OverUnixAsync();
            using GrpcChannel channel = server.Connect();
            await channel.UnaryAsync(TestServices.Unary, Text.Bytes("x"), GrpcCallOptions.None, CancellationToken.None);
            Task<string>[] callers = [.. Enumerable.Range(0, 16).Select(_ => Task.Run(() => CallUntilItFailsAsync(channel)))];
            await server.Server.StopAsync();
            foreach (string end in await Task.WhenAll(callers)) { Assert.Equal("Unavailable", end); }
        }
    }

    private static async Task<string> CallUntilItFailsAsync(GrpcChannel channel)
    {
        try
        {
            while (true)
            {
                ReadOnlyMemory<byte> answer = await channel.UnaryAsync(
                    TestServices.Unary, Text.Bytes("x"), GrpcCallOptions.None, CancellationToken.None);
                Assert.Equal("x", Text.Of(answer));
            }
        }
        catch (GrpcException e)
        {
            return e.Code == GrpcStatusCode.Unavailable ? "Unavailable" : e.ToString();
        }
    }
}
