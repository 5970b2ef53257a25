namespace KvFs.Core.Tests;

public sealed class PoolMapRebuildTests
{
    private static readonly PoolMap First = Pools.Found(4, shards: 8);

    /// <summary>What the pool did afterwards.</summary>
    private static readonly PoolMap Second = HandedOver(First, new(3));

    private static readonly PoolMap Third = HandedOver(Second, new(5));

    [Fact]
    public void A_lost_map_is_the_newest_that_any_node_knows()
    {
        PoolMap rebuilt = Pools.Done(PoolMapRebuild.Decide(null, Told(First, Third, Second, Second), []));
        Assert.Equal(Third.Revision + 1, rebuilt.Revision);
        Assert.Equal(Third.Shards.AsEnumerable(), rebuilt.Shards);
        Assert.Equal(Third.Nodes.AsEnumerable(), rebuilt.Nodes);
        Assert.Equal(Third.NextNode, rebuilt.NextNode);
        Assert.All((PoolMap[])[First, Second, Third], known => Assert.Null(PoolMapSuccession.FindRefusal(known, rebuilt)));
    }

    [Fact]
    public void An_older_map_that_stands_there_gives_way_and_its_revision_is_passed_too()
    {
        PoolMap rebuilt = Pools.Done(PoolMapRebuild.Decide(First, Told(Third, Second, Second, Second), []));
        Assert.Equal((Third.Revision + 1, Third[new(5)]), (rebuilt.Revision, rebuilt[new(5)]));

        // Changed there after it was set back, but of shards that nobody has done anything for since.
        PoolMap aside = First;
        for (int change = 0; change < 5; change++) { aside = Pools.Done(PoolMapChange.Describe(aside, new(1), [$"a:{change}"], "", 100)); }
        rebuilt = Pools.Done(PoolMapRebuild.Decide(aside, Told(Third, Second, Second, Second), []));
        Assert.Equal((aside.Revision + 1, Third[new(5)]), (rebuilt.Revision, rebuilt[new(5)]));
    }

    [Fact]
    public void Of_each_shard_the_highest_epoch_wins_whatever_the_revision()
    {
        PoolMap other = HandedOver(First, new(1));
        PoolMap rebuilt = Pools.Done(PoolMapRebuild.Decide(null, Told(Third, other, First, First), []));
        Assert.Equal((other[new(1)], Third[new(3)], Third[new(5)]), (rebuilt[new(1)], rebuilt[new(3)], rebuilt[new(5)]));
    }

    [Fact]
    public void Every_node_must_have_told_what_it_knows_but_those_that_are_declared_gone()
    {
        KnownMap[] some = [.. Told(Third, Second, First, First).Take(3)];
        MapChange refused = PoolMapRebuild.Decide(null, some, []);
        Pools.Refused(Status.NotPermitted, refused);
        Assert.Contains("node-4", refused.Reason, StringComparison.Ordinal);
        PoolMap without = Pools.Done(PoolMapRebuild.Decide(null, some, [new(4)]));
        Assert.Equal(Third.Shards.Select(static shard => shard.InSync), without.Shards.Select(static shard => shard.InSync));

        // One that only the newest map has is asked for, too; one that is gone is not.
        PoolMap joined = Pools.Done(PoolMapChange.Join(Third, Pools.Node(5)));
        Pools.Refused(Status.NotPermitted, PoolMapRebuild.Decide(null, Told(joined, Third, Third, Third), []));
        PoolMap removed = Pools.Done(PoolMapChange.Remove(joined, new(5)));
        Assert.Equal(NodeState.Gone, Pools.Done(PoolMapRebuild.Decide(null, Told(removed, Third, Third, Third), [])).Find(new NodeId(5))!.State);
    }

    [Fact]
    public void Two_entries_of_one_epoch_are_left_to_a_person()
    {
        PoolMap other = HandedOver(First, new(3), last: true);
        Assert.NotEqual(Second[new(3)], other[new(3)]);
        Refused(Status.Invalid, "shard 3", PoolMapRebuild.Decide(null, Told(Second, other, First, First), []));
        Refused(Status.Invalid, "shard 3", PoolMapRebuild.Decide(other, Told(Second, Second, First, First), []));
    }

