namespace KvFs.Core.Tests;

public sealed class PoolMapChangeTests
{
    private static readonly ShardId Shard = new(7);

    private readonly PoolMap map = Pools.Found(4);

    private ShardEntry Entry => map[Shard];

    private NodeId Outsider => map.Nodes.Select(static node => node.Id).First(id => !Entry.IsInSync(id));

    private NodeId Follower => Entry.InSync.Select(static copy => copy.Node).First(id => id != Entry.Primary);

    private static readonly LossAcceptance Accepted = new(1_700_000_000_000, "root@here", "two disks broke");

    [Fact]
    public void A_pool_is_founded_where_the_ring_has_it_with_even_primaries()
    {
        PoolMap founded = Pools.Found(5, shards: 256, zones: 3);
        HashRing ring = founded.Ring();
        Assert.Equal(1ul, founded.Revision);
        Assert.All(founded.ShardIds, shard => Assert.Equal(
            ring.Replicas(shard, 3).OrderBy(static id => id.Value), founded[shard].InSync.Select(static copy => copy.Node)));
        Assert.All(founded.Shards, static entry => Assert.Equal(new Epoch(1), entry.Epoch));
        Assert.All(founded.Nodes, node => Assert.InRange(founded.Shards.Count(entry => entry.Primary == node.Id), 44, 58));
    }

    [Fact]
    public void A_pool_without_nodes_or_with_two_of_a_name_is_not_founded()
    {
        Pools.Refused(Status.Invalid, PoolMapChange.Found(Pools.Id, new(1, 1), 64, []));
        Pools.Refused(Status.Invalid, PoolMapChange.Found(Pools.Id, new(1, 1), 0, [(Pools.Node(1), Pools.Boot(1))]));
        Pools.Refused(Status.Invalid, PoolMapChange.Found(Pools.Id, new(1, 1), 64, [(Pools.Node(1), default)]));
        Pools.Refused(Status.Invalid, PoolMapChange.Found(
            Pools.Id, new(1, 1), 64, [(Pools.Node(1), Pools.Boot(1)), (Pools.Node(1), Pools.Boot(2))]));
    }

    [Fact]
    public void A_node_joins_under_a_new_id_and_keeps_nothing_yet()
    {
        PoolMap joined = Pools.Done(PoolMapChange.Join(map, Pools.Node(9, "z", 150)), map);
        PoolNode node = joined.Find(new NodeId(5))!;
        Assert.Equal(("node-9", "node-9", "z", 150u, NodeState.Up), (node.Name, node.Place, node.Zone, node.Weight, node.State));
        Assert.DoesNotContain(joined.Shards, entry => entry.IsInSync(node.Id) || entry.IsLearner(node.Id));
        Assert.Equal(new NodeId(6), joined.NextNode);
    }

    [Fact]
    public void A_name_or_disk_that_the_pool_has_does_not_join()
    {
        Pools.Refused(Status.Exists, PoolMapChange.Join(map, Pools.Node(1)));
        Pools.Refused(Status.Exists, PoolMapChange.Join(map, Pools.Node(1) with { Name = "other" }));
        Pools.Refused(Status.Exists, PoolMapChange.Join(map, Pools.Node(1) with { Disk = new(5) }));
        Pools.Refused(Status.Invalid, PoolMapChange.Join(map, Pools.Node(9) with { Name = "no name" }));
    }

    [Fact]
    public void A_removed_node_lets_its_name_go_and_not_its_disk_or_id()
    {
        PoolMap joined = Pools.Done(PoolMapChange.Join(map, Pools.Node(9)), map);
        PoolMap removed = Pools.Done(PoolMapChange.Remove(joined, new(5)), joined);
        Assert.Equal(NodeState.Gone, removed.Find(new NodeId(5))!.State);
        Pools.Refused(Status.Exists, PoolMapChange.Join(removed, Pools.Node(9)));
        PoolMap again = Pools.Done(PoolMapChange.Join(removed, Pools.Node(9) with { Disk = new(5) }), removed);
        Assert.Equal(new NodeId(6), again.Find("node-9")!.Id);
        Pools.Refused(Status.NotFound, PoolMapChange.Remove(removed, new(5)));
        Pools.Refused(Status.NotFound, PoolMapChange.Drain(removed, new(5)));
    }

