using System.Collections.Immutable;
using KvFs.Core;

namespace KvFs.Core.Tests.Replication;

/// <summary>A node that lost its power, is listed as the process that it was, and has less than the other one of its in-sync set: for
/// how long it waits for that one. Pools of such: tests/simulation.</summary>
public sealed class ColdStartTests
{
    private static readonly ShardId s_shard = new(0);
    private static readonly NodeId s_self = new(1);
    private static readonly NodeId s_other = new(2);
    private static readonly BootId s_listed = new(1);
    private static readonly BootId s_later = new(2);
    private static readonly TimeSpan s_step = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_wait = ReplicationTimes.Default.ColdStartWait;
    private static readonly TimeSpan s_suspicion = ReplicationTimes.Default.Suspicion;

    private readonly ReplicaNode node = new(new(s_self, new(1), s_later), 2, ReplicationTimes.Default, default);
    private readonly List<ReplicationEffect> effects = [];
    private TimeSpan now;
    private ulong revision;

    public ColdStartTests()
    {
        node.AddShard(s_shard, new(new(new(4), new(10))), new(10));
        Tell(new Reign(s_shard, new(new(4), s_other, [Process(s_self), Process(s_other)], [], Enough: 2)));
    }

    [Fact]
    public void The_wait_begins_when_the_other_one_falls_silent_however_long_this_one_runs() =>
        Assert.InRange(FallsSilentAfter(s_wait + s_wait), s_wait, s_wait + s_suspicion + s_step);

    [Fact]
    public void The_wait_begins_when_another_process_of_the_other_one_is_heard()
    {
        Pass(s_wait + s_wait, s_listed);
        TimeSpan over = now;
        Hear(s_later);
        Assert.InRange(StartsAfter(over), s_wait, s_wait + s_step);
    }

    [Fact]
    public void A_disk_that_lost_all_for_a_snapshot_that_never_became_whole_begins_nothing_and_reports_nothing()
    {
        ReplicaNode empty = new(new(s_self, new(1), s_later), 2, ReplicationTimes.Default, default);
        empty.AddShard(s_shard, new(), default, lacksSnapshot: true);
        Reign reign = new(s_shard, new(new(4), s_other, [Process(s_self), Process(s_other)], [], Enough: 2));
        empty.OnView(new(1, [new(s_self, new(1)), new(s_other, new(2))], [reign]), default, effects);
        for (TimeSpan at = default; at < s_wait + s_wait; at += s_step) { empty.Tick(at, effects); }
        Assert.NotEmpty(effects);
        Assert.DoesNotContain(effects, static effect => effect is ProposeReign or SendMessage { Message: ColdReport });
    }

    [Fact]
    public void Who_is_heard_again_is_waited_for_anew()
    {
        Pass(s_wait, s_listed);
        Assert.False(Pass(s_wait, boot: null));
        Assert.InRange(FallsSilentAfter(s_step), s_wait, s_wait + s_suspicion + s_step);
    }

    [Fact]
    public void Processes_of_the_other_one_that_follow_each_other_do_not_prolong_the_wait()
    {
        Pass(s_step, s_listed);
        TimeSpan over = now;
        bool hasStarted = false;
        for (uint boot = 2; now - over < s_wait; boot++) { hasStarted |= Pass(s_wait / 4, new(boot)); }
        Assert.False(hasStarted);
        Assert.True(Pass(s_step, boot: null));
    }

    [Fact]
    public void Once_the_other_disk_is_back_the_one_with_most_begins_at_once()
    {
        Pass(s_wait + s_wait, s_listed);
        Hear(s_later);
        Report(new(new(4), new(9)));
        Assert.True(Pass(s_step, s_later));
    }

    [Fact]
    public void A_disk_that_has_more_is_waited_for_while_it_is_there()
    {
        Pass(s_step, s_listed);
        for (TimeSpan end = now + s_wait + s_wait; now < end;)
        {
            Hear(s_later);
            Report(new(new(4), new(11)));
            Assert.False(Pass(s_step, s_later));
        }
    }

    [Fact]
    public void Another_in_sync_set_is_waited_for_anew()
    {
        Pass(s_wait, boot: null);
        InSyncReplica third = Process(new(3));
        Tell(new Reign(s_shard, new(new(5), s_other, [Process(s_self), Process(s_other), third], [], Enough: 2)));
        TimeSpan changed = now;
        Assert.InRange(StartsAfter(changed), s_wait, s_wait + s_suspicion + s_step);
    }

    [Fact]
    public void What_a_node_did_not_hear_while_it_stood_still_it_has_not_waited_for()
    {
        Assert.False(Pass(s_wait, boot: null));
        now += s_wait;
        Assert.False(Pass(s_suspicion - s_step, boot: null));
        Assert.True(Pass(s_step + s_step, boot: null));
    }

    /// <summary>How long the other one, heard for a while, is then waited for.</summary>
    private TimeSpan FallsSilentAfter(TimeSpan heard)
    {
        Assert.False(Pass(heard, s_listed));
        return StartsAfter(now);
    }

    private TimeSpan StartsAfter(TimeSpan from)
    {
        while (!Pass(s_step, boot: null)) { Assert.True(now - from < s_wait + s_wait, "it never starts"); }
        return now - from;
    }

    /// <summary>Lets time pass in which a process of the other one is heard, or none; whether this node begins the shard anew.
    /// </summary>
    private bool Pass(TimeSpan time, BootId? boot)
    {
        bool hasStarted = false;
        for (TimeSpan end = now + time; now < end;)
        {
            now += s_step;
            if (boot is { } process) { Hear(process); }
            effects.Clear();
            node.Tick(now, effects);
            hasStarted |= effects.OfType<ProposeReign>().Any(static one => one.Next.Primary == s_self);
        }

        return hasStarted;
    }

    private void Hear(BootId boot) => node.OnMessage(s_other, boot, new VoteRequest(s_self), now, effects);

    private void Report(LogPosition last) => node.OnMessage(s_other, s_later, new ColdReport(s_shard, new(4), last), now, effects);

    private void Tell(Reign reign)
    {
        ImmutableArray<PoolMember> members = [.. reign.InSync.Select(static replica => new PoolMember(replica.Node, replica.Disk))];
        node.OnView(new(++revision, members, [reign]), now, effects);
    }

    private static InSyncReplica Process(NodeId node) => new(node, new(node.Value), s_listed);
}
