using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>One node's part in one shard: keeps its log like the primary's, or is the primary and has the others do so.</summary>
/// <remarks>
/// Pure, not thread safe: the shard's owner keeps it. Inputs are messages, the pool map, the time, and what the driver did;
/// answers are effects, to be carried out in their order. Where the log is concerned it knows which reign wrote which entry
/// (<see cref="LogShape"/>), not what is in them.
/// <para>An entry is committed when every in-sync replica has it with its operating system, durable when every one has it on
/// disk. A primary never cuts its log; a replica cuts what is not the primary's, and nothing that it applied. Source:
/// docs/design.md, sections 6 and 7.</para>
/// </remarks>
public sealed partial class ShardReplica
{
    private readonly NodeId self;
    private readonly BootId boot;
    private readonly int minInSync;
    private readonly ReplicationTimes times;
    private readonly PeerTable peers;
    private readonly LogShape log;
    private Epoch seen;
    private LogIndex synced;
    private LogIndex wanted;
    private LogIndex syncTarget;
    private bool isSyncing;

    /// <param name="shard">Which.</param>
    /// <param name="process">This node, its disk, and the process that it is.</param>
    /// <param name="minInSync">Copies that the pool asks for before anything is acknowledged.</param>
    /// <param name="times">How long to wait.</param>
    /// <param name="peers">Who was heard.</param>
    /// <param name="log">What the disk has of the log, all of it durable.</param>
    /// <param name="applied">How far it is applied there.</param>
    /// <param name="lacksSnapshot">A process before this one ended while it put a snapshot in the place of all that there was.</param>
    public ShardReplica(
        ShardId shard,
        InSyncReplica process,
        int minInSync,
        ReplicationTimes times,
        PeerTable peers,
        LogShape log,
        LogIndex applied,
        bool lacksSnapshot = false)
    {
        ArgumentNullException.ThrowIfNull(log);
        Invariant.Check(applied <= log.Last.Index);
        Invariant.Check(applied >= log.Start.Index);
        Shard = shard;
        self = process.Node;
        boot = process.Boot;
        this.minInSync = minInSync;
        this.times = times;
        this.peers = peers;
        this.log = log;
        this.lacksSnapshot = lacksSnapshot;
        synced = log.Last.Index;
        Committed = Applied = applied;
    }

    public ShardId Shard { get; }

    /// <summary>What the pool map says, as far as it is known here.</summary>
    public Reign? Reign { get; private set; }

    /// <summary>The last entry of the log.</summary>
    public LogPosition Last => log.Last;

    /// <summary>The last entry that was forgotten here.</summary>
    public LogPosition Start => log.Start;

    /// <summary>The reign that wrote an entry; none, if it was forgotten or is not there.</summary>
    public Epoch EpochAt(LogIndex index) => log.EpochAt(index);

    /// <summary>Whether a primary of a later reign was heard, or of one that the pool map has not told yet.</summary>
    public bool HasHeardBeyond(Epoch epoch) => seen > epoch;

    /// <summary>Whether an entry is in the log, as <see cref="LogShape.Has"/>.</summary>
    public bool Has(LogPosition position) => log.Has(position);

    /// <summary>Which reigns ended before an entry, as <see cref="LogShape.EndedBefore"/>.</summary>
    public ImmutableArray<LogRun> EndedBefore(LogIndex index) => log.EndedBefore(index);

    /// <summary>The last entry that is known to be committed.</summary>
    public LogIndex Committed { get; private set; }

    /// <summary>The last entry that is applied.</summary>
    public LogIndex Applied { get; private set; }

    /// <summary>The last entry that is on disk here.</summary>
    public LogIndex Synced => synced;

    /// <summary>The driver forgot the entries up to one, all applied.</summary>
    public void OnTrimmed(LogIndex upTo)
    {
        Invariant.Check(upTo <= Applied);
        log.TrimTo(upTo);
    }

    /// <summary>What <see cref="SyncLog"/> asked for is done.</summary>
    public void OnSynced(TimeSpan now, List<ReplicationEffect> effects)
    {
        ArgumentNullException.ThrowIfNull(effects);
        Invariant.Check(isSyncing);
        isSyncing = false;
        if (syncTarget > synced) { synced = syncTarget; }
        if (IsPrimary) { AdvanceDurable(); }
        else { Reply(effects); }
        SyncIfWanted(effects);
    }

    /// <summary>Wants the log up to an entry on disk here.</summary>
    private void WantDurable(LogIndex upTo, List<ReplicationEffect> effects)
    {
        if (upTo > wanted) { wanted = upTo; }
        SyncIfWanted(effects);
    }

    private void SyncIfWanted(List<ReplicationEffect> effects)
    {
        LogIndex target = wanted < log.Last.Index ? wanted : log.Last.Index;
        if (isSyncing || target <= synced) { return; }
        isSyncing = true;
        syncTarget = log.Last.Index;
        effects.Add(new SyncLog(Shard));
    }

    private void Cut(LogIndex after, List<ReplicationEffect> effects)
    {
        Invariant.Check(after >= Applied);
        effects.Add(new CutLog(Shard, after));
        log.CutAfter(after);
        if (synced > after) { synced = after; }
        if (syncTarget > after) { syncTarget = after; }
    }

    private void Commit(LogIndex upTo, List<ReplicationEffect> effects)
    {
        if (upTo <= Committed) { return; }
        Invariant.Check(upTo <= log.Last.Index);
        Committed = Applied = upTo;
        effects.Add(new ApplyEntries(Shard, upTo));
    }
}
