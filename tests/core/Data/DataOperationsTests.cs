namespace KvFs.Core.Tests;

public sealed class DataOperationsTests
{
    private const ulong Cluster = Limits.ClusterBytes;

    /// <summary>Two records each, more than one step removes.</summary>
    private const int ManyClusters = 12_000;

    private readonly BlockShelf shelf = new();
    private readonly DataDrive data;
    private readonly VNodeId file;

    public DataOperationsTests()
    {
        data = new(shelf, new(), cached: true);
        file = data.CreateFile();
    }

    [Theory]
    [InlineData(0UL, 0U, SliceKind.Hole, Status.Invalid)]
    [InlineData(Cluster - 1, 2U, SliceKind.Hole, Status.Invalid)]
    [InlineData(Limits.FileBytes - 1, 2U, SliceKind.Hole, Status.TooLarge)]
    [InlineData(0UL, 4097U, SliceKind.Inline, Status.Invalid)]
    [InlineData(0UL, 10U, SliceKind.Inline, Status.Invalid)]
    [InlineData(0UL, 10U, SliceKind.Base, Status.Invalid)]
    public void A_run_that_makes_no_sense_is_refused(ulong offset, uint length, SliceKind kind, Status expected)
    {
        FileCommit commit = new() { Node = file, Session = data.Session, MinSize = 1 << 20 };
        commit.Runs.Add(new(offset, length, kind, default, 0));
        Assert.Equal(expected, data.Commit(commit));
    }

    [Fact]
    public void Data_behind_the_size_that_a_commit_leaves_is_refused()
    {
        FileCommit commit = new() { Node = file, MinSize = 1023 };
        DataDrive.AddInline(commit, 0, [5]);
        Assert.Equal(Status.Invalid, data.Commit(commit));
    }

    [Fact]
    public void A_block_that_was_not_granted_or_is_another_drives_cannot_be_named()
    {
        Assert.Equal(Status.Conflict, data.Commit(CommitOf(new(data.Drive.State.Drive, new(77)))));
        Assert.Equal(Status.Invalid, data.Commit(CommitOf(new(new(99), new(1)))));
        BlockName others = data.StoreBlock(new(1234), [5, 6]);
        Assert.Equal(Status.Conflict, data.Commit(CommitOf(others)));
    }

    [Fact]
    public void A_block_that_died_cannot_be_named_again_even_by_the_session_that_made_it()
    {
        BlockName block = data.StoreBlock(data.Session, [5, 6]);
        Assert.Equal(Status.Ok, data.Commit(CommitOf(block)));
        Assert.Equal(Status.Ok, data.Truncate(file, 0));

        Assert.Equal(Status.Conflict, data.Commit(CommitOf(block)));
        DataChecks.CheckBlocks(data.Drive);
    }

    [Fact]
    public void A_block_is_named_for_the_first_time_only_if_it_was_stored_under_this_primary()
    {
        BlockName block = data.StoreBlock(data.Session, [5, 6]);
        StoredSet stored = new();
        FileCommit commit = CommitOf(block);
        commit.Stored = stored;
        Assert.Equal(Status.NotFound, data.Commit(commit));
        Assert.Equal(0UL, data.Drive.Counters.UsedBytes);

        stored.Ids.Add(block.Id);
        Assert.Equal(Status.Ok, data.Commit(commit));

        // What is named already is at every copy, whoever is primary.
        stored.Ids.Clear();
        Assert.Equal(Status.Ok, data.Commit(commit));
        DataChecks.CheckBlocks(data.Drive);
    }

    [Fact]
    public void A_block_that_loses_its_last_reference_and_gets_one_in_one_transaction_lives()
    {
        BlockName block = data.StoreBlock(data.Session, [5, 6]);
        FileCommit commit = CommitOf(block);
        Assert.Equal(Status.Ok, data.Commit(commit));

        Assert.Equal(Status.Ok, data.Run(transaction =>
        {
            Assert.True(transaction.TryGetVNode(file, out VNode vnode));
            Assert.Equal(Status.Ok, Core.Truncate.Apply(file, ref vnode, 0, transaction));
            transaction.PutVNode(file, vnode);
            return CommitSlices.Apply(commit, transaction, out _);
        }));

        DataChecks.CheckBlocks(data.Drive);
        Assert.Equal([5, 6, 0], data.Read(file, CowNumber.Head)[..3].ToArray());
    }

    [Fact]
    public void A_write_clears_set_id_bits_and_file_capabilities_as_linux_does()
    {
        RecordKey capability = RecordKey.Xattr(file, "security.capability"u8);
        Assert.Equal(Status.Ok, data.Run(transaction =>
        {
            Assert.True(transaction.TryGetVNode(file, out VNode vnode));
            vnode.Mode = 0xDED;  // 06755
            vnode.Flags |= VNodeFlags.HasXattrs;
            transaction.PutVNode(file, vnode);
            transaction.Put(ref capability, "x"u8);
            return Status.Ok;
        }));
        FileCommit commit = new() { Node = file, MinSize = 1024, KillSetId = true };
        DataDrive.AddInline(commit, 0, [5]);

        Assert.Equal(Status.Ok, data.Commit(commit));

        Assert.True(data.Drive.Head.TryGetVNode(file, out VNode written));
        Assert.Equal(0x1ED, written.Mode);
        Assert.False(data.Drive.Head.TryGet(ref capability, new ByteBuffer()));
    }

