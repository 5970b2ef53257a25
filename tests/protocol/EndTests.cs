using System.Net;
using System.Net.Sockets;
using KvFs.Core;
using KvFs.Protocol.BlockChannel;
using KvFs.Protocol.BlockChannel.Wire;
using KvFs.Protocol.Tests.Support;

namespace KvFs.Protocol.Tests;

/// <summary>Servers that stop, peers that die or fall silent.</summary>
public sealed class EndTests
{
    private static readonly byte[] Large = Samples.Bytes(16 << 20, 1);

    [Fact]
    public async Task A_stop_finishes_what_is_in_flight_and_takes_nothing_new()
    {
        await using ChannelWorld world = new();
        world.Blocks.Put(Samples.Name(1), Large);
        using Held held = new();
        TaskCompletionSource begun = new();
        world.Blocks.BeforeRead = async (_, _) =>
        {
            begun.TrySetResult();
            await held.Task;
            return BlockAnswer.Ok;
        };
        world.Blocks.BeforeWrite = async (_, _) =>
        {
            await held.Task;
            return BlockAnswer.Ok;
        };
        BlockChannelClient client = await world.ConnectAsync();
        byte[] read = new byte[Large.Length];
        Task<BlockAnswer> reading = client.ReadAsync(1, 0, read).AsTask();
        Task<BlockAnswer> writing = client.WriteAsync(2, Large).AsTask();
        await begun.Task.WaitAsync(Patience.Time);
        Patience.WaitFor(() => world.Server.BufferBytes > Large.Length);  // The write is in flight, too.
        Task stopping = world.Server.StopAsync();
        Patience.WaitFor(() => !client.IsOpen);
        Assert.Equal(Status.Unavailable, (await client.ReadAsync(1, 0, new byte[1])).Status);
        held.Release();
        Assert.Equal(Status.Ok, (await reading).Status);
        Assert.Equal(Status.Ok, (await writing).Status);
        Assert.Equal(Large, read);
        await stopping.WaitAsync(Patience.Time);
        await client.Ended.WaitAsync(Patience.Time);
        Assert.Equal(Status.Unavailable, client.End!.Status);
        Assert.Contains("the server is stopping", client.End.Reason, StringComparison.Ordinal);
        ConnectOutcome outcome = await BlockChannelClient.ConnectAsync(world.Target, ChannelWorld.ClientOptions, CancellationToken.None);
        Assert.Equal(Status.Unavailable, outcome.Failure!.Status);
    }

    [Fact]
    public async Task A_request_that_crosses_the_drain_is_answered_unavailable()
    {
        await using ChannelWorld world = new();
        using Held held = new();
        TaskCompletionSource begun = new();
        world.Blocks.Put(Samples.Name(1), Large);
        world.Blocks.BeforeRead = async (_, _) =>
        {
            begun.TrySetResult();
            await held.Task;
            return BlockAnswer.Ok;
        };
        using RawPeer raw = new(await world.ConnectRawAsync());
        await raw.GreetAsync();
        await raw.SendAsync(RawPeer.Read(1, Samples.Read(1, 0, 10)));
        await begun.Task.WaitAsync(Patience.Time);
        Task stopping = world.Server.StopAsync();
        await raw.ReadAsync(FrameKind.Drain);
        byte[] unit = Large[..(64 << 10)];
        await raw.SendAsync(
            RawPeer.Read(2, Samples.Read(1, 0, 10)),
            RawPeer.Write(3, Samples.Write(3), unit, 100_000),
            RawPeer.Chunk(FrameKind.WriteMore, 0, 3, 64 << 10, unit.AsSpan(0, 34_464)));
        for (int answers = 0; answers < 2; answers++)
        {
            Assert.Equal(Status.Unavailable, (await raw.ReadAsync(FrameKind.Answer)).Answer.Status);
        }

        held.Release();
        Assert.Equal(1UL, (await raw.ReadAsync(FrameKind.Data)).Header.Request);
        Assert.Equal(Status.Unavailable, (await raw.ReadAsync(FrameKind.Bye)).Bye.Status);
        Assert.Null(await raw.ReadFrameAsync());
        raw.Dispose();
        await stopping.WaitAsync(Patience.Time);
        Assert.Null(world.Blocks.Find(Samples.Name(3)));
    }

