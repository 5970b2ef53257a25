using System.Collections.Immutable;
using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Maintenance;
using KvFs.Node.Shards;
using KvFs.Node.Storage;
using KvFs.Protocol;
using Microsoft.Extensions.Logging;

namespace KvFs.Node;

/// <summary>Where a storage node keeps its data, and how it is called.</summary>
public sealed record StorageNodeOptions
{
    /// <summary>The data folder: made if it is missing.</summary>
    public required string DataPath { get; init; }

    public string NodeName { get; init; } = "local";

    /// <summary>Shards, if the folder is new.</summary>
    public int ShardCount { get; init; } = HomeShard.DefaultCount;

    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>How fast it reads its own blocks to find bad ones.</summary>
    public ScrubOptions Scrub { get; init; } = new();

    /// <summary>Draws the ids of new drives: a UUIDv7 of a moment.</summary>
    internal Func<DateTimeOffset, Guid> DrawId { get; init; } = Guid.CreateVersion7;

    /// <summary>Namespace records kept in memory.</summary>
    internal int CachedRecords { get; init; } = CachedKeyValueStore.DefaultCapacity;

    /// <summary>Bytes of a shard's log after which what is applied of it is forgotten.</summary>
    internal long LogTrimBytes { get; init; } = ShardJournal.DefaultTrimBytes;
}

/// <summary>A storage node: its disk, its shards, the drives that live on them, and what runs in the background.</summary>
/// <remarks>Thread safe. Start, in order: (1) take the data folder; (2) count the start; (3) apply what the logs have beyond
/// what is applied; (4) load drives; (5) end the sessions that the last run left; (6) start the background loops. Stop, in
/// reverse; the log is flushed, so that the next start has nothing to apply.</remarks>
public sealed partial class StorageNode : IAsyncDisposable
{
    /// <summary>How often the loops look for work that nobody told them of.</summary>
    private static readonly TimeSpan s_loopInterval = TimeSpan.FromSeconds(1);

    private readonly CachedKeyValueStore store;
    private readonly BlockStore blocks;
    private readonly DriveHost host;
    private readonly DriveWork work;
    private readonly Reaper reaper;
    private readonly DriveRemover remover;
    private readonly Packer packer;
    private readonly Packer restPacker;
    private readonly CrowdSearch search;
    private readonly Repacker repacker;
    private readonly Flattener flattener;
    private readonly Scrubber scrubber;
    private readonly ILogger logger;
    private readonly List<BackgroundLoop> loops = [];
    private long restedAt;

    private StorageNode(
        StorageNodeOptions options,
        CachedKeyValueStore store,
        BlockStore blocks,
        NodeIdentity identity,
        ImmutableArray<Shard> shards,
        bool isOneOfSeveral,
        ILogger logger)
    {
        this.store = store;
        this.blocks = blocks;
        this.logger = logger;
        Options = options;
        Identity = identity;
        work = new(logger);
        host = new(store, blocks, shards, work, options.Clock, options.DrawId) { IsOneOfSeveral = isOneOfSeveral };
        reaper = new(blocks, options.Clock);
        remover = new(host, blocks, reaper, work);
        packer = new(blocks);
        restPacker = new(blocks);
        search = new(host, work);
        repacker = new(host, blocks, options.Clock);
        flattener = new(host);
        scrubber = new(blocks, store, options.Clock, options.Scrub, logger);
        work.FoldNow = (drive, file, cluster) => packer.Fold(drive, file, cluster, FoldCopies.Inline, SpaceUse.Data);
        LocalAdmin = new(host, blocks, work);
        blocks.Mender.Logger = logger;
        AddInstruments();
    }

    public StorageNodeOptions Options { get; }

    public NodeIdentity Identity { get; }

    public IDriveAdmin Admin => LocalAdmin;

    /// <summary>The same, for who serves clients in other processes.</summary>
    internal LocalDriveAdmin LocalAdmin { get; }

    /// <summary>The drives, for who drives the background by hand.</summary>
    internal DriveHost Host => host;

    /// <summary>The blocks, for who looks at them behind the node's back.</summary>
    internal BlockStore Blocks => blocks;

    /// <summary>The records, for who damages them.</summary>
    internal IKeyValueStore Store => store;

    /// <summary>Folds clusters, for who drives the background by hand.</summary>
    internal Packer Packer => packer;