    [Fact]
    public void A_full_list_forgets_the_oldest_node_that_is_gone_and_never_one_that_is_not()
    {
        PoolMap full = Pools.Found(PoolLimits.Nodes - 1, shards: 1);
        PoolMap last = Pools.Done(PoolMapChange.Join(full, Pools.Node(5000)), full);
        Pools.Refused(Status.TooLarge, PoolMapChange.Join(last, Pools.Node(6000)));
        PoolMap gone = Pools.Done(PoolMapChange.Remove(last, new(PoolLimits.Nodes)), last);
        PoolMap more = Pools.Done(PoolMapChange.Join(gone, Pools.Node(6000)), gone);
        Assert.Null(more.Find(new NodeId(PoolLimits.Nodes)));
        Assert.Equal(PoolLimits.Nodes, more.Nodes.Length);
    }

    [Fact]
    public void A_node_that_has_copies_is_not_removed()
    {
        Pools.Refused(Status.NotPermitted, PoolMapChange.Remove(map, Entry.Primary));
        Pools.Refused(Status.NotPermitted, PoolMapChange.Remove(map, Follower));
        Pools.Refused(Status.NotFound, PoolMapChange.Remove(map, new(99)));
    }

    [Fact]
    public void Removing_a_learner_takes_it_off_its_shards()
    {
        PoolMap joined = Pools.Done(PoolMapChange.Join(map, Pools.Node(9)), map);
        PoolMap learning = Pools.Done(PoolMapChange.AddLearner(joined, Shard, Entry, new(5)), joined);
        PoolMap removed = Pools.Done(PoolMapChange.Remove(learning, new(5)), learning);
        Assert.Empty(removed[Shard].Learners);
        Assert.Equal(learning[Shard].Epoch.Value + 1, removed[Shard].Epoch.Value);
    }

    [Fact]
    public void Nodes_drain_come_back_and_are_described_anew()
    {
        PoolMap draining = Pools.Done(PoolMapChange.Drain(map, new(2)), map);
        Assert.DoesNotContain(draining.Ring().Nodes, static node => node.Node == new NodeId(2));
        Pools.Refused(Status.Exists, PoolMapChange.Drain(draining, new(2)));
        PoolMap back = Pools.Done(PoolMapChange.Undrain(draining, new(2)), draining);
        Assert.Equal(4, back.Ring().Nodes.Length);
        Pools.Refused(Status.Exists, PoolMapChange.Undrain(back, new(2)));
        PoolMap described = Pools.Done(PoolMapChange.Describe(back, new(2), ["b:1"], "zone", 300), back);
        Assert.Equal((300u, "zone"), (described.Nodes[1].Weight, described.Nodes[1].Zone));
        Pools.Refused(Status.Invalid, PoolMapChange.Describe(back, new(2), ["b:1"], "zone", 0));
        Pools.Refused(Status.Exists, PoolMapChange.Describe(described, new(2), ["b:1"], "zone", 300));
    }

    [Fact]
    public void A_node_that_replaces_another_takes_exactly_its_places_on_the_ring()
    {
        PoolMap joined = Pools.Done(PoolMapChange.Join(map, Pools.Node(9)), map);
        PoolMap replaced = Pools.Done(PoolMapChange.Replace(joined, new(2), new(5)), joined);
        HashRing before = map.Ring();
        HashRing after = replaced.Ring();
        Assert.All(map.ShardIds, shard => Assert.Equal(
            before.Replicas(shard, 3).Select(static id => id == new NodeId(2) ? new NodeId(5) : id), after.Replicas(shard, 3)));
        Pools.Refused(Status.NotPermitted, PoolMapChange.Undrain(replaced, new(2)));
        Pools.Refused(Status.Exists, PoolMapChange.Replace(replaced, new(2), new(5)));
        Pools.Refused(Status.NotPermitted, PoolMapChange.Replace(replaced, new(2), new(4)));
        Pools.Refused(Status.NotPermitted, PoolMapChange.Replace(replaced, new(1), new(2)));
        Pools.Refused(Status.NotPermitted, PoolMapChange.Replace(replaced, new(1), new(1)));
        Pools.Refused(Status.NotFound, PoolMapChange.Replace(replaced, new(1), new(77)));
    }

    [Fact]
    public void A_name_that_is_another_ones_place_does_not_join()
    {
        PoolMap joined = Pools.Done(PoolMapChange.Join(map, Pools.Node(9)), map);
        PoolMap spare = Pools.Done(PoolMapChange.Join(joined, Pools.Node(8)), joined);
        PoolMap replaced = Pools.Done(PoolMapChange.Replace(spare, new(6), new(5)), spare);
        PoolMap removed = Pools.Done(PoolMapChange.Remove(replaced, new(6)), replaced);
        Pools.Refused(Status.Exists, PoolMapChange.Join(removed, Pools.Node(8) with { Disk = new(5) }));
    }