    [Fact]
    public async Task A_stop_does_not_wait_for_ever_and_a_call_that_is_left_behind_gives_its_memory_back()
    {
        ManualTime time = new();
        await using ChannelWorld world = new(change: options => options with { Clock = time, SilenceTime = TimeSpan.FromDays(1) });
        using Held held = new();
        TaskCompletionSource begun = new();
        CancellationToken seen = default;
        world.Blocks.BeforeWrite = async (_, token) =>
        {
            seen = token;
            begun.SetResult();
            await held.Task;
            return BlockAnswer.Ok;
        };
        BlockChannelClient client = await world.ConnectAsync();
        Task<BlockAnswer> writing = client.WriteAsync(1, Large).AsTask();
        await begun.Task.WaitAsync(Patience.Time);
        Task stopping = world.Server.StopAsync();
        time.AdvanceUntilEnd(stopping, TimeSpan.FromSeconds(1));
        Assert.Equal(Status.Unknown, (await writing).Status);
        Assert.True(seen.IsCancellationRequested);
        Assert.Equal(16 << 20, world.Server.BufferBytes);
        Task<ChannelEnd> ended = world.NextEndAsync();
        Assert.False(ended.IsCompleted);
        held.Release();
        await ended.WaitAsync(Patience.Time);
        Patience.WaitFor(() => world.Server.Connections == 0);
    }

    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    [InlineData("tls")]
    public Task A_server_that_stops_in_the_middle_ends_every_request(string transport) => Seeds.RunAsync(async random =>
    {
        await using ChannelWorld world = new(transport, options => options with { DrainTime = TimeSpan.Zero });
        world.Blocks.Put(Samples.Name(1), Large);
        BlockChannelClient client = await world.ConnectAsync();
        Task<BlockAnswer[]>[] callers = [.. Enumerable.Range(0, 6).Select(caller => CallAsync(client, (ulong)caller))];
        Patience.WaitFor(() => world.Server.BufferBytes > random.Next(40 << 20));
        await world.Server.StopAsync();
        foreach (BlockAnswer answer in (await Task.WhenAll(callers)).SelectMany(answers => answers))
        {
            Assert.Contains(answer.Status, (Status[])[Status.Ok, Status.Unavailable, Status.Unknown]);
        }

        Assert.False(client.IsOpen);
    });

    [Fact]
    public async Task A_client_that_dies_in_the_middle_leaves_nothing_behind()
    {
        await using ChannelWorld world = new();
        world.Blocks.Put(Samples.Name(1), Large);
        byte[] unit = Large[..(64 << 10)];
        byte[] more = RawPeer.Chunk(FrameKind.WriteMore, 0, 1, 64 << 10, unit);
        for (int cut = 1; cut <= more.Length; cut += more.Length / 10)
        {
            using (RawPeer raw = new(await world.ConnectRawAsync()))
            {
                await raw.GreetAsync();
                await raw.SendAsync(
                    RawPeer.Read(2, Samples.Read(1, 0, Large.Length)), RawPeer.Write(1, Samples.Write(9), unit, 128 << 10), more[..cut]);
            }

            await world.NextEndAsync();
            Patience.WaitFor(() => world.Server.Buffers == 0);
        }

        Assert.Equal(1, world.Blocks.Count);
    }

