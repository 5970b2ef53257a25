using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>The newest pool map that a node knows.</summary>
/// <param name="Node">Who tells it.</param>
/// <param name="Map">At least as new as anything that the node has done.</param>
public sealed record KnownMap(NodeId Node, PoolMap Map);

/// <summary>Puts a pool map together again from what its nodes know, when the authority has lost it or has an older one.</summary>
/// <remarks>
/// Pure. A node records a map before it does anything under it. So if every node of the newest map that is told has told what it knows,
/// nobody has done anything under a newer one: also a node that joined later got nothing, because only a primary that knew of it could have
/// given it anything. Of each shard the highest epoch wins. Where a map was changed after it had been set back there are two lines of maps, of
/// which a program cannot know which one to lose: if nodes know different ones, that is left to a person. A node that is declared gone may know
/// of changes that nobody else does: the new map is far above them, so that it follows when it comes back after all. Source: docs/placement.md#a-map-that-was-lost.
/// </remarks>
public static class PoolMapRebuild
{
    /// <summary>More changes of a map, or of a shard, than anybody made whom nobody can ask.</summary>
    private const ulong Margin = 1 << 20;

    /// <summary>Decides which map is to stand in the authority.</summary>
    /// <param name="standing">What stands there now; null: nothing.</param>
    /// <param name="told">Of each node that answered, one.</param>
    /// <param name="without">Nodes that a person declares gone: they need not answer.</param>
    /// <returns>The map, above all revisions that there were. NotFound: nobody knows one. Exists: nothing is lost. NotPermitted: a node has not
    /// answered. Invalid: the maps contradict one another.</returns>
    public static MapChange Decide(PoolMap? standing, IReadOnlyList<KnownMap> told, IReadOnlyCollection<NodeId> without)
    {
        ArgumentNullException.ThrowIfNull(told);
        ArgumentNullException.ThrowIfNull(without);
        if (told.Count == 0) { return MapChange.Refuse(Status.NotFound, "no node that answers knows a pool map"); }
        PoolMap[] maps = [.. told.Select(static one => one.Map).Concat(standing is null ? [] : [standing]).OrderByDescending(static map => map.Revision)];
        if (maps.FirstOrDefault(map => map.Pool != told[0].Map.Pool) is { } foreign)
        {
            return MapChange.Refuse(Status.Invalid, foreign == standing
                ? $"the authority has a map of pool {foreign.Pool}, and the nodes are of pool {told[0].Map.Pool}"
                : $"the nodes are of two pools, {told[0].Map.Pool} and {foreign.Pool}");
        }

        if (standing is not null && told.All(one => PoolMapSuccession.FindRefusal(one.Map, standing) is null))
        {
            return MapChange.Refuse(Status.Exists, $"the map that stands there, of revision {standing.Revision}, is as new as all that the nodes know");
        }

        PoolNode[] silent = [.. NodesOf(maps).Where(node => node.State != NodeState.Gone && !without.Contains(node.Id) && told.All(one => one.Node != node.Id))];
        if (silent.Length > 0)
        {
            return MapChange.Refuse(
                Status.NotPermitted, $"{string.Join(", ", silent.Select(static node => node.Name))} did not answer, and may know a newer map");
        }

        if (FindFork([.. told.Select(static one => one.Map)]) is { } fork) { return MapChange.Refuse(Status.Invalid, fork); }
        return Unite(maps, without.All(gone => told.Any(one => one.Node == gone)) ? 0 : Margin);
    }

    /// <summary>Finds a shard of which nodes know different lines: somebody may have been acknowledged something in each. What stands in the
    /// authority and no node knows does not count: nobody has acted upon it.</summary>
    private static string? FindFork(PoolMap[] told)
    {
        foreach (ShardId shard in told[0].ShardIds)
        {
            if (told.Any(map => shard.Value >= map.Shards.Length)) { continue; }
            ShardEntry highest = told.MaxBy(map => map[shard].Epoch)![shard];
            PoolMap[] winners = [.. told.Where(map => map[shard].Equals(highest))];
            foreach (ShardEntry earlier in told.Select(map => map[shard]).Where(entry => entry.Epoch < highest.Epoch).Distinct())
            {
                // The line of the highest has gone through it.
                bool isBefore = told.Any(map => map[shard].Equals(earlier)
                    && winners.Any(winner => PoolMapSuccession.FindRefusal(map, winner) is null));
                if (!isBefore)
                {
                    return $"of shard {shard} nodes know epoch {earlier.Epoch} and epoch {highest.Epoch} of two lines of maps: "
                        + "the map was changed after it had been set back";
                }
            }
        }

        return null;
    }

    /// <param name="maps">The newest first.</param>
    /// <param name="margin">By how much the new map is above them.</param>
    private static MapChange Unite(PoolMap[] maps, ulong margin)
    {
        PoolMap newest = maps[0];
        if (maps.Any(map => map.Shards.Length != newest.Shards.Length)) { return MapChange.Refuse(Status.Invalid, "the maps have different numbers of shards"); }
        ImmutableArray<ShardEntry>.Builder shards = ImmutableArray.CreateBuilder<ShardEntry>(newest.Shards.Length);
        foreach (ShardId shard in newest.ShardIds)
        {
            ShardEntry highest = maps.MaxBy(map => map[shard].Epoch)![shard];
            if (maps.Any(map => map[shard].Epoch == highest.Epoch && !map[shard].Equals(highest)))
            {
                return MapChange.Refuse(Status.Invalid, $"of epoch {highest.Epoch} of shard {shard} there are two entries: the map was changed after it had been set back");
            }

            shards.Add(margin == 0 ? highest : highest with { Epoch = new(highest.Epoch.Value + margin) });
        }

        NodeId next = new(maps.Max(static map => map.NextNode.Value));
        if (!PoolMap.TryCreate(
            newest.Pool, newest.Revision + 1 + margin, newest.Settings, next, NodesOf(maps), shards.MoveToImmutable(), out PoolMap? united, out string reason))
        {
            return MapChange.Refuse(Status.Invalid, $"what the nodes know makes no map: {reason}");
        }

        string? broken = maps.Select(map => PoolMapSuccession.FindBroken(map, united!)).FirstOrDefault(static one => one is not null);
        return broken is null ? new(Status.Ok, united, string.Empty) : MapChange.Refuse(Status.Invalid, $"what the nodes know contradicts itself: {broken}");
    }

    /// <summary>All nodes, each as the newest map has it that has it, by id.</summary>
    private static ImmutableArray<PoolNode> NodesOf(PoolMap[] maps) =>
        [.. maps.SelectMany(static map => map.Nodes).DistinctBy(static node => node.Id).OrderBy(static node => node.Id.Value)];
}
