using System.Collections.Immutable;
using System.Diagnostics.Metrics;
using System.Runtime.Versioning;
using KvFs.Authority;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Drives;
using KvFs.Node.Maintenance;
using KvFs.Node.Remote;
using KvFs.Node.Replication;
using KvFs.Node.Shards;
using KvFs.Node.Storage;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging;

namespace KvFs.Node;

/// <summary>A storage node that is one of several: keeps copies of shards, and serves the drives of those that it is primary of.
/// </summary>
/// <remarks>Thread safe. Start, in order: (1) take the data folder and count the start; (2) find its place in the pool map, or, if that
/// is refused, in the one that it knew, and wait for one that can follow; (3) open the logs; (4) connect to the others, watch the map, and beacon. Stop, in order: hand primacies over, be left out, fall
/// silent, close.
/// </remarks>
[SupportedOSPlatform("linux")]
public sealed class PoolMemberNode : IShardOwner, IBlockMessages, IAsyncDisposable
{
    /// <summary>How long a polite stop waits for others to take over.</summary>
    private static readonly TimeSpan s_leaveTime = TimeSpan.FromSeconds(10);

    /// <summary>What its server lets through: logs of nodes, requests of clients.</summary>
    public static GrpcCallLimits CallLimits { get; } = new(
        Math.Max(WireReplication.Limits.MaxReceiveBytes, WireLimits.OfServer.MaxReceiveBytes),
        Math.Max(WireReplication.Limits.MaxSendBytes, WireLimits.OfServer.MaxSendBytes));

    /// <summary>How long it stays until all others know that it does not count any more.</summary>
    private static readonly TimeSpan s_stayTime = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan s_leavePause = TimeSpan.FromMilliseconds(20);

    /// <summary>How often is asked whether it is time to compare copies.</summary>
    private static readonly TimeSpan s_compareLook = TimeSpan.FromSeconds(10);

    private readonly PoolNodeOptions options;
    private readonly StorageNode storage;
    private readonly ReplicationDriver driver;
    private readonly MapKeeper map;
    private readonly PeerLinks links;
    private readonly PlacementKeeper placement;
    private readonly PeerService peers;
    private readonly PeerChannels channels;
    private readonly BlockCopyService copies;
    private readonly BlockCopies sentCopies;
    private readonly BlockHealer healer;
    private readonly BlockCompareService compared;
    private readonly CopyComparer comparer;
    private readonly LeftoverService leftovers;
    private readonly LeftoverRemover remover;
    private readonly Meter meter = new("KvFs.Pool");
    private BackgroundLoop? comparing;
    private BackgroundLoop? removing;
    private readonly RemoteServices remote;
    private readonly SessionFinder sessions;
    private readonly ILogger logger;
    private bool isStopped;

    private PoolMemberNode(
        PoolNodeOptions options,
        CachedKeyValueStore store,
        BlockStore blocks,
        DiskWatch watch,
        NodeIdentity identity,
        Membership membership,
        ILoggerFactory loggers)
    {
        this.options = options;
        (PoolMap first, InSyncReplica process, string? refusal) = membership;
        ILogger logger = loggers.CreateLogger<PoolMemberNode>();
        map = new(options.Authority, first, refusal, options.Storage.Clock, logger);
        links = new(first.Pool, process, options.Dial, logger);
        driver = new(
            store,
            blocks.Space,
            new()
            {
                Process = process,
                Pool = first.Pool,
                ShardCount = first.Shards.Length,
                MinInSync = first.Settings.MinInSync,
                Times = options.Times,
                KeepsBlocks = true,
                DiskOwes = watch.Owed,
                ScratchPath = options.Storage.DataPath,
            },
            links,
            map,
            this,
            logger);
        peers = new(first.Pool, driver, node => map.Map.Find(node) is { State: not NodeState.Gone } known ? known.Disk : null, this, options.Direct, logger);
        channels = new(map, options.Dial);
        healer = new(driver, blocks, channels, logger);
        sentCopies = new(driver, blocks, links, channels, first.Shards.Length);
        copies = new(driver, blocks, sentCopies, links, first.Shards.Length);
        blocks.Copies = sentCopies;
        blocks.Mender.Source = new BlockFetcher(driver, channels, first.Shards.Length);
        placement = new(map, driver, options.Storage.Clock, logger);
        storage = StorageNode.StartOneOfSeveral(
            options.Storage, store, blocks, identity, first.Shards.Length, loggers.CreateLogger<StorageNode>());
        storage.Host.KnowsAll = KnowsAll;
        storage.Host.IsToServe = shard => map.Map[shard].Primary == driver.Process.Node;

        compared = new(driver, blocks, first.Shards.Length);
        comparer = new(storage, driver, channels, first.Shards.Length, logger);
        leftovers = new(
            driver, map, store, () => blocks.Mender.GetStatistics().UnrepairableBlocks == 0 && comparer.Last.LackingBlocks == 0);
        remover = new(storage, driver, leftovers, channels, first.Shards.Length, logger);
        this.logger = logger;
        AddInstruments();
        sessions = new(storage, driver, channels, first.Shards.Length);
        remote = new(storage, options.Remote with { Direct = options.Direct, FindSession = sessions.Find }, options.Storage.Clock, loggers);
    }

