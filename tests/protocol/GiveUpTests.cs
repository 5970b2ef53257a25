using KvFs.Core;
using KvFs.Protocol.BlockChannel;
using KvFs.Protocol.BlockChannel.Wire;
using KvFs.Protocol.Tests.Support;

namespace KvFs.Protocol.Tests;

/// <summary>Deadlines and cancellations, at every stage of a request.</summary>
public sealed class GiveUpTests : IDisposable
{
    private static readonly byte[] Content = Samples.Bytes(300_000, 1);
    private static readonly byte[] Large = Samples.Bytes(16 << 20, 1);

    private readonly RawServer listener = new();
    private readonly ManualTime time = new();

    [Fact]
    public async Task A_request_whose_time_is_up_ends_and_its_answer_may_come_later()
    {
        await using ChannelWorld world = new();
        world.Blocks.Put(Samples.Name(1), Content);
        using Held held = new();
        TaskCompletionSource begun = new();
        world.Blocks.BeforeRead = async (_, _) =>
        {
            begun.TrySetResult();
            await held.Task;
            return BlockAnswer.Ok;
        };
        BlockChannelClient client = await world.ConnectAsync(ChannelWorld.ClientOptions with { Clock = time });
        byte[] late = new byte[Content.Length];
        Task<BlockAnswer> reading = client.ReadAsync(
            Samples.Read(1, 0, late.Length), late, default, Deadline.After(time, TimeSpan.FromSeconds(1)), CancellationToken.None).AsTask();
        await begun.Task.WaitAsync(Patience.Time);
        time.Advance(TimeSpan.FromSeconds(0.9));
        Assert.False(reading.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(0.2));
        Assert.Equal(Status.TimedOut, (await reading).Status);
        Assert.True(client.LoadBytes > 0);  // The server has not answered yet.
        held.Release();
        world.Blocks.BeforeRead = null;
        Assert.Equal(Status.Ok, (await client.ReadAsync(1, 0, new byte[Content.Length])).Status);
        Patience.WaitFor(() => client.LoadBytes == 0);  // All that was given up is answered.
        Assert.All(late, value => Assert.Equal(0, value));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task A_deadline_is_kept_wherever_the_thread_that_looks_for_it_is_held_up(int looks)
    {
        (BlockChannelClient client, RawPeer server) = await ConnectAsync();
        using RawPeer end = server;
        ValueTask<BlockAnswer> first = ReadWithinAsync(client, TimeSpan.FromSeconds(1));
        ValueTask<BlockAnswer> second = ReadWithinAsync(client, TimeSpan.FromSeconds(1.5));
        time.Advance(TimeSpan.FromSeconds(0.9));
        time.HoldUp(looks, TimeSpan.FromSeconds(1));
        time.Advance(TimeSpan.FromSeconds(0.1));
        time.Advance(TimeSpan.Zero);
        Assert.True(first.IsCompleted);
        Assert.True(second.IsCompleted);
        Assert.Equal(Status.TimedOut, (await first).Status);
        Assert.Equal(Status.TimedOut, (await second).Status);
        server.Dispose();
        await client.DisposeAsync();
    }

    [Fact]
    public async Task A_deadline_that_has_passed_already_sends_nothing()
    {
        await using ChannelWorld world = new();
        BlockChannelClient client = await world.ConnectAsync(ChannelWorld.ClientOptions with { Clock = time });
        Deadline past = Deadline.After(time, TimeSpan.FromSeconds(-1));
        Assert.Equal(Status.TimedOut, (await client.WriteAsync(Samples.Write(1), Content, default, past, CancellationToken.None)).Status);
        Assert.Equal(0, client.LoadBytes);
        Assert.Equal(0, world.Blocks.Count);
    }

    [Fact]
    public async Task The_server_does_not_begin_what_nobody_waits_for_any_more()
    {
        ManualTime serverTime = new();
        await using ChannelWorld world = new(change: options => options with { CallThreads = 1, Clock = serverTime });
        world.Blocks.Put(Samples.Name(1), Content);
        using ManualResetEventSlim held = new();
        TaskCompletionSource begun = new();
        world.Blocks.BeforeRead = (_, _) =>
        {
            begun.TrySetResult();
            held.Wait(CancellationToken.None);
            return new(BlockAnswer.Ok);
        };
        using RawPeer raw = new(await world.ConnectRawAsync());
        await raw.GreetAsync();
        await raw.SendAsync(RawPeer.Read(1, Samples.Read(1, 0, 10)), RawPeer.Read(2, Samples.Read(1, 0, 10), timeoutMs: 500));
        await begun.Task.WaitAsync(Patience.Time);
        await raw.SendAsync(RawPeer.Bare(FrameKind.Ping, 5));
        await raw.ReadAsync(FrameKind.Pong);  // Both have come in.
        serverTime.Advance(TimeSpan.FromSeconds(1));
        held.Set();
        Assert.Equal(1UL, (await raw.ReadAsync(FrameKind.Data)).Header.Request);
        RawFrame second = await raw.ReadAsync(FrameKind.Answer);
        Assert.Equal((2UL, Status.TimedOut), (second.Header.Request, second.Answer.Status));
    }

    [Fact]
    public async Task A_cancelled_read_cancels_the_handlers_token()
    {
        await using ChannelWorld world = new();
        world.Blocks.Put(Samples.Name(1), Content);
        TaskCompletionSource begun = new();
        TaskCompletionSource cancelled = new();
        world.Blocks.BeforeRead = async (_, token) =>
        {
            using CancellationTokenRegistration registration = token.Register(cancelled.SetResult);
            begun.SetResult();
            await cancelled.Task;
            token.ThrowIfCancellationRequested();
            return BlockAnswer.Ok;
        };
        BlockChannelClient client = await world.ConnectAsync();
        using CancellationTokenSource source = new();
        Task<BlockAnswer> reading = client.ReadAsync(
            Samples.Read(1, 0, 1000), new byte[1000], default, Deadline.None, source.Token).AsTask();
        await begun.Task.WaitAsync(Patience.Time);
        await source.CancelAsync();
        OperationCanceledException e = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
        Assert.Equal(source.Token, e.CancellationToken);
        await cancelled.Task.WaitAsync(Patience.Time);
        world.Blocks.BeforeRead = null;
        Assert.Equal(Status.Ok, (await client.ReadAsync(1, 0, new byte[1000])).Status);
        Patience.WaitFor(() => client.LoadBytes == 0);  // All that was given up is answered.
    }

    [Fact]
    public async Task A_token_that_was_cancelled_before_sends_nothing()
    {
        await using ChannelWorld world = new();
        BlockChannelClient client = await world.ConnectAsync();
        CancellationToken cancelled = new(canceled: true);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await client.WriteAsync(Samples.Write(1), Content, default, Deadline.None, cancelled));
        Assert.Equal(0, client.LoadBytes);
    }

