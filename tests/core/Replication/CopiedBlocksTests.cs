using System.Collections.Immutable;
using KvFs.Core;

namespace KvFs.Core.Tests.Replication;

/// <summary>When a primary takes a copy to have all blocks. Pools of them: tests/simulation.</summary>
public sealed class CopiedBlocksTests : IDisposable
{
    private static readonly ShardId s_shard = new(0);
    private static readonly NodeId s_self = new(2);
    private static readonly NodeId s_other = new(3);

    private readonly List<ReplicationEffect> effects = [];
    private readonly ReplicaNode node = new(Process(s_self), 1, ReplicationTimes.Default, default);
    private readonly CopiedBlocks copies;
    private ulong revision;

    public CopiedBlocksTests()
    {
        node.AddShard(s_shard, new(), default);
        copies = new(node);
    }

    public void Dispose() => effects.Clear();

    [Fact]
    public void A_copy_has_all_blocks_once_it_has_those_of_its_list_in_the_process_that_it_is()
    {
        Tell(epoch: 4, inSync: [s_self], learners: [s_other]);
        ulong list = copies.BeginList(s_shard, s_other)!.Value;
        Assert.False(copies.HasAll(s_shard, Process(s_other)));
        Assert.Equal(Status.Ok, copies.OnComplete(s_shard, s_other, new(1), list));
        Assert.True(copies.HasAll(s_shard, Process(s_other)));
        Assert.False(copies.HasAll(s_shard, Process(s_other) with { Boot = new(2) }));
    }

    [Fact]
    public void A_copy_that_missed_a_block_since_its_list_began_has_to_begin_another_one()
    {
        Tell(epoch: 4, inSync: [s_self], learners: [s_other]);
        ulong list = copies.BeginList(s_shard, s_other)!.Value;
        Assert.True(copies.OnMissed(s_shard, Process(s_other)));
        Assert.Equal(Status.Busy, copies.OnComplete(s_shard, s_other, new(1), list));
        Assert.Equal(Status.Ok, copies.OnComplete(s_shard, s_other, new(1), copies.BeginList(s_shard, s_other)!.Value));
        Assert.True(copies.OnMissed(s_shard, Process(s_other)));
        Assert.False(copies.HasAll(s_shard, Process(s_other)));
    }

    [Fact]
    public void A_copy_that_counts_misses_nothing_and_one_that_does_not_is_brought_blocks_from_its_list_on()
    {
        Tell(epoch: 4, inSync: [s_self, s_other], learners: []);
        Assert.False(copies.OnMissed(s_shard, Process(s_other)));
        Assert.Equal([Process(s_other)], copies.CopiesOf(s_shard)!.Counted);

        Tell(epoch: 5, inSync: [s_self], learners: [s_other]);
        Assert.Empty(copies.CopiesOf(s_shard)!.Others);
        Assert.False(copies.IsWaitedFor(s_shard, Process(s_other), default));
        Assert.NotNull(copies.BeginList(s_shard, s_other));
        Assert.Single(copies.CopiesOf(s_shard)!.Others);
        Assert.Empty(copies.CopiesOf(s_shard)!.Counted);
        Assert.True(copies.IsWaitedFor(s_shard, Process(s_other), default));
    }

    [Fact]
    public void Who_is_no_member_yet_begins_no_list_and_who_was_none_meanwhile_has_to_begin_again()
    {
        Tell(epoch: 4, inSync: [s_self], learners: []);
        Assert.Null(copies.BeginList(s_shard, s_other));
        Tell(epoch: 5, inSync: [s_self], learners: [s_other]);
        ulong list = copies.BeginList(s_shard, s_other)!.Value;
        Tell(epoch: 6, inSync: [s_self], learners: []);
        Assert.Equal(Status.StaleEpoch, copies.OnComplete(s_shard, s_other, new(1), list));
        Tell(epoch: 7, inSync: [s_self], learners: [s_other]);
        Assert.Equal(Status.Busy, copies.OnComplete(s_shard, s_other, new(1), list));
    }

    [Fact]
    public void What_a_copy_had_says_nothing_once_it_counted_and_counts_no_longer()
    {
        Tell(epoch: 4, inSync: [s_self], learners: [s_other]);
        Assert.Equal(Status.Ok, copies.OnComplete(s_shard, s_other, new(1), copies.BeginList(s_shard, s_other)!.Value));
        Tell(epoch: 5, inSync: [s_self, s_other], learners: []);
        Assert.True(copies.HasAll(s_shard, Process(s_other)));
        Tell(epoch: 6, inSync: [s_self], learners: [s_other]);
        Assert.False(copies.HasAll(s_shard, Process(s_other)));
    }

    [Fact]
    public void A_list_of_an_earlier_term_is_worth_nothing_also_if_nobody_missed_anything_in_it()
    {
        Tell(epoch: 4, inSync: [s_self], learners: [s_other]);
        ulong list = copies.BeginList(s_shard, s_other)!.Value;
        copies.OnServingEnded(s_shard);
        Assert.Equal(Status.Busy, copies.OnComplete(s_shard, s_other, new(1), list));
        Assert.NotEqual(list, copies.BeginList(s_shard, s_other));
    }

    private void Tell(ulong epoch, ImmutableArray<NodeId> inSync, ImmutableArray<NodeId> learners)
    {
        ImmutableArray<PoolMember> members = [.. new[] { s_self, s_other }.Select(static one => new PoolMember(one, Process(one).Disk))];
        Reign reign = new(s_shard, new(new(epoch), s_self, [.. inSync.Select(Process)], learners, Enough: 1));
        PoolView view = new(++revision, members, [reign]);
        copies.OnView(view);
        node.OnView(view, default, effects);
        node.Peers.OnHeard(s_other, new(1), default);
    }

    private static InSyncReplica Process(NodeId one) => new(one, new(one.Value), new(1));
}
