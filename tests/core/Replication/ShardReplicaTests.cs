using System.Collections.Immutable;
using KvFs.Core;

namespace KvFs.Core.Tests.Replication;

/// <summary>One replica alone: what it answers to messages, right ones and wrong ones. Pools of them: tests/simulation.</summary>
public sealed class ShardReplicaTests
{
    private static readonly ShardId s_shard = new(3);
    private static readonly NodeId s_primary = new(1);
    private readonly PeerTable peers = new(ReplicationTimes.Default);
    private readonly List<ReplicationEffect> effects = [];

    [Fact]
    public void Entries_are_stored_before_they_are_acknowledged()
    {
        ShardReplica replica = Replica(new LogShape());
        replica.OnEntries(s_primary, Entries(epoch: 2, previous: default, 2, 2, 2), effects);
        Assert.Equal(
            [new StoreEntries(s_shard, new(1), new(3)), new SendMessage(s_primary, new AppendReply(s_shard, new(2), new(3), default))],
            effects);
    }

    [Fact]
    public void What_came_twice_is_stored_once()
    {
        ShardReplica replica = Replica(new LogShape());
        AppendEntries entries = Entries(epoch: 2, previous: default, 2, 2, 2);
        replica.OnEntries(s_primary, entries, effects);
        effects.Clear();
        replica.OnEntries(s_primary, entries, effects);
        Assert.Equal([new SendMessage(s_primary, new AppendReply(s_shard, new(2), new(3), default))], effects);
    }

    [Fact]
    public void What_is_not_the_primarys_is_cut_and_what_an_older_message_lacks_is_not()
    {
        ShardReplica replica = Replica(Log(1, 1, 1));
        replica.OnEntries(s_primary, Entries(epoch: 2, previous: new(new(1), new(1)), 2, 2), effects);
        Assert.Equal([new CutLog(s_shard, new(1)), new StoreEntries(s_shard, new(2), new(3))], effects.Take(2));
        effects.Clear();
        replica.OnEntries(s_primary, Entries(epoch: 2, previous: new(new(1), new(1)), 2), effects);
        Assert.Equal(new LogPosition(new(2), new(3)), replica.Last);
        Assert.DoesNotContain(effects, static effect => effect is CutLog);
    }

    [Fact]
    public void What_was_applied_is_not_cut_but_replaced_by_a_snapshot()
    {
        ShardReplica replica = Replica(Log(1, 1, 1), applied: 3);
        replica.OnEntries(s_primary, Entries(epoch: 2, previous: new(new(1), new(1)), 2), effects);
        AppendMismatch mismatch = Assert.IsType<AppendMismatch>(Assert.IsType<SendMessage>(Assert.Single(effects)).Message);
        Assert.True(mismatch.Needs);
        Assert.Equal(new LogPosition(new(1), new(3)), replica.Last);
        effects.Clear();
        ImmutableArray<LogRun> ended = [default, new(new(1), new(1))];
        replica.OnSnapshot(s_primary, new(s_shard, new(2), new(new(2), new(2)), ended), effects);
        Assert.Equal([new InstallSnapshot(s_shard, new(new(2), new(2)), ended)], effects);
        effects.Clear();
        replica.OnInstalled(At(0), effects);
        Assert.Equal([new SendMessage(s_primary, new AppendReply(s_shard, new(2), new(2), new(2)))], effects);
        Assert.Equal(ended.AsEnumerable(), replica.EndedBefore(new(2)).AsEnumerable());
        Assert.Equal(2UL, replica.Applied.Value);
    }

    [Fact]
    public void Until_a_snapshot_is_in_place_nothing_is_taken_and_nothing_said_of_what_is_there()
    {
        ShardReplica replica = Installing();
        replica.OnEntries(s_primary, Entries(epoch: 2, previous: new(new(1), new(3)), 2) with { WantsDurable = new(4) }, effects);
        replica.OnSnapshot(s_primary, new(s_shard, new(2), new(new(2), new(50)), []), effects);
        Assert.Empty(effects);
        Assert.True(replica.IsInstalling);

        // A sync of what was there before says nothing of what comes in its place.
        replica.OnInstalled(At(0), effects);
        Assert.Equal([new SendMessage(s_primary, new AppendReply(s_shard, new(2), new(40), new(40)))], effects);
        Assert.Equal((new(new(2), new(40)), new(40), false), (replica.Last, replica.Synced, replica.IsInstalling));
    }