    [Fact]
    public async Task A_request_that_waits_for_its_place_can_be_given_up()
    {
        (BlockChannelClient client, RawPeer server) = await ConnectAsync();
        using RawPeer end = server;
        using CancellationTokenSource source = new();
        Task<BlockAnswer>[] placed =
            [.. Enumerable.Range(0, 8).Select(_ => client.ReadAsync(1, 0, new byte[10]).AsTask())];  // As many as the server allows.
        Task<BlockAnswer> timed = client.ReadAsync(
            Samples.Read(1, 0, 10), new byte[10], default, Deadline.After(time, TimeSpan.FromSeconds(1)), CancellationToken.None).AsTask();
        Task<BlockAnswer> cancelled =
            client.WriteAsync(Samples.Write(1), Content, default, Deadline.None, source.Token).AsTask();
        Task<BlockAnswer> patient = client.ReadAsync(7, 0, new byte[10]).AsTask();
        await source.CancelAsync();
        time.Advance(TimeSpan.FromSeconds(1.5));
        Assert.Equal(Status.TimedOut, (await timed).Status);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        for (int at = 0; at < 9; at++)
        {
            // The ninth is the patient one: of the other two nothing was ever sent.
            RawFrame read = await server.ReadAsync(FrameKind.Read);
            await server.SendAsync(RawPeer.Answer(read.Header.Request, BlockAnswer.Of(Status.NotFound)));
        }

        Assert.All(await Task.WhenAll([.. placed, patient]), answer => Assert.Equal(Status.NotFound, answer.Status));
        Patience.WaitFor(() => client.LoadBytes == 0);  // All that was given up is answered.
        server.Dispose();
        await client.DisposeAsync();
    }

