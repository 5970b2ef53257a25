using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>Moves copies of shards to other nodes: a learner more, and once it is in sync, another copy less. While there are faults
/// half of the moves are to anywhere; the others bring copies to where the ring wants them.</summary>
internal sealed class SimulatedPlanner(PoolWorld world)
{
    private bool isStopped;

    public void Start() => world.After(world.Between(2_000, 8_000), Next);

    /// <summary>From now on copies only go to where the ring wants them.</summary>
    public void Stop() => isStopped = true;

    private void Next()
    {
        if (!isStopped && world.Random.Next(2) == 0) { MoveAnywhere(); }
        else { Plan(); }
        world.After(isStopped ? world.Between(100, 500) : world.Between(500, 4_000), Next);
    }

    private void Plan()
    {
        PoolMap map = world.Authority.Map;
        foreach (PlacementStep step in PlacementPlanner.Plan(map, PlacementLimits.Default, PresenceOf))
        {
            Reign reign = world.Authority.ReignOf(step.Shard);
            if (step.Kind == PlacementStepKind.AwaitPromotion || world.Authority.IsChanging(step.Shard)) { continue; }
            switch (step.Kind)
            {
                case PlacementStepKind.AddLearner:
                    Propose("learner added", reign, reign.WithLearner(step.Node));
                    break;
                case PlacementStepKind.MovePrimary:
                    world.Note("primary moved");
                    world.NodeOf(reign.Primary).HandOver(step.Shard, step.Node);
                    break;
                default:
                    Propose("copy dropped", reign, reign.WithoutPartOf(step.Node));
                    break;
            }

            return;
        }
    }

    private NodePresence PresenceOf(NodeId id)
    {
        SimulatedNode node = world.NodeOf(id);
        return node.IsGone ? NodePresence.Lost : node.IsUp ? NodePresence.Here : NodePresence.Silent;
    }

    private void MoveAnywhere()
    {
        Reign reign = world.Authority.View.Reigns[world.Random.Next(world.Authority.View.Reigns.Length)];
        if (world.Authority.IsChanging(reign.Shard)) { return; }
        NodeId[] members = [.. reign.Members];
        NodeId[] others = [.. world.Authority.Map.Nodes.Where(static node => node.State == NodeState.Up).Select(static node => node.Id)
            .Where(node => !members.Contains(node))];
        if (reign.InSync.Length > PoolWorld.Replicas)
        {
            NodeId[] droppable = [.. members.Where(node => node != reign.Primary)];
            Propose("copy dropped", reign, reign.WithoutPartOf(droppable[world.Random.Next(droppable.Length)]));
        }
        else if (members.Length == PoolWorld.Replicas && others.Length > 0)
        {
            Propose("learner added", reign, reign.WithLearner(others[world.Random.Next(others.Length)]));
        }
    }

    private void Propose(string what, Reign expected, Reign next) => world.Authority.Propose(expected, next, taken =>
    {
        if (taken == true) { world.Note(what); }
    });
}
