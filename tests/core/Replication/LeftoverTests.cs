using System.Collections.Immutable;
using KvFs.Core;

namespace KvFs.Core.Tests.Replication;

/// <summary>What a node may remove of a shard in which it has no part, and when its primary vouches for that.</summary>
public sealed class LeftoverTests : IDisposable
{
    private const int Copies = 2;

    private static readonly ShardId s_shard = new(0);
    private static readonly NodeId s_self = new(2);
    private static readonly NodeId s_other = new(3);
    private static readonly NodeId s_stranger = new(4);

    private readonly List<ReplicationEffect> effects = [];

    public void Dispose() => effects.Clear();

    [Fact]
    public void A_node_without_a_part_in_a_shard_begins_it_anew_when_it_has_forgotten_it()
    {
        ReplicaNode node = new(Process(s_self), 2, ReplicationTimes.Default, At(0));
        LogShape log = new();
        log.Append(new(5));
        log.Append(new(5));
        node.AddShard(s_shard, log, new(1));
        Tell(node, epoch: 6, primary: s_other, inSync: [s_other, s_stranger]);
        Assert.Equal([(s_shard, new Epoch(6))], node.Strange);
        Assert.Equal(default, node.Forget(s_shard, At(20), effects).Last);
        Assert.Equal(default, node.Find(s_shard)!.Last);
        Assert.Equal(new Epoch(6), node.Find(s_shard)!.Reign!.Epoch);
        Assert.Empty(effects);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_node_with_a_part_in_a_shard_forgets_nothing_of_it(bool isLearner)
    {
        ReplicaNode node = new(Process(s_self), 2, ReplicationTimes.Default, At(0));
        node.AddShard(s_shard, new(), default);
        Assert.False(node.MayForget(s_shard));  // It knows of no map yet.
        Tell(node, epoch: 6, primary: s_other, inSync: isLearner ? [s_other] : [s_self, s_other], learners: isLearner ? [s_self] : []);
        Assert.False(node.MayForget(s_shard));
        Assert.Empty(node.Strange);
        Assert.Throws<InvariantException>(() => node.Forget(s_shard, At(20), effects));
    }

    [Fact]
    public void A_node_that_a_primary_of_a_later_reign_has_spoken_to_forgets_nothing()
    {
        ReplicaNode node = new(Process(s_self), 2, ReplicationTimes.Default, At(0));
        node.AddShard(s_shard, new(), default);
        Tell(node, epoch: 6, primary: s_other, inSync: [s_other, s_stranger]);
        Assert.True(node.MayForget(s_shard));

        // The map that has this node learn the shard is still on its way here.
        AppendEntries entries = new(s_shard, new(7), default, [new(7)], default, default);
        node.OnMessage(s_other, new(1), entries, At(20), effects);
        Assert.False(node.MayForget(s_shard));
    }

    [Fact]
    public void A_primary_vouches_for_a_shard_only_while_it_serves_it_with_all_copies()
    {
        ReplicaNode node = Primary([s_self, s_other]);
        Assert.True(node.IsWholeWithout(s_shard, s_stranger, new(6), Copies, At(30)));
        Assert.False(node.IsWholeWithout(s_shard, s_other, new(6), Copies, At(30)));
        Assert.False(node.IsWholeWithout(s_shard, s_stranger, new(7), Copies, At(30)));
        Assert.False(node.IsWholeWithout(s_shard, s_stranger, new(6), Copies + 1, At(30)));
        Assert.False(node.IsWholeWithout(s_shard, s_stranger, new(6), Copies, At(5_000)));
        Assert.False(node.IsWholeWithout(new(1), s_stranger, new(6), Copies, At(30)));
    }

    [Fact]
    public void Nobody_vouches_for_a_shard_that_was_begun_anew_from_a_stale_copy()
    {
        ShardLoss loss = new(new(6), new(new(5), new(9)), [s_stranger], 1, "somebody", "its disk is gone");
        Assert.False(Primary([s_self, s_other], loss).IsWholeWithout(s_shard, s_stranger, new(6), Copies, At(30)));
    }

    [Fact]
    public void A_primary_that_serves_tells_what_is_gone_by_all_that_was_committed()
    {
        ShardReplica shard = Primary([s_self, s_other]).Find(s_shard)!;
        Assert.True(shard.CanServe(At(30)));
        Assert.True(shard.TellsWhatIsGone(shard.Committed, At(30)));
        Assert.False(shard.TellsWhatIsGone(default, At(30)));
    }

    [Fact]
    public void A_primary_that_may_not_serve_alone_tells_what_is_gone_by_all_of_its_log()
    {
        ReplicaNode node = new(Process(s_self), 2, ReplicationTimes.Default, At(0));
        LogShape log = new();
        log.Append(new(5));
        log.Append(new(5));
        ShardReplica shard = node.AddShard(s_shard, log, new(1));
        Assert.False(shard.TellsWhatIsGone(new(2), At(5)));
        Tell(node, epoch: 6, primary: s_self, inSync: [s_self], learners: [s_other]);
        Assert.True(shard.IsPrimary);
        Assert.False(shard.CanServe(At(20)));
        Assert.False(shard.TellsWhatIsGone(new(1), At(20)));
        Assert.True(shard.TellsWhatIsGone(shard.Last.Index, At(20)));
    }

    private ReplicaNode Primary(ImmutableArray<NodeId> inSync, ShardLoss? loss = null)
    {
        ReplicaNode node = new(Process(s_self), 2, ReplicationTimes.Default, At(0));
        node.AddShard(s_shard, new(), default);
        Tell(node, epoch: 6, primary: s_self, inSync, loss: loss);
        node.OnMessage(s_other, new(1), new Beacon(1, 6, DiskCondition.Fine, IsLeaving: false), At(12), effects);
        node.Tick(At(14), effects);
        ulong sent = effects.OfType<SendMessage>().Select(static one => one.Message).OfType<Beacon>().Last().Number;
        node.OnMessage(s_other, new(1), new BeaconAck(sent, 6), At(16), effects);
        node.OnMessage(s_other, new(1), new AppendReply(s_shard, new(6), new(1), new(1)), At(20), effects);
        node.Tick(At(24), effects);
        return node;
    }

    private void Tell(
        ReplicaNode node, ulong epoch, NodeId primary, ImmutableArray<NodeId> inSync, ImmutableArray<NodeId> learners = default, ShardLoss? loss = null)
    {
        ImmutableArray<InSyncReplica> copies = [.. inSync.Order().Select(Process)];
        ShardEntry entry = new(new(epoch), primary, copies, learners.IsDefault ? [] : learners, Enough: 2) { Loss = loss };
        ImmutableArray<PoolMember> members = [.. new[] { s_self, s_other, s_stranger }.Select(static one => new PoolMember(one, new(one.Value)))];
        node.OnView(new(epoch, members, [new(s_shard, entry)]), At(10), effects);
        effects.RemoveAll(static effect => effect is not StoreReignEntry);
    }

    private static InSyncReplica Process(NodeId node) => new(node, new(node.Value), new(1));

    private static TimeSpan At(int milliseconds) => TimeSpan.FromMilliseconds(milliseconds);
}