    [Fact]
    public async Task A_write_that_is_given_up_between_two_chunks_sends_a_cancel_in_place_of_the_rest()
    {
        (BlockChannelClient client, RawPeer server) = await ConnectAsync();
        using RawPeer end = server;
        using CancellationTokenSource source = new();
        Task<BlockAnswer> writing = client.WriteAsync(Samples.Write(1), Large, default, Deadline.None, source.Token).AsTask();
        RawFrame first = await server.ReadAsync(FrameKind.Write);
        await source.CancelAsync();
        long received = await TakeUntilCancelAsync(server, first);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => writing);
        Assert.InRange(received, 0, Large.Length - 1);
        Assert.Equal(Large.Length, client.LoadBytes);  // Until the server has answered.
        await server.SendAsync(RawPeer.Answer(first.Header.Request, BlockAnswer.Of(Status.Interrupted)));
        Task<BlockAnswer> next = client.WriteAsync(2, Large).AsTask();  // The whole window: it was given back.
        Assert.Equal(FrameKind.Write, (await server.ReadAsync(FrameKind.Write)).Kind);
        server.Dispose();
        Assert.Equal(Status.Unknown, (await next).Status);
        await client.DisposeAsync();
    }

    [Fact]
    public async Task A_write_that_is_refused_early_sends_a_cancel_in_place_of_the_rest()
    {
        (BlockChannelClient client, RawPeer server) = await ConnectAsync();
        using RawPeer end = server;
        Task<BlockAnswer> reading = client.ReadAsync(1, 0, new byte[10]).AsTask();
        Task<BlockAnswer> writing = client.WriteAsync(1, Large).AsTask();
        ulong read = (await server.ReadAsync(FrameKind.Read)).Header.Request;
        RawFrame first = await server.ReadAsync(FrameKind.Write);
        await server.SendAsync(
            RawPeer.Answer(first.Header.Request, BlockAnswer.Of(Status.Busy)), RawPeer.Answer(read, BlockAnswer.Of(Status.NotFound)));

        // Who has looked at the second answer has looked at the first. Until then nobody takes the rest of the block: else all
        // of it may be sent before the client looks, and there is nothing to cancel.
        Assert.Equal(Status.NotFound, (await reading).Status);
        Assert.InRange(await TakeUntilCancelAsync(server, first), 0, Large.Length - 1);
        Assert.Equal(Status.Busy, (await writing).Status);
        Task<BlockAnswer> next = client.WriteAsync(2, Content).AsTask();
        RawFrame write = await server.ReadAsync(FrameKind.Write);
        await server.SendAsync(RawPeer.Answer(write.Header.Request, BlockAnswer.Ok));
        Assert.Equal(Status.Ok, (await next).Status);
        server.Dispose();
        await client.DisposeAsync();
    }

    [Fact]
    public async Task A_write_that_is_refused_behind_its_last_byte_has_nothing_to_cancel()
    {
        (BlockChannelClient client, RawPeer server) = await ConnectAsync();
        using RawPeer end = server;
        Task<BlockAnswer> writing = client.WriteAsync(1, Large).AsTask();
        RawFrame first = await server.ReadAsync(FrameKind.Write);
        for (int received = first.Payload.Length; received < Large.Length;)
        {
            received += (await server.ReadAsync(FrameKind.WriteMore)).Payload.Length;
        }

        await server.SendAsync(RawPeer.Answer(first.Header.Request, BlockAnswer.Of(Status.Busy)));
        Assert.Equal(Status.Busy, (await writing).Status);
        Task<BlockAnswer> next = client.WriteAsync(2, Large).AsTask();  // The whole window: it was given back.
        Assert.Equal(FrameKind.Write, (await server.ReadFrameAsync())!.Kind);
        server.Dispose();
        Assert.Equal(Status.Unknown, (await next).Status);
        await client.DisposeAsync();
    }

    [Fact]
    public async Task A_read_that_is_given_up_while_a_frame_comes_ends_with_the_frame_or_after_the_stall_time()
    {
        (BlockChannelClient client, RawPeer server) = await ConnectAsync();
        using RawPeer end = server;
        using CancellationTokenSource source = new();
        byte[] destination = new byte[200_000];
        Task<BlockAnswer> reading =
            client.ReadAsync(Samples.Read(1, 0, destination.Length), destination, default, Deadline.None, source.Token).AsTask();
        ulong id = (await server.ReadAsync(FrameKind.Read)).Header.Request;
        byte[] half = RawPeer.Chunk(FrameKind.Data, 0, id, 0, Samples.Bytes(64 << 10, 1));
        await server.SendAsync(half[..1000]);
        WaitForBytes(destination);
        await source.CancelAsync();
        Assert.False(reading.IsCompleted);
        await server.SendAsync(half[1000..]);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
        await server.SendAsync(RawPeer.Chunk(FrameKind.Data, ChunkFrame.Last, id, 64 << 10, Samples.Bytes(200_000 - (64 << 10), 1)));

        byte[] filling = new byte[70_000];
        Task<BlockAnswer> stuck = client.ReadAsync(
            Samples.Read(1, 0, 70_000), filling, default, Deadline.After(time, TimeSpan.FromSeconds(1)), CancellationToken.None).AsTask();
        id = (await server.ReadAsync(FrameKind.Read)).Header.Request;
        await server.SendAsync(RawPeer.Chunk(FrameKind.Data, 0, id, 0, Samples.Bytes(64 << 10, 1))[..1000]);
        WaitForBytes(filling);
        Task<BlockAnswer> other = client.ReadAsync(1, 0, new byte[10]).AsTask();
        time.AdvanceUntilEnd(stuck, TimeSpan.FromSeconds(2));
        Assert.Equal(Status.TimedOut, (await stuck).Status);
        Assert.Equal(Status.Unavailable, (await other).Status);
        Assert.Equal(Status.Unavailable, client.End!.Status);
        server.Dispose();
        await client.DisposeAsync();
    }

    [Fact]
    public Task Requests_given_up_at_random_leave_the_connection_in_order() => Seeds.RunAsync(async random =>
    {
        await using ChannelWorld world = new(change: options => options with { ChunkBytes = 64 << 10, MaxRequests = 6, WindowBytes = 16 << 20 });
        world.Blocks.Put(Samples.Name(1), Samples.Bytes(3 << 20, 1));
        world.Blocks.BeforeRead = static async (_, token) =>
        {
            await Task.Yield();
            token.ThrowIfCancellationRequested();
            return BlockAnswer.Ok;
        };
        BlockChannelClient client = await world.ConnectAsync();
        int seed = random.Next();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(caller => GiveUpAsync(client, new Random(seed + caller), (ulong)caller)));
        Assert.True(client.IsOpen, client.End?.ToString());
        byte[] read = new byte[3 << 20];
        Assert.Equal(Status.Ok, (await client.ReadAsync(1, 0, read)).Status);
        Assert.Equal(world.Blocks.Find(Samples.Name(1)), read);
        Patience.WaitFor(() => client.LoadBytes == 0);  // All that was given up is answered.
    });

    public void Dispose() => listener.Dispose();

    /// <summary>Until a frame is under way into this memory.</summary>
    private static void WaitForBytes(byte[] memory) => Patience.WaitFor(() => Volatile.Read(ref memory[0]) + Volatile.Read(ref memory[1]) != 0);

    private ValueTask<BlockAnswer> ReadWithinAsync(BlockChannelClient client, TimeSpan limit) => client.ReadAsync(
        Samples.Read(1, 0, 10), new byte[10], default, Deadline.After(time, limit), CancellationToken.None);

    private static async Task GiveUpAsync(BlockChannelClient client, Random random, ulong caller)
    {
        byte[][] memories = [new byte[3 << 20], new byte[3 << 20]];
        for (int step = 0; step < 60; step++)
        {
            byte[] memory = memories[step % 2];
            Assert.False(memory.AsSpan().ContainsAnyExcept(memory[0]), "memory that was given back was written");
            int length = random.Next(1, memory.Length);
            using CancellationTokenSource source = new();
            bool isWrite = random.Next(2) == 0;
            if (isWrite) { random.NextBytes(memory.AsSpan(0, Math.Min(length, 1000))); }
            Task<BlockAnswer> asking = isWrite
                ? client.WriteAsync(
                    Samples.Write((caller << 32) + (ulong)step + 10), memory.AsMemory(0, length), default, Deadline.None, source.Token).AsTask()
                : client.ReadAsync(Samples.Read(1, 0, length), memory.AsMemory(0, length), default, Deadline.None, source.Token).AsTask();
            for (int spins = random.Next(3000); spins > 0; spins--) { Thread.SpinWait(20); }
            await source.CancelAsync();
            try
            {
                Assert.Equal(Status.Ok, (await asking).Status);
            }
            catch (OperationCanceledException)
            {
                // As asked. The memory is the caller's again: nobody may write into it while the next request runs.
            }

            memory.AsSpan().Fill((byte)step);
        }
    }

    /// <summary>Chunks of a write come until its cancel does; answers their bytes, with those of the first.</summary>
    private static async Task<long> TakeUntilCancelAsync(RawPeer server, RawFrame first)
    {
        long bytes = first.Payload.Length;
        while (true)
        {
            RawFrame? frame = await server.ReadFrameAsync();
            Assert.NotNull(frame);
            Assert.Equal(first.Header.Request, frame.Header.Request);
            if (frame.Kind == FrameKind.Cancel) { return bytes; }
            Assert.Equal(FrameKind.WriteMore, frame.Kind);
            bytes += frame.Payload.Length;
        }
    }

    /// <summary>A client that has sent its first ping, which is not answered, so that there is no other.</summary>
    private async Task<(BlockChannelClient Client, RawPeer Server)> ConnectAsync()
    {
        (BlockChannelClient client, RawPeer server) = await listener.ConnectAsync(ChannelWorld.ClientOptions with
        {
            Clock = time,
            PingInterval = TimeSpan.FromHours(1),
            SilenceTime = TimeSpan.FromHours(2),
        });
        await server.ReadAsync(FrameKind.Ping);
        return (client, server);
    }
}
