using KvFs.Core;
using KvFs.Protocol.BlockChannel;
using KvFs.Protocol.BlockChannel.Wire;
using KvFs.Protocol.Tests.Support;

namespace KvFs.Protocol.Tests;

/// <summary>What a handler does, and what its client hears of it.</summary>
public sealed class HandlerTests
{
    private static readonly byte[] Content = Samples.Bytes(200_000, 1);

    [Fact]
    public async Task A_write_reaches_the_handler_as_it_was_asked_for()
    {
        await using ChannelWorld world = new();
        BlockWrite seen = default;
        world.Blocks.BeforeWrite = (write, _) =>
        {
            seen = write;
            return new(BlockAnswer.Ok);
        };
        BlockChannelClient client = await world.ConnectAsync();
        BlockWrite sent = Samples.Write(ulong.MaxValue, BlockWriteFlags.Durable | BlockWriteFlags.Forward) with
        {
            Shard = new(ushort.MaxValue),
            Epoch = new(ulong.MaxValue),
        };
        Assert.Equal(BlockAnswer.Ok, await client.WriteAsync(sent, Content, default, Deadline.None, CancellationToken.None));
        Assert.Equal(sent, seen);
        uint[] checksums = new uint[4];
        BlockPieces.Checksum(0, Content, checksums);
        Assert.Equal(checksums, world.Blocks.ChecksumsOf(sent.Name));
    }

    [Fact]
    public async Task A_stale_epoch_is_answered_with_the_newer_one()
    {
        await using ChannelWorld world = new();
        world.Blocks.Put(Samples.Name(1), Content);
        world.Blocks.Epoch = new(9);
        BlockChannelClient client = await world.ConnectAsync();
        Assert.Equal(BlockAnswer.Stale(new(9)), await client.WriteAsync(2, Content));
        Assert.Equal(BlockAnswer.Stale(new(9)), await client.ReadAsync(1, 0, new byte[1000]));
    }

    [Theory]
    [InlineData(Status.NoSpace)]
    [InlineData(Status.Exists)]
    [InlineData(Status.IoError)]
    [InlineData((Status)200)]
    public async Task Any_status_reaches_the_client(Status status)
    {
        await using ChannelWorld world = new();
        world.Blocks.Put(Samples.Name(1), Content);
        world.Blocks.BeforeWrite = (_, _) => new(BlockAnswer.Of(status));
        world.Blocks.BeforeRead = (_, _) => new(BlockAnswer.Of(status));
        BlockChannelClient client = await world.ConnectAsync();
        Assert.Equal(BlockAnswer.Of(status), await client.WriteAsync(2, Content));
        Assert.Equal(BlockAnswer.Of(status), await client.ReadAsync(1, 0, new byte[1000]));
    }

    [Fact]
    public async Task What_a_handler_throws_ends_its_request_only()
    {
        await using ChannelWorld world = new() { ExpectedFailures = 2 };
        world.Blocks.Put(Samples.Name(1), Content);
        world.Blocks.BeforeWrite = (_, _) => throw new InvalidOperationException("planted");
        world.Blocks.BeforeRead = (read, _) => read.Offset > 0 ? throw new InvalidOperationException("planted") : new(BlockAnswer.Ok);
        BlockChannelClient client = await world.ConnectAsync();
        Assert.Equal(Status.Unknown, (await client.WriteAsync(2, Content)).Status);
        Assert.Equal(Status.IoError, (await client.ReadAsync(1, 1, new byte[1000])).Status);
        Assert.Equal(Status.Ok, (await client.ReadAsync(1, 0, new byte[1000])).Status);
    }

