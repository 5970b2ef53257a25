using KvFs.Core;

namespace KvFs.Core.Tests;

public sealed class HoldTableTests
{
    private static readonly SessionId s_one = new(1);
    private static readonly SessionId s_two = new(2);
    private static readonly VNodeId s_file = new(5);

    [Fact]
    public void Who_lets_go_for_the_last_time_hears_that_it_held_an_orphan()
    {
        HoldTable table = new();
        table.Add(s_file, s_one);
        table.Add(s_file, s_one);
        table.Add(s_file, s_two);
        table.MarkOrphan(s_file);
        Assert.Equal([s_one, s_two], table.Holders(s_file).ToArray());
        Assert.False(table.Remove(s_file, s_one));
        Assert.True(table.Remove(s_file, s_one));
        Assert.Equal([s_two], table.Holders(s_file).ToArray());
        Assert.True(table.Remove(s_file, s_two));
        Assert.True(table.IsEmpty);
        Assert.Throws<ArgumentException>(() => table.Remove(s_file, s_two));
    }

    [Fact]
    public void A_session_of_another_primary_holds_everything_until_it_has_said_what_it_holds()
    {
        HoldTable table = new();
        table.AddAbsent(s_one);
        table.MarkOrphan(s_file);
        Assert.Equal([s_one], table.Holders(s_file).ToArray());
        Assert.Equal([s_one], table.Holders(new(6)).ToArray());
        table.Settle(s_one, new Dictionary<VNodeId, uint> { [s_file] = 1 });
        Assert.Equal([s_one], table.Holders(s_file).ToArray());
        Assert.True(table.Holders(new(6)).IsEmpty);
        Assert.True(table.Remove(s_file, s_one));
    }

    [Fact]
    public void A_session_that_ends_lets_go_of_all_and_its_orphans_are_told()
    {
        HoldTable table = new();
        table.Add(s_file, s_one);
        table.Add(new(6), s_one);
        table.AddAbsent(s_two);
        table.MarkOrphan(s_file);
        List<VNodeId> released = [];
        table.RemoveSession(s_one, released);
        table.RemoveSession(s_two, released);
        Assert.Equal([s_file], released);
        Assert.True(table.IsEmpty);
    }
}
