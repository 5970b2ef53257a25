using System.Net.Sockets;
using KvFs.Core;
using KvFs.Protocol.BlockChannel;
using KvFs.Protocol.BlockChannel.Wire;
using KvFs.Protocol.Tests.Support;

namespace KvFs.Protocol.Tests;

/// <summary>Memory is bounded whatever peers do, and nobody has to wait behind others' large blocks.</summary>
public sealed class FlowTests
{
    private const int ChunkBytes = 64 << 10;

    private static readonly byte[] Large = Samples.Bytes(16 << 20, 1);

    [Fact]
    public async Task A_client_that_takes_nothing_occupies_no_more_than_its_bound_and_keeps_nobody_waiting()
    {
        await using ChannelWorld world = new(change: options => options with
        {
            ChunkBytes = ChunkBytes,
            ConnectionReadBytes = 4 * ChunkBytes,
            ReadBytes = 6 * ChunkBytes,
            MaxRequests = 200,
        });
        world.Blocks.Put(Samples.Name(1), Large);
        long most = 0;
        world.Blocks.BeforeRead = (_, _) =>
        {
            InterlockedMax(ref most, world.Server.BufferBytes);
            return new(BlockAnswer.Ok);
        };
        RawPeer[] slow = await ConnectManyAsync(world, 3);
        foreach (RawPeer each in slow)
        {
            for (ulong id = 1; id <= 100; id++) { await each.SendAsync(RawPeer.Read(id, Samples.Read(1, 0, Large.Length))); }
        }

        BlockChannelClient good = await world.ConnectAsync();
        byte[] read = new byte[Large.Length];
        for (int round = 0; round < 3; round++)
        {
            Assert.Equal(Status.Ok, (await good.ReadAsync(1, 0, read)).Status);
            Assert.Equal(Large, read);
        }

        // Of all together what all may have, and for each of the four connections one chunk beyond that.
        Assert.InRange(most, ChunkBytes, 10 * ChunkBytes);
        foreach (RawPeer each in slow) { each.Dispose(); }
    }

    [Fact]
    public async Task A_slow_client_gets_everything_in_the_end()
    {
        await using ChannelWorld world = new(change: options => options with { ChunkBytes = ChunkBytes, ConnectionReadBytes = 0 });
        world.Blocks.Put(Samples.Name(1), Large);
        using RawPeer raw = new(await world.ConnectRawAsync());
        await raw.GreetAsync();
        for (ulong id = 0; id < 5; id++) { await raw.SendAsync(RawPeer.Read(id, Samples.Read(1, 0, 1 << 20))); }
        byte[][] read = [.. Enumerable.Range(0, 5).Select(_ => new byte[1 << 20])];
        for (int last = 0; last < 5;)
        {
            RawFrame data = await raw.ReadAsync(FrameKind.Data);
            data.Payload.CopyTo(read[data.Header.Request], data.Offset);
            last += data.Header.Flags & ChunkFrame.Last;
        }

        Assert.All(read, bytes => Assert.True(bytes.AsSpan().SequenceEqual(Large.AsSpan(0, 1 << 20))));
    }

    [Fact]
    public async Task A_small_read_does_not_wait_behind_large_ones()
    {
        // One thread reads the chunks: while it is at the small one, there are no more large ones than there are already.
        await using ChannelWorld world = new(change: options => options with { ChunkBytes = ChunkBytes, CallThreads = 1 });
        world.Blocks.Put(Samples.Name(1), Large);
        TaskCompletionSource come = new(TaskCreationOptions.RunContinuationsAsynchronously);
        world.Blocks.BeforeRead = (read, _) =>
        {
            if (read.Offset == 5) { come.SetResult(); }
            return new(BlockAnswer.Ok);
        };
        using RawPeer raw = new(await world.ConnectRawAsync(receiveBytes: 64 << 10));
        await raw.GreetAsync();
        await raw.SendAsync(
            RawPeer.Read(1, Samples.Read(1, 0, Large.Length)),
            RawPeer.Read(2, Samples.Read(1, 0, Large.Length)),
            RawPeer.Read(3, Samples.Read(1, 5, 4096)));
        await come.Task.WaitAsync(Patience.Time);
        int before = 0;
        for (RawFrame data; (data = await raw.ReadAsync(FrameKind.Data)).Header.Request != 3; before += data.Payload.Length) { }

        // What was in the kernel's buffers when it came, at the most: a part of the 32 MiB.
        Assert.InRange(before, 0, 16 << 20);
    }

