using Google.Protobuf;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Replication;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Tests.Replication;

/// <summary>Who comes to a node's socket and is no node of its pool, or talks nonsense: refused, and the pool goes on.</summary>
[Collection(AloneCollection.Name)]
public sealed class PeerServiceTests : IAsyncLifetime, IDisposable
{
    private static readonly ShardId s_shard = new(0);
    private static readonly NodeId s_server = new(1);
    private static readonly NodeId s_peer = new(2);
    private static readonly PoolId s_pool = new(4711);

    /// <summary>The same call with messages that are only bytes.</summary>
    private static readonly GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> s_bytes = new(
        GrpcMethodKind.Duplex, "kvfs.v1.Replication", "Connect", Marshaller.Bytes, Marshaller.Bytes);

    private TestPool pool = null!;
    private GrpcChannel channel = null!;

    public async Task InitializeAsync()
    {
        pool = await TestPool.StartAsync(nodes: 2);
        channel = new(GrpcTarget.UnixSocket(pool.AddressOf(s_server)), new() { CallLimits = WireReplication.Limits });
    }

    public async Task DisposeAsync() => await pool.DisposeAsync();

    public void Dispose() => channel.Dispose();

    [Fact]
    public async Task A_node_of_the_pool_is_told_who_is_here()
    {
        using GrpcCall<V1.PeerMessage, V1.PeerMessage> call = Connect();
        await call.Requests!.WriteAsync(Hello(), CancellationToken.None);
        Assert.True(await call.WaitToReadAsync());
        Assert.True(call.TryRead(out V1.PeerMessage answer));
        Assert.Equal((s_pool, new(s_server, TestPool.DiskOf(s_server), TestPool.BootOf(1))), PeerHello.Read(answer.Hello));
        await call.CompleteAsync();
        Assert.False(await call.WaitToReadAsync());
        await AssertServesAsync();
    }

    [Fact]
    public async Task Who_is_no_node_of_the_pool_is_refused_with_the_reason()
    {
        (PoolId Pool, InSyncReplica Process, string Why)[] strangers =
        [
            (new(4712), Process(s_peer), "not of"),
            (s_pool, new(new(3), TestPool.DiskOf(new(3)), TestPool.BootOf(1)), "has no node 3"),
            (s_pool, new(new(uint.MaxValue), TestPool.DiskOf(s_peer), TestPool.BootOf(1)), "has no node"),
            (s_pool, new(s_peer, new(99), TestPool.BootOf(1)), "with another disk it is another node"),
            (s_pool, new(s_peer, TestPool.DiskOf(s_server), TestPool.BootOf(1)), "with another disk it is another node"),
        ];
        foreach ((PoolId theirs, InSyncReplica process, string why) in strangers)
        {
            GrpcException refusal = await RefusalAsync(new V1.PeerMessage { Hello = PeerHello.Of(theirs, process) });
            Assert.Equal(GrpcStatusCode.FailedPrecondition, refusal.Code);
            Assert.Contains(why, refusal.Message, StringComparison.Ordinal);
        }

        await AssertServesAsync();
    }

    [Fact]
    public async Task A_hello_that_does_not_say_who_is_there_is_refused()
    {
        V1.Hello good = Hello().Hello;
        V1.Hello[] bad =
        [
            new(),
            new(good) { Pool = ByteString.CopyFrom(1, 2) },
            new(good) { Disk = ByteString.Empty },
            new(good) { Disk = ByteString.CopyFrom(new byte[17]) },
            new(good) { Boot = ByteString.CopyFrom(new byte[15]) },
            new(good) { Node = 0 },
        ];
        foreach (V1.Hello hello in bad)
        {
            GrpcException refusal = await RefusalAsync(new V1.PeerMessage { Hello = hello });
            Assert.Equal(GrpcStatusCode.InvalidArgument, refusal.Code);
            Assert.Contains("does not say who is there", refusal.Message, StringComparison.Ordinal);
        }

        await AssertServesAsync();
    }

    [Fact]
    public async Task Who_does_not_begin_with_a_hello_is_refused()
    {
        V1.PeerMessage[] others =
        [
            new(),
            new() { Beacon = new() { Number = 1, Revision = 1 } },
            new() { AppendEntries = new() { Shard = 0, Epoch = 99, Committed = 99 } },
            new() { SnapshotPart = new() { IsLast = true } },
        ];
        foreach (V1.PeerMessage other in others)
        {
            GrpcException refusal = await RefusalAsync(other);
            Assert.Equal(GrpcStatusCode.InvalidArgument, refusal.Code);
            Assert.Contains("says first who it is", refusal.Message, StringComparison.Ordinal);
        }

        using GrpcCall<V1.PeerMessage, V1.PeerMessage> silent = Connect();
        await silent.CompleteAsync();
        GrpcException nothing = await Assert.ThrowsAsync<GrpcException>(async () => await silent.WaitToReadAsync());
        Assert.Equal(GrpcStatusCode.InvalidArgument, nothing.Code);
        await AssertServesAsync();
    }

