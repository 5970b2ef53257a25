using System.Collections.Immutable;
using System.Runtime.Versioning;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Storage;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <summary>Fetches the blocks that this node lacks of shards of which it has a copy that does not count yet.</summary>
/// <remarks>From each primary one shard after the other, one block after the other: a node that heals must not keep clients waiting.
/// A primary that falls silent, or is none any more, is not waited for: another one may need this copy before it can serve. What the
/// primary has not is left alone: no proof says that it is dead.</remarks>
[SupportedOSPlatform("linux")]
internal sealed partial class BlockHealer(ReplicationDriver driver, BlockStore blocks, PeerChannels channels, ILogger logger)
    : IAsyncDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_fetchTime = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_listTime = TimeSpan.FromMinutes(5);

    private readonly CancellationTokenSource stop = new();
    private readonly Dictionary<NodeId, Round> rounds = [];
    private Task running = Task.CompletedTask;

    /// <summary>How far it is.</summary>
    public HealingTally Tally { get; } = new();

    public void Start() => running = Task.Run(RunAsync);

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await running;
        stop.Dispose();
    }

    private async Task RunAsync()
    {
        try
        {
            using PeriodicTimer timer = new(s_interval);
            while (await timer.WaitForNextTickAsync(stop.Token))
            {
                IReadOnlyList<(ShardId Shard, NodeId Primary)> uncounted = driver.CopiesThatDoNotCount();
                Tally.Look(uncounted.Select(static one => one.Shard), SuspendClock.Now);
                HashSet<(ShardId Shard, NodeId Primary)> lacking =
                    [.. uncounted.Where(one => driver.PresenceOf(one.Primary) == NodePresence.Here)];
                foreach ((NodeId primary, Round round) in rounds.ToArray())
                {
                    if (!lacking.Contains((round.Shard, primary))) { await round.Stop.CancelAsync(); }
                    if (!round.Running.IsCompleted) { continue; }
                    await EndAsync(primary, round);
                }

                foreach (IGrouping<NodeId, ShardId> some in lacking.GroupBy(static one => one.Primary, static one => one.Shard))
                {
                    if (!rounds.ContainsKey(some.Key)) { rounds.Add(some.Key, Begin(some.Key, [.. some.Order()])); }
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The node stops.
        }

        foreach ((NodeId primary, Round round) in rounds.ToArray()) { await EndAsync(primary, round); }
    }

    private Round Begin(NodeId primary, ImmutableArray<ShardId> shards)
    {
        Round round = new(CancellationTokenSource.CreateLinkedTokenSource(stop.Token)) { Shard = shards[0] };
        round.Running = Task.Run(async () =>
        {
            foreach (ShardId shard in shards)
            {
                if (round.Stop.IsCancellationRequested) { return; }
                round.Shard = shard;
                await HealAsync(shard, primary, round.Stop.Token);
            }
        });
        return round;
    }

    private async ValueTask EndAsync(NodeId primary, Round round)
    {
        rounds.Remove(primary);
        await round.Running;
        round.Stop.Dispose();
    }

    private async Task HealAsync(ShardId shard, NodeId primary, CancellationToken cancellation)
    {
        try
        {
            if (channels.Find(primary) is not { } channel) { return; }
            if (await ListMissingAsync(channel, shard, cancellation) is not (ulong token, List<BlockName> missing)) { return; }
            Tally.OnListed(shard, missing.Count);
            int fetched = 0;
            foreach (BlockName block in missing)
            {
                int length = await FetchAsync(channel, block, cancellation);
                Tally.OnFetched(shard, length);
                if (length > 0) { fetched++; }
            }

            // What refers to these blocks is durable already: so must their entries be, before this copy counts.
            Status synced = blocks.SyncIndex();
            if (synced != Status.Ok) { throw new StorageException(synced, $"the index cannot be synced here ({synced})"); }
            if (fetched > 0) { LogHealed(logger, fetched, shard, primary); }
            byte[] boot = new byte[BootId.Size];
            driver.Process.Boot.Write(boot);
            await channel.UnaryAsync(
                BlockCopyMethods.Complete,
                new()
                {
                    Shard = shard.Value,
                    Node = driver.Process.Node.Value,
                    Boot = Google.Protobuf.ByteString.CopyFrom(boot),
                    Token = token,
                },
                new() { Timeout = s_fetchTime },
                cancellation);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            // Whatever it is must not keep the other shards from healing.
            LogNotHealed(logger, shard, primary, e.Message);
        }
        catch (Exception) when (cancellation.IsCancellationRequested)
        {
            // The node stops, or the primary is not there any more.
        }
    }

    /// <exception cref="StorageException">The primary cannot tell, or this disk cannot.</exception>
    /// <returns>What names the list, and what is missing here; null: it is not the primary, or not yet.</returns>
    private async Task<(ulong Token, List<BlockName> Missing)?> ListMissingAsync(
        GrpcChannel channel, ShardId shard, CancellationToken cancellation)
    {
        using GrpcCall<V1.ListRequest, V1.ListPart> call = channel.ServerStreaming(
            BlockCopyMethods.List,
            new V1.ListRequest { Shard = shard.Value, Node = driver.Process.Node.Value },
            new() { Timeout = s_listTime },
            cancellation);
        ulong token = 0;
        List<BlockName> missing = [];
        await foreach (V1.ListPart part in call.ReadAllAsync(cancellation))
        {
            if (part.Status == V1.Status.StaleEpoch) { return null; }
            if (part.Status != V1.Status.Ok)
            {
                throw new StorageException(part.Status.ToCore(), $"the primary does not tell which blocks there are ({part.Status})");
            }

            if (part.Token != 0) { token = part.Token; }
            if (part.Owner.IsEmpty) { continue; }
            if (part.Spread > ShardOfBlock.MaxSpread) { throw new StorageException(Status.Invalid, "the primary tells of a spread of over 100 percent"); }
            DriveId owner = part.Owner.ToDriveId();
            Open(owner, (int)part.Spread);
            foreach (ulong id in part.Ids)
            {
                BlockName name = new(owner, new(id));
                if (blocks.GetBlockLength(name, out _) == Status.NotFound) { missing.Add(name); }
            }
        }

        return (token, missing);
    }

    /// <returns>The bytes of the block; 0: it is gone meanwhile.</returns>
    /// <exception cref="StorageException">It could not be read there, or written here.</exception>
    private async Task<int> FetchAsync(GrpcChannel channel, BlockName block, CancellationToken cancellation)
    {
        (Status status, byte[]? content) = await BlockFetcher.FetchAsync(channel, block, s_fetchTime, cancellation);
        if (status == Status.NotFound) { return 0; }
        if (status != Status.Ok) { throw new StorageException(status, $"block {block} cannot be read there ({status})"); }
        Status kept = blocks.WriteOwnCopy(block, content, SpaceUse.Data);
        if (kept == Status.Ok) { kept = blocks.SyncBlocks(block.Owner); }
        return kept == Status.Ok ? content!.Length : throw new StorageException(kept, $"block {block} cannot be kept here ({kept})");
    }

    private void Open(DriveId owner, int spread)
    {
        StorageResult opened = blocks.OpenOrCreateDrive(owner, spread);
        if (!opened.IsOk) { throw new StorageException(opened.Status, opened.Message); }
    }

    /// <summary>What one primary is asked, shard after shard.</summary>
    private sealed class Round(CancellationTokenSource stop)
    {
        private int shard;

        public CancellationTokenSource Stop => stop;

        public Task Running { get; set; } = Task.CompletedTask;

        /// <summary>The one that it is at. For any thread.</summary>
        public ShardId Shard
        {
            get => new((ushort)Volatile.Read(ref shard));
            set => Volatile.Write(ref shard, value.Value);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Fetched {Count} blocks of shard {Shard} from node {Primary}.")]
    private static partial void LogHealed(ILogger logger, int count, ShardId shard, NodeId primary);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The blocks of shard {Shard} cannot all be had from node {Primary}: {Why}. Trying again.")]
    private static partial void LogNotHealed(ILogger logger, ShardId shard, NodeId primary, string why);
}