    [Fact]
    public void Every_change_of_a_shard_compares_the_whole_entry_and_raises_its_epoch()
    {
        ShardEntry stale = Entry with { InSync = [Entry.InSync[0] with { Boot = new(777) }, .. Entry.InSync[1..]] };
        InSyncReplica copy = Pools.Copy(map, Follower.Value, new(55));
        Func<ShardEntry, MapChange>[] changes =
        [
            compared => PoolMapChange.AddLearner(map, Shard, compared, Outsider),
            compared => PoolMapChange.DropReplica(map, Shard, compared, Follower, byMajority: false),
            compared => PoolMapChange.DropSurplus(map, Shard, compared, Follower),
            compared => PoolMapChange.HandOver(map, Shard, compared, Follower),
            compared => PoolMapChange.Relist(map, Shard, compared, copy),
            compared => PoolMapChange.ColdStart(map, Shard, compared, copy),
            compared => PoolMapChange.Force(map, Shard, compared, Pools.Copy(map, Outsider.Value, new(56)), new(new(1), new(4)), Accepted),
        ];
        Assert.All(changes, change =>
        {
            Pools.Refused(Status.StaleEpoch, change(stale));
            Pools.Refused(Status.StaleEpoch, change(Entry with { Epoch = new(2) }));
            PoolMap done = Pools.Done(change(Entry), map);
            Assert.Equal(Entry.Epoch.Value + 1, done[Shard].Epoch.Value);
            Assert.All(map.ShardIds.Where(static shard => shard != Shard), shard => Assert.Equal(map[shard], done[shard]));
        });
        Pools.Refused(Status.NotFound, PoolMapChange.HandOver(map, new(64), Entry, Follower));
    }

    [Fact]
    public void A_learner_becomes_in_sync_with_the_process_that_was_compared_and_its_own_disk()
    {
        PoolMap learning = Pools.Done(PoolMapChange.AddLearner(map, Shard, Entry, Outsider), map);
        Assert.Equal([Outsider], learning[Shard].Learners.AsEnumerable());
        InSyncReplica copy = Pools.Copy(map, Outsider.Value, new(99));
        Pools.Refused(Status.NotPermitted, PoolMapChange.Promote(learning, Shard, learning[Shard], copy with { Disk = new(5) }));
        Pools.Refused(Status.Invalid, PoolMapChange.Promote(learning, Shard, learning[Shard], copy with { Boot = default }));
        Pools.Refused(Status.NotFound, PoolMapChange.Promote(map, Shard, Entry, copy));
        PoolMap promoted = Pools.Done(PoolMapChange.Promote(learning, Shard, learning[Shard], copy), learning);
        Assert.Equal(copy, promoted[Shard].Find(Outsider));
        Assert.Empty(promoted[Shard].Learners);
        Pools.Refused(Status.Exists, PoolMapChange.AddLearner(promoted, Shard, promoted[Shard], Outsider));
        Pools.Refused(Status.Exists, PoolMapChange.AddLearner(learning, Shard, learning[Shard], Outsider));
        PoolMap dropped = Pools.Done(PoolMapChange.DropLearner(learning, Shard, learning[Shard], Outsider), learning);
        Assert.Empty(dropped[Shard].Learners);
        Pools.Refused(Status.NotFound, PoolMapChange.DropLearner(dropped, Shard, dropped[Shard], Outsider));
    }

    [Fact]
    public void A_surplus_copy_goes_and_does_not_learn()
    {
        PoolMap less = Pools.Done(PoolMapChange.DropSurplus(map, Shard, Entry, Follower), map);
        Assert.Equal((2, 0), (less[Shard].InSync.Length, less[Shard].Learners.Length));
        Pools.Refused(Status.NotPermitted, PoolMapChange.DropSurplus(map, Shard, Entry, Entry.Primary));
        Pools.Refused(Status.NotFound, PoolMapChange.DropSurplus(map, Shard, Entry, Outsider));
    }

    [Fact]
    public void A_hand_over_is_signed_and_the_next_change_is_another_reign()
    {
        PoolMap handed = Pools.Done(PoolMapChange.HandOver(map, Shard, Entry, Follower), map);
        Assert.True(handed[Shard].IsSignedOver);
        Assert.Equal(Follower, handed[Shard].Primary);
        PoolMap later = Pools.Done(PoolMapChange.AddLearner(handed, Shard, handed[Shard], Outsider), handed);
        Assert.False(later[Shard].IsSignedOver);
    }