    /// <summary>When all blocks had been read and compared last; zero: never yet.</summary>
    public Timestamp LastScrub => scrubber.LastEnded;

    /// <summary>Another one that reads all blocks, for who drives the background by hand. The caller disposes it.</summary>
    internal Scrubber NewScrubber() => new(blocks, store, Options.Clock, Options.Scrub, logger);

    /// <summary>A repacker that has looked at no drive yet, for who drives the background by hand.</summary>
    internal Repacker NewRepacker() => new(host, blocks, Options.Clock);

    /// <summary>A flattener of all clones, in small steps, for who drives the background by hand.</summary>
    internal Flattener NewFlattener(int recordsPerStep) => new(host, longChain: 1, recordsPerStep);

    /// <summary>Opens a data folder, or makes it.</summary>
    /// <exception cref="StorageException">InUse: another process has it; Corrupt, NotSupported, NoSpace, IoError; the
    /// message says what to do. Nothing was lost.</exception>
    public static StorageNode Open(StorageNodeOptions options, ILoggerFactory loggers)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(loggers);
        MakeFolder(options.DataPath);
        JournaledKeyValueStore? store = null;
        try
        {
            store = JournaledKeyValueStore.Open(Path.Combine(options.DataPath, "db"));
            StorageNode node = Start(options, store, new LinuxDisk(options.DataPath), loggers.CreateLogger<StorageNode>());
            node.StartLoops();
            store = null;
            return node;
        }
        finally
        {
            store?.Dispose();
        }
    }

    /// <summary>Starts a node, but for the background loops, on a disk and a key-value store, which it then owns.</summary>
    /// <exception cref="StorageException">As <see cref="Open"/>; the store stays the caller's.</exception>
    internal static StorageNode Start(StorageNodeOptions options, IKeyValueStore keyValues, IDisk disk, ILogger logger)
    {
        CachedKeyValueStore store = new(keyValues, options.CachedRecords);
        BlockStore? blocks = null;
        try
        {
            // 1.
            DiskId newDisk = new(DriveId.Read(options.DrawId(options.Clock.GetUtcNow()).ToByteArray(bigEndian: true)).Value);
            blocks = BlockStore.Open(disk, store, newDisk);
            PoolRecord.CheckFolderOfOne(store);

            // 2, 3.
            NodeIdentity identity = NodeIdentity.Start(store, options.ShardCount);
            ImmutableArray<Shard> shards =
            [
                .. Enumerable.Range(0, identity.ShardCount)
                    .Select(number => new Shard(store, new((ushort)number), new(identity.Starts), options.LogTrimBytes)),
            ];
            StorageNode node = new(options, store, blocks, identity, shards, isOneOfSeveral: false, logger);

            // 4, 5.
            node.host.Load();
            foreach (HostedDrive drive in node.host.All)
            {
                DriveRestore.Finish(drive);
                drive.EndOldSessions();
            }

            blocks = null;
            return node;
        }
        finally
        {
            blocks?.Dispose();
        }
    }

    /// <summary>Makes a node that has drives only while it is primary of their shards; it owns the store and the blocks from then
    /// on. The background loops run.</summary>
    internal static StorageNode StartOneOfSeveral(
        StorageNodeOptions options,
        CachedKeyValueStore store,
        BlockStore blocks,
        NodeIdentity identity,
        int shardCount,
        ILogger logger)
    {
        ImmutableArray<Shard> shards =
            [.. Enumerable.Range(0, shardCount).Select(static number => new Shard(new((ushort)number), RefusingShardLog.Instance))];
        StorageNode node = new(options, store, blocks, identity, shards, isOneOfSeveral: true, logger);
        node.StartLoops();
        return node;
    }

    /// <summary>This node has become primary of a shard.</summary>
    /// <param name="shard">Which.</param>
    /// <param name="log">Its log.</param>
    /// <param name="loss">That it once began anew without what was acknowledged.</param>
    internal void TakeUp(ShardId shard, IShardLog log, ShardLoss? loss)
    {
        foreach (string trouble in host.TakeUp(new(shard, log), loss)) { LogNotOpened(logger, shard, trouble); }
    }

    /// <summary>This node is not primary of a shard any more.</summary>
    /// <returns>The drives that it had.</returns>
    internal IReadOnlyList<HostedDrive> LetGo(ShardId shard) => host.LetGo(new(shard, RefusingShardLog.Instance));

    public async ValueTask DisposeAsync()
    {
        foreach (BackgroundLoop loop in loops) { await loop.DisposeAsync(); }
        meter.Dispose();
        scrubber.Dispose();
        if (store.SyncLog() is var status && status != Status.Ok) { LogSyncFailed(logger, status); }
        blocks.Dispose();
        store.Dispose();
    }

    private static void MakeFolder(string path)
    {
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new StorageException(
                exception is UnauthorizedAccessException ? Status.AccessDenied : Status.IoError,
                $"The data folder '{path}' cannot be made: {exception.Message} Check the path and its owner.",
                exception);
        }
    }

    private void StartLoops()
    {
        BackgroundLoop removal = new("removal", s_loopInterval, logger, RunReaper);
        BackgroundLoop packing = new("packing", s_loopInterval, logger, _ => RunPacker());
        BackgroundLoop tidying = new("tidying", s_loopInterval, logger, RunTidying);
        BackgroundLoop flattening = new("flattening", s_loopInterval, logger, flattener.Run);
        loops.Add(removal);
        loops.Add(packing);
        loops.Add(tidying);
        loops.Add(flattening);
        loops.Add(new("scrubbing", s_loopInterval, logger, RunScrubber));
        loops.Add(new("repacking", s_loopInterval, logger, stop => repacker.Run(stop, PaceUntil(stop))));
        work.ReapNoted = removal.Signal;
        work.FoldNoted = packing.Signal;
        work.FlattenNoted = flattening.Signal;
    }

    /// <summary>Looks at blocks that are suspected to be bad, and at as many others as there is time for.</summary>
    private bool RunScrubber(CancellationToken stop)
    {
        scrubber.Run(PaceUntil(stop), stop);
        return false;
    }

    internal Pace PaceUntil(CancellationToken stop) => Pace.Until(() => host.Requests, Options.Clock, stop);

    internal bool RunReaper(CancellationToken cancellationToken)
    {
        bool more = false;
        foreach (HostedDrive drive in work.TakeReap())
        {
            // Another node has it now, or this one anew.
            if (host.Find(drive.Id) != drive) { continue; }
            if ((drive.State.Policy.Flags & DriveFlags.Deleting) != 0)
            {
                if (!remover.Run(drive)) { work.Keep(drive); }
                continue;
            }

            more |= Reap(drive, cancellationToken);
        }

        return more;
    }

    /// <summary>One drive's trouble is not another's: what fails is told, and tried again.</summary>
    private bool Reap(HostedDrive drive, CancellationToken cancellationToken)
    {
        try
        {
            bool left = reaper.Run(drive, cancellationToken);
            if (left || reaper.IsWaiting(drive)) { work.Keep(drive); }
            return left;
        }
        catch (RecordCorruptException corrupt)
        {
            drive.OnCorrupt(corrupt);
        }
        catch (StorageException)
        {
            work.Keep(drive);
        }

        return false;
    }

    /// <summary>Folds one cluster that must be folded soon.</summary>
    internal bool RunPacker()
    {
        if (!work.TryTakeCrowded(out ClusterToFold next)) { return false; }
        if (host.Find(next.Drive.Id) != next.Drive) { return true; }
        packer.Fold(next.Drive, next.Node, next.Cluster, next.Depth);
        return true;
    }

    /// <summary>Looks for what has come to rest, and folds one cluster of it.</summary>
    /// <param name="cancellationToken">Cancelled: without rests in between.</param>
    internal bool RunTidying(CancellationToken cancellationToken)
    {
        if (Options.Clock.GetElapsedTime(restedAt) >= s_loopInterval)
        {
            restedAt = Options.Clock.GetTimestamp();
            work.FoldResting();
            search.Step();
        }

        if (!work.TryTakeRested(out ClusterToFold next)) { return false; }
        if (host.Find(next.Drive.Id) != next.Drive) { return true; }
        Pace pace = PaceUntil(cancellationToken);
        Status status = restPacker.Fold(next.Drive, next.Node, next.Cluster, next.Depth, pace: pace);
        if (status is Status.NoSpace or Status.Conflict) { work.FoldLater(next); }
        pace.Rest();
        return true;
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "A drive of shard {Shard} cannot be served: {Why}")]
    private static partial void LogNotOpened(ILogger logger, ShardId shard, string why);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "The log could not be synced at the end ({Status}): what was not fsynced may be lost if power fails now.")]
    private static partial void LogSyncFailed(ILogger logger, Status status);
}
