using System.Collections.Concurrent;
using KvFs.Authority;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Replication;
using KvFs.Node.Shards;
using KvFs.Node.Storage;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Node.Tests.Replication;

/// <summary>One node's replication of a <see cref="TestPool"/>: a real store, a real socket, and no drives.</summary>
internal sealed class TestMember : IShardOwner, IAsyncDisposable
{
    private readonly TestPool pool;
    private readonly string folder;
    private readonly StuckStore store;
    private readonly FileAuthority authority;
    private readonly MapKeeper map;
    private readonly PeerLinks links;
    private readonly GrpcServer server;
    private readonly ConcurrentDictionary<ShardId, IShardLog> served = new();
    private bool isStopped;

    private TestMember(TestPool pool, InSyncReplica process, string folder, PoolMap first)
    {
        this.pool = pool;
        this.folder = folder;
        Process = process;

        // Without a keeper nothing changes files while KillAsync copies them.
        string db = Path.Combine(folder, "db");
        store = new(JournaledKeyValueStore.Open(RocksTables.Open(db), new LinuxDisk(db), new JournalOptions(), hasKeeper: false));
        authority = new(pool.MapPath, poll: TimeSpan.FromMilliseconds(10));
        map = new(authority, first, refusal: null, TimeProvider.System, NullLogger.Instance);
        links = new(first.Pool, process, Dial, NullLogger.Instance);
        Driver = new(
            store,
            new(new LinuxDisk(folder)),
            new()
            {
                Process = process,
                Pool = first.Pool,
                ShardCount = first.Shards.Length,
                Times = TestPool.Times,
                DiskOwes = store.Owed,
            },
            links,
            map,
            this,
            NullLogger.Instance);
        GrpcServices services = new();
        new PeerService(first.Pool, Driver, node => map.Map.Find(node)?.Disk, null, null, NullLogger.Instance).AddTo(services);
        server = new(
            services,
            new()
            {
                Endpoints = [GrpcEndpoint.UnixSocket(pool.AddressOf(process.Node), GrpcEndpoint.OwnerOnly)],
                CallLimits = WireReplication.Limits,
                DrainTime = TimeSpan.Zero,
            },
            NullLoggerFactory.Instance);
    }

    public InSyncReplica Process { get; }

    public ReplicationDriver Driver { get; }

    /// <summary>The newest pool map that it knows.</summary>
    public PoolMap Map => map.Map;

    /// <summary>Its disk answers no sync.</summary>
    public bool IsStuck { get => store.IsStuck; set => store.IsStuck = value; }

    /// <summary>Nobody hears it, and it hears nobody.</summary>
    public bool IsCutOff { get; set; }

    public static async Task<TestMember> StartAsync(TestPool pool, InSyncReplica process, string folder, PoolMap first)
    {
        TestMember member = new(pool, process, folder, first);
        await member.map.StartAsync(
            async next =>
            {
                await member.links.FollowAsync(next);
                member.Driver.OnView(PoolView.Of(next));
            },
            member.Driver.OnProposed);
        await member.server.StartAsync(CancellationToken.None);
        member.Driver.Start();
        return member;
    }

    public bool Serves(ShardId shard) => LogOf(shard).CanServe;

    public IShardLog LogOf(ShardId shard) => served.GetValueOrDefault(shard, RefusingShardLog.Instance);

    /// <summary>A record of a test's drive; null: there is none.</summary>
    public byte[]? Read(DriveId drive, ulong key)
    {
        ByteBuffer value = new();
        return store.TryGet(Family.Namespace, TestPool.KeyOf(drive, key), value) ? value.Span.ToArray() : null;
    }

    /// <summary>Stops as if the process were killed.</summary>
    /// <returns>A folder with what the disk would have.</returns>
    public async Task<string> KillAsync()
    {
        string image = pool.NewFolder();
        IsStuck = false;
        Driver.Dispose();
        DataFolders.Copy(folder, image);
        await DisposeAsync();
        return image;
    }

    public void OnServing(ShardId shard, IShardLog log) => served[shard] = log;

    public void OnServingEnded(ShardId shard) => served.TryRemove(shard, out _);

    public async ValueTask DisposeAsync()
    {
        if (isStopped) { return; }
        isStopped = true;
        IsStuck = false;
        Driver.Dispose();
        await server.DisposeAsync();
        await map.DisposeAsync();
        await links.DisposeAsync();
        await authority.DisposeAsync();
        store.Dispose();
    }

    private GrpcChannel Dial(PoolNode node) => new(
        GrpcTarget.UnixSocket(IsCutOff || pool.IsCutOff(node.Id) ? "/nowhere" : node.Addresses[0]),
        new() { CallLimits = WireReplication.Limits });
}
