using KvFs.Core;
using KvFs.Node.Shards;
using KvFs.Node.Storage;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <summary>Carries out what <see cref="ReplicaNode"/> decides: stores and sends log entries, applies what is committed, syncs,
/// proposes reigns.</summary>
/// <remarks>
/// Thread safe: one lock, held for as long as a decision and its effects take, never while waiting for another node or for a
/// sync. Time is counted on a thread of its own, so that neither requests nor a busy thread pool delay beacons. Who submits an
/// entry waits on its own thread. Effects are carried out in the order in which they were decided, so what is stored before an
/// answer is stored before it is sent. A store that fails makes the driver silent: the other nodes take over.
/// </remarks>
public sealed partial class ReplicationDriver : IDisposable
{
    /// <summary>With less room than this, beyond what is kept back, a disk is full; with twice that it is not any more. Clients are
    /// refused only when that is used up, too.</summary>
    private const long RoomBytes = 64L << 20;

    /// <summary>A disk that has been stuck answers quickly if it does within this part of <see cref="ReplicationTimes.DiskPatience"/>, ...
    /// </summary>
    private const int QuickParts = 5;

    /// <summary>... and is counted on again once it has done so for this many times of that.</summary>
    private const int ProbationTimes = 6;

    private static readonly TimeSpan s_tick = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan s_diskLook = TimeSpan.FromMilliseconds(250);

    private readonly Lock gate = new();
    private readonly IKeyValueStore store;
    private readonly SpaceGuard space;
    private readonly ReplicationOptions options;
    private readonly IPeerSender peers;
    private readonly IReignProposer proposer;
    private readonly ILogger logger;
    private readonly ReplicaNode core;
    private readonly SortedDictionary<ShardId, HostedReplica> replicas = [];
    private readonly List<ReplicationEffect> effects = [];
    private readonly ServingEvents events;
    private readonly RecordedFirst first;
    private readonly LogSyncer syncer;
    private readonly SnapshotSender snapshots;
    private readonly SnapshotInstaller installer;
    private readonly Thread clock;
    private readonly ManualResetEventSlim stopping = new();
    private TimeSpan diskLooked;
    private TimeSpan stuckUntil;
    private bool isFull;
    private bool hasFailed;
    private int disposed;

    /// <summary>Opens the logs that the disk has.</summary>
    /// <param name="store">Where they are.</param>
    /// <param name="space">Entries are refused before the store meets a full disk.</param>
    /// <param name="options">Who this node is.</param>
    /// <param name="peers">Takes messages to the others.</param>
    /// <param name="proposer">Has the pool map changed.</param>
    /// <param name="owner">Is told what this node serves.</param>
    /// <param name="logger">Says what changes hands.</param>
    /// <exception cref="StorageException">A log is damaged, or cannot be made durable.</exception>
    public ReplicationDriver(
        IKeyValueStore store,
        SpaceGuard space,
        ReplicationOptions options,
        IPeerSender peers,
        IReignProposer proposer,
        IShardOwner owner,
        ILogger logger)
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(options);
        this.store = store;
        this.space = space;
        this.options = options;
        this.peers = peers;
        this.proposer = proposer;
        this.logger = logger;

