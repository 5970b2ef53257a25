using KvFs.Authority;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Replication;
using KvFs.Node.Shards;
using KvFs.Node.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Node.Tests.Replication;

/// <summary>The only node of a pool, on a disk that does what a test wants.</summary>
internal sealed class LoneNode : IShardOwner, IAsyncDisposable
{
    private static readonly InSyncReplica s_process = new(new(1), new(1001), new((UInt128)1 << 64));

    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-lone-").FullName;
    private readonly FullStore space;
    private readonly FileAuthority authority;
    private readonly MapKeeper map;
    private readonly PeerLinks links;
    private readonly ReplicationDriver driver;
    private volatile IShardLog log = RefusingShardLog.Instance;
    private volatile bool isServing;

    private LoneNode()
    {
        space = new(JournaledKeyValueStore.Open(Path.Combine(folder, "db")));
        Store = new(space);
        authority = new(Path.Combine(folder, "map"), poll: TimeSpan.FromMilliseconds(10));
        PoolMap founded = PoolMapChange.Found(
            new(4711), PoolSettings.Default, 1, [(new("node-1", ["/nowhere"], "", PoolLimits.NormalWeight, s_process.Disk), s_process.Boot)]).Map!;
        map = new(authority, founded, refusal: null, TimeProvider.System, NullLogger.Instance);
        links = new(founded.Pool, s_process, static _ => throw new InvalidOperationException("there is no other node"), NullLogger.Instance);
        driver = new(
            Store,
            new(new LinuxDisk(folder)),
            new() { Process = s_process, Pool = founded.Pool, ShardCount = 1, Times = TestPool.Times },
            links,
            map,
            this,
            NullLogger.Instance);
    }

    public static ShardId Shard { get; } = new(0);

    public static DriveId Drive { get; } = new(1);

    public CrashingStore Store { get; }

    /// <summary>What is not logged finds no space.</summary>
    public bool IsFull { get => space.IsFull; set => space.IsFull = value; }

    /// <summary>The shard's log, also after its term has ended.</summary>
    public IShardLog Log => log;

    public bool IsServing => isServing;

    public static async Task<LoneNode> StartAsync()
    {
        LoneNode node = new();
        Assert.Equal(AuthorityOutcome.Ok, (await node.authority.CompareAndSwapAsync(0, node.map.Map, CancellationToken.None)).Outcome);
        await node.map.StartAsync(
            next =>
            {
                node.driver.OnView(PoolView.Of(next));
                return Task.CompletedTask;
            },
            node.driver.OnProposed);
        node.driver.Start();
        await node.UntilAsync(() => node.IsServing, "it does not serve");
        return node;
    }

    /// <summary>Has something to be in the journal before all that it does from now on.</summary>
    public void RecordFirst(KeyValueBatch record) => driver.OnView(PoolView.Of(map.Map), record);

    public Task UntilAsync(Func<bool> isSo, string otherwise) =>
        TestPool.UntilAsync(() => Task.FromResult(isSo() ? this : null), otherwise);

    public void OnServing(ShardId shard, IShardLog served)
    {
        log = served;
        isServing = true;
    }

    public void OnServingEnded(ShardId shard) => isServing = false;

    public async ValueTask DisposeAsync()
    {
        driver.Dispose();
        await map.DisposeAsync();
        await links.DisposeAsync();
        await authority.DisposeAsync();
        Store.Dispose();
        Directory.Delete(folder, recursive: true);
    }
}
