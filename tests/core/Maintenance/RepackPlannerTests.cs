namespace KvFs.Core.Tests;

public sealed class RepackPlannerTests
{
    private readonly RepackPlanner planner = new();

    [Fact]
    public void Only_blocks_of_which_less_than_half_lives_are_chosen()
    {
        planner.Offer(new(new(1), 1 << 20, (1 << 19) - 1));
        planner.Offer(new(new(2), 1 << 20, 1 << 19));
        planner.Offer(new(new(3), 4096, 0));
        Assert.Equal([new(1)], planner.Take().Select(static fill => fill.Block));
    }

    [Fact]
    public void Of_too_many_blocks_those_that_give_back_most_are_kept()
    {
        for (ulong block = 1; block <= RepackPlanner.MaxBlocks + 10; block++)
        {
            planner.Offer(new(new(block), (uint)(1 << 20), block));
        }

        IReadOnlyList<BlockFill> chosen = planner.Take();

        Assert.Equal(RepackPlanner.MaxBlocks, chosen.Count);
        Assert.Equal(new(RepackPlanner.MaxBlocks), chosen[^1].Block);
        Assert.Empty(planner.Take());
    }

    [Fact]
    public void A_round_copies_a_bounded_number_of_bytes()
    {
        for (ulong block = 1; block < 1000; block++) { planner.Offer(new(new(block), Limits.BlockBytes, 7 << 20)); }
        Assert.True(planner.CopiedBytes <= RepackPlanner.MaxCopiedBytes);
        Assert.Equal(146, planner.Take().Count);
    }

    [Fact]
    public void Where_there_is_little_room_little_is_copied()
    {
        RepackPlanner narrow = new(copyBytes: 10 << 20);
        for (ulong block = 1; block < 1000; block++) { narrow.Offer(new(new(block), Limits.BlockBytes, 7 << 20)); }
        Assert.Single(narrow.Take());
    }
}