    [Fact]
    public async Task Large_reads_take_turns_chunk_by_chunk()
    {
        // One thread reads the chunks in the order in which they are asked for, and it begins when both reads have come.
        await using ChannelWorld world = new(change: options => options with { ChunkBytes = ChunkBytes, CallThreads = 1 });
        world.Blocks.Put(Samples.Name(1), Large);
        using Held held = new();
        world.Blocks.BeforeRead = (_, _) =>
        {
            held.Wait();
            return new(BlockAnswer.Ok);
        };
        using RawPeer raw = new(await world.ConnectRawAsync());
        await raw.GreetAsync();
        await raw.SendAsync(
            RawPeer.Read(1, Samples.Read(1, 0, Large.Length)),
            RawPeer.Read(2, Samples.Read(1, 0, Large.Length)),
            RawPeer.Bare(FrameKind.Ping, 3));
        await raw.ReadAsync(FrameKind.Pong);
        held.Release();
        int[] bytes = new int[3];
        int lead = 0;
        while (bytes[1] < Large.Length || bytes[2] < Large.Length)
        {
            RawFrame data = await raw.ReadAsync(FrameKind.Data);
            bytes[data.Header.Request] += data.Payload.Length;
            lead = Math.Max(lead, Math.Abs(bytes[1] - bytes[2]));
        }

        // A read has two chunks in memory at the most, and whoever has none asks for its next behind those of the other.
        Assert.InRange(lead, ChunkBytes, 4 * ChunkBytes);
    }

    [Fact]
    public async Task A_small_write_does_not_wait_behind_large_ones()
    {
        using RawServer listener = new();
        (BlockChannelClient client, RawPeer server) =
            await listener.ConnectAsync(ChannelWorld.ClientOptions with { ChunkBytes = ChunkBytes }, windowBytes: 64 << 20);
        using RawPeer end = server;
        Task<BlockAnswer>[] writing =
        [
            client.WriteAsync(1, Large).AsTask(),
            client.WriteAsync(2, Large).AsTask(),
            client.WriteAsync(3, Large).AsTask(),
            client.WriteAsync(4, Samples.Bytes(4096, 1)).AsTask(),
        ];
        int before = 0;
        for (RawFrame? frame; (frame = await server.ReadFrameAsync())!.Payload.Length != 4096; before += frame.Payload.Length) { }

        // What was in the kernel's buffers when it came, at the most: a part of the 48 MiB.
        Assert.InRange(before, 0, 16 << 20);
        server.Dispose();
        Assert.All(await Task.WhenAll(writing), answer => Assert.Contains(answer.Status, (Status[])[Status.Unknown, Status.Unavailable]));
        await client.DisposeAsync();
    }

    [Fact]
    public async Task A_write_for_which_there_is_no_memory_is_answered_busy_and_kept_nowhere()
    {
        await using ChannelWorld world = new(change: options => options with { WriteBytes = 32 << 20, WindowBytes = 64 << 20 });
        using Held held = new();
        world.Blocks.BeforeWrite = async (_, _) =>
        {
            await held.Task;
            return BlockAnswer.Ok;
        };
        BlockChannelClient client = await world.ConnectAsync();
        Task<BlockAnswer>[] first = [client.WriteAsync(1, Large).AsTask(), client.WriteAsync(2, Large).AsTask()];
        Patience.WaitFor(() => world.Server.BufferBytes == 32 << 20);
        Assert.Equal(Status.Busy, (await client.WriteAsync(3, Large)).Status);
        Assert.Equal(Status.Busy, (await client.WriteAsync(4, new byte[1])).Status);
        Assert.Equal(32 << 20, world.Server.BufferBytes);
        held.Release();
        Assert.All(await Task.WhenAll(first), answer => Assert.Equal(Status.Ok, answer.Status));
        Assert.Equal(Status.Ok, (await client.WriteAsync(3, Large)).Status);
        Assert.Equal(Large, world.Blocks.Find(Samples.Name(3)));
        Patience.WaitFor(() => client.LoadBytes == 0);  // All that was given up is answered.
    }

    [Fact]
    public async Task Writes_beyond_the_window_wait_at_the_client()
    {
        await using ChannelWorld world = new(change: options => options with { WindowBytes = 20 << 20 });
        using Held held = new();
        world.Blocks.BeforeWrite = async (_, _) =>
        {
            await held.Task;
            return BlockAnswer.Ok;
        };
        BlockChannelClient client = await world.ConnectAsync();
        world.Blocks.Put(Samples.Name(100), Large);
        Task<BlockAnswer>[] writing = [.. Enumerable.Range(1, 6).Select(id => client.WriteAsync((ulong)id, Large).AsTask())];
        Assert.Equal(Status.Ok, (await client.ReadAsync(100, 0, new byte[1000])).Status);  // Reads need no window.
        Patience.WaitFor(() => client.LoadBytes == 16 << 20);  // The read was counted until just now.
        Assert.InRange(world.Server.BufferBytes, 0, 16 << 20);
        held.Release();
        Assert.All(await Task.WhenAll(writing), answer => Assert.Equal(Status.Ok, answer.Status));
    }

