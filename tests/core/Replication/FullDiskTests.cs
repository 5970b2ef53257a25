using KvFs.Core;

namespace KvFs.Core.Tests.Replication;

/// <summary>What a primary does about disks that are full: its own, and those of others. Pools of them: tests/simulation.</summary>
public sealed class FullDiskTests : PrimaryAmongOthers
{
    [Fact]
    public void A_copy_whose_disk_is_full_is_gone_on_without()
    {
        ShardReplica primary = Primary([First, Self, Third], []);
        Peers.OnDisk(First, DiskCondition.Full);
        Reign next = Proposed(primary)!;
        Assert.Equal([Self, Third], next.InSync.Select(static copy => copy.Node));
        Assert.Equal([First], next.Learners.AsEnumerable());
        Assert.Equal(2, next.Enough);
    }

    [Fact]
    public void A_copy_whose_disk_is_full_stays_where_too_few_would_be_left()
    {
        ShardReplica primary = Primary([Self, Third], []);
        Peers.OnDisk(Third, DiskCondition.Full);
        Assert.Null(Proposed(primary));
    }

    [Fact]
    public void A_primary_whose_disk_is_full_hands_over_to_one_that_has_room()
    {
        ShardReplica primary = Primary([First, Self, Third], []);
        Peers.OnDisk(Self, DiskCondition.Full);
        Peers.OnDisk(First, DiskCondition.Full);
        Reign next = Proposed(primary)!;
        Assert.True(next.Entry.IsSignedOver);
        Assert.Equal(Third, next.Primary);
        Assert.Equal(3, next.InSync.Length);
    }

    [Fact]
    public void Where_nobody_has_room_all_stays_as_it_is()
    {
        ShardReplica primary = Primary([First, Self, Third], []);
        foreach (NodeId node in (NodeId[])[First, Self, Third]) { Peers.OnDisk(node, DiskCondition.Full); }
        Assert.Null(Proposed(primary));
        Assert.True(primary.CanSubmit(At(60)));
    }

    [Fact]
    public void Nothing_is_handed_to_a_node_whose_disk_is_full()
    {
        ShardReplica primary = Primary([Self, Third], []);
        Peers.OnDisk(Third, DiskCondition.Full);
        primary.HandOverTo(Third);
        Assert.True(primary.CanSubmit(At(60)));
        Assert.Null(Proposed(primary));
    }

    [Fact]
    public void Who_leaves_hands_over_to_one_that_has_room_if_there_is_one()
    {
        ShardReplica primary = Primary([First, Self, Third], []);
        Peers.OnDisk(First, DiskCondition.Full);
        primary.Leave();
        Assert.Equal(Third, Proposed(primary)!.Primary);
    }

    [Fact]
    public void A_copy_counts_again_once_its_disk_has_room()
    {
        ShardReplica primary = Primary([Self, Third], [First]);
        Peers.OnDisk(First, DiskCondition.Full);
        Assert.Null(Proposed(primary));
        Peers.OnDisk(First, DiskCondition.Fine);
        Assert.Equal([First, Self, Third], Proposed(primary)!.InSync.Select(static copy => copy.Node));
    }

    [Fact]
    public void A_copy_whose_disk_is_full_counts_where_nothing_can_be_served_without_it()
    {
        ShardReplica primary = Primary([Self], [First]);
        Peers.OnDisk(First, DiskCondition.Full);
        Assert.Equal([First, Self], Proposed(primary)!.InSync.Select(static copy => copy.Node));
    }
}
