using System.Collections.Immutable;
using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Maintenance;
using KvFs.Node.Shards;
using KvFs.Node.Storage;
using KvFs.Protocol;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Node.Tests.Maintenance;

/// <summary>A node's parts over a real folder, without its loops: what goes on behind goes on when a test says so.</summary>
internal sealed class QuietNode : IAsyncDisposable
{
    private readonly FullStore store;
    private readonly Packer packer;
    private readonly Reaper reaper;
    private readonly DriveWork work = new(NullLogger.Instance);
    private readonly ImmutableArray<SteeredLog> logs;
    private readonly ImmutableArray<Shard> shards;
    private int drawn;

    private QuietNode(string folder, int shardCount)
    {
        store = new(JournaledKeyValueStore.Open(Path.Combine(folder, "db")));
        Disk = new(new LinuxDisk(folder));
        Blocks = BlockStore.Open(Disk, store, new DiskId(7));
        NodeIdentity identity = NodeIdentity.Start(store, shardCount);
        logs = [.. Enumerable.Range(0, shardCount).Select(at => new SteeredLog(new LocalShardLog(store, new((ushort)at), new(identity.Starts))))];
        shards = [.. logs.Select(static (log, at) => new Shard(new((ushort)at), log))];
        Host = new(store, Blocks, shards, work, Clock, DrawId);
        Host.Load();
        packer = new(Blocks);
        reaper = new(Blocks, Clock);
        work.FoldNow = (drive, file, cluster) => packer.Fold(drive, file, cluster, FoldCopies.Inline, SpaceUse.Data);
        Search = new(Host, work);
        Flattener = new(Host);
        Repacker = new(Host, Blocks, Clock);
        Admin = new LocalDriveAdmin(Host, Blocks, work);
    }

    public static QuietNode Open(string folder, int shardCount = 1) => new(folder, shardCount);

    public ManualTime Clock { get; } = new();

    public NarrowDisk Disk { get; }

    public BlockStore Blocks { get; }

    public FullStore Store => store;

    public DriveHost Host { get; }

    public Repacker Repacker { get; }

    public CrowdSearch Search { get; }

    public Flattener Flattener { get; }

    public DriveWork Work => work;

    public long Folds => packer.Folds;

    public long PackedBytes => packer.PackedBytes;

    public IDriveAdmin Admin { get; }

    /// <summary>The log of each shard.</summary>
    public IReadOnlyList<SteeredLog> Logs => logs;

    /// <summary>Hands what it serves over to another node, and takes nothing in meanwhile.</summary>
    public bool IsLeaving
    {
        set
        {
            foreach (SteeredLog log in logs) { log.IsLeaving = value; }
        }
    }

    public HostedDrive Drive(string name) => Host.Find(name)!;

    /// <summary>Bytes that a drive's blocks occupy.</summary>
    public long StoredBytes(string name)
    {
        DriveStatistics used = Blocks.GetStatistics(Drive(name).Id)!;
        return used.CapacityBytes - used.FreeBytes;
    }

    /// <summary>Folds what must be folded soon.</summary>
    public void FoldPressing()
    {
        while (work.TryTakeCrowded(out ClusterToFold next)) { packer.Fold(next.Drive, next.Node, next.Cluster, next.Depth); }
    }

    /// <summary>Folds all that was noted, and rests by now.</summary>
    public void Fold()
    {
        work.FoldResting();
        work.FoldResting();
        while (work.TryTakeCrowded(out ClusterToFold next) || work.TryTakeRested(out next))
        {
            packer.Fold(next.Drive, next.Node, next.Cluster, next.Depth);
        }
    }

    /// <summary>Removes all that may be removed, readers' leases passed.</summary>
    public void Reap()
    {
        foreach (HostedDrive drive in Host.All)
        {
            while (reaper.Run(drive, default)) { }
            while (reaper.IsWaiting(drive))
            {
                Clock.Advance(TimeSpan.FromMinutes(1));
                reaper.Run(drive, default);
            }
        }
    }

    /// <summary>Repacks as the loop would, a part each second, until nothing happens any more.</summary>
    public void Repack()
    {
        long before;
        do
        {
            before = Repacker.Rounds;
            RepackRound();
        }
        while (Repacker.Rounds > before);
    }

    /// <summary>One round of each drive that is due, at most.</summary>
    public void RepackRound()
    {
        long rounds = Repacker.Rounds;
        for (int part = 0; part < 100 && Repacker.Rounds == rounds; part++) { Repacker.Run(default); }
        Clock.Advance(TimeSpan.FromSeconds(1));
    }

    /// <summary>Drives come in the order in which they were made, although this clock stands: within one millisecond it would
    /// be drawn.</summary>
    private Guid DrawId(DateTimeOffset now) => Guid.CreateVersion7(now + TimeSpan.FromMilliseconds(drawn++));

    public ValueTask DisposeAsync()
    {
        Blocks.Dispose();
        store.Dispose();
        return ValueTask.CompletedTask;
    }
}