    [Fact]
    public void A_truncate_of_more_than_one_transaction_shows_at_once_and_is_reaped_in_steps()
    {
        GivenManyClusters(count: ManyClusters);
        ulong backed = Backed();

        Assert.Equal(Status.Ok, data.Truncate(file, 0));

        Assert.Equal(Status.Ok, data.Truncate(file, ManyClusters * Cluster));
        Assert.Equal(Status.NoData, SeekData.Apply(file, SeekKind.Data, 0, data.Drive.Head, out _));
        Assert.InRange(Backed(), 1UL, backed - 1);
        DataChecks.CheckUsage(data);
        DataChecks.CheckBlocks(data.Drive);

        FileCommit commit = new() { Node = file, MinSize = ManyClusters * Cluster };
        DataDrive.AddInline(commit, (ManyClusters - 1) * Cluster, [5]);
        Assert.Equal(Status.Busy, data.Commit(commit));
        Assert.Equal(new Obstacle(ObstacleKind.Cut, file, ManyClusters - 1), data.Obstacle);

        List<VNodeId> cut = [];
        ReapCut.ListCuts(data.Drive.Head, VNodeId.None, 10, cut);
        Assert.Equal([file], cut);
        Assert.InRange(Reap(), 1, 20);
        Assert.Equal(0UL, Backed());
        Assert.Equal(Status.Ok, data.Commit(commit));
        Assert.Equal(Status.Ok, SeekData.Apply(file, SeekKind.Data, 0, data.Drive.Head, out ulong found));
        Assert.Equal((ManyClusters - 1) * Cluster, found);
    }

    [Fact]
    public void A_snapshot_and_a_clone_see_a_file_that_was_cut_off_before_and_after_it_is_reaped()
    {
        GivenManyClusters(count: ManyClusters);
        CowNumber before = data.Snapshot();
        Assert.Equal(Status.Ok, data.Truncate(file, 0));
        CowNumber cutOff = data.Snapshot();
        DataDrive clone = data.Clone(cutOff);
        Reap();

        Assert.Equal(Status.Ok, SeekData.Apply(file, SeekKind.Data, 0, data.Drive.ViewAt(before), out _));
        Assert.Equal(0UL, Backed());
        FileCommit commit = new() { Node = file, MinSize = ManyClusters * Cluster };
        DataDrive.AddInline(commit, (ManyClusters - 1) * Cluster, [5]);
        Assert.Equal(Status.Busy, clone.Commit(commit));
        bool done = false;
        while (!done)
        {
            Assert.Equal(Status.Ok, clone.Run(transaction => ReapCut.Apply(file, transaction, out done)));
        }

        Assert.Equal(Status.Ok, clone.Commit(commit));
        DataChecks.CheckUsage(clone);
        DataChecks.CheckBlocks(clone.Drive);
    }

    [Fact]
    public void Data_of_many_clusters_is_removed_in_steps()
    {
        GivenManyClusters(count: ManyClusters);
        Assert.InRange(data.Remove(file), 2, 20);
        Assert.Equal(0UL, data.Drive.Counters.UsedBytes);
        DataChecks.CheckBlocks(data.Drive);
    }

    [Fact]
    public void A_cluster_with_too_many_slices_makes_writers_wait_until_it_is_folded()
    {
        FileCommit commit = new() { Node = file, MinSize = Cluster };
        for (int slice = 0; slice < Limits.MaxSlices; slice += 512)
        {
            commit.Runs.Clear();
            commit.Inline.Clear();
            for (int at = slice; at < slice + 512; at++) { DataDrive.AddInline(commit, (ulong)at * 8192, [at + 10]); }
            Assert.Equal(Status.Ok, data.Commit(commit));
            Assert.All(data.Crowded, crowded => Assert.Equal(0, crowded.Deltas % Limits.FoldSlices));
        }

        Assert.Equal(Status.Busy, data.Commit(commit));
        Assert.Equal(new Obstacle(ObstacleKind.Fold, file, 0), data.Obstacle);
        Assert.Equal(Status.Ok, data.Fold(file, 0, FoldCopies.Windows));
        Assert.Equal(Status.Ok, data.Commit(commit));
        Assert.Equal([10, 0, 0, 0, 0, 0, 0, 0, 11], data.Read(file, CowNumber.Head)[..9].ToArray());
    }