    /// <summary>This node's part in the pool.</summary>
    public InSyncReplica Process => driver.Process;

    /// <summary>The newest pool map that is known here.</summary>
    public PoolMap Map => map.Map;

    /// <summary>Why the map that stands in the authority is refused here; null: it is not.</summary>
    public string? Refusal => map.Refusal;

    /// <summary>The drives that this node serves now.</summary>
    public IDriveAdmin Admin => storage.Admin;

    public StorageNode Storage => storage;

    /// <summary>Opens a data folder, or makes it, and finds its place in the pool.</summary>
    /// <exception cref="StorageException">As <see cref="StorageNode.Open"/>, or the pool does not take it.</exception>
    public static async Task<PoolMemberNode> OpenAsync(
        PoolNodeOptions options, ILoggerFactory loggers, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(loggers);
        Directory.CreateDirectory(options.Storage.DataPath);
        DiskWatch watch = new(TimeProvider.System);
        CachedKeyValueStore? store = new(
            JournaledKeyValueStore.Open(Path.Combine(options.Storage.DataPath, "db"), watch), options.Storage.CachedRecords);
        BlockStore? blocks = null;
        try
        {
            DiskId newDisk = new(DriveId.Read(Guid.CreateVersion7().ToByteArray(bigEndian: true)).Value);
            blocks = BlockStore.Open(new LinuxDisk(options.Storage.DataPath, watch), store, newDisk);
            PoolRecord.CheckFolderOfMember(store);
            NodeIdentity identity = NodeIdentity.Start(store, options.Storage.ShardCount);
            Membership membership = await PoolMembership.EnterAsync(
                options, new(PoolRecord.Find(store), MapRecord.Find(store)), blocks.DiskId, PoolMembership.DrawBoot(identity.Starts), cancellation);
            PoolRecord.Write(store, membership.Map.Pool);
            Status recorded = store.Write(MapRecord.Of(membership.Map), logged: true);
            if (recorded != Status.Ok) { throw new StorageException(recorded, $"The pool map could not be recorded in the data folder: {recorded}."); }
            PoolMemberNode node = new(options, store, blocks, watch, identity, membership, loggers);
            store = null;
            blocks = null;
            return node;
        }
        finally
        {
            blocks?.Dispose();
            store?.Dispose();
        }
    }

    /// <summary>Adds what other nodes and clients call to a server that has not started.</summary>
    public void AddTo(GrpcServices services)
    {
        peers.AddTo(services);
        copies.AddTo(services);
        compared.AddTo(services);
        leftovers.AddTo(services);
        sessions.AddTo(services);
        remote.AddTo(services);
        new PoolService(this, driver).AddTo(services);
    }

