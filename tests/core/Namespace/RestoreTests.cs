using System.Text;
using KvFs.Core.Tests.Model;

namespace KvFs.Core.Tests.Namespace;

public sealed class RestoreTests
{
    private static readonly VNodeId Root = VNodeId.Root;
    private readonly TestDrive drive = new();

    [Fact]
    public void A_removed_file_comes_back_with_all_that_it_had()
    {
        VNodeId file = drive.Given(Root, "f");
        drive.Write(file, 0, "content"u8);
        drive.SetXattr(file, "user.a", "1"u8);
        drive.Set(new() { Node = file, Mask = AttributeMask.Mode, Mode = 0x100 });
        VNode before = drive.Head.Get(file);
        drive.Snapshot("s");
        drive.Unlink(Root, "f");
        Assert.Equal(Status.Ok, Restore("/f"));

        Assert.Equal(Status.Ok, drive.Head.Find(Root, "f", out NodeInfo found));
        Assert.NotEqual(file, found.Id);
        Assert.Equal((before.Mode, before.Size, before.Uid), (found.VNode.Mode, found.VNode.Size, found.VNode.Uid));
        Assert.Equal(before.ModifyTime, found.VNode.ModifyTime);
        Assert.Equal(1u, found.VNode.Nlink);
        Assert.Equal("content"u8.ToArray(), drive.Head.Content(found.Id));
        Assert.Equal(Status.Ok, drive.Head.GetXattr(found.Id, "user.a", out byte[] value));
        Assert.Equal("1"u8.ToArray(), value);
        FindingList.Nothing(drive);
    }

    [Fact]
    public void A_changed_file_is_replaced_and_who_holds_it_keeps_the_changed_one()
    {
        VNodeId file = drive.Given(Root, "f");
        drive.Write(file, 0, "old"u8);
        drive.Snapshot("s");
        drive.Write(file, 0, "new"u8);
        OpenNodes holders = new OpenNodes().With(file, new SessionId(3));
        Assert.Equal(Status.Ok, Restore("f", holders));

        Assert.Equal(Status.Ok, drive.Head.Find(Root, "f", out NodeInfo found));
        Assert.Equal("old"u8.ToArray(), drive.Head.Content(found.Id));
        Assert.Equal("new"u8.ToArray(), drive.Head.Content(file));
        Assert.Equal(0u, drive.Head.Get(file).Nlink);
        FindingList.Nothing(drive);
    }

    [Fact]
    public void A_tree_comes_back_with_its_links_and_the_changed_one_is_reaped()
    {
        VNodeId tree = drive.GivenDirectory(Root, "tree");
        VNodeId sub = drive.GivenDirectory(tree, "sub");
        drive.GivenDirectory(sub, "empty");
        VNodeId file = drive.Given(sub, "f");
        drive.Write(file, 0, "content"u8);
        drive.Link(file, tree, "second");
        drive.Given(tree, "symlink", VNodeKind.Symlink);
        drive.Given(tree, "fifo", VNodeKind.Fifo);
        drive.Snapshot("s");
        drive.Unlink(sub, "f");
        drive.GivenDirectory(drive.GivenDirectory(tree, "later"), "deeper");
        ulong used = drive.Counters.UsedInodes;
        Assert.Equal(Status.Ok, Restore("/tree"));
        Reap();

        Assert.Equal(Status.Ok, drive.Head.Find(Root, "tree", out NodeInfo found));
        Assert.Equal(["fifo", "second", "sub", "symlink"], drive.Head.Names(found.Id));
        Assert.Equal(3u, found.VNode.Nlink);
        Assert.Equal(Status.Ok, drive.Head.Find(found.Id, "sub", out NodeInfo foundSub));
        Assert.Equal(["empty", "f"], drive.Head.Names(foundSub.Id));
        Assert.Equal(Status.Ok, drive.Head.Find(foundSub.Id, "f", out NodeInfo first));
        Assert.Equal(Status.Ok, drive.Head.Find(found.Id, "second", out NodeInfo second));
        Assert.Equal(first.Id, second.Id);
        Assert.Equal(2u, first.VNode.Nlink);
        Assert.Equal("content"u8.ToArray(), drive.Head.Content(first.Id));
        Assert.Equal(3u, drive.Head.Get(Root).Nlink);
        Assert.Equal(used - 2, drive.Counters.UsedInodes);
        FindingList.Nothing(drive);
    }

