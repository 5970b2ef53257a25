using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>One shard as it is, beside what the ring wants: what <see cref="PlacementPlanner"/> and
/// <see cref="PoolHealth"/> decide by.</summary>
internal sealed class ShardPlacement
{
    private readonly PoolMap map;

    /// <summary>Who should keep it, the ring's first first.</summary>
    private readonly ImmutableArray<NodeId> desired;

    /// <summary>Who is there.</summary>
    private readonly Func<NodeId, NodePresence> presence;

    private ShardPlacement(
        PoolMap map, ShardId id, ImmutableArray<NodeId> desired, Func<NodeId, NodePresence> presence)
    {
        this.map = map;
        this.desired = desired;
        this.presence = presence;
        Id = id;
        Entry = map[id];
        Present = Entry.InSync.Count(copy => IsHere(copy.Node));
    }

    /// <summary>All shards of a pool, by number, beside what a ring wants.</summary>
    internal static ImmutableArray<ShardPlacement> OfAll(PoolMap map, HashRing ring, Func<NodeId, NodePresence> presence) =>
    [
        .. map.ShardIds.Select(shard =>
            new ShardPlacement(map, shard, ring.Replicas(shard, map.Settings.Replicas), presence)),
    ];

    internal ShardId Id { get; }

    internal ShardEntry Entry { get; }

    /// <summary>Copies in sync on nodes that are here.</summary>
    internal int Present { get; }

    /// <summary>Whether somebody is there to carry steps out.</summary>
    internal bool IsLed => IsHere(Entry.Primary);

    internal bool PrimaryDrains => map.Find(Entry.Primary)!.State == NodeState.Draining;

    /// <summary>Whether the primary should be another one, and there is one.</summary>
    internal bool MustMovePrimary => IsLed && !Wants(Entry.Primary) && !Successors().IsEmpty;

    internal bool IsFull => Entry.InSync.Length + Entry.Learners.Length >= PoolLimits.Copies;

    /// <summary>Nodes that should keep it and do not even learn it.</summary>
    internal IEnumerable<NodeId> Missing => desired.Where(node => !Entry.IsInSync(node) && !Entry.IsLearner(node));

    /// <summary>Whether the copies are where the ring wants them, or where they can be.</summary>
    internal bool IsInPlace => !Missing.Any() && Entry.Learners.IsEmpty && !Droppable().Any();

    internal bool IsHere(NodeId node) => presence(node) == NodePresence.Here;

    internal bool Wants(NodeId node) => desired.Contains(node);

    /// <summary>Copies that can go, all of them together: enough are here without them. Of those that are not wanted,
    /// ones on draining nodes go first, then ones whose zone has another.</summary>
    internal IEnumerable<NodeId> Droppable()
    {
        int spare = Present - map.Settings.Replicas;
        if (spare < 0) { yield break; }
        foreach (NodeId node in Entry.InSync
            .Select(static copy => copy.Node)
            .Where(node => !Wants(node) && node != Entry.Primary)
            .OrderByDescending(node => map.Find(node)!.State)
            .ThenByDescending(CopiesInZoneOf))
        {
            if (IsHere(node) && --spare < 0) { yield break; }
            yield return node;
        }
    }

    /// <summary>Who may be primary instead, or stay it, the best first. None where nobody is there to hand
    /// over.</summary>
    internal ImmutableArray<NodeId> Successors()
    {
        if (!IsLed) { return []; }
        ImmutableArray<NodeId> wanted = [.. desired.Where(node => Entry.IsInSync(node) && IsHere(node))];
        return wanted.IsEmpty && PrimaryDrains
            ? [.. Entry.InSync.Select(static copy => copy.Node)
                .Where(node => IsHere(node) && map.Find(node)!.State == NodeState.Up)]
            : wanted;
    }

    private int CopiesInZoneOf(NodeId node)
    {
        string zone = map.Find(node)!.Zone;
        return Entry.InSync.Count(copy => map.Find(copy.Node)!.Zone == zone);
    }
}