    [Fact]
    public async Task A_server_that_dies_in_the_middle_of_a_frame_ends_every_request()
    {
        using RawServer listener = new();
        (BlockChannelClient client, RawPeer server) = await listener.ConnectAsync(ChannelWorld.ClientOptions);
        Task<BlockAnswer> reading = client.ReadAsync(1, 0, new byte[100_000]).AsTask();
        ulong id = (await server.ReadAsync(FrameKind.Read)).Header.Request;
        Task<BlockAnswer> writing = client.WriteAsync(2, new byte[100]).AsTask();
        await server.ReadAsync(FrameKind.Write);
        await server.SendAsync(RawPeer.Chunk(FrameKind.Data, 0, id, 0, Large.AsSpan(0, 64 << 10))[..30_000]);
        server.Dispose();
        Assert.Equal(Status.Unavailable, (await reading).Status);
        Assert.Equal(Status.Unknown, (await writing).Status);
        Assert.Equal(Status.Unavailable, client.End!.Status);
        await client.DisposeAsync();
    }

    [Fact]
    public async Task A_server_of_which_nothing_is_heard_counts_as_dead()
    {
        using RawServer listener = new();
        ManualTime time = new();
        (BlockChannelClient client, RawPeer server) = await listener.ConnectAsync(
            ChannelWorld.ClientOptions with { Clock = time, SilenceTime = TimeSpan.FromSeconds(8) });
        using RawPeer end = server;
        for (int pings = 1; pings <= 5; pings++)
        {
            ulong ping = (await server.ReadAsync(FrameKind.Ping)).Header.Request;
            TimeSpan before = client.RoundTrip;
            time.Advance(TimeSpan.FromMilliseconds(pings));  // Another round trip each time.
            await server.SendAsync(RawPeer.Bare(FrameKind.Pong, ping));
            Patience.WaitFor(() => client.RoundTrip != before);
            Assert.True(client.IsOpen, client.End?.ToString());
            time.Advance(TimeSpan.FromSeconds(3));
        }

        Task<BlockAnswer> reading = client.ReadAsync(1, 0, new byte[10]).AsTask();
        await server.ReadAsync(FrameKind.Read);
        time.AdvanceUntilEnd(reading, TimeSpan.FromSeconds(1));
        Assert.Equal(Status.Unavailable, (await reading).Status);
        Assert.Contains("nothing was heard", client.End!.Reason, StringComparison.Ordinal);
        await client.DisposeAsync();
    }

    [Fact]
    public async Task A_client_of_which_nothing_is_heard_is_closed_and_one_that_pings_is_not()
    {
        ManualTime time = new();
        await using ChannelWorld world = new(change: options => options with { Clock = time });
        using RawPeer raw = new(await world.ConnectRawAsync());
        Hello hello = await raw.GreetAsync();
        Assert.Equal(60_000, hello.SilenceMs);
        Patience.WaitFor(() => world.Server.Connections == 1);
        for (ulong ping = 1; ping < 10; ping++)
        {
            time.Advance(TimeSpan.FromSeconds(40));
            await raw.SendAsync(RawPeer.Bare(FrameKind.Ping, ping));
            Assert.Equal(ping, (await raw.ReadAsync(FrameKind.Pong)).Header.Request);
        }

        Task<ChannelEnd> ending = world.NextEndAsync();
        time.AdvanceUntilEnd(ending, TimeSpan.FromSeconds(10));
        Assert.Equal("nothing was heard for 00:01:00", (await ending).Reason);
    }

    [Fact]
    public async Task A_write_that_never_comes_in_whole_ends_its_connection()
    {
        ManualTime time = new();
        await using ChannelWorld world = new(change: options => options with { Clock = time });
        using RawPeer raw = new(await world.ConnectRawAsync());
        await raw.GreetAsync();
        await raw.SendAsync(RawPeer.Write(1, Samples.Write(1), Large.AsSpan(0, 64 << 10), 1 << 20));
        for (ulong ping = 1; ping <= 3; ping++)
        {
            await raw.SendAsync(RawPeer.Bare(FrameKind.Ping, ping));
            Assert.Equal(ping, (await raw.ReadAsync(FrameKind.Pong)).Header.Request);
            time.Advance(TimeSpan.FromSeconds(39));
        }

        Task<ChannelEnd> ending = world.NextEndAsync();
        time.AdvanceUntilEnd(ending, TimeSpan.FromSeconds(10));
        Assert.Equal("a write had not come in whole after 00:02:00", (await ending).Reason);
    }

