using System.Collections.Immutable;
using KvFs.Core;

namespace KvFs.Core.Tests.Replication;

/// <summary>What a primary does about disks that are full: its own, and those of others. Pools of them: tests/simulation.</summary>
public sealed class FullDiskTests
{
    private static readonly ShardId s_shard = new(3);
    private static readonly NodeId s_self = new(2);
    private static readonly NodeId s_first = new(1);
    private static readonly NodeId s_third = new(3);
    private readonly PeerTable peers = new(ReplicationTimes.Default);
    private readonly List<ReplicationEffect> effects = [];

    [Fact]
    public void A_copy_whose_disk_is_full_is_gone_on_without()
    {
        ShardReplica primary = Primary([s_first, s_self, s_third], []);
        peers.OnRoom(s_first, isFull: true);
        Reign next = Proposed(primary)!;
        Assert.Equal([s_self, s_third], next.InSync.Select(static copy => copy.Node));
        Assert.Equal([s_first], next.Learners.AsEnumerable());
        Assert.Equal(2, next.Enough);
    }

    [Fact]
    public void A_copy_whose_disk_is_full_stays_where_too_few_would_be_left()
    {
        ShardReplica primary = Primary([s_self, s_third], []);
        peers.OnRoom(s_third, isFull: true);
        Assert.Null(Proposed(primary));
    }

    [Fact]
    public void A_primary_whose_disk_is_full_hands_over_to_one_that_has_room()
    {
        ShardReplica primary = Primary([s_first, s_self, s_third], []);
        peers.OnRoom(s_self, isFull: true);
        peers.OnRoom(s_first, isFull: true);
        Reign next = Proposed(primary)!;
        Assert.True(next.Entry.IsSignedOver);
        Assert.Equal(s_third, next.Primary);
        Assert.Equal(3, next.InSync.Length);
    }

    [Fact]
    public void Where_nobody_has_room_all_stays_as_it_is()
    {
        ShardReplica primary = Primary([s_first, s_self, s_third], []);
        foreach (NodeId node in (NodeId[])[s_first, s_self, s_third]) { peers.OnRoom(node, isFull: true); }
        Assert.Null(Proposed(primary));
        Assert.True(primary.CanSubmit(At(60)));
    }

    [Fact]
    public void Nothing_is_handed_to_a_node_whose_disk_is_full()
    {
        ShardReplica primary = Primary([s_self, s_third], []);
        peers.OnRoom(s_third, isFull: true);
        primary.HandOverTo(s_third);
        Assert.True(primary.CanSubmit(At(60)));
        Assert.Null(Proposed(primary));
    }

    [Fact]
    public void Who_leaves_hands_over_to_one_that_has_room_if_there_is_one()
    {
        ShardReplica primary = Primary([s_first, s_self, s_third], []);
        peers.OnRoom(s_first, isFull: true);
        primary.Leave();
        Assert.Equal(s_third, Proposed(primary)!.Primary);
    }

    [Fact]
    public void A_copy_counts_again_once_its_disk_has_room()
    {
        ShardReplica primary = Primary([s_self, s_third], [s_first]);
        peers.OnRoom(s_first, isFull: true);
        Assert.Null(Proposed(primary));
        peers.OnRoom(s_first, isFull: false);
        Assert.Equal([s_first, s_self, s_third], Proposed(primary)!.InSync.Select(static copy => copy.Node));
    }

    [Fact]
    public void A_copy_whose_disk_is_full_counts_where_nothing_can_be_served_without_it()
    {
        ShardReplica primary = Primary([s_self], [s_first]);
        peers.OnRoom(s_first, isFull: true);
        Assert.Equal([s_first, s_self], Proposed(primary)!.InSync.Select(static copy => copy.Node));
    }

    /// <summary>A primary, node 2, that all others hear and answer; two copies are enough.</summary>
    private ShardReplica Primary(ImmutableArray<NodeId> inSync, ImmutableArray<NodeId> learners)
    {
        ShardReplica primary = new(
            s_shard, new(s_self, new(2), new(1)), 2, ReplicationTimes.Default, peers, new LogShape(), default);
        foreach (NodeId node in inSync.Concat(learners).Where(static node => node != s_self))
        {
            peers.Add(new(node, new(node.Value)), default);
            peers.OnHeard(node, new(1), At(1));
        }

        ImmutableArray<InSyncReplica> copies = [.. inSync.Select(static node => new InSyncReplica(node, new(node.Value), new(1)))];
        primary.OnReign(new(s_shard, new(new(4), s_self, copies, learners, Enough: 2)), At(1), effects);
        ulong beacon = peers.Send(At(10));
        foreach (NodeId node in inSync.Concat(learners).Where(static node => node != s_self))
        {
            peers.OnAck(node, new(beacon, 0), 0);
            primary.OnReply(node, new(1), new(s_shard, new(4), new(1), default), At(20), effects);
        }

        primary.Tick(At(30), static _ => false, effects);
        return primary;
    }

    /// <summary>What the primary wants the map to say, after some time.</summary>
    private Reign? Proposed(ShardReplica primary)
    {
        effects.Clear();
        for (int at = 40; at <= 100; at += 20) { primary.Tick(At(at), static _ => false, effects); }
        return effects.OfType<ProposeReign>().SingleOrDefault()?.Next;
    }

    private static TimeSpan At(int milliseconds) => TimeSpan.FromMilliseconds(milliseconds);
}
