namespace KvFs.Core.Tests;

public sealed class PoolHealthTests
{
    private readonly PoolMap map = Pools.Found(4, shards: 16);

    private ShardEntry Entry => map.Shards[5];

    [Fact]
    public void A_pool_that_lacks_nothing_is_full()
    {
        PoolHealth health = PoolHealth.Of(map, Everybody);
        Assert.True(health.IsFullyRedundant);
        Assert.Equal("16 shards: 16 full", health.Summarize());
        Assert.Equal(16, health.Nodes.Sum(static node => node.Primaries));
        Assert.Equal(48, health.Nodes.Sum(static node => node.InSync));
    }

    [Fact]
    public void What_is_on_its_way_to_another_node_is_moving_and_as_safe_as_before()
    {
        PoolHealth health = PoolHealth.Of(Pools.Done(PoolMapChange.Drain(map, Entry.Primary)), Everybody);
        Assert.Equal(ShardCondition.Moving, health.Shards[5].Condition);
        Assert.True(health.IsFullyRedundant);
    }

    [Fact]
    public void A_missing_copy_is_missing_until_somebody_learns_it_and_healing_then()
    {
        NodeId lost = Follower(0);
        PoolMap less = Pools.Done(PoolMapChange.DropSurplus(map, new(5), Entry, lost));
        PoolHealth missing = PoolHealth.Of(less, Everybody);
        Assert.Equal(new(new(5), ShardCondition.MissingCopies, 2, 0), missing.Shards[5]);
        Assert.False(missing.IsFullyRedundant);
        PoolMap learning = Pools.Done(PoolMapChange.AddLearner(less, new(5), less.Shards[5], lost));
        PoolHealth healing = PoolHealth.Of(learning, Everybody);
        PoolHealth gone = PoolHealth.Of(learning, node => node == lost ? NodePresence.Silent : NodePresence.Here);
        Assert.Equal(new(new(5), ShardCondition.MissingCopies, 2, 0), gone.Shards[5]);
        Assert.Equal(new(new(5), ShardCondition.Healing, 2, 1), healing.Shards[5]);
        Assert.Equal("16 shards: 1 healing, 15 full", healing.Summarize());
        Assert.Equal(1, healing.Nodes.Sum(static node => node.Learning));
    }

    [Fact]
    public void The_last_copy_is_at_risk()
    {
        PoolHealth health = PoolHealth.Of(
            map, node => node == Follower(0) || node == Follower(1) ? NodePresence.Silent : NodePresence.Here);
        Assert.Equal(new(new(5), ShardCondition.AtRisk, 1, 0), health.Shards[5]);
    }

    [Fact]
    public void A_shard_without_its_primary_waits_for_a_takeover_and_one_without_any_copy_is_down()
    {
        PoolHealth health = PoolHealth.Of(map, node => node == Entry.Primary ? NodePresence.Silent : NodePresence.Here);
        Assert.Equal(ShardCondition.NoPrimary, health.Shards[5].Condition);
        PoolHealth down = PoolHealth.Of(map, node => Entry.IsInSync(node) ? NodePresence.Silent : NodePresence.Here);
        Assert.Equal(ShardCondition.Down, down.Shards[5].Condition);
        Assert.Equal(ShardCondition.Down, down.Worst);
        Assert.StartsWith("16 shards: ", down.Summarize(), StringComparison.Ordinal);
        Assert.Contains("down", down.Summarize(), StringComparison.Ordinal);
    }

    [Fact]
    public void One_copy_is_all_that_a_pool_of_one_copy_has()
    {
        PoolHealth health = PoolHealth.Of(Pools.Found(1, shards: 4, replicas: 1, minInSync: 1), Everybody);
        Assert.Equal("4 shards: 4 full", health.Summarize());
    }

    [Fact]
    public void Too_few_nodes_are_said()
    {
        PoolHealth health = PoolHealth.Of(Pools.Found(2, shards: 4, minInSync: 2), Everybody);
        Assert.Equal(4, health.Count(ShardCondition.MissingCopies));
        Assert.Equal(4, health.CopiesMissing);
        Assert.Equal("4 shards: 4 missing copies; 3 copies are wanted, and there are nodes for 2", health.Summarize());
    }

    private static NodePresence Everybody(NodeId node) => NodePresence.Here;

    private NodeId Follower(int number) =>
        Entry.InSync.Select(static copy => copy.Node).Where(node => node != Entry.Primary).ElementAt(number);
}
