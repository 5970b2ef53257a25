using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>Where the pool map lives: changes by compare-and-swap of one shard's entry, or of nodes, and is watched. Answers take
/// their time, or do not come.</summary>
internal sealed class SimulatedAuthority(PoolWorld world, PoolMap founded)
{
    /// <summary>Proposals that are on their way, of each shard.</summary>
    private readonly Dictionary<ShardId, int> underWay = [];

    /// <summary>Nodes that do not reach it, and hear nothing of it.</summary>
    private readonly HashSet<NodeId> cut = [];

    public PoolMap Map { get; private set; } = founded;

    public PoolView View { get; private set; } = PoolView.Of(founded);

    public bool IsAway { get; set; }

    public bool IsChanging(ShardId shard) => underWay.GetValueOrDefault(shard) > 0;

    public Reign ReignOf(ShardId shard) => View.Reigns[shard.Value];

    public void Cut(NodeId node) => cut.Add(node);

    public void Heal(NodeId node) => cut.Remove(node);

    public bool Reaches(NodeId node) => !IsAway && !cut.Contains(node);

    /// <summary>Swaps a shard's entry; null: nobody knows.</summary>
    public void Propose(Reign expected, Reign next, Action<bool?> answer, NodeId by = default)
    {
        underWay[next.Shard] = underWay.GetValueOrDefault(next.Shard) + 1;
        world.After(world.Between(2, 40), () =>
        {
            underWay[next.Shard]--;
            if (!Reaches(by))
            {
                answer(null);
                return;
            }

            Reign current = ReignOf(next.Shard);
            bool isTaken = current.Equals(next) || Change(map =>
                world.Bug == PoolBug.SwapWithoutCompare ? Put(map, next) : PoolMapChange.Enact(map, [(expected, next)]));
            bool isLost = world.Random.Next(10) == 0;
            world.After(world.Between(2, 40), () => answer(isLost ? null : isTaken));
        });
    }

    /// <summary>Changes the map as an operator has it; false: it is away, or the change was refused.</summary>
    public bool Change(Func<PoolMap, MapChange> change)
    {
        if (IsAway || !change(Map).IsDone) { return false; }
        PoolMap next = change(Map).Map!;
        ShardId[] changed = [.. Map.ShardIds.Where(shard => !Map[shard].Equals(next[shard]))];
        Map = next;
        View = PoolView.Of(next);
        foreach (ShardId shard in changed) { world.OnReign(ReignOf(shard)); }
        foreach (SimulatedNode node in world.Nodes) { node.Watch(); }
        return true;
    }

    private static MapChange Put(PoolMap map, Reign next) =>
        PoolMap.TryCreate(
            map.Pool, map.Revision + 1, map.Settings, map.NextNode, map.Nodes, map.Shards.SetItem(next.Shard.Value, next.Entry), out PoolMap? swapped, out string reason)
            ? new(Status.Ok, swapped, string.Empty)
            : MapChange.Refuse(Status.Invalid, reason);
}