    [Fact]
    public void A_large_tree_comes_back_in_many_steps_and_goes_on_after_a_restart()
    {
        VNodeId tree = drive.GivenDirectory(Root, "tree");
        for (int i = 0; i < 9000; i++) { drive.Given(tree, $"f{i}"); }
        drive.Snapshot("s");
        drive.Unlink(tree, "f1");
        Assert.Equal(Status.Ok, RestoreStep("/tree", out bool more));
        Assert.Equal(Status.Ok, RestoreStep("/tree", out more));
        Assert.True(more);
        Assert.Equal(Status.InUse, RestoreStep("/other", out _));
        Assert.Equal(Status.InUse, drive.Run(t => DeleteSnapshot.Apply("s", t)));
        Reap();
        FindingList.Nothing(drive);

        TestDrive restarted = new(drive.Records, drive.State.Drive) { Now = drive.Now };
        Assert.True(RestoreTree.IsPending(restarted.Head));
        int steps = restarted.RunSteps(t =>
        {
            Assert.Equal(Status.Ok, RestoreTree.Resume(new OpenNodes(), t, out bool left));
            return left;
        });
        Assert.True(steps > 3);
        Assert.False(RestoreTree.IsPending(restarted.Head));
        Assert.Equal(Status.Ok, restarted.Head.Find(Root, "tree", out NodeInfo found));
        Assert.Equal(9000ul, found.VNode.Size);
        FindingList.Nothing(restarted);
    }

    [Fact]
    public void A_restore_that_is_given_up_leaves_nothing()
    {
        VNodeId tree = drive.GivenDirectory(Root, "tree");
        for (int i = 0; i < 9000; i++) { drive.Given(tree, $"f{i}"); }
        drive.Snapshot("s");
        ulong used = drive.Counters.UsedInodes;
        for (int i = 0; i < 3; i++) { Assert.Equal(Status.Ok, RestoreStep("/tree", out _)); }
        Assert.True(drive.Counters.UsedInodes > used);
        Assert.Equal(Status.Ok, drive.Run(RestoreTree.Cancel));
        drive.RunSteps(t =>
        {
            Assert.Equal(Status.Ok, RestoreTree.Resume(new OpenNodes(), t, out bool more));
            return more;
        });
        Reap();

        Assert.Equal(used, drive.Counters.UsedInodes);
        Assert.Equal(Status.Ok, drive.Head.Find(Root, "tree", out NodeInfo found));
        Assert.Equal(tree, found.Id);
        Assert.DoesNotContain(
            drive.Records.All,
            record => (RecordKind)record.Key[DriveId.Size] is RecordKind.RestoreWork or RecordKind.RestoreLink);
        FindingList.Nothing(drive);
    }

    [Fact]
    public void A_quota_that_has_no_room_for_the_copy_refuses_and_a_larger_one_goes_on()
    {
        TestDrive small = new(quotaInodes: 4);
        VNodeId tree = small.GivenDirectory(Root, "tree");
        small.Given(tree, "a");
        small.Given(tree, "b");
        small.Snapshot("s");
        Assert.Equal(Status.NoInodes, Step(small, "/tree", out _));
        small.Unlink(tree, "a");
        Assert.Equal(Status.Ok, Step(small, "/tree", out _));
        Assert.Equal(Status.NoInodes, Step(small, "/tree", out _));
        small.Run(t => ResizeDrive.Apply(0, 10, t));
        small.RunSteps(t =>
        {
            Assert.Equal(Status.Ok, RestoreTree.Apply("s", "/tree"u8, new OpenNodes(), t, out bool more));
            return more;
        });
        Assert.Equal(Status.Ok, small.Head.Find(Root, "tree", out NodeInfo found));
        Assert.Equal(["a", "b"], small.Head.Names(found.Id));
    }

    [Fact]
    public void The_whole_drive_comes_back_under_the_same_numbers()
    {
        VNodeId directory = drive.GivenDirectory(Root, "d");
        VNodeId file = drive.Given(directory, "f");
        drive.Write(file, 0, "old"u8);
        drive.Snapshot("s");
        drive.Write(file, 0, "newer"u8);
        drive.Rename(directory, "f", Root, "moved");
        VNodeId later = drive.Given(Root, "later");
        Assert.Equal(Status.Ok, Restore("/"));

        Assert.Equal(["d"], drive.Head.Names(Root));
        Assert.Equal(Status.Ok, drive.Head.Find(directory, "f", out NodeInfo found));
        Assert.Equal(file, found.Id);
        Assert.Equal("old"u8.ToArray(), drive.Head.Content(file));
        Assert.False(drive.Head.Exists(later));
        Assert.Equal(3ul, drive.Counters.UsedInodes);
        Assert.Equal(3ul, drive.Counters.UsedBytes);
        FindingList.Nothing(drive);
        Assert.True(drive.Given(Root, "next") > later);
    }

    [Fact]
    public void While_the_whole_drive_is_restored_nothing_else_changes_it_and_a_restart_goes_on()
    {
        for (int i = 0; i < 9000; i++) { drive.Given(Root, $"f{i}"); }
        drive.Snapshot("s");
        for (int i = 0; i < 9000; i++) { drive.Unlink(Root, $"f{i}"); }
        Assert.Equal(Status.Ok, RestoreStep("/", out _));
        Assert.Equal(Status.Ok, RestoreStep("/", out bool more));
        Assert.True(more);
        Assert.Equal(Status.NotSupported, drive.Run(RestoreTree.Cancel, restores: true));
        DriveTransaction refused = new();
        Assert.Equal(Status.Busy, refused.Begin(drive.State, drive.Counters, drive.Records, default));

        TestDrive restarted = new(drive.Records, drive.State.Drive) { Now = drive.Now };
        int steps = restarted.RunSteps(
            t =>
            {
                Assert.Equal(Status.Ok, RestoreTree.Resume(new OpenNodes(), t, out bool left));
                return left;
            },
            restores: true);
        Assert.True(steps > 3);
        Assert.Equal(9000ul, restarted.Head.Get(Root).Size);
        Assert.Equal(DriveFlags.None, restarted.State.Policy.Flags);
        FindingList.Nothing(restarted);
    }