    [Fact]
    public void A_fold_of_records_that_changed_meanwhile_is_refused()
    {
        Write(0, 5);
        FoldRequest request = new();
        ClusterMap map = new();
        Assert.Equal(Status.Ok, ReadForFold.Apply(file, 0, data.Drive.Head, request, map));
        BlockName block = data.StoreBlock(default, [5]);
        request.Runs.Add(new(0, map.Runs[0].Length, SliceKind.Block, block, 0));
        Assert.Equal(Status.Ok, data.Truncate(file, 0));
        Write(0, 6);

        Assert.Equal(Status.Conflict, data.Run(transaction => Core.Fold.Apply(request, map, transaction)));
    }

    [Fact]
    public void A_fold_that_would_not_show_the_same_is_refused()
    {
        Write(0, 5);
        Write(2048, 6);
        FoldRequest request = new();
        ClusterMap map = new();
        Assert.Equal(Status.Ok, ReadForFold.Apply(file, 0, data.Drive.Head, request, map));
        BlockName block = data.StoreBlock(default, [5, 0, 6]);
        foreach ((uint offset, uint length) in (ReadOnlySpan<(uint, uint)>)[(0, 1024), (0, 4096), (1024, 2048)])
        {
            request.Runs.Clear();
            request.Runs.Add(new(offset, length, SliceKind.Block, block, 0));
            Assert.Equal(Status.Invalid, data.Run(transaction => Core.Fold.Apply(request, map, transaction)));
        }
    }

    [Fact]
    public void A_fold_may_fill_small_gaps_and_charges_them()
    {
        Write(0, 5);
        Write(2048, 6);
        Assert.Equal(Status.Ok, data.Fold(file, 0, FoldCopies.Gaps));

        Assert.Equal([5, DataDrive.Filled, 6, 0], data.Read(file, CowNumber.Head)[..4].ToArray());
        Assert.Equal(3072UL, Backed());
        DataChecks.CheckUsage(data);
    }

    [Fact]
    public void A_source_at_a_version_that_nobody_retains_is_not_found()
    {
        Write(0, 5);
        CopyRangeRequest request = new(file, data.Drive.Counters.LastCow, 0, file, 8192, 1024);
        Assert.Equal(Status.NotFound, data.Copy(request, out _));
    }

    [Fact]
    public void Nothing_is_copied_from_behind_the_sources_end()
    {
        Write(0, 5);
        VNodeId other = data.CreateFile();
        Assert.Equal(Status.Ok, data.Copy(new(file, CowNumber.Head, 1024, other, 0, 1024), out ulong copied));
        Assert.Equal(0UL, copied);
        Assert.Equal(Status.Ok, data.Copy(new(file, CowNumber.Head, 0, other, 0, ulong.MaxValue), out copied));
        Assert.Equal(1024UL, copied);
    }

    [Fact]
    public void Allocating_a_terabyte_takes_steps_and_charges_all_of_it()
    {
        Assert.Equal(
            Status.Ok, data.ChangeRange(new(file, RangeOperation.Allocate, 0, 1UL << 40, KeepSize: false)));
        Assert.Equal(1UL << 40, Backed());
        Assert.Equal(
            Status.Ok, data.ChangeRange(new(file, RangeOperation.PunchHole, 0, 1UL << 40, KeepSize: true)));
        Assert.Equal(0UL, Backed());
        Assert.True(data.Drive.Head.TryGetVNode(file, out VNode vnode));
        Assert.Equal(1UL << 40, vnode.Size);
    }

    private FileCommit CommitOf(BlockName block)
    {
        FileCommit commit = new() { Node = file, Session = data.Session, MinSize = 2048 };
        commit.Runs.Add(new(0, 2048, SliceKind.Block, block, 0));
        return commit;
    }

    private void Write(ulong offset, int token)
    {
        FileCommit commit = new() { Node = file, MinSize = offset + 1024 };
        DataDrive.AddInline(commit, offset, [token]);
        Assert.Equal(Status.Ok, data.Commit(commit));
    }

    /// <summary>Two slices in each of many clusters.</summary>
    private void GivenManyClusters(int count)
    {
        BlockName block = data.StoreBlock(data.Session, new int[count * 2]);
        for (int first = 0; first < count; first += 1000)
        {
            FileCommit commit = new() { Node = file, Session = data.Session, MinSize = (ulong)(first + 1000) * Cluster };
            for (int at = first; at < first + 1000; at++)
            {
                commit.Runs.Add(new((ulong)at * Cluster, 1024, SliceKind.Block, block, (uint)at * 1024));
                DataDrive.AddInline(commit, ((ulong)at * Cluster) + 512, [5]);
            }

            Assert.Equal(Status.Ok, data.Commit(commit));
        }
    }

    private int Reap()
    {
        bool done = false;
        int steps = 0;
        for (; !done; steps++)
        {
            Assert.Equal(Status.Ok, data.Run(transaction => ReapCut.Apply(file, transaction, out done)));
        }

        return steps;
    }

    private ulong Backed()
    {
        Assert.True(data.Drive.Head.TryGetVNode(file, out VNode vnode));
        return vnode.AllocatedBytes;
    }

    private sealed class StoredSet : IStoredBlocks
    {
        public HashSet<BlockId> Ids { get; } = [];

        public bool Has(BlockId block) => Ids.Contains(block);
    }
}