        // What a start finds it makes durable before it speaks of it.
        if (store.SyncLog() is var synced && synced != Status.Ok) { throw new StorageException(synced, "The log cannot be synced."); }
        core = new(options.Process, options.MinInSync, options.Times, SuspendClock.Now);
        copies = new(core);
        events = new(owner, logger);
        first = new(store);
        syncer = new(store, first, OnSynced);
        snapshots = new(store, options, peers);
        installer = new(OnInstalled);
        clock = new(RunClock) { Name = "kvfs-beacons", IsBackground = true, Priority = ThreadPriority.AboveNormal };
    }

    /// <summary>This node's part in the pool.</summary>
    public InSyncReplica Process => options.Process;

    internal string ScratchPath => options.ScratchPath;

    /// <summary>Begins to count time. Before it, the node says nothing.</summary>
    public void Start() => clock.Start();

    /// <summary>The pool map changed.</summary>
    /// <param name="view">What it says.</param>
    /// <param name="record">What is to be in the journal before anything is done under it; null: nothing.</param>
    public void OnView(PoolView view, KeyValueBatch? record = null)
    {
        ArgumentNullException.ThrowIfNull(view);
        lock (gate)
        {
            if (hasFailed) { return; }
            if (record is not null)
            {
                first.Set(record);
                syncer.WantRecord();

                // A reign that goes on may acknowledge more at once. On a full disk it comes before the next entry.
                _ = first.Write();
            }

            foreach (Reign reign in view.Reigns)
            {
                if (!replicas.ContainsKey(reign.Shard) && reign.Members.Contains(options.Process.Node)) { TryAdd(reign.Shard); }
                if (hasFailed) { return; }
            }

            copies.OnView(view);
            core.OnView(view, SuspendClock.Now, effects);
            CarryOut(null);

            // A smaller set may have what it is to have.
            foreach (HostedReplica replica in replicas.Values) { replica.WakeWaiters(); }
        }

        lock (viewed) { Monitor.PulseAll(viewed); }
    }

    /// <summary>What became of proposals; if they were taken, <see cref="OnView"/> was told before.</summary>
    public void OnProposed(Reign next)
    {
        lock (gate)
        {
            core.OnProposed(next);
        }
    }

    /// <summary>Another node says something.</summary>
    /// <exception cref="InvalidDataException">It makes no sense; nothing was done.</exception>
    public void OnMessage(NodeId from, BootId boot, V1.PeerMessage message)
    {
        ArgumentNullException.ThrowIfNull(message);
        ReplicationMessage told = message.KindCase switch
        {
            V1.PeerMessage.KindOneofCase.AppendEntries => message.AppendEntries.ToCore(),
            V1.PeerMessage.KindOneofCase.SnapshotPart => throw new ArgumentException("Parts are for OnSnapshot."),
            _ => message.ToCore(),
        };
        lock (gate)
        {
            if (hasFailed || (told is AppendEntries entries && !HasSpaceFor(message.AppendEntries, entries))) { return; }
            core.OnMessage(from, boot, told, SuspendClock.Now, effects);
            CarryOut(message);
            if (told is AppendReply reply) { Find(reply.Shard)?.WakeWaiters(); }
        }
    }

    /// <summary>A whole snapshot of a shard came. It is disposed of here.</summary>
    internal void OnSnapshot(NodeId from, BootId boot, ReceivedSnapshot snapshot)
    {
        lock (gate)
        {
            if (!hasFailed)
            {
                core.OnMessage(from, boot, snapshot.Message, SuspendClock.Now, effects);
                CarryOut(null, snapshot);
            }

            if (Find(snapshot.Message.Shard)?.Installing == snapshot) { return; }
        }

        snapshot.Dispose();
    }

    /// <summary>Whether a node is there, as far as is known here.</summary>
    public NodePresence PresenceOf(NodeId node)
    {
        lock (gate)
        {
            if (node == options.Process.Node) { return NodePresence.Here; }
            TimeSpan now = SuspendClock.Now;
            return !core.Peers.IsSilent(node, now) ? NodePresence.Here
                : core.Peers.SilentFor(node, now) >= options.LostAfter ? NodePresence.Lost
                : NodePresence.Silent;
        }
    }

    /// <summary>The newest revision of the pool map that a node which is there has said it knows; 0: none has said so.</summary>
    public ulong NewestHeard()
    {
        lock (gate) { return core.Peers.NewestKnown(SuspendClock.Now); }
    }

    /// <summary>How far this node's copy of a shard is, and whom it hears: not only was told of.</summary>
    public CopyReport CopyOf(ShardId shard)
    {
        lock (gate)
        {
            TimeSpan now = SuspendClock.Now;
            return new(
                options.Process,
                hasFailed || Find(shard) is not { IsBroken: false, Core.HasCopy: true } replica ? null : replica.Core.Last,
                [.. core.Peers.Nodes.Where(node => core.Peers.BootOf(node).Value != 0 && !core.Peers.IsSilent(node, now))]);
        }
    }

    /// <summary>Hands a shard that this node is primary of to an in-sync replica.</summary>
    /// <returns>Ok: it will be tried; StaleEpoch: this node is not the primary; Invalid: that one is not in sync.</returns>
    public Status HandOver(ShardId shard, NodeId to)
    {
        lock (gate)
        {
            if (hasFailed || Find(shard)?.Core is not { IsPrimary: true, Reign: { } reign } replica) { return Status.StaleEpoch; }
            if (!reign.Entry.IsInSync(to)) { return Status.Invalid; }
            replica.HandOverTo(to);
            return Status.Ok;
        }
    }

    /// <summary>Hands what this node is primary of to others, and is given nothing any more. Ends when nothing is left, or nobody is there
    /// to take it.</summary>
    public Task LeaveAsync(CancellationToken cancellation) => UntilAsync(
        () =>
        {
            core.Leave();
            return !core.Shards.Any(static shard => shard.IsPrimary) || !core.HasOthers(SuspendClock.Now);
        },
        cancellation);

    /// <summary>Ends when all other nodes that are there know the pool map up to a revision.</summary>
    public Task KnownToOthersAsync(ulong revision, CancellationToken cancellation) =>
        UntilAsync(() => core.Peers.AllKnow(revision, SuspendClock.Now), cancellation);

    /// <summary>Looks again and again, with the lock held, until something is so, or this node takes no part any more.</summary>
    private async Task UntilAsync(Func<bool> isSo, CancellationToken cancellation)
    {
        while (true)
        {
            lock (gate)
            {
                if (hasFailed || isSo()) { return; }
            }

            await Task.Delay(s_tick, cancellation);
        }
    }

    /// <summary>Ends the threads. The store stays open.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref disposed, 1) != 0) { return; }
        stopping.Set();
        if (clock.IsAlive) { clock.Join(); }
        lock (gate)
        {
            hasFailed = true;
            foreach (HostedReplica replica in replicas.Values) { replica.EndWaiters(Status.Unknown); }
        }

        snapshots.Dispose();
        installer.Dispose();
        syncer.Dispose();
        events.Dispose();
        stopping.Dispose();
    }

    private bool HasSpaceFor(V1.AppendEntries message, AppendEntries entries)
    {
        if (entries.Entries.IsEmpty) { return true; }
        long bytes = 0;
        foreach (Google.Protobuf.ByteString entry in message.Entries) { bytes += entry.Length; }

        // Written into the log, and into tables. Who has no room is silent: the primary goes on without this copy.
        return space.Check(2 * bytes, SpaceUse.Release) == Status.Ok;
    }

    private void LookAtDisk(TimeSpan now)
    {
        if (now - diskLooked < s_diskLook) { return; }
        diskLooked = now;
        DiskCondition condition = ConditionOfDisk(now);
        if (condition == core.Disk) { return; }
        core.Disk = condition;
        switch (condition)
        {
            case DiskCondition.Full: LogFull(logger); break;
            case DiskCondition.Stuck: LogStuck(logger, options.Times.DiskPatience.TotalSeconds); break;
            default: LogFine(logger); break;
        }
    }

    /// <remarks>A disk that does not answer is not asked how full it is. One that has been stuck has to answer quickly for a while
    /// before it is counted on again: whoever takes such a node in waits for its disk, time and again.</remarks>
    private DiskCondition ConditionOfDisk(TimeSpan now)
    {
        TimeSpan owes = options.DiskOwes();
        bool isStuck = core.Disk == DiskCondition.Stuck;
        if (owes >= (isStuck ? options.Times.DiskPatience / QuickParts : options.Times.DiskPatience))
        {
            stuckUntil = now + (ProbationTimes * options.Times.DiskPatience);
            return DiskCondition.Stuck;
        }

        if (isStuck && now < stuckUntil) { return DiskCondition.Stuck; }
        isFull = space.Check(isFull ? 2 * RoomBytes : RoomBytes, SpaceUse.Data) == Status.NoSpace;
        return isFull ? DiskCondition.Full : DiskCondition.Fine;
    }

    /// <summary>Opens a shard's log; one that cannot be opened ends this node's part.</summary>
    private void TryAdd(ShardId shard)
    {
        try
        {
            Add(shard);
        }
        catch (StorageException failed)
        {
            Fail(failed.Message);
        }
    }

    private void Add(ShardId shard)
    {
        ReplicaLog log = new(store, shard, options.ShardCount);
        LogShape shape = log.Open();
        ShardReplica replica = core.AddShard(shard, shape, log.Applied, lacksSnapshot: log.LacksSnapshot);
        Host(log, replica, term: 0);
    }

    private void Host(ReplicaLog log, ShardReplica replica, ulong term)
    {
        if (options.KeepsBlocks) { replica.HasBlocks = copy => copies.HasAll(log.Shard, copy); }
        replicas[log.Shard] = new(log, replica) { Term = term };
    }

    private void RunClock()
    {
        while (!stopping.Wait(s_tick))
        {
            lock (gate)
            {
                if (hasFailed) { continue; }
                TimeSpan now = SuspendClock.Now;
                LookAtDisk(now);
                core.Tick(now, effects);
                CarryOut(null);
                foreach (HostedReplica replica in replicas.Values)
                {
                    if (replica.Core.IsInstalling) { continue; }
                    if (replica.Log.Applied < replica.ApplyUpTo) { Apply(replica); }

                    // Time alone may make something durable everywhere: when a copy is not waited for any more.
                    replica.WakeWaiters();
                    ForgetOld(replica);
                }
            }
        }
    }

    private void ForgetOld(HostedReplica replica)
    {
        try
        {
            replica.ForgetOld();
        }
        catch (StorageException failed)
        {
            Fail(failed.Message);
        }
    }

    private void OnSynced(IReadOnlyList<ShardId> shards, Status status)
    {
        lock (gate)
        {
            if (hasFailed) { return; }
            if (status != Status.Ok)
            {
                Fail($"syncing the log: {status}");
                return;
            }

            foreach (ShardId shard in shards)
            {
                // Not of a log that was forgotten meanwhile.
                HostedReplica replica = replicas[shard];
                if (!replica.IsSyncing) { continue; }
                replica.IsSyncing = false;
                replica.Core.OnSynced(SuspendClock.Now, effects);
            }

            CarryOut(null);
            foreach (ShardId shard in shards) { replicas[shard].WakeWaiters(); }
        }
    }

    /// <summary>Nothing can be relied on any more: this node falls silent, and the others go on without it.</summary>
    private void Fail(string why)
    {
        if (hasFailed) { return; }
        hasFailed = true;
        effects.Clear();
        LogFailed(logger, why);
        foreach ((ShardId shard, HostedReplica replica) in replicas)
        {
            replica.IsBroken = true;
            replica.EndWaiters(Status.IoError);
            events.End(shard);
        }
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "This node's disk is full: other nodes serve what it served, and go on without its copies as long as enough are left. Give it space.")]
    private static partial void LogFull(ILogger logger);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "This node's disk has not answered for {Seconds} seconds: other nodes serve what it served, and go on without its copies as long as enough are left. Look at the disk, and at what else uses it.")]
    private static partial void LogStuck(ILogger logger, double seconds);

    [LoggerMessage(Level = LogLevel.Information, Message = "This node's disk answers, and has room.")]
    private static partial void LogFine(ILogger logger);

    [LoggerMessage(
        Level = LogLevel.Critical,
        Message = "This node takes no part in its pool any more, because of {Why}. Its shards go to other nodes. Look at its disk, then start it again.")]
    private static partial void LogFailed(ILogger logger, string why);
}
