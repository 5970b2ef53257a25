using System.Collections.Concurrent;
using System.Runtime.Versioning;
using Google.Protobuf;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Storage;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <summary>Brings a primary's blocks to the other copies of their shard.</summary>
/// <remarks>
/// Thread safe. A block is answered for once every copy that counts has it on disk. One that does not count yet is given it,
/// too; if that fails, it has to look for what it lacks once more (<see cref="ReplicationDriver.OnBlockMissed"/>) before it can
/// count. Who counts is asked again at the end, because a copy may have come to count meanwhile.
/// </remarks>
[SupportedOSPlatform("linux")]
internal sealed partial class BlockCopies(
    ReplicationDriver driver, BlockStore blocks, PeerLinks links, PeerChannels channels, int shardCount) : IBlockCopies
{
    private readonly ReplicationDriver driver = driver;
    private readonly PeerLinks links = links;
    private readonly ConcurrentDictionary<ulong, TaskCompletionSource<Status>> sent = new();

    /// <summary>Begins anywhere: the answer to a block of the process before must not be taken for one of this one's.</summary>
    private ulong lastSent = (ulong)Random.Shared.NextInt64();

    /// <summary>A copy that does not take a block within it is asked again, if it still counts.</summary>
    private static readonly TimeSpan s_callTime = TimeSpan.FromSeconds(5);

    /// <summary>Before the next attempt, unless the map says meanwhile that it does not count; then twice that, and so on.</summary>
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(50);

    /// <summary>How long a copy whose disk is full may go on counting: it says so in its beacons, and the pool map has to be changed.</summary>
    private static readonly TimeSpan s_fullTime = TimeSpan.FromSeconds(3);

    /// <summary>Between two attempts at the most: each sends the whole block.</summary>
    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(1);

    /// <summary>Between two looks whether who does not answer still counts.</summary>
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(50);

    public Status Store(BlockName block, ReadOnlySpan<byte> content, Func<Status> meanwhile) =>
        Store(block, HomeShard.Of(block.Owner, shardCount), spread: 0, content, meanwhile);

    private Status Store(BlockName block, ShardId shard, int spread, ReadOnlySpan<byte> content, Func<Status> meanwhile)
    {
        HashSet<InSyncReplica> has = [];
        bool isDone = false;
        TimeSpan pause = s_pause;
        TimeSpan? fullSince = null;
        TimeSpan began = SuspendClock.Now;
        while (true)
        {
            if (driver.CopiesOf(shard) is not { } copies) { return Status.StaleEpoch; }
            InSyncReplica[] lacking = [.. copies.Others.Where(copy => !has.Contains(copy))];

            // Of a drive that is not spread, the log does not go on without enough copies.
            if (lacking.Length == 0 && isDone) { return spread == 0 || copies.IsEnough ? Status.Ok : Status.Busy; }
            using Sending sending = new(this, shard, lacking);
            sending.Begin(HeadOf(shard, copies.Epoch, block, spread, content.Length), content);
            if (!isDone)
            {
                Status done = meanwhile();
                if (done != Status.Ok) { return done; }
                isDone = true;
            }

            bool mustPause = false;
            Status[] answers = sending.Collect();
            for (int at = 0; at < lacking.Length; at++)
            {
                Status status = answers[at];
                if (status == Status.Ok)
                {
                    has.Add(lacking[at]);
                }
                else if (driver.OnBlockMissed(shard, lacking[at]))
                {
                    // It does not count, and cannot before it has looked for what it lacks.
                    has.Add(lacking[at]);
                }
                else if (status == Status.NoSpace && copies.IsOneToSpare && SuspendClock.Now - (fullSince ??= SuspendClock.Now) < s_fullTime)
                {
                    // Its disk alone is full: this shard is about to go on without it.
                    mustPause = true;
                }
                else if (status is Status.NoSpace or Status.Exists or Status.Invalid)
                {
                    return status;
                }
                else
                {
                    mustPause = true;
                }
            }

            if (!mustPause) { continue; }

            // Whoever sent a spread block sends it anew, and must not find the threads of this node waiting for a copy that is gone.
            if (spread != 0 && SuspendClock.Now - began > s_keepTime) { return Status.Busy; }
            driver.AwaitView(pause);
            if (pause < s_longestPause) { pause *= 2; }
        }
    }

    public void Drop(DriveId owner, int spread, ReadOnlySpan<BlockId> ids)
    {
        ShardId home = HomeShard.Of(owner, shardCount);
        if (driver.CopiesOf(home) is not { } copies) { return; }
        V1.DropRequest request = new() { Shard = home.Value, Epoch = copies.Epoch.Value, Owner = owner.ToWire(), Spread = (uint)spread };
        if (spread != 0)
        {
            DropSpread(request, owner, spread, ids);
            return;
        }

        foreach (BlockId id in ids) { request.Ids.Add(id.Value); }
        Task.WaitAll([.. copies.Others.Select(copy => DropAsync(copy.Node, request))]);
    }

    private async Task DropAsync(NodeId node, V1.DropRequest request)
    {
        try
        {
            if (channels.Find(node) is not { } channel) { return; }
            await channel.UnaryAsync(BlockCopyMethods.Drop, request, new() { Timeout = s_callTime }, CancellationToken.None);
        }
        catch (GrpcException)
        {
            // What it keeps is in nobody's way.
        }
    }

    /// <summary>A copy has answered.</summary>
    public void OnStored(V1.BlockStored answer)
    {
        if (sent.TryRemove(answer.Number, out TaskCompletionSource<Status>? waiting)) { waiting.TrySetResult(answer.Status.ToCore()); }
    }

    private static V1.StoreHead HeadOf(ShardId shard, Epoch epoch, BlockName block, int spread, int length) => new()
    {
        Shard = shard.Value,
        Epoch = epoch.Value,
        Owner = block.Owner.ToWire(),
        Id = block.Id.Value,
        Length = (uint)length,
        Spread = (uint)spread,
    };

    /// <summary>Waits for answers, and looks now and then whether they are still to be waited for.</summary>
    private static void Await(Task answers, Action look)
    {
        if (answers.Wait(s_look, CancellationToken.None)) { return; }
        using RequestThreads.Place place = RequestThreads.Leave();
        do { look(); }
        while (!answers.Wait(s_look, CancellationToken.None));
    }

    /// <summary>Sends a block now, which is the caller's again when this returns.</summary>
    /// <returns>What the copy answered; Busy: it did not.</returns>
    private Task<Status> SendDirectly(
        NodeId node, V1.StoreHead head, ReadOnlySpan<byte> content, uint checksum, TimeSpan time, CancellationToken unwanted)
    {
        ulong number = Interlocked.Increment(ref lastSent);
        TaskCompletionSource<Status> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        sent[number] = answer;
        if (!links.TrySend(node, new() { Number = number, Head = head, Crc32C = checksum }, content)) { answer.TrySetResult(Status.Busy); }
        return AwaitAsync(number, answer.Task, time, unwanted);
    }

    private async Task<Status> AwaitAsync(ulong number, Task<Status> answer, TimeSpan time, CancellationToken unwanted)
    {
        try
        {
            return await answer.WaitAsync(time, unwanted);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            return Status.Busy;
        }
        finally
        {
            sent.TryRemove(number, out _);
        }
    }

    /// <returns>What the copy answered; Busy: it did not.</returns>
    private async Task<Status> SendAsync(
        NodeId node, V1.StoreHead first, byte[] content, TimeSpan time, CancellationToken unwanted)
    {
        try
        {
            if (channels.Find(node) is not { } channel) { return Status.Busy; }
            using GrpcCall<V1.StorePart, V1.CopyReply> call = channel.Start(
                BlockCopyMethods.Store, new() { Timeout = time }, unwanted);
            V1.StoreHead? head = first;
            for (int offset = 0; offset < content.Length; offset += WireLimits.ChunkBytes)
            {
                ReadOnlyMemory<byte> part = content.AsMemory(offset, Math.Min(WireLimits.ChunkBytes, content.Length - offset));
                V1.StorePart message = new() { Data = UnsafeByteOperations.UnsafeWrap(part), Crc32C = Crc32C.Compute(part.Span) };
                if (head is not null) { message.Head = head; }
                head = null;
                if (!await call.Requests!.WriteAsync(message, unwanted)) { break; }
            }

            await call.CompleteAsync();
            return (await call.ReadOnlyOneAsync()).Status.ToCore();
        }
        catch (Exception e) when (e is GrpcException or OperationCanceledException)
        {
            return Status.Busy;
        }
    }

    /// <summary>A block on its way to several copies at once.</summary>
    private sealed class Sending(BlockCopies all, ShardId shard, InSyncReplica[] lacking) : IDisposable
    {
        private readonly CancellationTokenSource[] unwanted = [.. lacking.Select(static _ => new CancellationTokenSource())];
        private readonly long[] ways = [.. lacking.Select(copy => all.links.DirectNumber(copy.Node))];
        private readonly Status[] answers = new Status[lacking.Length];
        private readonly Task[] tasks = new Task[lacking.Length];

        /// <summary>Sends it. The content is the caller's again when this returns.</summary>
        public void Begin(V1.StoreHead head, ReadOnlySpan<byte> content)
        {
            uint checksum = lacking.Length > 0 ? Crc32C.Compute(content) : 0;
            byte[]? kept = ways.Contains(0) ? content.ToArray() : null;
            for (int at = 0; at < lacking.Length; at++)
            {
                Task<Status> answer = ways[at] == 0
                    ? all.SendAsync(lacking[at].Node, head, kept!, s_callTime, unwanted[at].Token)
                    : all.SendDirectly(lacking[at].Node, head, content, checksum, s_callTime, unwanted[at].Token);
                tasks[at] = TakeAsync(answer, at);
            }
        }

        /// <summary>Waits for each copy as long as it counts. Busy: it did not answer.</summary>
        public Status[] Collect()
        {
            Await(Task.WhenAll(tasks), () =>
            {
                for (int at = 0; at < lacking.Length; at++)
                {
                    // What went over a stream that is no more may not have come.
                    bool isLost = ways[at] != 0 && all.links.DirectNumber(lacking[at].Node) != ways[at];
                    if (!tasks[at].IsCompleted && (isLost || !all.driver.IsWaitedFor(shard, lacking[at]))) { unwanted[at].Cancel(); }
                }
            });
            return answers;
        }

        /// <summary>Nobody waits any more.</summary>
        public void Dispose()
        {
            foreach (CancellationTokenSource one in unwanted)
            {
                one.Cancel();
                one.Dispose();
            }
        }

        private async Task TakeAsync(Task<Status> answer, int at) => answers[at] = await answer;
    }
}

/// <summary>Channels to the other nodes, for calls of all kinds.</summary>
[SupportedOSPlatform("linux")]
public sealed class PeerChannels(MapKeeper map, Func<PoolNode, GrpcChannel> dial) : IDisposable
{
    private readonly ConcurrentDictionary<(NodeId Node, string Address), Lazy<GrpcChannel>> channels = new();

    /// <summary>A channel to a node; null: the pool map has none of that number.</summary>
    public GrpcChannel? Find(NodeId node)
    {
        if (map.Map.Find(node) is not { State: not NodeState.Gone } found) { return null; }
        return channels.GetOrAdd((node, string.Join(' ', found.Addresses)), _ => new(() => dial(found))).Value;
    }

    public void Dispose()
    {
        foreach (Lazy<GrpcChannel> channel in channels.Values)
        {
            if (channel.IsValueCreated) { channel.Value.Dispose(); }
        }
    }
}
