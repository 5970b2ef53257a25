using System.Collections.Immutable;

namespace KvFs.Core.Tests;

public sealed class PlacementPlannerTests
{
    private const int Rounds = 1000;

    private static readonly PlacementLimits Limits = PlacementLimits.Default;

    [Theory]
    [InlineData(1, 0)]
    [InlineData(3, 0)]
    [InlineData(5, 0)]
    [InlineData(9, 3)]
    public void A_pool_that_was_just_founded_needs_nothing(int nodes, int zones) =>
        Assert.Empty(Plan(Pools.Found(nodes, zones: zones)));

    [Theory]
    [InlineData(3)]
    [InlineData(5)]
    [InlineData(9)]
    public void A_node_that_joins_gets_about_its_share_and_no_other_copy_is_made(int nodes)
    {
        const int Shards = 512;
        PoolMap map = Pools.Found(nodes, Shards);
        map = Pools.Done(PoolMapChange.Join(map, Pools.Node(77)), map);
        PlacementRun run = new(map, new(64, 16, 16), seed: 1);
        run.Settle(Rounds);
        run.CheckPlaced();
        NodeId joined = new((uint)nodes + 1);
        int gained = run.Map.Shards.Count(entry => entry.IsInSync(joined));
        Assert.Equal(gained, run.Done[PlacementStepKind.AddLearner]);
        Assert.Equal(gained, run.Done[PlacementStepKind.DropSurplus]);
        double ideal = Shards * 3.0 / (nodes + 1);
        Assert.InRange(gained, 0.7 * ideal, 1.3 * ideal);
        CheckPrimaries(run.Map);
    }

    [Fact]
    public void A_node_that_drains_hands_its_primacies_over_first_and_ends_up_empty()
    {
        PoolMap map = Pools.Found(5, zones: 3);
        NodeId leaving = new(2);
        map = Pools.Done(PoolMapChange.Drain(map, leaving), map);
        PlacementRun run = new(map, Limits, seed: 1);
        Assert.All(
            run.Plan().Where(static step => step.Kind == PlacementStepKind.MovePrimary),
            step => Assert.Equal(leaving, run.Map[step.Shard].Primary));
        int led = map.Shards.Count(entry => entry.Primary == leaving);
        for (int plan = 0; plan * Limits.PrimaryMoves < led; plan++) { run.Advance(part: 1); }
        Assert.DoesNotContain(run.Map.Shards, entry => entry.Primary == leaving);
        run.Settle(Rounds);
        run.CheckPlaced();
        Assert.DoesNotContain(run.Map.Shards, entry => entry.IsInSync(leaving));
        CheckPrimaries(run.Map);
        Pools.Done(PoolMapChange.Remove(run.Map, leaving), run.Map);
    }

    [Fact]
    public void A_drain_that_would_leave_too_few_copies_waits_for_a_node()
    {
        PoolMap map = Pools.Found(3);
        map = Pools.Done(PoolMapChange.Drain(map, new(2)), map);
        PlacementRun run = new(map, Limits, seed: 1);
        run.Settle(Rounds);
        Assert.All(run.Map.Shards, static entry => Assert.Equal(3, entry.InSync.Length));
        Assert.DoesNotContain(run.Map.Shards, static entry => entry.Primary == new NodeId(2));
        Pools.Refused(Status.NotPermitted, PoolMapChange.Remove(run.Map, new(2)));
        PlacementRun after = new(Pools.Done(PoolMapChange.Join(run.Map, Pools.Node(4))), Limits, seed: 1);
        after.Settle(Rounds);
        Assert.DoesNotContain(after.Map.Shards, static entry => entry.IsInSync(new(2)));
    }

    [Fact]
    public void A_replaced_node_gives_exactly_its_copies_to_the_new_one()
    {
        PoolMap map = Pools.Found(5);
        int kept = map.Shards.Count(static entry => entry.IsInSync(new(3)));
        map = Pools.Done(PoolMapChange.Join(map, Pools.Node(6)), map);
        map = Pools.Done(PoolMapChange.Replace(map, new(3), new(6)), map);
        PlacementRun run = new(map, Limits, seed: 1);
        run.Settle(Rounds);
        run.CheckPlaced();
        Assert.Equal(kept, run.Done[PlacementStepKind.AddLearner]);
        Assert.Equal(kept, run.Map.Shards.Count(static entry => entry.IsInSync(new(6))));
    }