    [Fact]
    public async Task What_a_handler_throws_when_it_is_cancelled_ends_nothing_else()
    {
        await using ChannelWorld world = new() { ExpectedFailures = 2 };
        world.Blocks.Put(Samples.Name(1), Content);
        TaskCompletionSource begun = new();
        world.Blocks.BeforeRead = async (_, token) =>
        {
            TaskCompletionSource cancelled = new(TaskCreationOptions.RunContinuationsAsynchronously);
            await using CancellationTokenRegistration registration = token.Register(() =>
            {
                cancelled.SetResult();
                throw new InvalidOperationException("planted");
            });
            begun.SetResult();
            await cancelled.Task;
            return BlockAnswer.Ok;
        };
        using RawPeer raw = new(await world.ConnectRawAsync());
        await raw.GreetAsync();
        await raw.SendAsync(RawPeer.Read(1, Samples.Read(1, 0, 10)));
        await begun.Task.WaitAsync(Patience.Time);
        await raw.SendAsync(RawPeer.Bare(FrameKind.Cancel, 1));
        Assert.Equal(Status.Interrupted, (await raw.ReadAsync(FrameKind.Answer)).Answer.Status);

        // The end of a connection, too, cancels what is in flight.
        begun = new();
        await raw.SendAsync(RawPeer.Read(2, Samples.Read(1, 0, 10)));
        await begun.Task.WaitAsync(Patience.Time);
        raw.Socket.LingerState = new(true, 0);
        raw.Dispose();
        Assert.Contains("broke", (await world.NextEndAsync()).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_given_up_because_the_connection_ends_is_not_answered_as_if_somebody_had_cancelled_it()
    {
        await using ChannelWorld world = new(change: options => options with { CallThreads = 1 });
        world.Blocks.Put(Samples.Name(1), Content);
        world.Blocks.BeforeRead = async (read, token) =>
        {
            if (read.Name == Samples.Name(2)) { return BlockAnswer.Ok; }

            // What follows is done where it is cancelled, so the answer leaves before the goodbye.
            TaskCompletionSource cancelled = new();
            using CancellationTokenRegistration registration = token.Register(cancelled.SetResult);
            await cancelled.Task;
            token.ThrowIfCancellationRequested();
            return BlockAnswer.Ok;
        };
        using RawPeer raw = new(await world.ConnectRawAsync());
        await raw.GreetAsync();
        await raw.SendAsync(RawPeer.Read(1, Samples.Read(1, 0, 10)), RawPeer.Read(2, Samples.Read(2, 0, 10)));

        // The only thread has done the second, so it has left the first waiting.
        RawFrame second = await raw.ReadAsync(FrameKind.Answer);
        Assert.Equal((2UL, Status.NotFound), (second.Header.Request, second.Answer.Status));
        await raw.SendAsync(RawPeer.Bare(FrameKind.Pong, 1));  // Breaks a rule.
        RawFrame first = await raw.ReadAsync(FrameKind.Answer);
        Assert.Equal((1UL, Status.Unavailable), (first.Header.Request, first.Answer.Status));
        Assert.Equal(Status.Invalid, (await raw.ReadAsync(FrameKind.Bye)).Bye.Status);
    }

    [Fact]
    public async Task A_read_that_fails_half_way_has_one_answer_behind_its_data()
    {
        await using ChannelWorld world = new(change: options => options with { ChunkBytes = 64 << 10 });
        world.Blocks.Put(Samples.Name(1), Samples.Bytes(2 << 20, 1));
        BlockChannelClient client = await world.ConnectAsync();
        for (uint failsAt = 0; failsAt < 2 << 20; failsAt += 256 << 10)
        {
            world.Blocks.BeforeRead = (read, _) => new(BlockAnswer.Of(read.Offset == failsAt ? Status.Corrupt : Status.Ok));
            Assert.Equal(Status.Corrupt, (await client.ReadAsync(1, 0, new byte[2 << 20])).Status);
        }

        Assert.True(client.IsOpen, client.End?.ToString());
    }

    [Fact]
    public async Task Rot_that_the_handler_passes_on_is_found_by_the_client()
    {
        await using ChannelWorld world = new();
        world.Blocks.Put(Samples.Name(1), Content);
        BlockChannelClient client = await world.ConnectAsync();
        world.Blocks.AfterRead = (bytes, _) => bytes.Span[^1] ^= 1;
        Assert.Equal(Status.Corrupt, (await client.ReadAsync(1, 0, new byte[150_000])).Status);
        world.Blocks.AfterRead = (_, checksums) => checksums.Span[^1] ^= 1;
        Assert.Equal(Status.Corrupt, (await client.ReadAsync(1, 70_000, new byte[50])).Status);
        world.Blocks.AfterRead = null;
        Assert.Equal(Status.Ok, (await client.ReadAsync(1, 70_000, new byte[50])).Status);
    }

    [Fact]
    public async Task Checksums_that_come_with_a_block_are_compared_by_the_server()
    {
        await using ChannelWorld world = new();
        BlockChannelClient client = await world.ConnectAsync();
        uint[] checksums = new uint[4];
        BlockPieces.Checksum(0, Content, checksums);
        Assert.Equal(Status.Ok, (await client.WriteAsync(Samples.Write(1), Content, checksums, Deadline.None, CancellationToken.None)).Status);
        checksums[2] ^= 4;
        Assert.Equal(
            Status.Corrupt, (await client.WriteAsync(Samples.Write(2), Content, checksums, Deadline.None, CancellationToken.None)).Status);
        Assert.Null(world.Blocks.Find(Samples.Name(2)));
    }

    [Fact]
    public async Task A_long_read_is_told_what_comes_behind_and_its_parts_end_with_units()
    {
        await using ChannelWorld world = new(change: options => options with { ChunkBytes = 128 << 10 });
        byte[] content = Samples.Bytes(1_000_000, 1);
        world.Blocks.Put(Samples.Name(1), content);
        List<BlockRead> parts = [];
        world.Blocks.BeforeRead = (read, _) =>
        {
            lock (parts) { parts.Add(read); }
            return new(BlockAnswer.Ok);
        };
        BlockChannelClient client = await world.ConnectAsync();
        byte[] read = new byte[900_000];
        Assert.Equal(Status.Ok, (await client.ReadAsync(1, 1000, read)).Status);
        Assert.Equal(content[1000..901_000], read);
        uint next = 1000;
        foreach (BlockRead part in parts)
        {
            Assert.Equal(next, part.Offset);
            next += (uint)part.Length;
            Assert.True(next % Limits.ChecksumUnitBytes == 0 || next == 901_000);
        }

        Assert.Equal(901_000u, next);
    }

    [Fact]
    public async Task A_caller_that_asks_for_what_cannot_be_is_told_so()
    {
        await using ChannelWorld world = new();
        BlockChannelClient client = await world.ConnectAsync();
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await client.WriteAsync(1, []));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await client.WriteAsync(1, new byte[Limits.BlockBytes + 1]));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await client.WriteAsync(
            Samples.Write(1), Content, new uint[3], Deadline.None, CancellationToken.None));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await client.ReadAsync(1, 0, Memory<byte>.Empty));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await client.ReadAsync(1, Limits.BlockBytes, new byte[1]));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await client.ReadAsync(
            Samples.Read(1, 0, 100_000), new byte[100_000], new uint[1], Deadline.None, CancellationToken.None));
    }
}
