using System.Net;
using System.Net.Sockets;
using KvFs.Core;
using KvFs.Protocol.BlockChannel;
using KvFs.Protocol.Tests.Support;

namespace KvFs.Protocol.Tests;

/// <summary>Several connections to one node, which come and go.</summary>
public sealed class PoolTests
{
    private static readonly byte[] Content = Samples.Bytes(100_000, 1);

    [Fact]
    public async Task Connections_are_opened_while_those_there_are_busy()
    {
        await using ChannelWorld world = new();
        world.Blocks.Put(Samples.Name(1), Content);
        using Held held = new();
        world.Blocks.BeforeRead = async (_, _) =>
        {
            await held.Task;
            return BlockAnswer.Ok;
        };
        BlockChannelPool pool = world.Connections(ChannelWorld.ClientOptions with { Connections = 3, MaxWaiting = int.MaxValue });
        List<Task<BlockAnswer>> reading = [];
        Patience.WaitFor(() =>
        {
            reading.Add(ReadAsync(pool));
            return pool.OpenConnections == 3;
        });
        for (int more = 0; more < 10; more++) { reading.Add(ReadAsync(pool)); }
        Patience.WaitFor(() => world.Server.Connections == 3);  // The server counts one behind its hello.
        held.Release();
        Assert.All(await Task.WhenAll(reading), status => Assert.Equal(BlockAnswer.Ok, status));
        Assert.Equal(3, pool.OpenConnections);
        Assert.Null(pool.LastFailure);
    }

    [Fact]
    public async Task One_caller_at_a_time_needs_one_connection()
    {
        await using ChannelWorld world = new();
        BlockChannelPool pool = world.Connections(ChannelWorld.ClientOptions with { Connections = 3 });
        for (ulong id = 0; id < 20; id++)
        {
            BlockAnswer answer = await pool.WriteAsync(Samples.Write(id), Content, default, Deadline.None, CancellationToken.None);
            Assert.Equal(BlockAnswer.Ok, answer);
        }

        Assert.Equal(1, world.Server.Connections);
    }

    [Fact]
    public async Task A_node_that_cannot_be_reached_is_tried_less_and_less_often_and_found_again()
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        int port = ((IPEndPoint)listener.LocalEndPoint!).Port;  // Bound, and nobody listens: refused.
        ManualTime time = new();
        await using BlockChannelPool pool = new(
            BlockChannelTarget.TcpPlainText("127.0.0.1", port),
            ChannelWorld.ClientOptions with { Clock = time, MinBackoff = TimeSpan.FromSeconds(1), MaxBackoff = TimeSpan.FromSeconds(8) });
        Assert.Equal(Status.Unavailable, (await ReadAsync(pool)).Status);
        Assert.Contains("cannot be reached", pool.LastFailure!.Reason, StringComparison.Ordinal);
        List<double> pauses = [];
        for (int attempt = 0; attempt < 6; attempt++)
        {
            ChannelEnd last = pool.LastFailure;
            double pause = 0;
            while (ReferenceEquals(last, pool.LastFailure))
            {
                time.Advance(TimeSpan.FromSeconds(0.25));
                pause += 0.25;
                Assert.Equal(Status.Unavailable, (await ReadAsync(pool)).Status);
            }

            pauses.Add(pause);
        }

        double[] longest = [1, 2, 4, 8, 8, 8];
        for (int at = 0; at < longest.Length; at++) { Assert.InRange(pauses[at], longest[at] / 2, longest[at] + 0.25); }
        await using BlockChannelServer server = new(
            new() { Endpoints = [BlockChannelEndpoint.TcpPlainText(new(IPAddress.Loopback, port))], Pool = ChannelWorld.Pool }, new BlockTable());
        listener.Dispose();
        server.Start();
        time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(Status.NotFound, (await ReadAsync(pool)).Status);
    }

    [Fact]
    public async Task A_server_that_stops_and_another_that_starts_cost_no_request_that_was_not_sent()
    {
        await using ChannelWorld world = new();
        BlockChannelPool pool = world.Connections();
        Assert.Equal(Status.NotFound, (await ReadAsync(pool)).Status);
        await world.Server.StopAsync();
        await using BlockChannelServer second = new(
            world.Options with { Endpoints = [BlockChannelEndpoint.TcpPlainText(new(IPAddress.Loopback, world.Port))] }, world.Blocks);
        second.Start();
        world.Blocks.Put(Samples.Name(1), Content);
        BlockAnswer answer;
        do { answer = await ReadAsync(pool); } while (answer.Status == Status.Unavailable);
        Assert.Equal(BlockAnswer.Ok, answer);
    }

    [Fact]
    public async Task A_deadline_and_a_token_bound_the_wait_for_a_connection()
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        ManualTime time = new();
        await using BlockChannelPool pool = new(
            BlockChannelTarget.TcpPlainText("127.0.0.1", ((IPEndPoint)listener.LocalEndPoint!).Port),
            ChannelWorld.ClientOptions with { Clock = time, ConnectTime = TimeSpan.FromHours(1) });
        Task<BlockAnswer> reading = pool.ReadAsync(
            Samples.Read(1, 0, 10), new byte[10], default, Deadline.After(time, TimeSpan.FromSeconds(2)), CancellationToken.None).AsTask();
        using CancellationTokenSource source = new();
        Task<BlockAnswer> cancelled = pool.ReadAsync(Samples.Read(1, 0, 10), new byte[10], default, Deadline.None, source.Token).AsTask();
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.False(reading.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(Status.TimedOut, (await reading).Status);
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
    }

    [Fact]
    public async Task A_pool_that_is_closed_ends_what_is_in_flight_and_takes_no_more()
    {
        await using ChannelWorld world = new();
        world.Blocks.Put(Samples.Name(1), Content);
        TaskCompletionSource held = new();
        world.Blocks.BeforeRead = async (_, token) =>
        {
            using CancellationTokenRegistration registration = token.Register(held.SetResult);
            await held.Task;
            return BlockAnswer.Ok;
        };
        BlockChannelPool pool = world.Connections();
        Task<BlockAnswer> reading = ReadAsync(pool);
        Patience.WaitFor(() => world.Server.Buffers > 0);
        await pool.DisposeAsync();
        Assert.Equal(Status.Unavailable, (await reading).Status);
        Assert.Equal(Status.Unavailable, (await ReadAsync(pool)).Status);
    }

    private static Task<BlockAnswer> ReadAsync(BlockChannelPool pool) =>
        pool.ReadAsync(Samples.Read(1, 0, 1000), new byte[1000], default, Deadline.None, CancellationToken.None).AsTask();
}