    [Fact]
    public void What_is_enough_falls_by_vote_alone_and_rises_with_the_copies()
    {
        NodeId dead = Entry.Primary;
        InSyncReplica one = Entry.InSync.First(copy => copy.Node != dead);
        InSyncReplica two = Entry.InSync.Last(copy => copy.Node != dead);
        PoolMap pair = Pools.Done(PoolMapChange.TakeOver(map, dead, one, byMajority: false), map);
        Assert.Equal(2, pair[Shard].Enough);
        PoolMap unserved = Pools.Done(PoolMapChange.TakeOver(pair, one.Node, two, byMajority: false), pair);
        Assert.Equal((1, 2), (unserved[Shard].InSync.Length, unserved[Shard].Enough));
        PoolMap voted = Pools.Done(PoolMapChange.TakeOver(pair, one.Node, two, byMajority: true), pair);
        Assert.Equal((1, 1), (voted[Shard].InSync.Length, voted[Shard].Enough));
        InSyncReplica again = one with { Boot = new(99) };
        PoolMap back = Pools.Done(PoolMapChange.Promote(voted, Shard, voted[Shard], again), voted);
        Assert.Equal((2, 2), (back[Shard].InSync.Length, back[Shard].Enough));
        InSyncReplica leader = two with { Boot = new(98) };
        PoolMap cold = Pools.Done(PoolMapChange.ColdStart(back, Shard, back[Shard], leader), back);
        Assert.Equal((1, 2), (cold[Shard].InSync.Length, cold[Shard].Enough));
        InSyncReplica stale = Pools.Copy(map, dead.Value, new(97));
        PoolMap forced = Pools.Done(PoolMapChange.Force(back, Shard, back[Shard], stale, new(new(1), new(4)), Accepted), back);
        Assert.Equal((1, 1), (forced[Shard].InSync.Length, forced[Shard].Enough));
    }

    [Fact]
    public void A_draining_or_gone_node_learns_nothing()
    {
        PoolMap draining = Pools.Done(PoolMapChange.Drain(map, Outsider), map);
        Pools.Refused(Status.NotPermitted, PoolMapChange.AddLearner(draining, Shard, Entry, Outsider));
        Pools.Refused(Status.NotFound, PoolMapChange.AddLearner(map, Shard, Entry, new(99)));
    }

    [Fact]
    public void Copies_do_not_go_below_minInSync_but_by_vote_and_the_primary_never_drops_itself()
    {
        PoolMap two = Pools.Done(PoolMapChange.DropReplica(map, Shard, Entry, Follower, byMajority: false), map);
        ShardEntry entry = two[Shard];
        NodeId other = entry.InSync.Select(static copy => copy.Node).First(id => id != entry.Primary);
        Pools.Refused(Status.NotPermitted, PoolMapChange.DropReplica(two, Shard, entry, other, byMajority: false));
        Pools.Refused(Status.NotPermitted, PoolMapChange.DropReplica(two, Shard, entry, entry.Primary, byMajority: true));
        PoolMap one = Pools.Done(PoolMapChange.DropReplica(two, Shard, entry, other, byMajority: true), two);
        Assert.Equal(entry.Primary, Assert.Single(one[Shard].InSync).Node);
        Assert.Equal((2, 1), (two[Shard].Enough, one[Shard].Enough));
        Assert.Equal(2, one[Shard].Learners.Length);
        Pools.Refused(Status.NotPermitted, PoolMapChange.DropSurplus(two, Shard, entry, other));
        Pools.Refused(Status.NotPermitted, PoolMapChange.DropReplica(one, Shard, one[Shard], entry.Primary, byMajority: true));
        Pools.Refused(Status.NotFound, PoolMapChange.DropReplica(one, Shard, one[Shard], other, byMajority: true));
    }

