using System.Collections.Immutable;
using KvFs.Core;

namespace KvFs.Core.Tests.Replication;

/// <summary>A node that is about to stop: what it hands over, to whom, and that it is given nothing meanwhile. Pools of them:
/// tests/simulation.</summary>
public sealed class LeavingTests : PrimaryAmongOthers
{
    [Fact]
    public void Nothing_is_handed_to_a_node_that_leaves()
    {
        ShardReplica primary = Primary([First, Self, Third], []);
        Peers.OnLeaving(First, isLeaving: true);
        primary.HandOverTo(First);
        Assert.True(primary.CanSubmit(At(60)));
        Assert.Null(Proposed(primary));
        primary.Leave();
        Assert.Equal(Third, Proposed(primary)!.Primary);
    }

    [Fact]
    public void Who_leaves_hands_over_to_whom_it_is_told_if_that_one_can_take_it()
    {
        ShardReplica primary = Primary([First, Self, Third], []);
        primary.Leave(Third);
        Assert.Equal(Third, Proposed(primary)!.Primary);

        ShardReplica other = Primary([First, Self, Third], []);
        Peers.OnDisk(Third, DiskCondition.Full);
        other.Leave(Third);
        Assert.Equal(First, Proposed(other)!.Primary);
    }

    [Fact]
    public void A_copy_that_leaves_is_not_taken_in_and_its_next_process_does_not_leave()
    {
        Peers.Add(new(Third, new(Third.Value)), default);
        Peers.OnHeard(Third, new(1), At(1));
        Peers.OnLeaving(Third, isLeaving: true);
        Assert.Null(Proposed(Primary([First, Self], [Third])));
        Peers.OnHeard(Third, new(2), At(50));
        Assert.False(Peers.IsLeaving(Third));
    }

    [Fact]
    public void All_know_a_map_once_everybody_who_is_heard_has_said_so()
    {
        foreach (NodeId node in (NodeId[])[First, Third])
        {
            Peers.Add(new(node, new(node.Value)), default);
            Peers.OnHeard(node, new(1), At(1));
        }

        ulong beacon = Peers.Send(At(10));
        Peers.OnAck(First, new(beacon, 7), 7);
        Assert.False(Peers.AllKnow(7, At(20)));
        Peers.OnAck(Third, new(beacon, 6), 7);
        Assert.False(Peers.AllKnow(7, At(20)));
        Peers.OnAck(Third, new(beacon, 8), 7);
        Assert.True(Peers.AllKnow(7, At(20)));

        // Who is not there cannot be waited for.
        Assert.False(Peers.AllKnow(8, At(20)));
        Peers.OnHeard(Third, new(1), At(1500));
        Assert.True(Peers.AllKnow(8, At(1500)));
    }

    [Fact]
    public void Who_leaves_hands_its_shards_over_evenly_and_says_that_it_leaves()
    {
        ReplicaNode node = new(new(Self, new(2), new(1)), 2, ReplicationTimes.Default, default);
        List<ReplicationEffect> effects = [];
        ImmutableArray<InSyncReplica> copies =
            [.. new[] { First, Self, Third }.Select(static one => new InSyncReplica(one, new(one.Value), new(1)))];
        ImmutableArray<Reign> reigns =
        [
            .. Enumerable.Range(0, 6).Select(shard => new Reign(new((ushort)shard), new(new(4), shard < 4 ? Self : First, copies, [], Enough: 2))),
        ];
        for (ushort shard = 0; shard < 6; shard++) { node.AddShard(new(shard), new LogShape(), default); }
        node.OnView(new(1, [.. copies.Select(static copy => new PoolMember(copy.Node, copy.Disk))], reigns), At(1), effects);
        node.Tick(At(2), effects);
        ulong beacon = effects.OfType<SendMessage>().Select(static sent => sent.Message).OfType<Beacon>().First().Number;

        // What they say first tells who they are.
        foreach (NodeId other in (NodeId[])[First, Third, First, Third])
        {
            node.OnMessage(other, new(1), new BeaconAck(beacon, 1), At(5), effects);
            for (ushort shard = 0; shard < 4; shard++)
            {
                node.OnMessage(other, new(1), new AppendReply(new(shard), new(4), new(1), default), At(5), effects);
            }
        }

        node.Tick(At(20), effects);
        effects.Clear();
        node.Leave();
        node.Tick(At(40), effects);
        Assert.All(effects.OfType<SendMessage>().Select(static sent => sent.Message).OfType<Beacon>(), static sent => Assert.True(sent.IsLeaving));
        List<NodeId> next = [.. effects.OfType<ProposeReign>().Select(static proposed => proposed.Next.Primary)];
        Assert.Equal(4, next.Count);
        Assert.Equal(3, next.Count(static primary => primary == Third));
    }
}
