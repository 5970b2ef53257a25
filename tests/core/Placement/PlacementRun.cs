namespace KvFs.Core.Tests;

/// <summary>A pool in which primaries carry out what the planner says, in any order and not always, while nodes die
/// and come back and an operator changes the pool. Checks every step.</summary>
internal sealed class PlacementRun(PoolMap start, PlacementLimits limits, int seed)
{
    private readonly Random random = new(seed);
    private readonly SortedDictionary<uint, NodePresence> away = [];
    private readonly SortedDictionary<uint, BootId> boots = [];
    private int drawn = 10_000;

    internal PoolMap Map { get; private set; } = start;

    /// <summary>Steps that were carried out.</summary>
    internal Dictionary<PlacementStepKind, int> Done { get; } = [];

    internal NodePresence Presence(NodeId node) => away.GetValueOrDefault(node.Value, NodePresence.Here);

    internal IReadOnlyList<PlacementStep> Plan() => PlacementPlanner.Plan(Map, limits, Presence);

    /// <summary>Plans once and carries some of it out.</summary>
    internal void Advance(double part = 0.7)
    {
        IReadOnlyList<PlacementStep> plan = Plan();
        CheckLimits(plan);
        HashSet<ShardId> touched = [];
        foreach (PlacementStep step in plan.OrderBy(_ => random.Next()))
        {
            if (random.NextDouble() > part) { continue; }
            MapChange change = Carry(step);
            Assert.True(change.IsDone || !touched.Add(step.Shard), $"{step}: {change.Status} {change.Reason}");
            touched.Add(step.Shard);
            if (change.IsDone) { Take(step, change.Map); }
        }
    }

    /// <summary>Plans and carries all out until nothing is left.</summary>
    internal void Settle(int rounds)
    {
        for (int round = 0; Plan().Count > 0; round++)
        {
            Assert.True(round < rounds, $"not settled after {rounds} rounds: {string.Join(' ', Plan())}");
            Advance(part: 1);
        }
    }

    /// <summary>One thing that nobody planned.</summary>
    internal void Disturb()
    {
        PoolNode[] nodes = [.. Map.Nodes.Where(static node => node.State != NodeState.Gone)];
        PoolNode node = nodes[random.Next(nodes.Length)];
        switch (random.Next(9))
        {
            case 0 or 1 when away.Count < nodes.Length - 1 && Presence(node.Id) == NodePresence.Here:
                Die(node.Id);
                break;
            case 2 when Presence(node.Id) == NodePresence.Silent:
                away[node.Id.Value] = NodePresence.Lost;
                break;
            case 3 when Presence(node.Id) != NodePresence.Here:
                Return(node.Id);
                break;
            case 4:
                Try(PoolMapChange.Drain(Map, node.Id));
                break;
            case 5:
                Try(PoolMapChange.Undrain(Map, node.Id));
                break;
            case 6 when nodes.Length < 12:
                Try(PoolMapChange.Join(Map, Pools.Node(drawn++, $"z{random.Next(3)}", (uint)random.Next(50, 200))));
                break;
            case 7:
                Try(PoolMapChange.Remove(Map, node.Id));
                break;
            case 8:
                Try(PoolMapChange.Replace(Map, node.Id, nodes[random.Next(nodes.Length)].Id));
                break;
        }
    }

    /// <summary>Everybody is back.</summary>
    internal void Heal()
    {
        foreach (uint node in away.Keys.ToArray()) { Return(new(node)); }
    }

    /// <summary>Checks that every shard has what the ring wants, as far as there are nodes.</summary>
    internal void CheckPlaced()
    {
        HashRing ring = Map.Ring();
        foreach (ShardId shard in Map.ShardIds)
        {
            ShardEntry entry = Map[shard];
            NodeId[] wanted = [.. ring.Replicas(shard, Map.Settings.Replicas)];
            NodeId[] found = [.. entry.InSync.Select(static copy => copy.Node)];
            Assert.Empty(entry.Learners);
            Assert.Empty(wanted.Except(found));
            Assert.True(found.Length == wanted.Length || found.Length <= Map.Settings.Replicas, $"shard {shard} has surplus copies");
            Assert.True(wanted.Length == 0 || wanted.Contains(entry.Primary), $"shard {shard} is led from outside");
        }
    }

