using KvFs.Core;

namespace KvFs.Core.Tests.Replication;

public sealed class PeerTableTests
{
    private static readonly NodeId s_other = new(2);
    private static readonly InSyncReplica s_process = new(s_other, new(7), new(5));
    private readonly PeerTable peers = new(ReplicationTimes.Default);

    public PeerTableTests()
    {
        peers.Add(new(s_other, new(7)), At(0));
        Assert.True(peers.OnHeard(s_other, new(5), At(0)));
    }

    [Fact]
    public void A_lease_is_counted_from_when_the_beacon_was_sent()
    {
        ulong beacon = peers.Send(At(100));
        Assert.Equal(default, peers.LeaseFrom(s_process));
        peers.OnAck(s_other, new(beacon, 1), knownRevision: 1);
        Assert.Equal(At(1100), peers.LeaseFrom(s_process));
    }

    [Fact]
    public void An_acknowledgement_by_who_knows_a_newer_map_counts_once_that_is_known_here()
    {
        ulong beacon = peers.Send(At(100));
        peers.OnAck(s_other, new(beacon, 9), knownRevision: 8);
        Assert.Equal(default, peers.LeaseFrom(s_process));
        peers.OnRevision(8);
        Assert.Equal(default, peers.LeaseFrom(s_process));
        peers.OnRevision(9);
        Assert.Equal(At(1100), peers.LeaseFrom(s_process));
    }

    [Fact]
    public void Another_process_of_a_node_leaves_no_lease_and_proves_that_the_first_is_over()
    {
        ulong beacon = peers.Send(At(100));
        peers.OnAck(s_other, new(beacon, 1), knownRevision: 1);
        Assert.True(peers.OnHeard(s_other, new(6), At(200)));
        Assert.Equal(default, peers.LeaseFrom(s_process));
        Assert.True(peers.IsOver(s_process));
        Assert.Equal(At(200), peers.GoneSince(s_process, At(300)));
        Assert.False(peers.OnHeard(s_other, new(5), At(400)));
    }

    [Fact]
    public void An_acknowledgement_of_a_beacon_that_was_never_sent_or_long_ago_says_nothing()
    {
        ulong first = peers.Send(At(100));
        peers.OnAck(s_other, new(first + 1, 1), knownRevision: 1);
        for (int at = 0; at < 40; at++) { peers.Send(At(200)); }
        peers.OnAck(s_other, new(first, 1), knownRevision: 1);
        Assert.Equal(default, peers.LeaseFrom(s_process));
    }

    [Fact]
    public void A_node_that_is_not_heard_is_silent_after_the_suspicion_and_not_because_this_one_stood_still()
    {
        TimeSpan limit = ReplicationTimes.Default.Suspicion;
        Assert.False(peers.IsSilent(s_other, limit - At(1)));
        Assert.True(peers.IsSilent(s_other, limit));
        peers.OnStalled(At(500));
        Assert.False(peers.IsSilent(s_other, limit));
        Assert.Equal(At(500) + limit, peers.GoneSince(s_process, At(10_000)));
    }

    [Fact]
    public void A_successor_waits_for_longer_than_the_lease_that_it_left()
    {
        Assert.Equal(default, peers.LeaseOver(s_other));
        ulong beacon = peers.Send(At(100));
        peers.OnAck(s_other, new(beacon, 1), knownRevision: 1);
        peers.OnAcking(s_other, At(100));
        Assert.Equal(peers.LeaseFrom(s_process) + ReplicationTimes.Default.Margin, peers.LeaseOver(s_other));
    }

    private static TimeSpan At(int milliseconds) => TimeSpan.FromMilliseconds(milliseconds);
}
