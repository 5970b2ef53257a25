using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>How a pool map changes. Each function is one change: it returns the map one revision on, or why
/// not.</summary>
/// <remarks>Pure. A change that comes to stand in the authority by compare-and-swap was made to the map that stood there.
/// Source: docs/placement.md#changes.</remarks>
public static partial class PoolMapChange
{
    /// <summary>Makes the first map: every shard lies where the ring has it, in sync, because it is empty.</summary>
    /// <param name="pool">Drawn by the caller.</param>
    /// <param name="settings">What every shard shall have.</param>
    /// <param name="shardCount">Shards of the pool, for good.</param>
    /// <param name="founders">The first nodes with the boot ids under which they run now.</param>
    public static MapChange Found(
        PoolId pool, PoolSettings settings, int shardCount, IReadOnlyList<(NodeIntroduction Node, BootId Boot)> founders)
    {
        if (founders.Count is 0 or > PoolLimits.Nodes) { return MapChange.Refuse(Status.Invalid, "a pool needs a node"); }
        if (shardCount is < 1 or > PoolLimits.Shards)
        {
            return MapChange.Refuse(Status.Invalid, $"a pool has 1 to {PoolLimits.Shards} shards, not {shardCount}");
        }

        ImmutableArray<PoolNode> nodes = [.. founders.Select(static (founder, at) => Introduce(new((uint)at + 1), founder.Node))];
        ImmutableArray<InSyncReplica> copies =
            [.. founders.Select(static (founder, at) => new InSyncReplica(new((uint)at + 1), founder.Node.Disk, founder.Boot))];
        NodeId next = new((uint)founders.Count + 1);

        // The first node has everything at first: with that, all rules but those of placement are checked.
        ShardEntry first = new(new(1), new(1), [copies[0]], []);
        if (!PoolMap.TryCreate(
            pool, 1, settings, next, nodes, [.. Enumerable.Repeat(first, shardCount)], out PoolMap? map, out string reason))
        {
            return MapChange.Refuse(Status.Invalid, reason);
        }

        HashRing ring = map!.Ring();
        ImmutableArray<ImmutableArray<NodeId>> desired = [.. map.ShardIds.Select(shard => ring.Replicas(shard, settings.Replicas))];
        NodeId[] primaries = [.. desired.Select(static replicas => replicas[0])];
        new PrimaryBalance(ring.Nodes, desired, primaries).MoveAll();
        ImmutableArray<ShardEntry> shards = [.. desired.Select((replicas, shard) => new ShardEntry(
            new(1),
            primaries[shard],
            [.. replicas.Select(node => copies[(int)node.Value - 1]).OrderBy(static copy => copy.Node.Value)],
            [],
            Math.Min(settings.MinInSync, replicas.Length)))];
        return PoolMap.TryCreate(pool, 1, settings, next, nodes, shards, out map, out reason)
            ? new(Status.Ok, map, string.Empty)
            : MapChange.Refuse(Status.Invalid, reason);
    }

    /// <summary>Adds a node, under an id that no node had. It keeps nothing yet.</summary>
    /// <remarks>A disk that the map knows is refused, also if its node is gone: its content is stale, and it must be
    /// emptied, which makes it another disk. Where the list of nodes is full, the oldest that is gone is
    /// forgotten.</remarks>
    public static MapChange Join(PoolMap map, NodeIntroduction node)
    {
        if (map.Nodes.FirstOrDefault(other => other.Disk == node.Disk) is { } known)
        {
            return MapChange.Refuse(Status.Exists, $"disk {node.Disk} is node {known.Id.Value}'s ({known.State})");
        }

        if (map.Find(node.Name) is { } namesake)
        {
            return MapChange.Refuse(
                Status.Exists, $"the name {node.Name} is node {namesake.Id.Value}'s: remove that one for good first");
        }

        if (PlaceIsTaken(map, node.Name, default))
        {
            return MapChange.Refuse(Status.Exists, $"{node.Name} is the place of a node that replaced an earlier one of that name");
        }

        ImmutableArray<PoolNode> kept = map.Nodes;
        if (kept.Length == PoolLimits.Nodes)
        {
            if (kept.FirstOrDefault(static other => other.State == NodeState.Gone) is not { } forgotten)
            {
                return MapChange.Refuse(Status.TooLarge, $"the pool has {PoolLimits.Nodes} nodes, as many as there may be");
            }

            kept = kept.Remove(forgotten);
        }

        return map.Change(kept.Add(Introduce(map.NextNode, node)), new(map.NextNode.Value + 1));
    }