    /// <summary>Carries a step out and checks what it does to the copies. A step that the planner did not say is found
    /// here.</summary>
    internal void Take(PlacementStep step, PoolMap next)
    {
        Assert.Null(PoolMapSuccession.FindBroken(Map, next));
        int before = Present(Map[step.Shard]);
        int after = Present(next[step.Shard]);
        Assert.True(
            after >= before || after >= Map.Settings.Replicas,
            $"{step} leaves {after} of {before} copies, and {Map.Settings.Replicas} are wanted (seed {seed})");
        Done[step.Kind] = Done.GetValueOrDefault(step.Kind) + 1;
        Map = next;
    }

    internal MapChange Carry(PlacementStep step)
    {
        ShardEntry entry = Map[step.Shard];
        Assert.Equal(NodePresence.Here, Presence(entry.Primary));
        return step.Kind switch
        {
            PlacementStepKind.AddLearner => PoolMapChange.AddLearner(Map, step.Shard, entry, step.Node),
            PlacementStepKind.AwaitPromotion => PoolMapChange.Promote(Map, step.Shard, entry, Copy(step.Node)),
            PlacementStepKind.DropLearner => PoolMapChange.DropLearner(Map, step.Shard, entry, step.Node),
            PlacementStepKind.DropSurplus => PoolMapChange.DropSurplus(Map, step.Shard, entry, step.Node),
            _ => PoolMapChange.HandOver(Map, step.Shard, entry, step.Node),
        };
    }

    private int Present(ShardEntry entry) => entry.InSync.Count(copy => Presence(copy.Node) == NodePresence.Here);

    private InSyncReplica Copy(NodeId node) =>
        new(node, Map.Find(node)!.Disk, boots.TryGetValue(node.Value, out BootId boot) ? boot : Pools.Boot((int)node.Value));

    private void Try(MapChange change)
    {
        if (!change.IsDone) { return; }
        Assert.Null(PoolMapSuccession.FindBroken(Map, change.Map));
        Map = change.Map;
    }

    /// <summary>A node dies: the others take over what they can, and drop it.</summary>
    private void Die(NodeId node)
    {
        away[node.Value] = NodePresence.Silent;
        foreach (ShardId shard in Map.ShardIds)
        {
            ShardEntry entry = Map[shard];
            if (!entry.IsInSync(node)) { continue; }
            if (entry.Primary != node) { Try(PoolMapChange.DropReplica(Map, shard, entry, node, byMajority: true)); }
            else if (Present(entry) > 0)
            {
                InSyncReplica candidate = entry.InSync.First(copy => Presence(copy.Node) == NodePresence.Here);
                Try(PoolMapChange.TakeOver(Map, node, candidate, byMajority: true));
            }
        }
    }

    /// <summary>A node comes back as another process: where it is listed still, it is listed anew or, if nobody is
    /// there, it starts the shard.</summary>
    private void Return(NodeId node)
    {
        away.Remove(node.Value);
        boots[node.Value] = new((UInt128)random.Next(1, int.MaxValue));
        foreach (ShardId shard in Map.ShardIds)
        {
            ShardEntry entry = Map[shard];
            if (!entry.IsInSync(node)) { continue; }
            bool isLed = entry.Primary != node && Presence(entry.Primary) == NodePresence.Here;
            Try(isLed
                ? PoolMapChange.Relist(Map, shard, entry, Copy(node))
                : PoolMapChange.ColdStart(Map, shard, entry, Copy(node)));
        }
    }

    private void CheckLimits(IReadOnlyList<PlacementStep> plan)
    {
        PlacementStep[] added = Of(PlacementStepKind.AddLearner);
        PlacementStep[] moves = [.. added, .. Of(PlacementStepKind.AwaitPromotion)];
        Assert.Equal(moves.Length, moves.Distinct().Count());
        Assert.True(added.Length == 0 || moves.Length <= limits.MovesInPool);
        foreach (PlacementStep step in added)
        {
            Assert.InRange(moves.Count(move => move.Node == step.Node), 1, limits.MovesPerNode);
            NodeId teacher = Map[step.Shard].Primary;
            Assert.InRange(moves.Count(move => Map[move.Shard].Primary == teacher), 1, limits.MovesPerNode);
            Assert.Equal(NodePresence.Here, Presence(step.Node));
        }

        PlacementStep[] primaries = Of(PlacementStepKind.MovePrimary);
        Assert.True(primaries.Length <= limits.PrimaryMoves);
        Assert.Equal(primaries.Length, primaries.Select(static step => step.Shard).Distinct().Count());

        PlacementStep[] Of(PlacementStepKind kind) => [.. plan.Where(step => step.Kind == kind)];
    }
}