    [Fact]
    public void What_has_lost_all_for_a_snapshot_that_never_became_whole_takes_nothing_but_another_one()
    {
        ShardReplica replica = new(s_shard, new(new(2), new(2), new(1)), 2, ReplicationTimes.Default, peers, new(), default, lacksSnapshot: true);
        Assert.False(replica.HasCopy);
        replica.OnEntries(s_primary, Entries(epoch: 1, previous: default, 1, 1), effects);
        AppendMismatch mismatch = Assert.IsType<AppendMismatch>(Assert.IsType<SendMessage>(Assert.Single(effects)).Message);
        Assert.True(mismatch.Needs);

        // Nor does it lead, whatever the map says: it would lead to nothing.
        effects.Clear();
        replica.OnReign(new(s_shard, new(new(2), new(2), [new(new(2), new(2), new(1))], [new(1)], Enough: 1)), At(1), effects);
        Assert.Empty(effects);
        replica.OnSnapshot(s_primary, new(s_shard, new(3), new(new(2), new(40)), []), effects);
        Assert.False(replica.HasCopy);
        replica.OnInstalled(At(2), effects);
        Assert.True(replica.HasCopy);
        Assert.Equal(new LogPosition(new(2), new(40)), replica.Last);
    }

    [Fact]
    public void A_snapshot_that_shows_what_comes_after_its_reign_is_not_taken()
    {
        ShardReplica replica = Replica(Log(1, 1, 1), applied: 3);
        replica.OnSnapshot(s_primary, new(s_shard, new(2), new(new(3), new(40)), []), effects);
        Assert.Empty(effects);
        Assert.False(replica.IsInstalling);
    }

    [Fact]
    public void A_sync_that_began_before_a_snapshot_came_says_nothing_of_it()
    {
        ShardReplica replica = Replica(Log(1, 1, 1));
        replica.OnEntries(s_primary, Entries(epoch: 1, previous: new(new(1), new(3)), 1, 1) with { WantsDurable = new(5) }, effects);
        Assert.Contains(new SyncLog(s_shard), effects);
        replica.OnSnapshot(s_primary, new(s_shard, new(2), new(new(2), new(4)), []), effects);
        effects.Clear();
        replica.OnInstalled(At(0), effects);
        effects.Clear();
        replica.OnSynced(At(0), effects);
        Assert.Equal(4UL, replica.Synced.Value);
        Assert.Equal([new SendMessage(s_primary, new AppendReply(s_shard, new(2), new(4), new(4)))], effects);
    }

    [Fact]
    public void What_another_primary_sent_is_compared_with_this_ones_log_first()
    {
        ShardReplica replica = Installing();
        replica.OnEntries(new(3), Entries(epoch: 3, previous: new(new(2), new(41)), 3), effects);
        replica.OnInstalled(At(0), effects);
        Assert.Empty(effects);
        replica.OnEntries(new(3), Entries(epoch: 3, previous: new(new(2), new(40)), 3), effects);
        Assert.Equal(new SendMessage(new(3), new AppendReply(s_shard, new(3), new(41), new(40))), effects[^1]);
    }

    [Fact]
    public void Who_becomes_primary_meanwhile_begins_once_all_is_in_place()
    {
        ShardReplica replica = Installing();
        replica.OnReign(new(s_shard, new(new(4), new(2), [new(new(2), new(2), new(1))], [new(3)], Enough: 1)), At(1), effects);
        Assert.Empty(effects);
        Assert.False(replica.IsPrimary);
        replica.OnInstalled(At(2), effects);
        Assert.Equal(new StoreReignEntry(s_shard, new(new(4), new(41))), effects[0]);
        Assert.True(replica.IsPrimary);
    }

    [Fact]
    public void A_place_that_is_not_there_is_answered_by_what_is()
    {
        ShardReplica replica = Replica(Log(1, 1));
        replica.OnEntries(s_primary, Entries(epoch: 3, previous: new(new(3), new(9)), 3), effects);
        AppendMismatch mismatch = Assert.IsType<AppendMismatch>(Assert.IsType<SendMessage>(Assert.Single(effects)).Message);
        Assert.False(mismatch.Needs);
        Assert.Equal([new LogRun(default, default), new LogRun(new(1), new(2))], mismatch.Runs.AsEnumerable());
    }