    [Fact]
    public async Task Nonsense_behind_a_hello_ends_the_stream_with_the_reason()
    {
        byte[] entry = LogFolder.Entry(new(7), new(1), pool.DriveOn(s_shard)).ToArray();
        (V1.PeerMessage Message, string Why)[] nonsense =
        [
            (Hello(), "kind Hello"),
            (new() { AppendReply = new() { Shard = 70_000 } }, ""),
            (new() { AppendEntries = new() { Entries = { ByteString.CopyFrom(1, 2, 3) } } }, "entry 1 of shard 0"),
            (new() { AppendEntries = new() { Previous = new() { Index = 3 }, Entries = { ByteString.CopyFrom(entry) } } }, "entry 4 of shard 0"),
            (new() { AppendEntries = new() { Previous = new() { Index = ulong.MaxValue } } }, "no log has"),
            (new() { AppendMismatch = new() { Runs = { new V1.LogRun { Epoch = 2, Last = 2 }, new V1.LogRun { Epoch = 1, Last = 3 } } } }, "do not rise"),
            (new() { SnapshotPart = new() { Records = ByteString.CopyFrom(1, 2), Crc32C = 7 } }, "part 0 of a snapshot is damaged"),
            (new() { SnapshotPart = new() { Shard = 70_000 } }, ""),
        ];
        foreach ((V1.PeerMessage message, string why) in nonsense)
        {
            GrpcException refusal = await RefusalAsync(Hello(), message);
            Assert.Equal(GrpcStatusCode.InvalidArgument, refusal.Code);
            Assert.Contains(why, refusal.Message, StringComparison.Ordinal);
            await AssertServesAsync();
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Bytes_that_are_no_message_end_the_stream_and_nothing_else(int seed)
    {
        Random random = new(seed);
        for (int round = 0; round < 200; round++)
        {
            byte[] bytes = new byte[random.Next(1, 60)];
            random.NextBytes(bytes);
            bytes[0] = (byte)((random.Next(1, 16) << 3) | 7);  // There is no wire type 7.
            using GrpcCall<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> call = channel.Start(s_bytes, GrpcCallOptions.None, CancellationToken.None);
            if (round % 2 == 0) { await call.Requests!.WriteAsync(Hello().ToByteArray(), CancellationToken.None); }
            await call.Requests!.WriteAsync(bytes, CancellationToken.None);
            GrpcException refusal = await Assert.ThrowsAsync<GrpcException>(() => ToEndAsync(call));
            Assert.NotEqual(GrpcStatusCode.Unknown, refusal.Code);
            Assert.NotEmpty(refusal.Status.Detail);
        }

        await AssertServesAsync();
    }

    [Fact]
    public async Task What_an_earlier_process_of_a_node_says_changes_nothing()
    {
        TestMember primary = await pool.PrimaryOfAsync(s_shard);
        InSyncReplica earlier = Process(s_peer) with { Boot = new(1) };
        using GrpcCall<V1.PeerMessage, V1.PeerMessage> call = Connect();
        await call.Requests!.WriteAsync(new() { Hello = PeerHello.Of(s_pool, earlier) }, CancellationToken.None);
        Assert.True(await call.WaitToReadAsync());
        await call.Requests!.WriteAsync(new() { StaleReign = new() { Shard = 0, Newer = 1000 } }, CancellationToken.None);
        await call.Requests!.WriteAsync(
            new() { AppendEntries = new() { Shard = 0, Epoch = 1000, Committed = 1000 } }, CancellationToken.None);
        await call.CompleteAsync();
        await ToEndAsync(call);

        // Its lease may have run out for a moment on a busy machine.
        Assert.Same(primary, await pool.PrimaryOfAsync(s_shard));
        await AssertServesAsync();
    }

    private GrpcCall<V1.PeerMessage, V1.PeerMessage> Connect() =>
        channel.Start(ReplicationMethods.Connect, GrpcCallOptions.None, CancellationToken.None);

    private static InSyncReplica Process(NodeId node) => new(node, TestPool.DiskOf(node), TestPool.BootOf(1));

    private static V1.PeerMessage Hello() => new() { Hello = PeerHello.Of(s_pool, Process(s_peer)) };

    /// <summary>Says something, and what the node says to that: it ends the stream.</summary>
    private async Task<GrpcException> RefusalAsync(params V1.PeerMessage[] said)
    {
        using GrpcCall<V1.PeerMessage, V1.PeerMessage> call = Connect();
        foreach (V1.PeerMessage message in said) { await call.Requests!.WriteAsync(message, CancellationToken.None); }
        return await Assert.ThrowsAsync<GrpcException>(() => ToEndAsync(call));
    }

    private static async Task ToEndAsync<T>(GrpcCall<T, T> call)
    {
        while (await call.WaitToReadAsync())
        {
            while (call.TryRead(out _)) { }
        }
    }

    /// <summary>The shard takes a write, and both copies have it.</summary>
    private async Task AssertServesAsync()
    {
        DriveId drive = pool.DriveOn(s_shard);
        Status status;
        do
        {
            TestMember primary = await pool.PrimaryOfAsync(s_shard);
            status = primary.LogOf(s_shard).Commit(drive, TestPool.Put(drive, 1, [1]));
        }
        while (status is Status.StaleEpoch or Status.Unknown);
        Assert.Equal(Status.Ok, status);
    }
}
