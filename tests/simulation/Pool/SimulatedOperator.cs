using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>Replaces nodes that are gone for good, by new ones with empty disks: joins the new one, puts it in the place of the
/// old one, and removes that once none of its copies counts.</summary>
internal sealed class SimulatedOperator(PoolWorld world)
{
    /// <summary>Replacements that are not at their end.</summary>
    public int UnderWay { get; private set; }

    public void Replace(NodeId gone)
    {
        UnderWay++;
        world.After(world.Between(500, 15_000), () => Join(gone));
    }

    private void Join(NodeId gone) => Until(
        () =>
        {
            NodeId coming = world.Authority.Map.NextNode;
            return world.Authority.Change(map => PoolMapChange.Join(map, PoolWorld.Introduce(coming))) ? world.AddNode(coming) : null;
        },
        coming => Until(
            () => world.Authority.Change(map => PoolMapChange.Replace(map, gone, coming.Id)) ? coming : null,
            _ => Until(
                () => world.Authority.Change(map => PoolMapChange.Remove(map, gone)) ? coming : null,
                _ =>
                {
                    world.Note("node replaced");
                    UnderWay--;
                })));

    /// <summary>Tries again until something has come of it.</summary>
    private void Until(Func<SimulatedNode?> tried, Action<SimulatedNode> then)
    {
        if (tried() is { } made) { world.After(world.Between(10, 2_000), () => then(made)); }
        else { world.After(world.Between(200, 1_000), () => Until(tried, then)); }
    }
}
