using KvFs.Core;
using KvFs.Node.Replication;
using KvFs.Protocol;

namespace KvFs.Node.Tests.Replication;

public sealed class HealingTallyTests
{
    private static readonly ShardId First = new(1);
    private static readonly ShardId Second = new(2);

    private readonly HealingTally tally = new();

    [Fact]
    public void It_counts_from_the_first_copy_that_does_not_count_until_there_is_none()
    {
        tally.Look([], Seconds(1));
        Assert.Null(tally.Get(Seconds(1)));
        tally.Look([First, Second], Seconds(2));
        tally.OnListed(First, 2);
        tally.OnFetched(First, 4096);
        Assert.Equal(new BlockFetching(2, 1), tally.Find(First));
        Assert.Null(tally.Find(Second));
        Assert.Equal(new HealingState(Seconds(3), 0, 2, 1, 4096), tally.Get(Seconds(5)));
        tally.Look([Second], Seconds(6));
        Assert.Equal(new HealingState(Seconds(5), 1, 1, 1, 4096), tally.Get(Seconds(7)));
        Assert.Null(tally.Find(First));

        // Another one comes in while it heals; then all are there, and the next time begins anew.
        tally.Look([First, Second], Seconds(8));
        Assert.Equal((1, 2), (tally.Get(Seconds(8))!.Value.Done, tally.Get(Seconds(8))!.Value.Left));
        tally.Look([], Seconds(9));
        Assert.Null(tally.Get(Seconds(9)));
        tally.Look([Second], Seconds(20));
        Assert.Equal(new HealingState(Seconds(1), 0, 1, 0, 0), tally.Get(Seconds(21)));
    }

    [Fact]
    public void A_block_that_is_gone_meanwhile_is_through_and_was_not_fetched()
    {
        tally.Look([First], Seconds(0));
        tally.OnListed(First, 1);
        tally.OnFetched(First, 0);
        Assert.Equal(new BlockFetching(1, 1), tally.Find(First));
        Assert.Equal(0ul, tally.Get(Seconds(1))!.Value.Blocks);

        // A new list begins anew.
        tally.OnListed(First, 3);
        Assert.Equal(new BlockFetching(3, 0), tally.Find(First));
    }

    private static TimeSpan Seconds(int seconds) => TimeSpan.FromSeconds(seconds);
}