    [Theory]
    [InlineData("/f")]
    [InlineData("/")]
    public void Blocks_are_shared_with_the_snapshot_and_counted(string path)
    {
        VNodeId file = drive.Given(Root, "f");
        BlockId block = default;
        drive.Run(t => GrantBlocks.Apply(new(1), 1, t, out block));
        FileCommit commit = new() { Node = file, Session = new(1), MinSize = 8192 };
        commit.Runs.Add(new(0, 8192, SliceKind.Block, new(drive.State.Drive, block), 4096));
        Assert.Equal(Status.Ok, drive.Run(t => CommitSlices.Apply(commit, t, out _)));
        drive.Snapshot("s");
        drive.Set(new() { Node = file, Mask = AttributeMask.Size, Size = 100 });
        Assert.Equal(Status.Ok, Restore(path));

        Assert.Equal(Status.Ok, drive.Head.Find(Root, "f", out NodeInfo found));
        ClusterMap map = new();
        Assert.Equal(Status.Ok, ReadCluster.Apply(found.Id, 0, drive.Head, map));
        Slice run = Assert.Single(map.Runs);
        Assert.Equal((block, 4096u, 8192u), (run.Block.Id, run.SourceOffset, run.Length));
        Assert.Equal(8192ul, drive.Counters.UsedBytes);
        FindingList.Nothing(drive);
        drive.Run(t => DeleteSnapshot.Apply("s", t));
        drive.RunSteps(t =>
        {
            ReapHistory.Apply(t, out bool more);
            return more;
        });
        FindingList.Nothing(drive);
        drive.Unlink(Root, "f");
        FindingList.Nothing(drive);
        Assert.DoesNotContain(
            drive.Records.All, record => record.Key[DriveId.Size] == (byte)RecordKind.BlockLive);
    }

    [Fact]
    public void A_file_whose_first_name_is_in_a_replaced_tree_that_is_held_is_valid_by_its_other_name()
    {
        VNodeId tree = drive.GivenDirectory(Root, "tree");
        VNodeId file = drive.Given(tree, "f");
        drive.Snapshot("s");
        drive.Link(file, Root, "outside");
        Restore("/tree", new OpenNodes().With(tree, new SessionId(3)));
        Assert.Equal(tree, drive.Head.Get(file).Parent);
        Assert.Equal(Status.Ok, VerifyReachable.Apply(drive.Head, file));
        Assert.Equal(Status.Stale, VerifyReachable.Apply(drive.Head, tree));
        FindingList.Nothing(drive);
    }

    [Fact]
    public void Requests_are_checked()
    {
        VNodeId directory = drive.GivenDirectory(Root, "d");
        drive.Given(directory, "f");
        drive.Snapshot("s");
        Assert.Equal(Status.NotFound, RestoreStep("/no", out _));
        Assert.Equal(Status.Invalid, RestoreStep("/d/../d", out _));
        Assert.Equal(Status.NameTooLong, RestoreStep(new string('a', 5000), out _));
        Assert.Equal(Status.NotFound, drive.Run(t => RestoreTree.Apply("no", "/d"u8, new OpenNodes(), t, out _)));
        drive.Unlink(directory, "f");
        drive.RemoveDirectory(Root, "d");
        Assert.Equal(Status.NotFound, RestoreStep("/d/f", out _));
        drive.Given(Root, "d");
        Assert.Equal(Status.NotDirectory, RestoreStep("/d/f", out _));
        Assert.Equal(Status.Ok, Restore("/d"));
        Assert.Equal(Status.Ok, drive.Head.Find(Root, "d", out NodeInfo found));
        Assert.Equal(["f"], drive.Head.Names(found.Id));
    }

    private Status Restore(string path, OpenNodes? holders = null)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(path);
        drive.RunSteps(
            t =>
            {
                Status status = RestoreTree.Apply("s", bytes, holders ?? new(), t, out bool more);
                Assert.Equal(Status.Ok, status);
                return more;
            },
            restores: true);
        return Status.Ok;
    }

    private Status RestoreStep(string path, out bool more) => Step(drive, path, out more);

    private static Status Step(TestDrive drive, string path, out bool more)
    {
        bool left = false;
        byte[] bytes = Encoding.UTF8.GetBytes(path);
        Status status = drive.Run(t => RestoreTree.Apply("s", bytes, new OpenNodes(), t, out left), restores: true);
        more = left;
        return status;
    }

    private void Reap()
    {
        VNodeId next = VNodeId.None;
        drive.RunSteps(t =>
        {
            Assert.Equal(
                Status.Ok, ReapOrphans.Apply(new LiveSessions(), new OpenNodes(), ref next, t, out bool more));
            return more;
        });
    }
}
