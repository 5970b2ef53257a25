namespace KvFs.Core.Tests.Replication;

/// <summary>What a primary does about disks that do not answer. Pools of them: tests/simulation.</summary>
public sealed class StuckDiskTests : PrimaryAmongOthers
{
    [Fact]
    public void A_copy_whose_disk_is_stuck_is_gone_on_without_and_counts_again_when_it_answers()
    {
        ShardReplica primary = Primary([First, Self, Third], []);
        Peers.OnDisk(First, DiskCondition.Stuck);
        Reign next = Proposed(primary)!;
        Assert.Equal([Self, Third], next.InSync.Select(static copy => copy.Node));
        Assert.Equal([First], next.Learners.AsEnumerable());

        ShardReplica later = Primary([Self, Third], [First]);
        Assert.Null(Proposed(later));
        Peers.OnDisk(First, DiskCondition.Fine);
        Assert.Equal(3, Proposed(later)!.InSync.Length);
    }

    [Fact]
    public void A_copy_whose_disk_is_stuck_stays_where_too_few_would_be_left()
    {
        ShardReplica primary = Primary([Self, Third], []);
        Peers.OnDisk(Third, DiskCondition.Stuck);
        Assert.Null(Proposed(primary));
    }

    [Fact]
    public void A_primary_whose_disk_is_stuck_hands_over_to_one_whose_disk_answers_and_has_room()
    {
        ShardReplica primary = Primary([First, Self, Third], []);
        Peers.OnDisk(Self, DiskCondition.Stuck);
        Peers.OnDisk(First, DiskCondition.Full);
        Reign next = Proposed(primary)!;
        Assert.True(next.Entry.IsSignedOver);
        Assert.Equal(Third, next.Primary);
    }

    [Fact]
    public void Where_no_disk_answers_all_stays_as_it_is()
    {
        ShardReplica primary = Primary([First, Self, Third], []);
        foreach (NodeId node in (NodeId[])[First, Self, Third]) { Peers.OnDisk(node, DiskCondition.Stuck); }
        Assert.Null(Proposed(primary));
        Assert.True(primary.CanSubmit(At(60)));
    }
}
