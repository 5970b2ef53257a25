using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>Says how to come from the copies that a pool has to those that its ring wants: a few next steps.</summary>
/// <remarks>
/// Pure and without memory: it looks at the map alone, so whoever asks goes on where another stopped, and a step that
/// was not carried out, or twice, or in another order, does no harm. For each shard: a wanted node that has no copy
/// learns it; once it is in sync, a copy that is not wanted goes, if the pool's number of copies is there without it.
/// So no step ever makes the copies in sync fewer than the pool asks for. A primary that is not wanted hands over
/// first: at once if it drains. Shards with the fewest copies come first. What only nodes that are not here could do
/// is left alone. Source: docs/placement.md#the-planner.
/// </remarks>
public static class PlacementPlanner
{
    /// <summary>The next steps; empty when nothing is left to do, or to wait for.</summary>
    /// <param name="map">What is.</param>
    /// <param name="limits">What may be under way at a time.</param>
    /// <param name="presence">Who is there.</param>
    /// <param name="evenly">Primacies are shared as evenly as can be, and are the ring's first nodes' as far as that allows; nodes
    /// by themselves stop before that, so that nothing moves for little.</param>
    public static ImmutableArray<PlacementStep> Plan(
        PoolMap map, PlacementLimits limits, Func<NodeId, NodePresence> presence, bool evenly = false)
    {
        HashRing ring = map.Ring(node => presence(node) == NodePresence.Lost);
        ImmutableArray<ShardPlacement> shards = ShardPlacement.OfAll(map, ring, presence);
        List<PlacementStep> steps = [];
        foreach (ShardPlacement shard in shards) { AddEndings(shard, steps); }
        AddLearners(shards, limits, presence, steps);
        AddPrimaryMoves(map, ring, shards, limits, presence, evenly, steps);
        return [.. steps];
    }

    /// <summary>What ends a move: waiting, and dropping what is not needed any more.</summary>
    private static void AddEndings(ShardPlacement shard, List<PlacementStep> steps)
    {
        if (!shard.IsLed) { return; }
        foreach (NodeId learner in shard.Entry.Learners)
        {
            if (!shard.Wants(learner)) { steps.Add(new(shard.Id, PlacementStepKind.DropLearner, learner)); }
            else if (shard.IsHere(learner)) { steps.Add(new(shard.Id, PlacementStepKind.AwaitPromotion, learner)); }
        }

        foreach (NodeId surplus in shard.Droppable()) { steps.Add(new(shard.Id, PlacementStepKind.DropSurplus, surplus)); }
    }

    private static void AddLearners(
        ImmutableArray<ShardPlacement> shards,
        PlacementLimits limits,
        Func<NodeId, NodePresence> presence,
        List<PlacementStep> steps)
    {
        int inPool = 0;
        Dictionary<uint, int> learning = [];
        Dictionary<uint, int> teaching = [];
        foreach (PlacementStep step in steps)
        {
            if (step.Kind == PlacementStepKind.AwaitPromotion) { Count(shards[step.Shard.Value], step.Node); }
        }

        foreach (ShardPlacement shard in shards.Where(static shard => shard.IsLed).OrderBy(static shard => shard.Present))
        {
            foreach (NodeId node in shard.Missing)
            {
                if (inPool >= limits.MovesInPool) { return; }
                if (presence(node) != NodePresence.Here || shard.IsFull) { continue; }
                if (learning.GetValueOrDefault(node.Value) >= limits.MovesPerNode) { continue; }
                if (teaching.GetValueOrDefault(shard.Entry.Primary.Value) >= limits.MovesPerNode) { continue; }
                Count(shard, node);
                steps.Add(new(shard.Id, PlacementStepKind.AddLearner, node));
            }
        }

        void Count(ShardPlacement shard, NodeId learner)
        {
            inPool++;
            learning[learner.Value] = learning.GetValueOrDefault(learner.Value) + 1;
            teaching[shard.Entry.Primary.Value] = teaching.GetValueOrDefault(shard.Entry.Primary.Value) + 1;
        }
    }

    private static void AddPrimaryMoves(
        PoolMap map,
        HashRing ring,
        ImmutableArray<ShardPlacement> shards,
        PlacementLimits limits,
        Func<NodeId, NodePresence> presence,
        bool evenly,
        List<PlacementStep> steps)
    {
        NodeId[] primaries = [.. map.Shards.Select(static entry => entry.Primary)];
        ImmutableArray<NodeId>[] candidates = [.. shards.Select(static shard => shard.Successors())];
        RingNode[] here = [.. ring.Nodes.Where(node => presence(node.Node) == NodePresence.Here)];
        PrimaryBalance balance = new(here, candidates, primaries, evenly);
        int left = limits.PrimaryMoves;
        foreach (ShardPlacement shard in shards
            .Where(static shard => shard.MustMovePrimary)
            .OrderBy(static shard => shard.PrimaryDrains ? 0 : 1))
        {
            if (left-- <= 0) { return; }
            ImmutableArray<NodeId> successors = candidates[shard.Id.Value];
            Move(shard.Id.Value, successors.FirstOrDefault(balance.HasRoom, successors[0]));
        }

        while (balance.NextChain() is { } chain)
        {
            foreach ((int shard, NodeId to) in chain)
            {
                if (left-- <= 0) { return; }
                Move(shard, to);
            }
        }

        for (int shard = 0; evenly && shard < candidates.Length; shard++)
        {
            if (candidates[shard] is not [NodeId first, ..] || first == primaries[shard]) { continue; }
            if (!balance.HasRoom(first) || !balance.CanGive(primaries[shard])) { continue; }
            if (left-- <= 0) { return; }
            Move(shard, first);
        }

        void Move(int shard, NodeId to)
        {
            balance.Move(shard, to);
            candidates[shard] = [];  // Once a plan, so that the order of its steps does not matter.
            steps.Add(new(new((ushort)shard), PlacementStepKind.MovePrimary, to));
        }
    }
}
