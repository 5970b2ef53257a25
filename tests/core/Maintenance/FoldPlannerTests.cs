namespace KvFs.Core.Tests;

public sealed class FoldPlannerTests
{
    private static readonly DriveId Drive = new(1);
    private static readonly BlockName Old = new(Drive, new(1));

    private readonly ClusterMap map = new();
    private readonly FoldPlan plan = new();
    private readonly FoldRequest request = new();

    [Theory]
    [InlineData(63, 0, 0UL, 1UL << 26, false)]
    [InlineData(64, 0, 0UL, 1UL << 26, true)]
    [InlineData(64, 1000, 0UL, 1UL << 26, false)]
    [InlineData(250, 1000, 0UL, 1UL << 26, true)]
    [InlineData(2048, 30_000, 0UL, 1UL << 26, true)]
    [InlineData(1, 0, Limits.FoldHiddenBytes, 1UL << 26, true)]
    [InlineData(0, 1000, 0UL, 1UL << 26, false)]
    [InlineData(1, 0, 1UL << 20, 1UL << 20, true)]
    [InlineData(1, 0, 1UL << 20, (1UL << 20) + 1, false)]
    [InlineData(1, 0, Limits.FoldHalfHiddenBytes - 1, 4096UL, false)]
    public void A_fold_pays_when_there_are_many_slices_for_the_base_or_much_is_hidden(
        int deltas, int baseRuns, ulong hiddenBytes, ulong mappedBytes, bool expected) =>
        Assert.Equal(expected, FoldPlanner.IsWorthwhile(deltas, baseRuns, hiddenBytes, mappedBytes));

    [Fact]
    public void Inline_bytes_go_into_one_packed_block_and_larger_runs_stay()
    {
        map.Overlay(new(0, 1 << 20, SliceKind.Block, Old, 64), default);
        map.Overlay(new(4096, 3, SliceKind.Inline, default, 0), "abc"u8);
        map.Overlay(new(2 << 20, 10, SliceKind.Unwritten, default, 0), default);
        map.Overlay(new(3 << 20, 2, SliceKind.Inline, default, 0), "de"u8);

        BlockName packed = Complete();

        Assert.Equal(
            [
                new(0, 4096, SliceKind.Block, Old, 64),
                new(4096, 3, SliceKind.Block, packed, 0),
                new(4099, (1 << 20) - 4099, SliceKind.Block, Old, 64 + 4099),
                new(2 << 20, 10, SliceKind.Unwritten, default, 0),
                new(3 << 20, 2, SliceKind.Block, packed, 3),
            ],
            request.Runs);
        Assert.Equal(5UL, plan.PackedBytes);
    }

    [Fact]
    public void Neighbours_that_are_packed_become_one_run()
    {
        for (uint at = 0; at < 50; at++) { map.Overlay(new(at * 2, 2, SliceKind.Inline, default, 0), "xy"u8); }

        BlockName packed = Complete();

        Assert.Equal([new(0, 100, SliceKind.Block, packed, 0)], request.Runs);
    }

    [Fact]
    public void A_window_in_which_many_runs_touch_is_rewritten_as_one_run_and_its_neighbours_are_not()
    {
        const uint page = 4096;
        map.Overlay(new(0, 3 << 20, SliceKind.Block, Old, 0), default);
        for (uint at = 0; at < 200; at++)
        {
            map.Overlay(new((1 << 20) + (at * page), page / 2, SliceKind.Block, new(Drive, new(10 + at)), 0), default);
        }

        BlockName packed = Complete();

        Assert.Equal(
            [
                new(0, 1 << 20, SliceKind.Block, Old, 0),
                new(1 << 20, (199 * page) + (page / 2), SliceKind.Block, packed, 0),
                new((1 << 20) + (199 * page) + (page / 2), (2 << 20) - (199 * page) - (page / 2), SliceKind.Block, Old,
                    (1 << 20) + (199 * page) + (page / 2)),
            ],
            request.Runs);
    }

