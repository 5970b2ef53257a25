using System.Collections.Immutable;

namespace KvFs.Core;

// Changes of shards. Those of one shard compare its whole entry with the one that the caller decided by.
public static partial class PoolMapChange
{
    /// <summary>Lets a node learn a shard. Asked by the shard's primary, which sends it everything from then
    /// on.</summary>
    public static MapChange AddLearner(PoolMap map, ShardId shard, ShardEntry compared, NodeId node)
    {
        if (Compare(map, shard, compared) is { } refusal) { return refusal; }
        if (map.Find(node) is not { } known || known.State == NodeState.Gone) { return NoNode(node); }
        if (known.State == NodeState.Draining)
        {
            return MapChange.Refuse(Status.NotPermitted, $"node {node.Value} is draining: it takes no copies");
        }

        if (compared.IsInSync(node) || compared.IsLearner(node))
        {
            return MapChange.Refuse(Status.Exists, $"node {node.Value} has a copy of shard {shard} already");
        }

        return Put(map, shard, compared.WithLearner(node));
    }

    /// <summary>Lets a node stop learning a shard.</summary>
    public static MapChange DropLearner(PoolMap map, ShardId shard, ShardEntry compared, NodeId node) =>
        Compare(map, shard, compared)
        ?? (compared.IsLearner(node) ? Put(map, shard, compared.Without(node)) : NoCopy(shard, node, "learning"));

    /// <summary>Counts a learner among those in sync. Asked by the primary, once it has compared logs with that very
    /// process: disk and boot id are the ones it compared with.</summary>
    public static MapChange Promote(PoolMap map, ShardId shard, ShardEntry compared, InSyncReplica caughtUp) =>
        Compare(map, shard, compared)
        ?? CheckDisk(map, caughtUp)
        ?? (compared.IsLearner(caughtUp.Node) ? Put(map, shard, compared.With(caughtUp, map.Settings.MinInSync)) : NoCopy(shard, caughtUp.Node, "learning"));

    /// <summary>Lists an in-sync node under the boot id of its new process. Asked by the primary, once it has compared
    /// logs and sent the difference.</summary>
    public static MapChange Relist(PoolMap map, ShardId shard, ShardEntry compared, InSyncReplica caughtUp)
    {
        if ((Compare(map, shard, compared) ?? CheckDisk(map, caughtUp)) is { } refusal) { return refusal; }
        if (compared.Find(caughtUp.Node) is not { } listed) { return NoCopy(shard, caughtUp.Node, "in sync"); }
        if (listed == caughtUp) { return MapChange.Refuse(Status.Exists, $"node {caughtUp.Node.Value} is listed so already"); }
        return compared.Primary == caughtUp.Node
            ? MapChange.Refuse(Status.NotPermitted, $"node {caughtUp.Node.Value} is the primary: it cannot list itself")
            : Put(map, shard, compared.With(caughtUp, map.Settings.MinInSync));
    }

    /// <summary>Counts the copy of a silent node no longer: it learns, once it is back. Asked by the primary.</summary>
    /// <param name="map">The map to change.</param>
    /// <param name="shard">The shard.</param>
    /// <param name="compared">The entry that the caller decided by.</param>
    /// <param name="node">Whose copy; never the primary's own.</param>
    /// <param name="byMajority">Whether a majority of votes calls the node silent: then the copies may become fewer than
    /// minInSync, and so many are enough.</param>
    public static MapChange DropReplica(PoolMap map, ShardId shard, ShardEntry compared, NodeId node, bool byMajority) =>
        CheckDrop(map, shard, compared, node, byMajority) ?? Put(map, shard, compared.Demoted(node, byMajority));

    /// <summary>Ends a node's part in a shard for which enough others stand in. Asked by the primary.</summary>
    public static MapChange DropSurplus(PoolMap map, ShardId shard, ShardEntry compared, NodeId node) =>
        CheckDrop(map, shard, compared, node, byMajority: false) ?? Put(map, shard, compared.Without(node));