    [Fact]
    public void A_primary_of_an_earlier_reign_is_told_so_and_changes_nothing()
    {
        ShardReplica replica = Replica(new LogShape());
        replica.OnEntries(s_primary, Entries(epoch: 5, previous: default, 5), effects);
        effects.Clear();
        replica.OnEntries(new(9), Entries(epoch: 4, previous: default, 4, 4), effects);
        Assert.Equal([new SendMessage(new(9), new StaleReign(s_shard, new(5)))], effects);
        Assert.Equal(1UL, replica.Last.Index.Value);
    }

    [Fact]
    public void Nothing_is_applied_that_is_not_known_to_be_the_primarys()
    {
        ShardReplica replica = Replica(Log(1, 1, 1));
        replica.OnEntries(s_primary, Entries(epoch: 2, previous: new(new(1), new(1))) with { Committed = new(3) }, effects);
        Assert.Equal(1UL, replica.Committed.Value);
    }

    [Fact]
    public void A_sync_does_not_cover_what_was_cut_and_stored_again_meanwhile()
    {
        ShardReplica replica = Replica(new LogShape());
        replica.OnEntries(s_primary, Entries(epoch: 1, previous: default, 1, 1, 1) with { WantsDurable = new(3) }, effects);
        Assert.Contains(new SyncLog(s_shard), effects);
        replica.OnEntries(new(2), Entries(epoch: 2, previous: new(new(1), new(1)), 2, 2), effects);
        effects.Clear();
        replica.OnSynced(At(0), effects);
        Assert.Equal(1UL, replica.Synced.Value);
    }

    [Fact]
    public void What_waited_for_a_node_that_was_to_be_taken_in_goes_on_when_that_node_is_gone()
    {
        NodeId joining = new(1);
        peers.Add(new(joining, new(1)), default);
        peers.OnHeard(joining, new(1), At(1));
        ShardReplica primary = Replica(new LogShape());
        ShardEntry alone = new(new(4), new(2), [new(new(2), new(2), new(1))], [joining], Enough: 1);
        primary.OnReign(new(s_shard, alone), At(1), effects);
        peers.OnAck(joining, new(peers.Send(At(10)), 0), 0);
        primary.Tick(At(20), static _ => false, effects);
        Assert.True(primary.CanSubmit(At(20)));
        primary.OnReply(joining, new(1), new(s_shard, new(4), new(1), default), At(25), effects);
        primary.Tick(At(40), static _ => false, effects);
        primary.OnSynced(At(45), effects);

        // From here on nothing is committed without it, and it does not answer any more.
        Assert.True(primary.TrySubmit(At(50), wantsDurable: false, effects, out LogPosition position));
        primary.RequestDurable(position.Index, At(50), effects);
        primary.OnSynced(At(60), effects);
        Assert.Equal((1UL, 0UL), (primary.Committed.Value, primary.Durable.Value));
        effects.Clear();
        for (int at = 2000; at < 2100; at += 20) { primary.Tick(At(at), static _ => false, effects); }
        Assert.Contains(new ApplyEntries(s_shard, position.Index), effects);
        Assert.Equal((2UL, 2UL), (primary.Committed.Value, primary.Durable.Value));
    }

    [Fact]
    public void A_node_is_taken_in_once_it_has_all_of_the_log_on_disk()
    {
        NodeId joining = new(1);
        peers.Add(new(joining, new(1)), default);
        peers.OnHeard(joining, new(1), At(1));
        ShardReplica primary = Replica(new LogShape());
        ShardEntry alone = new(new(4), new(2), [new(new(2), new(2), new(1))], [joining], Enough: 1);
        primary.OnReign(new(s_shard, alone), At(1), effects);
        peers.OnAck(joining, new(peers.Send(At(10)), 0), 0);
        primary.OnReply(joining, new(1), new(s_shard, new(4), new(1), default), At(25), effects);
        primary.Tick(At(40), static _ => false, effects);

        // It is asked to have that on disk, and is not listed before: a power cut might leave nothing but its disk.
        Assert.Equal(1UL, effects.OfType<SendEntries>().Last(sent => sent.To == joining).Entries.WantsDurable.Value);
        primary.Tick(At(60), static _ => false, effects);
        Assert.Empty(effects.OfType<ProposeReign>());
        primary.OnReply(joining, new(1), new(s_shard, new(4), new(1), new(1)), At(70), effects);
        primary.Tick(At(80), static _ => false, effects);
        Assert.True(effects.OfType<ProposeReign>().Single().Next.Entry.IsInSync(joining));
    }