    [Fact]
    public void What_cannot_be_read_stays_with_its_old_block_and_what_is_around_it_is_rewritten()
    {
        const uint page = 4096;
        for (uint at = 0; at < 200; at++)
        {
            map.Overlay(new(at * page, page, SliceKind.Block, new(Drive, new(10 + at)), 0), default);
        }

        FoldPlanner.Plan(map, plan);
        Assert.Contains(100 * page, plan.Pieces.Select(piece => piece.Run));
        BlockName packed = Complete(unreadable: new HashSet<uint> { 100 * page });

        Assert.Equal(
            [
                new(0, 100 * page, SliceKind.Block, packed, 0),
                new(100 * page, page, SliceKind.Block, new(Drive, new(110)), 0),
                new(101 * page, 99 * page, SliceKind.Block, packed, 100 * page),
            ],
            request.Runs);
    }

    [Fact]
    public void Owners_of_what_cannot_be_read_come_before_those_that_can_be_copied()
    {
        for (uint at = 0; at < 300; at++)
        {
            map.Overlay(new(at << 17, 1 << 16, SliceKind.Block, new(new(100 + at), new(1)), 0), default);
        }

        Complete(unreadable: new HashSet<uint> { 299 << 17 });

        Assert.Equal(new(new(399), new(1)), request.Runs[^1].Block);
        Assert.Equal(254, request.Runs.Select(run => run.Block.Owner).Where(owner => owner != Drive).Distinct().Count());
    }

    [Fact]
    public void A_cluster_of_single_bytes_is_folded_into_a_bounded_number_of_runs()
    {
        List<Slice> runs = [];
        for (uint at = 0; at < 2 * Limits.ClusterRuns; at++) { runs.Add(new(at * 2, 1, SliceKind.Block, Old, 0)); }
        ByteBuffer payload = new();
        ClusterBase.Encode([.. runs], payload);
        Assert.True(map.TryAdd(payload.Span));

        BlockName packed = Complete();

        Assert.Equal([new(0, (uint)(runs.Count * 2) - 1, SliceKind.Block, packed, 0)], request.Runs);
    }

    [Fact]
    public void More_than_one_block_of_packed_bytes_is_cut_at_the_blocks_ends()
    {
        const uint page = 4096;
        const uint pages = (Limits.BlockBytes / page) + FoldPlanner.WindowSeams + 2;
        for (uint at = 0; at < pages; at++)
        {
            map.Overlay(new(at * page, page, SliceKind.Block, new(Drive, new(10 + at)), 0), default);
        }

        FoldPlanner.Plan(map, plan);
        BlockName[] packed = [new(Drive, new(8)), new(Drive, new(9))];

        plan.Complete(packed, request);

        const uint rest = (pages * page) - Limits.BlockBytes;
        Assert.Equal((int)rest, plan.BlockLength(1));
        Assert.Equal(
            [
                new(0, Limits.BlockBytes, SliceKind.Block, packed[0], 0),
                new(Limits.BlockBytes, rest, SliceKind.Block, packed[1], 0),
            ],
            request.Runs);
    }

    [Fact]
    public void Blocks_of_more_drives_than_a_base_can_name_are_copied()
    {
        for (uint at = 0; at < 300; at++)
        {
            map.Overlay(new(at << 17, 1 << 16, SliceKind.Block, new(new(100 + at), new(1)), 0), default);
        }

        BlockName packed = Complete();

        Assert.Equal(300, request.Runs.Count);
        Assert.Equal(46, request.Runs.Count(run => run.Block == packed));
        ByteBuffer payload = new();
        ClusterBase.Encode([.. request.Runs], payload);
        Assert.True(new ClusterMap().TryAdd(payload.Span));
    }

    private BlockName Complete(IReadOnlySet<uint>? unreadable = null)
    {
        FoldPlanner.Plan(map, plan, unreadable);
        BlockName packed = new(Drive, new(99));
        plan.Complete(plan.BlockCount == 0 ? [] : [packed], request);
        return packed;
    }
}