    [Fact]
    public void A_copy_goes_only_when_the_new_one_is_in_sync()
    {
        PoolMap map = Pools.Found(4, shards: 1);
        NodeId outsider = map.Nodes.Select(static node => node.Id).First(id => !map.Shards[0].IsInSync(id));
        NodeId leaving = map.Shards[0].InSync[0].Node;
        map = Pools.Done(PoolMapChange.Drain(map, leaving), map);
        PlacementRun run = new(map, Limits, seed: 1);
        run.Advance(part: 1);
        run.Advance(part: 0);
        Assert.Equal([outsider], run.Map.Shards[0].Learners.AsEnumerable());
        Assert.Equal([new(new(0), PlacementStepKind.AwaitPromotion, outsider)], run.Plan());
        run.Advance(part: 1);
        Assert.Equal([new(new(0), PlacementStepKind.DropSurplus, leaving)], run.Plan());
    }

    [Fact]
    public void Shards_with_the_fewest_copies_are_healed_first()
    {
        PoolMap map = Pools.Found(3, replicas: 3, minInSync: 1);
        map = Pools.With(map, new(2), Keep(2, map[new(2)]));
        map = Pools.With(map, new(40), Keep(1, map[new(40)]));
        map = Pools.With(map, new(41), Keep(1, map[new(41)]));
        PlacementStep[] added = [.. PlacementPlanner.Plan(map, new(4, 9, 1), Everybody)
            .Where(static step => step.Kind == PlacementStepKind.AddLearner)];
        Assert.Equal([40, 40, 41, 41], added.Select(static step => (int)step.Shard.Value).Order());

        static ShardEntry Keep(int copies, ShardEntry entry) => entry with
        {
            InSync =
            [
                .. entry.InSync.OrderBy(copy => copy.Node == entry.Primary ? 0 : 1).Take(copies)
                    .OrderBy(static copy => copy.Node.Value),
            ],
        };
    }

    [Fact]
    public void A_silent_node_keeps_its_place_and_blocks_nobody_and_a_lost_one_is_made_up_for()
    {
        PoolMap map = Pools.Found(5);
        NodeId dead = new(4);
        foreach (ShardId shard in map.ShardIds.Where(shard => map[shard].IsInSync(dead)))
        {
            ShardEntry entry = map[shard];
            map = Pools.Done(entry.Primary == dead
                ? PoolMapChange.TakeOver(map, dead, entry.InSync.First(copy => copy.Node != dead), byMajority: true)
                : PoolMapChange.DropReplica(map, shard, entry, dead, byMajority: true));
        }

        Assert.DoesNotContain(
            PlacementPlanner.Plan(map, Limits, node => node == dead ? NodePresence.Silent : NodePresence.Here),
            static step => step.Kind == PlacementStepKind.AddLearner);
        Assert.Equal(
            Limits.MovesInPool,
            PlacementPlanner.Plan(map, new(8, 8, 4), node => node == dead ? NodePresence.Lost : NodePresence.Here)
                .Count(static step => step.Kind == PlacementStepKind.AddLearner));
    }

    [Fact]
    public void Nothing_is_planned_for_a_shard_that_nobody_leads()
    {
        PoolMap map = Pools.Found(4, shards: 8);
        map = Pools.Done(PoolMapChange.Join(map, Pools.Node(5)), map);
        Assert.Empty(PlacementPlanner.Plan(map, Limits, static _ => NodePresence.Silent));
        NodeId dead = map.Shards[0].Primary;
        Assert.DoesNotContain(
            PlacementPlanner.Plan(map, new(99, 99, 99), node => node == dead ? NodePresence.Silent : NodePresence.Here),
            step => map[step.Shard].Primary == dead);
    }

