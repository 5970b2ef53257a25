namespace KvFs.Core.Tests;

public sealed class ForcedStartTests
{
    private static readonly ShardId Shard = new(0);

    private static readonly PoolMap Map = Pools.Found(5);

    private static readonly PoolMember[] Members = [.. Map.Nodes.Select(static node => new PoolMember(node.Id, node.Disk))];

    private static ShardEntry Entry => Map[Shard];

    private static NodeId[] Outsiders => [.. Map.Nodes.Select(static node => node.Id).Where(static id => !Entry.IsInSync(id))];

    [Fact]
    public void The_copy_that_is_furthest_begins_anew_or_the_one_that_is_named()
    {
        CopyReport older = Report(Outsiders[0], new(new(3), new(900)));
        CopyReport newer = Report(Outsiders[1], new(new(4), new(7)));
        Assert.Same(newer, Choose(null, older, newer).Copy);
        Assert.Same(older, Choose(Outsiders[0], older, newer).Copy);
        Assert.Same(older, Choose(null, Report(Outsiders[1], older.Last), older).Copy);
    }

    [Fact]
    public void A_shard_with_an_in_sync_copy_that_may_be_alive_is_never_forced()
    {
        CopyReport stale = Report(Outsiders[0], new(new(3), new(900)));
        InSyncReplica copy = Entry.InSync[1];
        Refused(Status.NotPermitted, "runs", Choose(null, stale, new CopyReport(copy, new(new(4), new(1)), [])));
        Refused(Status.NotPermitted, "back with its disk", Choose(null, stale, new CopyReport(copy with { Boot = new(99) }, null, [])));
        Refused(Status.NotPermitted, "hears", Choose(null, stale with { Heard = [copy.Node] }));

        // Another disk under the same number is none that has anything.
        Assert.Same(stale, Choose(null, stale, new CopyReport(copy with { Disk = new(77) }, new(new(9), new(9)), [])).Copy);
    }

    [Fact]
    public void Without_a_copy_that_answers_nothing_is_forced()
    {
        Refused(Status.NotFound, "no node", Choose(null));
        Refused(Status.NotFound, "no node", Choose(null, Report(Outsiders[0], null)));
        Refused(Status.NotFound, "does not answer", Choose(Outsiders[1], Report(Outsiders[0], new(new(1), new(1)))));
        Refused(Status.NotFound, "no node", Choose(null, new CopyReport(new(new(77), new(77), new(1)), new(new(1), new(1)), [])));
    }

    [Fact]
    public void Ids_go_on_above_all_that_may_have_been_handed_out_in_what_is_lost()
    {
        IdMarks stale = new(1_000, 2_000, 3_000, 4_000);
        ShardLoss first = new(new(3), new(new(2), new(1)), [new(1)], 0, "root", "");
        IdMarks after = stale.After(first);
        ulong used = 1UL << 35;
        Assert.All((ulong[])[after.Cow, after.VNode, after.Block, after.Session], mark => Assert.True(mark > stale.Session + used));
        Assert.Equal(after, after.After(first));
        IdMarks again = after.After(first with { Epoch = new(4) });
        Assert.True(again.Block > after.Block + used);
        IdMarks late = again.After(first with { Epoch = new(1UL << 52) });
        Assert.True(late.Block > again.Block + used);
    }

    private static CopyReport Report(NodeId node, LogPosition? last) => new(Pools.Copy(Map, node.Value, new(50)), last, []);

    private static ForcedChoice Choose(NodeId? wanted, params CopyReport[] reports) =>
        ForcedStart.Choose(Entry, Members, reports, wanted, static node => $"node {node.Value}");

    private static void Refused(Status status, string why, ForcedChoice choice)
    {
        Assert.Equal(status, choice.Status);
        Assert.Null(choice.Copy);
        Assert.Contains(why, choice.Reason, StringComparison.Ordinal);
    }
}