    [Fact]
    public void A_takeover_takes_all_shards_of_the_dead_node_where_the_candidate_is_in_sync()
    {
        NodeId dead = new(1);
        InSyncReplica candidate = Pools.Copy(map, 2, Pools.Boot(2));
        PoolMap taken = Pools.Done(PoolMapChange.TakeOver(map, dead, candidate, byMajority: true), map);
        int led = 0;
        foreach (ShardId shard in map.ShardIds)
        {
            ShardEntry was = map[shard];
            ShardEntry now = taken[shard];
            bool concerned = was.IsInSync(dead) && was.IsInSync(candidate.Node)
                && (was.Primary == dead || was.Primary == candidate.Node);
            Assert.Equal(concerned, now != was);
            if (!concerned) { continue; }
            Assert.Equal(candidate.Node, now.Primary);
            Assert.False(now.IsInSync(dead));
            Assert.True(now.IsLearner(dead));
            Assert.Equal(was.Epoch.Value + 1, now.Epoch.Value);
            led += was.Primary == dead ? 1 : 0;
        }

        Assert.True(led > 0);
        Pools.Refused(Status.NotFound, PoolMapChange.TakeOver(taken, dead, candidate, byMajority: true));
        Pools.Refused(Status.NotFound, PoolMapChange.TakeOver(map, dead, candidate with { Boot = new(9) }, byMajority: true));
        Pools.Refused(Status.Invalid, PoolMapChange.TakeOver(map, new(2), candidate, byMajority: true));
        Pools.Refused(Status.NotFound, PoolMapChange.TakeOver(map, new(99), candidate, byMajority: true));
    }

    [Fact]
    public void The_last_copy_stays_listed_when_its_node_dies()
    {
        PoolMap single = Pools.Found(2, replicas: 1, minInSync: 1);
        Pools.Refused(Status.NotFound, PoolMapChange.TakeOver(single, new(1), Pools.Copy(single, 2, Pools.Boot(2)), byMajority: true));
        Pools.Refused(Status.NotPermitted, PoolMapChange.Remove(single, new(1)));
    }

    [Fact]
    public void A_restarted_copy_is_relisted_under_its_new_boot_id_and_never_by_itself()
    {
        InSyncReplica restarted = Entry.Find(Follower)!.Value with { Boot = new(321) };
        PoolMap relisted = Pools.Done(PoolMapChange.Relist(map, Shard, Entry, restarted), map);
        Assert.Equal(restarted, relisted[Shard].Find(Follower));
        Pools.Refused(Status.Exists, PoolMapChange.Relist(relisted, Shard, relisted[Shard], restarted));
        Pools.Refused(Status.NotPermitted, PoolMapChange.Relist(map, Shard, Entry, restarted with { Disk = new(5) }));
        Pools.Refused(Status.NotFound, PoolMapChange.Relist(map, Shard, Entry, Pools.Copy(map, Outsider.Value, new(3))));
        Pools.Refused(
            Status.NotPermitted, PoolMapChange.Relist(map, Shard, Entry, Entry.Find(Entry.Primary)!.Value with { Boot = new(3) }));
    }

    [Fact]
    public void A_cold_start_counts_only_the_leader_and_lets_the_others_learn()
    {
        InSyncReplica leader = Entry.Find(Follower)!.Value with { Boot = new(321) };
        PoolMap started = Pools.Done(PoolMapChange.ColdStart(map, Shard, Entry, leader), map);
        Assert.Equal([leader], started[Shard].InSync.AsEnumerable());
        Assert.Equal(
            Entry.InSync.Select(static copy => copy.Node).Where(node => node != leader.Node), started[Shard].Learners);
        InSyncReplica stale = Pools.Copy(map, Outsider.Value, new(5));
        Pools.Refused(Status.NotFound, PoolMapChange.ColdStart(map, Shard, Entry, stale));
    }