    /// <summary>What it has done since its start, and how the pool seems to it.</summary>
    public NodeActivity GetActivity()
    {
        PoolMap known = map.Map;
        NodeActivity did = storage.GetActivity();
        return did with
        {
            Trouble = map.Refusal is { } why ? $"refuses the pool map in the authority: {why}" : did.Trouble,
            Node = driver.Process.Node,
            Boot = driver.Process.Boot,
            Revision = known.Revision,
            Condition = PoolCondition.Of(PoolHealth.Of(known, driver.PresenceOf)),
            Peers = known.Nodes
                .Where(node => node.State != NodeState.Gone && node.Id != driver.Process.Node)
                .ToImmutableDictionary(static node => node.Id, node => driver.PresenceOf(node.Id)),
        };
    }

    void IBlockMessages.OnStore(NodeId from, Protocol.V1.StoreBlock sent) => copies.OnStore(from, sent);

    void IBlockMessages.OnStored(Protocol.V1.BlockStored answer) => sentCopies.OnStored(answer);

    /// <summary>How the copies of blocks are that this node has.</summary>
    public NodeHealth GetHealth()
    {
        RepairStatistics repairs = storage.Blocks.Mender.GetStatistics();
        CopyTally found = comparer.Last;
        return new(
            (ulong)repairs.UnrepairableBlocks,
            (ulong)repairs.RepairedBlocks,
            (ulong)repairs.QuarantinedBlocks,
            (ulong)repairs.QuarantinedBytes,
            (ulong)found.LackingBlocks,
            (ulong)found.DifferingBlocks,
            (ulong)found.SurplusBlocks,
            storage.LastScrub);
    }

    /// <summary>The copies that it has, and how far it is with those that do not count yet.</summary>
    /// <exception cref="StorageException">The disk does not give the records of drives back.</exception>
    public HeldCopies GetCopies()
    {
        ILookup<ShardId, HeldDrive> drives = storage.Host.ListRecorded().Where(static entry => entry.IsVisible).ToLookup(
            entry => HomeShard.Of(entry.Drive, map.Map.Shards.Length),
            static entry => new HeldDrive(entry.Drive, entry.Policy.Name, entry.Policy.Spread));
        return new(
            driver.Process.Node,
            [.. driver.CopiesHere().Select(copy => new HeldCopy(copy.Shard, copy.Last, [.. drives[copy.Shard]], healer.Tally.Find(copy.Shard)))],
            healer.Tally.Get(SuspendClock.Now));
    }

    /// <summary>Takes part in the pool, once its server listens.</summary>
    public async Task StartAsync()
    {
        map.NewestHeard = driver.NewestHeard;
        map.Accepted = cancellation => PoolMembership.DescribeAsync(options, driver.Process.Node, map, cancellation);
        await map.StartAsync(OnMapAsync, driver.OnProposed);
        driver.Start();
        placement.Start();
        healer.Start();
        comparing = new("comparing", s_compareLook, logger, comparer.Run);
        TimeSpan interval = storage.Options.Scrub.LeftoverInterval;
        if (interval > TimeSpan.Zero) { removing = new("leftovers", interval, logger, remover.Run); }
    }

    /// <summary>Hands over what this node is primary of, as far as somebody is there, has itself listed as a copy that does not count, and
    /// falls silent once all others know that: until then they may wait for it.</summary>
    public async Task LeaveAsync()
    {
        await TryForAsync(s_leaveTime, driver.LeaveAsync);

        // Who is handed a shard must see that before the next change of it: else it misses a reign, and waits out the leases that
        // anybody may have had in it.
        await TryForAsync(s_stayTime, KnownToOthersAsync);
        await TryForAsync(s_leaveTime, cancellation => BeLeftOutAsync(isSilent: false, cancellation));
        await TryForAsync(s_stayTime, KnownToOthersAsync);
        driver.Dispose();

        // A primary that had not heard yet that it leaves may have taken it in meanwhile; what nobody took is given away now.
        await TryForAsync(s_leaveTime, cancellation => BeLeftOutAsync(isSilent: true, cancellation));
    }

    /// <summary>Ends when all others that are there know the map that this node knows.</summary>
    private Task KnownToOthersAsync(CancellationToken cancellation) => driver.KnownToOthersAsync(map.Map.Revision, cancellation);