    [Fact]
    public async Task A_write_whose_last_byte_comes_behind_the_goodbye_is_not_stored()
    {
        ManualTime time = new();
        await using ChannelWorld world = new(
            change: options => options with { Clock = time, WriteTime = TimeSpan.FromSeconds(10) });
        using RawPeer raw = new(await world.ConnectRawAsync());
        await raw.GreetAsync();
        byte[] write = RawPeer.Write(1, Samples.Write(1), Large.AsSpan(0, 64 << 10), 64 << 10);
        await raw.SendAsync(write[..^1]);
        Patience.WaitFor(() => world.Server.Buffers == 1);
        time.Advance(TimeSpan.FromSeconds(1));  // A look at the connection, behind which the write has certainly begun.
        time.Advance(TimeSpan.FromSeconds(10.5));
        Assert.Equal(
            "a write had not come in whole after 00:00:10", (await raw.ReadAsync(FrameKind.Bye)).Bye.Reason);
        await raw.SendAsync(write[^1..]);
        raw.Dispose();
        await world.NextEndAsync();
        Assert.Equal(0, world.Blocks.Count);
    }

    [Fact]
    public async Task A_socket_on_which_no_hello_comes_is_closed()
    {
        ManualTime time = new();
        await using ChannelWorld world = new(change: options => options with { Clock = time });
        using RawPeer raw = new(await world.ConnectRawAsync());
        await raw.SendAsync(RawPeer.HelloBytes(ChannelWorld.Pool)[..63]);
        Task<ChannelEnd> ending = world.NextEndAsync();
        time.AdvanceUntilEnd(ending, TimeSpan.FromSeconds(1));
        Assert.Contains("no hello came", (await ending).Reason, StringComparison.Ordinal);
        await raw.DrainAsync();
    }

    [Fact]
    public async Task A_server_that_says_nothing_is_given_up_after_the_connect_time()
    {
        using RawServer listener = new();
        ManualTime time = new();
        Task<ConnectOutcome> connecting =
            BlockChannelClient.ConnectAsync(listener.Target, ChannelWorld.ClientOptions with { Clock = time }, CancellationToken.None);
        using Socket silent = await listener.AcceptAsync();
        time.AdvanceUntilEnd(connecting, TimeSpan.FromSeconds(1));
        Assert.Equal(Status.Unavailable, (await connecting).Failure!.Status);
        Assert.Contains("no answer within", (await connecting).Failure!.Reason, StringComparison.Ordinal);
        using CancellationTokenSource source = new();
        connecting = BlockChannelClient.ConnectAsync(listener.Target, ChannelWorld.ClientOptions, source.Token);
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connecting);
    }

    [Fact]
    public async Task More_connections_than_there_may_be_are_refused_with_a_reason()
    {
        await using ChannelWorld world = new(change: options => options with { MaxConnections = 2 });
        BlockChannelClient first = await world.ConnectAsync();
        await world.ConnectAsync();
        Patience.WaitFor(() => world.Server.Connections == 2);
        ConnectOutcome outcome = await BlockChannelClient.ConnectAsync(world.Target, ChannelWorld.ClientOptions, CancellationToken.None);
        Assert.Equal(Status.Busy, outcome.Failure!.Status);
        await first.DisposeAsync();
        Patience.WaitFor(() => world.Server.Connections == 1);
        await world.ConnectAsync();
    }

    private static async Task<BlockAnswer[]> CallAsync(BlockChannelClient client, ulong caller)
    {
        List<BlockAnswer> answers = [];
        byte[] memory = new byte[Large.Length];
        for (ulong step = 0; client.IsOpen; step++)
        {
            answers.Add(await client.ReadAsync(1, 0, memory));
            if (answers[^1].IsOk) { Assert.True(memory.AsSpan().SequenceEqual(Large)); }
            answers.Add(await client.WriteAsync((caller << 32) + step + 10, Large));
        }

        return [.. answers];
    }
}
