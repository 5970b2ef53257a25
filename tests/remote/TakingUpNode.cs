using KvFs.Client.Tests;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node;
using KvFs.Node.Drives;
using KvFs.Node.Remote;
using KvFs.Node.Shards;
using KvFs.Node.Storage;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Remote.Tests;

/// <summary>A node of several that becomes primary of its one shard, and ceases to be, when a test says so; with its server.</summary>
/// <remarks>Its copies are all that there are, so each term finds what the one before has logged. Leases end when the test's clock says so,
/// and are looked at when it ticks.</remarks>
internal sealed class TakingUpNode : IAsyncDisposable
{
    public const string Drive = "test";

    private static readonly ShardId s_shard = new(0);

    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-takeup-").FullName;
    private readonly CachedKeyValueStore store;
    private readonly GrpcServer server;
    private ulong epoch;

    private TakingUpNode()
    {
        store = new(JournaledKeyValueStore.Open(Path.Combine(folder, "db")));
        BlockStore blocks = BlockStore.Open(new LinuxDisk(folder), store, new(1001));
        StorageNodeOptions options = new() { DataPath = folder, ShardCount = 1 };
        Node = StorageNode.StartOneOfSeveral(options, store, blocks, NodeIdentity.Start(store, 1), 1, NullLogger.Instance);
        Services = new(Node, new(), Clock, NullLoggerFactory.Instance);
        GrpcServices services = new();
        Services.AddTo(services);
        string socket = Path.Combine(folder, "s");
        server = new(
            services,
            new() { Endpoints = [GrpcEndpoint.UnixSocket(socket, GrpcEndpoint.OwnerOnly)], CallLimits = WireLimits.OfServer, DrainTime = TimeSpan.Zero },
            NullLoggerFactory.Instance);
        Channel = new(GrpcTarget.UnixSocket(socket), new());
    }

    public ManualTime Clock { get; } = new();

    public StorageNode Node { get; }

    public RemoteServices Services { get; }

    public GrpcChannel Channel { get; }

    /// <summary>The log of the term that goes on.</summary>
    public EndingShardLog Log { get; private set; } = null!;

    /// <summary>Starts it as primary, with a drive.</summary>
    public static async Task<TakingUpNode> StartAsync()
    {
        TakingUpNode node = new();
        await node.server.StartAsync(CancellationToken.None);
        node.TakeUp();
        Reply<DriveInfo> made = await node.Node.Admin.CreateDriveAsync(new(Drive, DriveKind.FileSystem, 0, 0), CancellationToken.None);
        Assert.Equal(Status.Ok, made.Status);
        return node;
    }

    /// <summary>It becomes primary.</summary>
    public void TakeUp()
    {
        Log = new(new LocalShardLog(store, s_shard, new(++epoch)));
        Node.TakeUp(s_shard, Log, null);
    }

    /// <summary>It is primary no more.</summary>
    public void LetGo()
    {
        Log.End();
        Services.LetGo(Node.LetGo(s_shard));
    }

    /// <summary>Has something done when sessions of the term before are known again, and nobody can find their drive yet.</summary>
    public void WhenAdopted(Action then)
    {
        Action<HostedDrive, IReadOnlyList<AdoptedSession>> adopt = Node.Host.Adopted!;
        Node.Host.Adopted = (drive, adopted) =>
        {
            adopt(drive, adopted);
            then();
        };
    }

    /// <summary>So much time passes, as a node that is not too busy to tick sees it.</summary>
    public void Pass(TimeSpan time)
    {
        TimeSpan step = TimeSpan.FromMilliseconds(500);
        for (TimeSpan at = default; at < time; at += step)
        {
            Clock.Advance(step);
            Services.Tick();
        }
    }

    public async ValueTask DisposeAsync()
    {
        Channel.Dispose();
        await server.DisposeAsync();
        await Services.DisposeAsync();
        await Node.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }
}

/// <summary>A log whose term ends when it is told to.</summary>
internal sealed class EndingShardLog(LocalShardLog log) : IShardLog
{
    private int left = int.MaxValue;

    public Epoch Epoch => log.Epoch;

    public bool IsBroken => log.IsBroken;

    public LogIndex Published => log.Published;

    public LogPosition Position => log.Position;

    public bool IsOwed => log.IsOwed;

    public bool CanServe => Volatile.Read(ref left) > 0;

    /// <summary>It ends now.</summary>
    public void End() => EndAfter(0);

    /// <summary>It ends with so many entries more.</summary>
    public void EndAfter(int entries) => Volatile.Write(ref left, entries);

    public bool Has(LogPosition answered) => log.Has(answered);

    public Status Resume() => CanServe ? log.Resume() : Status.StaleEpoch;

    public Status Begin(DriveId drive, RecordBatch changes, bool wantsDurable, out LogIndex index)
    {
        index = default;
        if (!CanServe) { return Status.StaleEpoch; }
        Interlocked.Decrement(ref left);
        return log.Begin(drive, changes, wantsDurable, out index);
    }

    public Status Await(LogIndex index) => log.Await(index);

    public Status Sync(LogIndex upTo) => log.Sync(upTo);
}