    /// <summary>Makes another in-sync node the primary, which the old one has signed.</summary>
    public static MapChange HandOver(PoolMap map, ShardId shard, ShardEntry compared, NodeId to)
    {
        if (Compare(map, shard, compared) is { } refusal) { return refusal; }
        if (compared.Primary == to) { return MapChange.Refuse(Status.Exists, $"node {to.Value} is the primary already"); }
        return compared.IsInSync(to) ? Put(map, shard, compared.SignedOverTo(to)) : NoCopy(shard, to, "in sync");
    }

    /// <summary>Takes over from a silent node: in every shard of which it is primary and the candidate is in sync, the
    /// candidate is primary now; there, and where the candidate is primary already, the silent one's copy counts no
    /// longer.</summary>
    /// <param name="map">The map to change.</param>
    /// <param name="dead">The silent node.</param>
    /// <param name="candidate">Who asks, with the disk and boot id it runs with: a copy that is listed under others
    /// does not count.</param>
    /// <param name="byMajority">Whether a majority of votes calls the node silent: then what is left of a shard is
    /// enough. Otherwise a shard with fewer copies than were enough is led, and serves once others have caught up.</param>
    public static MapChange TakeOver(PoolMap map, NodeId dead, InSyncReplica candidate, bool byMajority)
    {
        if (map.Find(dead) is null) { return NoNode(dead); }
        if (dead == candidate.Node) { return MapChange.Refuse(Status.Invalid, "a node cannot take over from itself"); }
        ImmutableArray<ShardEntry>.Builder shards = map.Shards.ToBuilder();
        int changed = 0;
        for (int shard = 0; shard < shards.Count; shard++)
        {
            ShardEntry entry = shards[shard];
            bool mine = entry.Primary == candidate.Node || entry.Primary == dead;
            if (!mine || !entry.IsInSync(dead) || entry.Find(candidate.Node) != candidate) { continue; }
            if (entry.Primary != dead && !byMajority && entry.InSync.Length <= map.Settings.MinInSync) { continue; }
            shards[shard] = entry.Demoted(dead, byMajority) with { Primary = candidate.Node };
            changed++;
        }

        return changed == 0
            ? MapChange.Refuse(Status.NotFound, $"node {candidate.Node.Value} can take over no shard from node {dead.Value}")
            : map.Change(shards.MoveToImmutable());
    }

    /// <summary>Takes a node that stops politely out of every in-sync set at once, but where copies would become fewer than
    /// minInSync: it learns when it is back. What it is still listed as primary of goes to another copy, signed: so if there is any, it has
    /// fallen silent before.</summary>
    public static MapChange Leave(PoolMap map, NodeId node)
    {
        if (map.Find(node) is null) { return NoNode(node); }
        ImmutableArray<ShardEntry> shards = [.. map.Shards.Select(Without)];
        return shards.AsSpan().SequenceEqual(map.Shards.AsSpan())
            ? MapChange.Refuse(Status.Exists, $"node {node.Value} has left already, or has the only copies")
            : map.Change(shards);

        ShardEntry Without(ShardEntry entry)
        {
            InSyncReplica? other = entry.InSync.Cast<InSyncReplica?>().FirstOrDefault(copy => copy!.Value.Node != node);
            if (!entry.IsInSync(node) || other is not { } next) { return entry; }
            bool isPrimary = entry.Primary == node;
            if (entry.InSync.Length > map.Settings.MinInSync)
            {
                ShardEntry left = entry.Demoted(node, byMajority: false);
                return isPrimary ? left with { Primary = next.Node, IsSignedOver = true } : left;
            }

            return isPrimary ? entry.SignedOverTo(next.Node) : entry;
        }
    }