    [Fact]
    public async Task A_client_has_no_more_requests_waiting_than_its_bound()
    {
        await using ChannelWorld world = new(change: options => options with { MaxRequests = 1 });
        world.Blocks.Put(Samples.Name(1), Large);
        using Held held = new();
        world.Blocks.BeforeRead = async (_, _) =>
        {
            await held.Task;
            return BlockAnswer.Ok;
        };
        BlockChannelClient client = await world.ConnectAsync(ChannelWorld.ClientOptions with { MaxWaiting = 2 });
        Task<BlockAnswer>[] reading = [.. Enumerable.Range(0, 3).Select(_ => client.ReadAsync(1, 0, new byte[10]).AsTask())];
        Assert.Equal(Status.Busy, (await client.ReadAsync(1, 0, new byte[10])).Status);
        held.Release();
        Assert.All(await Task.WhenAll(reading), answer => Assert.Equal(Status.Ok, answer.Status));
    }

    [Fact]
    public async Task Answers_that_a_client_does_not_take_bound_the_requests_that_it_gets_in()
    {
        await using ChannelWorld world = new("unix", options => options with { MaxRequests = 16 });
        using RawPeer raw = new(await world.ConnectRawAsync());
        await raw.GreetAsync();
        byte[] requests = [.. Enumerable.Range(1, 100_000).SelectMany(id => RawPeer.Read((ulong)id, Samples.Read(9, 0, 1)))];
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await raw.SendAsync(requests);
            await raw.DrainAsync();
            throw new EndOfStreamException();
        });
        Assert.Contains((await world.NextEndAsync()).Status, (Status[])[Status.Invalid, Status.Unavailable]);
    }

    [Fact]
    public async Task A_ping_before_the_last_one_was_answered_ends_the_connection()
    {
        await using ChannelWorld world = new();
        world.Blocks.Put(Samples.Name(1), Large);
        using RawPeer raw = new(await world.ConnectRawAsync());
        await raw.GreetAsync();
        for (ulong id = 1; id < 4; id++) { await raw.SendAsync(RawPeer.Read(id, Samples.Read(1, 0, Large.Length))); }
        for (ulong id = 1; id < 200_000; id++)
        {
            try
            {
                await raw.SendAsync(RawPeer.Bare(FrameKind.Ping, id));
            }
            catch (SocketException)
            {
                break;  // Closed already.
            }
        }

        await raw.DrainAsync();
        ChannelEnd end = await world.NextEndAsync();
        Assert.Equal("a ping before the last one was answered", end.Reason);
    }

    [Fact]
    public async Task A_client_that_takes_nothing_for_too_long_is_cut_off()
    {
        ManualTime time = new();
        await using ChannelWorld world = new(change: options => options with { Clock = time, SilenceTime = TimeSpan.FromDays(10_000) });
        world.Blocks.Put(Samples.Name(1), Large);
        int reads = 0;
        world.Blocks.BeforeRead = (_, _) =>
        {
            Interlocked.Increment(ref reads);
            return new(BlockAnswer.Ok);
        };
        using RawPeer raw = new(await world.ConnectRawAsync());
        await raw.GreetAsync();
        for (ulong id = 1; id < 20; id++) { await raw.SendAsync(RawPeer.Read(id, Samples.Read(1, 0, Large.Length))); }
        Patience.WaitFor(() => world.Server.Connections == 1);
        Task<ChannelEnd> ending = world.NextEndAsync();
        time.AdvanceUntilEnd(ending, TimeSpan.FromSeconds(10));
        Assert.Contains("took nothing", (await ending).Reason, StringComparison.Ordinal);
        Assert.InRange(reads, 1, 19 * 64);
    }

    private static void InterlockedMax(ref long most, long value)
    {
        long seen = Volatile.Read(ref most);
        while (value > seen) { seen = Interlocked.CompareExchange(ref most, value, seen) is var was && was == seen ? value : was; }
    }

    private static async Task<RawPeer[]> ConnectManyAsync(ChannelWorld world, int count)
    {
        RawPeer[] peers = new RawPeer[count];
        for (int at = 0; at < count; at++)
        {
            peers[at] = new RawPeer(await world.ConnectRawAsync());
            await peers[at].GreetAsync();
        }

        return peers;
    }
}