    [Fact]
    public void Messages_of_any_kind_break_nothing()
    {
        for (int seed = 1; seed <= 3_000; seed++)
        {
            try { Confuse(seed); }
            catch (Exception exception) when (exception is not Xunit.Sdk.XunitException)
            {
                Assert.Fail($"seed {seed}: {exception}");
            }
        }
    }

    /// <summary>A replica or primary that gets messages with numbers that nobody would send.</summary>
    private static void Confuse(int seed)
    {
        Random random = new(seed);
        PeerTable table = new(ReplicationTimes.Default);
        for (uint node = 1; node <= 3; node++) { table.Add(new(new NodeId(node), new DiskId(node)), default); }
        LogIndex applied = new((ulong)random.Next(4));
        ShardReplica replica = new(
            s_shard, new(new(2), new(2), new(1)), 2, ReplicationTimes.Default, table, Log(1, 1, 2, 2, 4), applied);
        if (random.Next(2) == 0) { replica.OnReign(Reign(primary: 2), At(1), []); }
        for (int step = 0; step < 40; step++)
        {
            List<ReplicationEffect> made = [];
            NodeId from = new((uint)random.Next(1, 5));
            BootId boot = new((UInt128)random.Next(3));
            LogIndex committed = replica.Committed;
            switch (random.Next(7))
            {
                case 0:
                    replica.OnEntries(from, new(
                        s_shard, Number(), Place(), [.. Enumerable.Range(0, random.Next(4)).Select(_ => Number())], Index(), Index()), made);
                    break;
                case 1:
                    replica.OnReply(from, boot, new(s_shard, Number(), Index(), Index()), At(step), made);
                    break;
                case 2:
                    ImmutableArray<LogRun> runs = [.. Enumerable.Range(0, random.Next(4)).Select(_ => new LogRun(Number(), Index()))];
                    replica.OnMismatch(from, boot, new(s_shard, Number(), runs, random.Next(2) == 0), At(step), made);
                    break;
                case 3:
                    replica.OnStale(new(s_shard, Number()), made);
                    break;
                case 4 when !replica.IsPrimary:
                    replica.OnSnapshot(from, new(s_shard, Number(), Place(), []), made);
                    break;
                case 5 when replica.IsInstalling:
                    replica.OnInstalled(At(step), made);
                    committed = default;
                    break;
                default:
                    replica.Tick(At(step * 100), static _ => false, made);
                    break;
            }

            Assert.True(replica.Committed >= committed, $"seed {seed}");
            Assert.True(replica.Committed <= replica.Last.Index, $"seed {seed}");
        }

        Epoch Number() => new((ulong)(random.Next(8) == 0 ? random.NextInt64() : random.Next(8)));
        LogIndex Index() => new(random.Next(8) == 0 ? ulong.MaxValue - (ulong)random.Next(3) : (ulong)random.Next(9));
        LogPosition Place() => new(Number(), Index());
    }

    private static Reign Reign(uint primary) => new(s_shard, new(
        new(4),
        new(primary),
        [new(new(1), new(1), new(1)), new(new(2), new(2), new(1)), new(new(3), new(3), new(1))],
        [],
        Enough: 2));

    /// <summary>One that has entries of reign 1, and takes a snapshot of reign 2 up to entry 40.</summary>
    private ShardReplica Installing()
    {
        ShardReplica replica = Replica(Log(1, 1, 1), applied: 3);
        replica.OnSnapshot(s_primary, new(s_shard, new(2), new(new(2), new(40)), []), effects);
        Assert.IsType<InstallSnapshot>(Assert.Single(effects));
        effects.Clear();
        return replica;
    }

    private ShardReplica Replica(LogShape log, ulong applied = 0) =>
        new(s_shard, new(new(2), new(2), new(1)), 2, ReplicationTimes.Default, peers, log, new(applied));

    private static AppendEntries Entries(ulong epoch, LogPosition previous, params ulong[] epochs) =>
        new(s_shard, new(epoch), previous, [.. epochs.Select(static one => new Epoch(one))], default, default);

    private static LogShape Log(params int[] epochs)
    {
        LogShape log = new();
        foreach (int epoch in epochs) { log.Append(new((ulong)epoch)); }
        return log;
    }

    private static TimeSpan At(int milliseconds) => TimeSpan.FromMilliseconds(milliseconds);
}