    [Fact]
    public void Primacies_that_a_takeover_heaped_up_are_spread_again_by_few_moves()
    {
        PoolMap map = Pools.Found(3);
        foreach (ShardId shard in map.ShardIds.Where(shard => map[shard].Primary != new NodeId(1)))
        {
            map = Pools.Done(PoolMapChange.HandOver(map, shard, map[shard], new(1)), map);
        }

        PlacementRun run = new(map, Limits, seed: 1);
        run.Settle(Rounds);
        CheckPrimaries(run.Map);
        Assert.InRange(run.Done[PlacementStepKind.MovePrimary], 38, 44);
        Assert.Single(run.Done);
    }

    [Fact]
    public void Primacies_follow_the_weights()
    {
        PoolMap map = Pools.Found(3, shards: 256);
        map = Pools.Done(PoolMapChange.Describe(map, new(1), ["a:1"], "", 300), map);
        PlacementRun run = new(map, Limits, seed: 1);
        run.Settle(Rounds);
        Assert.InRange(run.Map.Shards.Count(static entry => entry.Primary == new NodeId(1)), 134, 173);
        CheckPrimaries(run.Map);
    }

    [Fact]
    public void Fewer_copies_are_dropped_and_more_are_made_when_the_pool_asks_for_them()
    {
        PoolMap map = Pools.Found(5);
        map = Pools.Done(PoolMapChange.Set(map, new(2, 1)), map);
        PlacementRun fewer = new(map, Limits, seed: 1);
        fewer.Settle(Rounds);
        Assert.All(fewer.Map.Shards, static entry => Assert.Equal(2, entry.InSync.Length));
        PlacementRun more = new(Pools.Done(PoolMapChange.Set(fewer.Map, new(4, 2))), Limits, seed: 1);
        more.Settle(Rounds);
        Assert.All(more.Map.Shards, static entry => Assert.Equal(4, entry.InSync.Length));
    }

    [Theory]
    [InlineData(3, 16)]
    [InlineData(4, 64)]
    [InlineData(5, 64)]
    public void Asked_to_a_plan_evens_primacies_out_to_the_last_one_and_nothing_moves_back(int nodes, int shards)
    {
        PoolMap map = Pools.Found(nodes, shards);

        // A node was away, and has its copies again: others lead what it led.
        for (ushort at = 0; at < shards; at++)
        {
            ShardEntry entry = map[new(at)];
            if (entry.Primary != new NodeId(1) || Plan(map).Length > 0) { continue; }
            PoolMap handed = Pools.Done(PoolMapChange.HandOver(map, new(at), entry, entry.InSync[^1].Node), map);
            if (Plan(handed).IsEmpty) { map = handed; }
        }

        Assert.Empty(Plan(map));
        int moves = 0;
        while (PlacementPlanner.Plan(map, new(8, 2, 4), Everybody, evenly: true) is { IsEmpty: false } plan)
        {
            Assert.All(plan, static step => Assert.Equal(PlacementStepKind.MovePrimary, step.Kind));
            foreach (PlacementStep step in plan) { map = Pools.Done(PoolMapChange.HandOver(map, step.Shard, map[step.Shard], step.Node), map); }
            moves += plan.Length;
            Assert.True(moves <= 2 * shards);
        }

        Assert.True(moves > 0);
        int[] led = [.. map.Nodes.Select(node => map.Shards.Count(entry => entry.Primary == node.Id))];
        Assert.True(led.Max() - led.Min() <= 1);
        Assert.Empty(Plan(map));
    }

    private static NodePresence Everybody(NodeId node) => NodePresence.Here;

    private static ImmutableArray<PlacementStep> Plan(PoolMap map) => PlacementPlanner.Plan(map, Limits, Everybody);

    /// <summary>An eighth more or less than the share by weight, rounded away from it.</summary>
    private static void CheckPrimaries(PoolMap map)
    {
        PoolNode[] up = [.. map.Nodes.Where(static node => node.State == NodeState.Up)];
        double weights = up.Sum(static node => (double)node.Weight);
        Assert.All(up, node => Assert.InRange(
            map.Shards.Count(entry => entry.Primary == node.Id),
            Math.Floor(map.Shards.Length * node.Weight / weights * 0.875),
            Math.Ceiling(map.Shards.Length * node.Weight / weights * 1.125)));
    }
}
