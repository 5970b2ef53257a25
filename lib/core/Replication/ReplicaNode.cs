using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>What a node knows of its pool: who belongs to it, and the shards that it has a part in.</summary>
/// <param name="Revision">Of the pool map.</param>
/// <param name="Members">All nodes, ascending.</param>
/// <param name="Reigns">Of each shard, ascending.</param>
public sealed record PoolView(ulong Revision, ImmutableArray<PoolMember> Members, ImmutableArray<Reign> Reigns)
{
    /// <summary>What a pool map says.</summary>
    public static PoolView Of(PoolMap map)
    {
        ArgumentNullException.ThrowIfNull(map);
        return new(
            map.Revision,
            [.. map.Nodes.Where(static node => node.State != NodeState.Gone).Select(static node => new PoolMember(node.Id, node.Disk))],
            [.. map.ShardIds.Select(shard => new Reign(shard, map[shard]))]);
    }
}

/// <summary>A node of a pool, and the disk that it belongs to it with: on another disk it is another node.</summary>
public readonly record struct PoolMember(NodeId Node, DiskId Disk);

/// <summary>One storage node among others: beacons, suspicion, votes, takeovers, cold starts, and its shards.</summary>
/// <remarks>
/// Pure, not thread safe. Safety rests on the pool map's compare-and-swap and on leases (<see cref="PeerTable"/>); votes keep
/// a node that hears nobody from taking over what works. Source: docs/design.md, section 7.
/// </remarks>
public sealed partial class ReplicaNode
{
    /// <summary>How many times as often a node beacons that leaves: it waits for what others say to them.</summary>
    private const int LeavingBeacons = 5;

    private readonly InSyncReplica process;
    private readonly NodeId self;
    private readonly BootId boot;
    private readonly ReplicationTimes times;
    private readonly SortedDictionary<ShardId, ShardReplica> shards = [];
    private PoolView view = new(0, [], []);
    private TimeSpan beaconAt;
    private TimeSpan ticked;

    /// <param name="process">This node, its disk, and the process that it is.</param>
    /// <param name="minInSync">Copies that the pool asks for before anything is acknowledged.</param>
    /// <param name="times">How long to wait.</param>
    /// <param name="now">When it starts.</param>
    public ReplicaNode(InSyncReplica process, int minInSync, ReplicationTimes times, TimeSpan now)
    {
        ArgumentNullException.ThrowIfNull(times);
        Invariant.Check(process.Boot.Value > 0);
        this.process = process;
        self = process.Node;
        boot = process.Boot;
        this.times = times;
        MinInSync = minInSync;
        Peers = new(times);
        ticked = now;
    }

    /// <summary>This node, its disk, and the process that it is.</summary>
    public InSyncReplica Process => process;

    public int MinInSync { get; }

    /// <summary>Who was heard.</summary>
    public PeerTable Peers { get; }

    public PoolView View => view;

    /// <summary>How this node's disk is; each beacon says so.</summary>
    public DiskCondition Disk
    {
        get => Peers.DiskOf(self);
        set => Peers.OnDisk(self, value);
    }

    /// <summary>The shards that this node has a log of.</summary>
    public IEnumerable<ShardReplica> Shards => shards.Values;

    /// <summary>Adds a shard that the disk has, or that the pool map gives this node.</summary>
    public ShardReplica AddShard(ShardId shard, LogShape log, LogIndex applied, bool lacksSnapshot = false)
    {
        ShardReplica replica = new(shard, process, MinInSync, times, Peers, log, applied, lacksSnapshot);
        shards.Add(shard, replica);
        return replica;
    }

    public ShardReplica? Find(ShardId shard) => shards.GetValueOrDefault(shard);

    /// <summary>The pool map changed, or is known for the first time.</summary>
    public void OnView(PoolView next, TimeSpan now, List<ReplicationEffect> effects)
    {
        ArgumentNullException.ThrowIfNull(next);
        ArgumentNullException.ThrowIfNull(effects);
        if (next.Revision <= view.Revision) { return; }
        view = next;
        foreach (PoolMember member in next.Members)
        {
            if (member.Node != self) { Peers.Add(member, now); }
        }

        foreach (NodeId gone in Peers.Nodes.Where(node => !next.Members.Any(member => member.Node == node)).ToArray())
        {
            Peers.Remove(gone);
        }

        foreach (Reign reign in next.Reigns) { Find(reign.Shard)?.OnReign(reign, now, effects); }
        Peers.OnRevision(next.Revision);
    }