    [Fact]
    public void Nothing_is_rebuilt_of_nothing_or_where_nothing_is_lost_or_of_two_pools()
    {
        Refused(Status.NotFound, "no node", PoolMapRebuild.Decide(First, [], []));
        Refused(Status.Exists, "as new", PoolMapRebuild.Decide(Third, Told(Third, Second, First, First), []));
        Refused(Status.Exists, "as new", PoolMapRebuild.Decide(Third, [new(new(1), Second)], []));
        PoolMap foreign = Foreign();
        Refused(Status.Invalid, "the authority has a map of pool", PoolMapRebuild.Decide(foreign, Told(Third, Second, First, First), []));
        Refused(Status.Invalid, "two pools", PoolMapRebuild.Decide(null, [new(new(1), First), new(new(2), foreign)], []));
    }

    [Fact]
    public void A_node_goes_on_with_the_map_that_it_knows_or_a_later_one_and_refuses_all_others()
    {
        Assert.Null(PoolMapSuccession.FindRefusal(Second, Second));
        Assert.Null(PoolMapSuccession.FindRefusal(First, Third));
        Assert.Contains("revision", PoolMapSuccession.FindRefusal(Second, First), StringComparison.Ordinal);
        Assert.Contains("another map of revision", PoolMapSuccession.FindRefusal(Second, HandedOver(First, new(4))), StringComparison.Ordinal);
        Assert.Contains("pool", PoolMapSuccession.FindRefusal(Second, Foreign()), StringComparison.Ordinal);
        PoolMap aside = First;
        for (int change = 0; change < 5; change++) { aside = Pools.Done(PoolMapChange.Describe(aside, new(1), [$"a:{change}"], "", 100)); }
        Assert.Contains("epoch", PoolMapSuccession.FindRefusal(Second, aside), StringComparison.Ordinal);
    }

    [Fact]
    public void A_node_that_was_declared_gone_follows_when_it_comes_back_whatever_it_has_done_alone()
    {
        PoolMap alone = HandedOver(HandedOver(HandedOver(Third, new(5)), new(5)), new(2));
        PoolMap rebuilt = Pools.Done(PoolMapRebuild.Decide(null, [.. Told(Third, Second, First)], [new(4)]));
        Assert.Null(PoolMapSuccession.FindRefusal(alone, rebuilt));
        Assert.Equal(Third[new(5)].Primary, rebuilt[new(5)].Primary);
    }

    [Fact]
    public void Two_lines_that_nodes_have_acted_upon_are_left_to_a_person_however_far_apart_their_epochs_are()
    {
        // One line has changed the shard once; the other, after the map had been set back, twice.
        PoolMap once = Third;
        PoolMap twice = HandedOver(HandedOver(First, new(5), last: true), new(5));
        Assert.True(once.Revision > First.Revision && twice[new(5)].Epoch > once[new(5)].Epoch);
        Refused(Status.Invalid, "shard 5", PoolMapRebuild.Decide(null, Told(once, once, twice, First), []));
        Refused(Status.Invalid, "two lines", PoolMapRebuild.Decide(First, Told(twice, once, once, twice), []));
    }

    private static void Refused(Status status, string reason, MapChange change)
    {
        Pools.Refused(status, change);
        Assert.Contains(reason, change.Reason, StringComparison.Ordinal);
    }

    /// <summary>What nodes 1, 2, … know.</summary>
    private static KnownMap[] Told(params PoolMap[] maps) => [.. maps.Select(static (map, at) => new KnownMap(new((uint)at + 1), map))];

    private static PoolMap Foreign() => Pools.Done(PoolMapChange.Found(new(77), PoolSettings.Default, 8, [(Pools.Node(9), Pools.Boot(9))]));

    private static PoolMap HandedOver(PoolMap map, ShardId shard, bool last = false)
    {
        IEnumerable<NodeId> others = map[shard].InSync.Select(static copy => copy.Node).Where(node => node != map[shard].Primary);
        return Pools.Done(PoolMapChange.HandOver(map, shard, map[shard], last ? others.Last() : others.First()));
    }
}