    [Fact]
    public void A_forced_start_stands_in_the_map_for_good_and_lets_those_that_were_in_sync_learn()
    {
        InSyncReplica stale = Pools.Copy(map, Outsider.Value, new(5));
        LogPosition end = new(new(0), new(4));
        PoolMap forced = Pools.Done(PoolMapChange.Force(map, Shard, Entry, stale, end, Accepted), map);
        Assert.Equal(Outsider, forced[Shard].Primary);
        Assert.Equal([stale], forced[Shard].InSync.AsEnumerable());
        Assert.Equal(Entry.InSync.Select(static copy => copy.Node), forced[Shard].Learners);
        ShardLoss loss = forced[Shard].Loss!;
        Assert.Equal((forced[Shard].Epoch, end, Accepted.By, Accepted.Why, Accepted.AtMs), (loss.Epoch, loss.End, loss.By, loss.Why, loss.AtMs));
        Assert.Equal(Entry.InSync.Select(static copy => copy.Node), loss.Gone);
        Assert.True(loss.Took(new(Entry.Epoch, new(5))));
        Assert.False(loss.Took(end));
        Assert.False(loss.Took(new(loss.Epoch, new(5))));

        // A copy that was in sync last starts without a loss: whoever has one is not to accept any.
        Pools.Refused(
            Status.NotPermitted, PoolMapChange.Force(map, Shard, Entry, Entry.Find(Follower)!.Value with { Boot = new(321) }, end, Accepted));
        Pools.Refused(Status.Invalid, PoolMapChange.Force(map, Shard, Entry, stale, end, Accepted with { By = "" }));
        Pools.Refused(Status.Invalid, PoolMapChange.Force(map, Shard, Entry, stale, end, Accepted with { Why = "a \"quote\"" }));
        Pools.Refused(Status.Invalid, PoolMapChange.Force(map, Shard, Entry, stale, end, Accepted with { Why = new('x', 201) }));

        // Later changes keep it, and a map that has forgotten it is refused.
        PoolMap later = Pools.Done(PoolMapChange.Promote(forced, Shard, forced[Shard], Pools.Copy(map, Follower.Value, new(322))), forced);
        Assert.Equal(loss, later[Shard].Loss);
        PoolMap forgetful = Pools.With(later, Shard, later[Shard] with { Loss = null, Epoch = new(later[Shard].Epoch.Value + 1) });
        PoolMap next = Pools.Done(PoolMapChange.Drain(forgetful, Outsider));
        Assert.NotNull(PoolMapSuccession.FindBroken(later, next));
    }

    [Fact]
    public void A_node_that_stops_politely_leaves_all_in_sync_sets_at_once()
    {
        NodeId leaving = new(3);
        PoolMap left = Pools.Done(PoolMapChange.Leave(map, leaving), map);
        foreach (ShardId shard in map.ShardIds)
        {
            bool wasPrimary = map[shard].Primary == leaving;
            Assert.Equal(wasPrimary, left[shard].IsSignedOver);
            Assert.Equal(!wasPrimary, left[shard].Primary == map[shard].Primary);
            Assert.True(left[shard].IsInSync(left[shard].Primary));
        }

        Assert.DoesNotContain(left.Shards, entry => entry.IsInSync(leaving));
        Assert.All(map.ShardIds, shard => Assert.Equal(map[shard].IsInSync(leaving), left[shard].IsLearner(leaving)));
        Pools.Refused(Status.Exists, PoolMapChange.Leave(left, leaving));
        Pools.Refused(Status.NotFound, PoolMapChange.Leave(left, new(99)));
    }

    [Fact]
    public void Who_stops_politely_stays_listed_where_copies_would_be_fewer_than_minInSync()
    {
        PoolMap two = Pools.Found(2, replicas: 2, minInSync: 2);
        PoolMap left = Pools.Done(PoolMapChange.Leave(two, new(1)), two);
        Assert.All(left.Shards, entry => Assert.Equal((2, new NodeId(2)), (entry.InSync.Length, entry.Primary)));
        Pools.Refused(Status.Exists, PoolMapChange.Leave(left, new(1)));
    }

    [Fact]
    public void Settings_change_as_a_whole_and_within_their_bounds()
    {
        PoolMap set = Pools.Done(PoolMapChange.Set(map, new(5, 3)), map);
        Assert.Equal(new(5, 3), set.Settings);
        Assert.All(set.Shards, static entry => Assert.Equal((3, 2ul), (entry.Enough, entry.Epoch.Value)));
        PoolMap fewer = Pools.Done(PoolMapChange.Set(set, new(5, 1)), set);
        Assert.All(fewer.Shards, static entry => Assert.Equal((1, 3ul), (entry.Enough, entry.Epoch.Value)));
        PoolMap more = Pools.Done(PoolMapChange.Set(fewer, new(5, 4)), fewer);
        Assert.All(more.Shards, static entry => Assert.Equal(3, entry.Enough));
        Pools.Refused(Status.Exists, PoolMapChange.Set(set, new(5, 3)));
        Pools.Refused(Status.Invalid, PoolMapChange.Set(set, new(2, 3)));
    }

    [Fact]
    public void An_epoch_or_revision_that_cannot_rise_any_more_refuses_the_change()
    {
        PoolMap end = Pools.With(map, Shard, Entry with { Epoch = new(PoolMapRules.MaxNumber) });
        Pools.Refused(Status.Invalid, PoolMapChange.HandOver(end, Shard, end[Shard], Follower));
    }
}
