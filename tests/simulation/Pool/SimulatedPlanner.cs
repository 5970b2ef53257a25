using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>Moves copies of shards to other nodes: a learner more, and once it is in sync, another copy less.</summary>
internal sealed class SimulatedPlanner(PoolWorld world)
{
    private bool isStopped;

    public void Start() => world.After(world.Between(2_000, 8_000), Next);

    /// <summary>No more moves; what was begun is brought to its end.</summary>
    public void Stop() => isStopped = true;

    private void Next()
    {
        Reign reign = world.Authority.View.Reigns[world.Random.Next(world.Authority.View.Reigns.Length)];
        if (!world.Authority.IsChanging(reign.Shard)) { Plan(reign); }
        world.After(world.Between(500, 4_000), Next);
    }

    private void Plan(Reign reign)
    {
        NodeId[] members = [.. reign.Members];
        if (reign.InSync.Length > PoolWorld.Replicas)
        {
            NodeId[] others = [.. members.Where(node => node != reign.Primary)];
            Propose("copy dropped", reign, reign.WithoutPartOf(others[world.Random.Next(others.Length)]));
        }
        else if (!isStopped && members.Length == PoolWorld.Replicas && world.Nodes.Count > PoolWorld.Replicas)
        {
            NodeId[] others = [.. world.Nodes.Select(static node => node.Id).Where(node => !members.Contains(node))];
            Propose("learner added", reign, reign.WithLearner(others[world.Random.Next(others.Length)]));
        }
    }

    private void Propose(string what, Reign expected, Reign next) => world.Authority.Propose(expected, next, taken =>
    {
        if (taken == true) { world.Note(what); }
    });
}