    /// <summary>Says anew where a node listens, what fails with it and how much it takes.</summary>
    public static MapChange Describe(PoolMap map, NodeId id, ImmutableArray<string> addresses, string zone, uint weight) =>
        Edit(map, id, node => node with { Addresses = addresses, Zone = zone, Weight = weight });

    /// <summary>Takes a node off the ring: the planner moves its copies away.</summary>
    public static MapChange Drain(PoolMap map, NodeId id) => Edit(map, id, static node => node with { State = NodeState.Draining });

    /// <summary>Puts a node that was draining back on the ring, unless another has taken its place.</summary>
    public static MapChange Undrain(PoolMap map, NodeId id)
    {
        if (map.Find(id) is { State: NodeState.Draining } draining && PlaceIsTaken(map, draining.Place, id))
        {
            return MapChange.Refuse(Status.NotPermitted, $"another node has taken the place of node {id.Value}");
        }

        return Edit(map, id, static node => node with { State = NodeState.Up });
    }

    /// <summary>Puts a node that has just joined in the place of another, which drains: exactly its copies
    /// move.</summary>
    public static MapChange Replace(PoolMap map, NodeId old, NodeId by)
    {
        PoolNode? leaving = map.Find(old);
        PoolNode? coming = map.Find(by);
        if (leaving is null || leaving.State == NodeState.Gone) { return NoNode(old); }
        if (coming is null || coming.State == NodeState.Gone) { return NoNode(by); }
        if (old != by && leaving.State == NodeState.Draining && coming.State == NodeState.Up && coming.Place == leaving.Place)
        {
            return MapChange.Refuse(Status.Exists, $"node {by.Value} has the place of node {old.Value} already");
        }

        if (old == by || coming.State != NodeState.Up || PlaceIsTaken(map, leaving.Place, old))
        {
            return MapChange.Refuse(Status.NotPermitted, $"node {by.Value} cannot take the place of node {old.Value}");
        }

        return map.Change(map.Nodes
            .Replace(leaving, leaving with { State = NodeState.Draining })
            .Replace(coming, coming with { Place = leaving.Place }));
    }

    /// <summary>Removes a node for good. It must keep no copy that counts: the planner, or a takeover and votes, see
    /// to that; the last copy of a shard leaves only by <see cref="Force"/>.</summary>
    public static MapChange Remove(PoolMap map, NodeId id)
    {
        if (map.Find(id) is not { } node || node.State == NodeState.Gone) { return NoNode(id); }
        int kept = map.Shards.Count(entry => entry.IsInSync(id));
        if (kept > 0)
        {
            return MapChange.Refuse(Status.NotPermitted, $"node {id.Value} is in sync for {kept} shards: drain it first");
        }

        return map.Change(
            map.Settings,
            map.NextNode,
            map.Nodes.Replace(node, node with { State = NodeState.Gone }),
            [.. map.Shards.Select(entry => entry.IsLearner(id) ? entry.Without(id) : entry)]);
    }

    /// <summary>Asks another number of copies of every shard. What is enough changes with it: to fewer at once, to more where
    /// so many are in sync.</summary>
    public static MapChange Set(PoolMap map, PoolSettings settings)
    {
        if (map.Settings == settings) { return MapChange.Refuse(Status.Exists, "these are the settings already"); }
        return map.Change(settings, map.NextNode, map.Nodes, [.. map.Shards.Select(Adapt)]);

        ShardEntry Adapt(ShardEntry entry)
        {
            int enough = ShardEntry.EnoughOf(entry.Enough, entry.InSync.Length, settings.MinInSync);
            return enough == entry.Enough ? entry : entry.WithEnough(enough);
        }
    }

    private static PoolNode Introduce(NodeId id, NodeIntroduction node) =>
        new(id, node.Name, node.Name, node.Addresses, node.Zone, node.Weight, NodeState.Up, node.Disk);

    private static bool PlaceIsTaken(PoolMap map, string place, NodeId except) =>
        map.Nodes.Any(node => node.State == NodeState.Up && node.Place == place && node.Id != except);

    private static MapChange Edit(PoolMap map, NodeId id, Func<PoolNode, PoolNode> change)
    {
        if (map.Find(id) is not { } node || node.State == NodeState.Gone) { return NoNode(id); }
        PoolNode changed = change(node);
        return changed.Equals(node)
            ? MapChange.Refuse(Status.Exists, $"node {id.Value} is so already")
            : map.Change(map.Nodes.Replace(node, changed));
    }

    private static MapChange NoNode(NodeId id) => MapChange.Refuse(Status.NotFound, $"node {id.Value} is not in the pool");
}
