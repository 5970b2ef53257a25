namespace KvFs.Core.Tests;

/// <summary>Reigns that several shards want to begin at once.</summary>
public sealed class PoolMapChangeReignsTests
{
    private readonly PoolMap map = Pools.Found(4);

    [Fact]
    public void All_that_fit_begin_in_one_change_and_no_other_shard_is_touched()
    {
        (Reign Expected, Reign Next)[] proposals = [Demotion(3), Demotion(7), Demotion(63)];
        PoolMap changed = Pools.Done(PoolMapChange.Enact(map, proposals), map);
        foreach ((_, Reign next) in proposals) { Assert.Equal(next.Entry, changed[next.Shard]); }
        Assert.All(
            map.ShardIds.Where(shard => proposals.All(one => one.Next.Shard != shard)),
            shard => Assert.Equal(map[shard], changed[shard]));
    }

    [Fact]
    public void Those_that_were_decided_by_another_entry_are_left_out_and_the_others_begin()
    {
        (Reign Expected, Reign Next) fits = Demotion(5);
        (Reign Expected, Reign Next) late = Demotion(6);
        PoolMap moved = Pools.Done(PoolMapChange.Enact(map, [late]), map);

        // The same epoch and another content, as if it had been restored: the whole is compared.
        Reign known = ReignOf(8);
        Reign differs = known with { Entry = known.Entry with { IsSignedOver = true } };
        (Reign Expected, Reign Next) foreign = (differs, differs.Without(FollowerOf(differs), differs.Primary, byMajority: false));
        PoolMap changed = Pools.Done(PoolMapChange.Enact(moved, [late, fits, foreign]), moved);
        Assert.Equal(fits.Next.Entry, changed[fits.Next.Shard]);
        Assert.Equal(moved[late.Next.Shard], changed[late.Next.Shard]);
        Assert.Equal(moved[foreign.Next.Shard], changed[foreign.Next.Shard]);
    }

    [Fact]
    public void A_shard_that_the_pool_does_not_have_is_left_out()
    {
        PoolMap larger = Pools.Found(4, shards: 128);
        Reign reign = new(new(100), larger[new(100)]);
        (Reign, Reign) beyond = (reign, reign.Without(FollowerOf(reign), reign.Primary, byMajority: false));
        (Reign Expected, Reign Next) fits = Demotion(5);
        PoolMap changed = Pools.Done(PoolMapChange.Enact(map, [beyond, fits]), map);
        Assert.Equal(fits.Next.Entry, changed[fits.Next.Shard]);
        Assert.Equal(map.Shards.Length, changed.Shards.Length);
        Pools.Refused(Status.StaleEpoch, PoolMapChange.Enact(map, [beyond]));
    }

    [Fact]
    public void Where_none_fits_any_more_there_is_no_new_map()
    {
        (Reign Expected, Reign Next)[] proposals = [Demotion(3), Demotion(7)];
        PoolMap changed = Pools.Done(PoolMapChange.Enact(map, proposals), map);
        Pools.Refused(Status.StaleEpoch, PoolMapChange.Enact(changed, proposals));
        Pools.Refused(Status.StaleEpoch, PoolMapChange.Enact(map, []));
    }

    [Fact]
    public void What_breaks_a_rule_of_the_map_is_refused_with_all_that_came_with_it()
    {
        (Reign Expected, Reign Next) fits = Demotion(5);
        Reign expected = ReignOf(9);
        Reign demoted = expected.Without(FollowerOf(expected), expected.Primary, byMajority: false);
        Reign[] broken =
        [
            demoted with { Entry = demoted.Entry with { Primary = FollowerOf(expected) } },
            demoted with { Entry = demoted.Entry with { InSync = [] } },
            demoted with { Entry = demoted.Entry with { Primary = new(77) } },
            demoted with { Entry = demoted.Entry with { Learners = [new(77)] } },
            demoted with { Entry = demoted.Entry with { Learners = [demoted.Primary] } },
            demoted with { Entry = demoted.Entry with { Enough = 0 } },
        ];
        foreach (Reign next in broken)
        {
            Pools.Refused(Status.Invalid, PoolMapChange.Enact(map, [fits, (expected, next)]));
        }
    }

    [Fact]
    public void A_reign_that_does_not_follow_the_one_it_was_decided_by_is_a_bug()
    {
        (Reign expected, Reign next) = Demotion(5);
        Reign skipping = next with { Entry = next.Entry with { Epoch = new(next.Epoch.Value + 1) } };
        Assert.Throws<InvariantException>(() => PoolMapChange.Enact(map, [(expected, skipping)]));
        Assert.Throws<InvariantException>(() => PoolMapChange.Enact(map, [(expected, next with { Shard = new(6) })]));
    }

    private Reign ReignOf(ushort shard) => new(new(shard), map[new(shard)]);

    /// <summary>One of the others of a shard is gone.</summary>
    private (Reign Expected, Reign Next) Demotion(ushort shard)
    {
        Reign reign = ReignOf(shard);
        return (reign, reign.Without(FollowerOf(reign), reign.Primary, byMajority: false));
    }

    private static NodeId FollowerOf(Reign reign) => reign.InSync.First(replica => replica.Node != reign.Primary).Node;
}