    /// <summary>Starts a shard of which no listed process runs any more: the copy that is furthest leads, and is the
    /// only one that counts until the others, now learners, have been compared with it. As many as before are enough.
    /// </summary>
    /// <param name="map">The map to change.</param>
    /// <param name="shard">The shard.</param>
    /// <param name="compared">The entry that the caller decided by.</param>
    /// <param name="leader">A copy that was in sync last, on its disk, under the boot id of its new process.</param>
    public static MapChange ColdStart(PoolMap map, ShardId shard, ShardEntry compared, InSyncReplica leader) =>
        Compare(map, shard, compared)
        ?? CheckDisk(map, leader)
        ?? (compared.IsInSync(leader.Node) ? Put(map, shard, compared.LedBy(leader)) : NoCopy(shard, leader.Node, "in sync"));

    /// <summary>As <see cref="ColdStart"/>, but with any copy, whatever it lacks, and that one is enough: what only the
    /// others had is lost. For people who have said that they accept this, which stands in the map from then on.</summary>
    /// <param name="map">The map to change.</param>
    /// <param name="shard">The shard.</param>
    /// <param name="compared">The entry that the caller decided by.</param>
    /// <param name="leader">A copy that is not in sync, as the process that it is now: <see cref="ForcedStart"/> finds it.</param>
    /// <param name="end">The last entry that it has.</param>
    /// <param name="acceptance">Who accepts the loss.</param>
    public static MapChange Force(
        PoolMap map, ShardId shard, ShardEntry compared, InSyncReplica leader, LogPosition end, LossAcceptance acceptance)
    {
        if ((Compare(map, shard, compared) ?? CheckDisk(map, leader)) is { } refusal) { return refusal; }
        return compared.IsInSync(leader.Node)
            ? MapChange.Refuse(Status.NotPermitted, $"node {leader.Node.Value} was in sync last: it starts the shard without a loss")
            : Put(map, shard, compared.ForcedTo(leader, end, acceptance));
    }

    private static MapChange? CheckDrop(PoolMap map, ShardId shard, ShardEntry compared, NodeId node, bool byMajority)
    {
        if (Compare(map, shard, compared) is { } refusal) { return refusal; }
        if (!compared.IsInSync(node)) { return NoCopy(shard, node, "in sync"); }
        if (compared.Primary == node)
        {
            return MapChange.Refuse(Status.NotPermitted, $"node {node.Value} is the primary of shard {shard}: hand over first");
        }

        int left = compared.InSync.Length - 1;
        return !byMajority && left < map.Settings.MinInSync
            ? MapChange.Refuse(
                Status.NotPermitted, $"shard {shard} would have {left} copies in sync, below {map.Settings.MinInSync}")
            : null;
    }

    private static MapChange? Compare(PoolMap map, ShardId shard, ShardEntry compared)
    {
        if (shard.Value >= map.Shards.Length)
        {
            return MapChange.Refuse(Status.NotFound, $"the pool has {map.Shards.Length} shards, and no shard {shard}");
        }

        return map[shard].Equals(compared)
            ? null
            : MapChange.Refuse(Status.StaleEpoch, $"shard {shard} is at epoch {map[shard].Epoch}, not at {compared.Epoch}, or differs");
    }

    private static MapChange? CheckDisk(PoolMap map, InSyncReplica copy)
    {
        if (map.Find(copy.Node) is not { } node || node.State == NodeState.Gone) { return NoNode(copy.Node); }
        return node.Disk == copy.Disk
            ? null
            : MapChange.Refuse(Status.NotPermitted, $"disk {copy.Disk} is not the one that node {node.Id.Value} joined with");
    }

    private static MapChange Put(PoolMap map, ShardId shard, ShardEntry entry) =>
        map.Change(map.Shards.SetItem(shard.Value, entry));

    private static MapChange NoCopy(ShardId shard, NodeId node, string what) =>
        MapChange.Refuse(Status.NotFound, $"node {node.Value} is not {what} for shard {shard}");
}