    /// <summary>What became of a proposal; if it was taken, <see cref="OnView"/> was told before.</summary>
    public void OnProposed(Reign next)
    {
        ArgumentNullException.ThrowIfNull(next);
        Find(next.Shard)?.OnProposed(next);
        proposals.Remove(next.Shard);
    }

    /// <summary>Another node's process says something.</summary>
    public void OnMessage(
        NodeId from, BootId fromBoot, ReplicationMessage message, TimeSpan now, List<ReplicationEffect> effects)
    {
        ArgumentNullException.ThrowIfNull(message);
        ArgumentNullException.ThrowIfNull(effects);
        if (!Peers.OnHeard(from, fromBoot, now)) { return; }
        switch (message)
        {
            case Beacon beacon:
                Peers.OnAcking(from, now);
                Peers.OnDisk(from, beacon.Disk);
                Peers.OnLeaving(from, beacon.IsLeaving);
                effects.Add(new SendMessage(from, new BeaconAck(beacon.Number, view.Revision)));
                break;
            case BeaconAck ack:
                Peers.OnAck(from, ack, view.Revision);
                break;
            case VoteRequest request:
                effects.Add(new SendMessage(from, new Vote(request.Suspect, IsSilent(request.Suspect, now))));
                break;
            case Vote vote:
                OnVote(from, vote, now);
                break;
            case ColdReport report when shards.ContainsKey(report.Shard):
                OnColdReport(from, fromBoot, report, now);
                break;
            case AppendEntries entries:
                Find(entries.Shard)?.OnEntries(from, entries, effects);
                break;
            case AppendReply reply:
                Find(reply.Shard)?.OnReply(from, fromBoot, reply, now, effects);
                break;
            case AppendMismatch mismatch:
                Find(mismatch.Shard)?.OnMismatch(from, fromBoot, mismatch, now, effects);
                break;
            case ShardSnapshot snapshot:
                Find(snapshot.Shard)?.OnSnapshot(from, snapshot, effects);
                break;
            case StaleReign stale:
                Find(stale.Shard)?.OnStale(stale, effects);
                break;
            default:
                // Of a shard that this node has no part in any more.
                break;
        }
    }

    /// <summary>Time passed. Call it at least every few ten milliseconds.</summary>
    public void Tick(TimeSpan now, List<ReplicationEffect> effects)
    {
        ArgumentNullException.ThrowIfNull(effects);
        if (now - ticked > times.Beacon) { OnStalled(now - ticked); }
        ticked = now;
        if (now >= beaconAt)
        {
            bool isLeaving = Peers.IsLeaving(self);
            beaconAt = now + (isLeaving ? times.Beacon / LeavingBeacons : times.Beacon);
            Beacon beacon = new(Peers.Send(now), view.Revision, Disk, isLeaving);
            foreach (NodeId peer in Peers.Nodes) { effects.Add(new SendMessage(peer, beacon)); }
            ReportCold(effects);
        }

        Suspect(now, effects);
        foreach (ShardReplica shard in shards.Values)
        {
            shard.Tick(now, node => IsVotedBelowMinimum(node, now), effects);
            TakeOver(shard, now, effects);
            StartCold(shard, now, effects);
        }
    }

    private bool IsSilent(NodeId node, TimeSpan now) => node != self && Peers.IsSilent(node, now);

    /// <summary>Hands all shards that this node is primary of to others, before it stops; is given none any more. Call it again until
    /// none is left.</summary>
    public void Leave()
    {
        if (!Peers.IsLeaving(self))
        {
            Peers.OnLeaving(self, isLeaving: true);
            beaconAt = default;
        }

        // Evenly: what has to be evened out afterwards changes hands twice.
        SortedDictionary<NodeId, int> led = [];
        foreach (Reign reign in view.Reigns) { led[reign.Primary] = led.GetValueOrDefault(reign.Primary) + 1; }
        foreach (ShardReplica shard in shards.Values)
        {
            if (!shard.IsPrimary) { continue; }
            NodeId next = shard.Reign!.InSync
                .Select(static replica => replica.Node)
                .Where(node => node != self && !Peers.IsLeaving(node) && Peers.HasFineDisk(node))
                .OrderBy(node => led.GetValueOrDefault(node))
                .FirstOrDefault();
            if (next != default) { led[next] = led.GetValueOrDefault(next) + 1; }
            shard.Leave(next);
        }
    }

    /// <summary>Whether another node is there that could be given something.</summary>
    public bool HasOthers(TimeSpan now) =>
        Peers.Nodes.Any(node => !Peers.IsLeaving(node) && !Peers.IsSilent(node, now));
}