    /// <summary>Does what others may not let it do: then they find out by themselves.</summary>
    private static async Task TryForAsync(TimeSpan time, Func<CancellationToken, Task> work)
    {
        using CancellationTokenSource late = new(time);
        try
        {
            await work(late.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or AuthorityException)
        {
            // The pool waits for this node to come back, or goes on without it.
        }
    }

    private async Task BeLeftOutAsync(bool isSilent, CancellationToken cancellation)
    {
        while (map.Refusal is null)
        {
            PoolMap now = map.Map;

            // What it is listed as primary of would be signed over by that: not while it might answer.
            if (!isSilent && now.Shards.Any(shard => shard.Primary == driver.Process.Node)) { return; }
            MapChange change = PoolMapChange.Leave(now, driver.Process.Node);
            if (!change.IsDone) { return; }
            AuthorityAnswer answer = await map.SwapAsync(now, change.Map, cancellation);
            if (answer.Outcome == AuthorityOutcome.Ok) { return; }
            await Task.Delay(s_leavePause, cancellation);
        }
    }

    public void OnServing(ShardId shard, IShardLog log) => storage.TakeUp(shard, log, map.Map[shard].Loss);

    public void OnServingEnded(ShardId shard) => remote.LetGo(storage.LetGo(shard));

    public async ValueTask DisposeAsync()
    {
        if (isStopped) { return; }
        isStopped = true;
        await remote.DisposeAsync();
        if (comparing is not null) { await comparing.DisposeAsync(); }
        if (removing is not null) { await removing.DisposeAsync(); }
        meter.Dispose();
        await healer.DisposeAsync();
        await placement.DisposeAsync();
        driver.Dispose();
        await map.DisposeAsync();
        await copies.DisposeAsync();
        compared.Dispose();
        leftovers.Dispose();
        await links.DisposeAsync();
        channels.Dispose();
        await storage.DisposeAsync();
    }

    /// <summary>Compares copies, for who drives the background by hand.</summary>
    internal CopyComparer Comparer => comparer;

    /// <summary>Removes what is left here, for who drives the background by hand.</summary>
    internal LeftoverRemover Leftovers => remover;

    private void AddInstruments()
    {
        meter.CreateObservableCounter(
            "kvfs_copies_returned_blocks", () => comparer.ReturnedBlocks, null, "Blocks that copies lacked and were given.");
        meter.CreateObservableCounter(
            "kvfs_node_removed_leftovers", () => remover.Removed, null,
            "Shards that have moved on, and drives that were deleted while this node was away, of which it removed what it had left.");
        meter.CreateObservableCounter(
            "kvfs_copies_dropped_blocks", () => comparer.DroppedBlocks, null, "Blocks that copies had and nothing referred to, and that were removed.");
        meter.CreateObservableGauge(
            "kvfs_copies_lacking_blocks", () => comparer.Last.LackingBlocks, null,
            "Blocks that a copy of this node's drives lacked at the last comparison, and could not be given.");
        meter.CreateObservableGauge(
            "kvfs_copies_differing_blocks", () => comparer.Last.DifferingBlocks, null,
            "Blocks of which a copy had other bytes under right checksums at the last comparison.");
        meter.CreateObservableGauge(
            "kvfs_copies_surplus_blocks", () => comparer.Last.SurplusBlocks, null,
            "Blocks that a copy had at the last comparison and nothing refers to.");
        meter.CreateObservableGauge(
            "kvfs_copies_last_comparison_timestamp_seconds", () => comparer.Last.EndedAt, null,
            "When the copies were compared last, in seconds since 1970; 0: not yet.");
    }

    private bool KnowsAll()
    {
        PoolMap known = map.Map;
        foreach (Shard shard in storage.Host.Shards)
        {
            if (known[shard.Id].Primary == driver.Process.Node && !shard.CanServe) { return false; }
        }

        return true;
    }

    private async Task OnMapAsync(PoolMap next)
    {
        await links.FollowAsync(next);
        driver.OnView(PoolView.Of(next), MapRecord.Of(next));
    }
}
