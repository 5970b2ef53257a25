using KvFs.Core.Tests.Model;

namespace KvFs.Core.Tests.Namespace;

public sealed class LinkAndUnlinkTests
{
    private static readonly VNodeId Root = VNodeId.Root;
    private readonly TestDrive drive = new();

    [Fact]
    public void A_second_name_leads_to_the_same_file()
    {
        VNodeId directory = drive.GivenDirectory(Root, "d");
        VNodeId file = drive.Given(Root, "f");
        Assert.Equal(Status.Ok, drive.Link(file, directory, "g"));
        Assert.Equal(Status.Ok, drive.Head.Find(directory, "g", out NodeInfo found));
        Assert.Equal((file, 2u, drive.Now), (found.Id, found.VNode.Nlink, found.VNode.ChangeTime));
        Assert.Equal(drive.Now, drive.Head.Get(directory).ModifyTime);
        FindingList.Nothing(drive);
    }

    [Fact]
    public void Links_are_refused_with_the_right_answer()
    {
        VNodeId file = drive.Given(Root, "f");
        VNodeId directory = drive.GivenDirectory(Root, "d");
        Assert.Equal(Status.NotPermitted, drive.Link(directory, Root, "x"));
        Assert.Equal(Status.Exists, drive.Link(file, Root, "d"));
        Assert.Equal(Status.NotDirectory, drive.Link(file, file, "x"));
        Assert.Equal(Status.Stale, drive.Link(new(99), Root, "x"));
        Assert.Equal(Status.Stale, drive.Link(file, new(99), "x"));
        Assert.Equal(Status.Invalid, drive.Link(file, Root, "a/b"));
        Assert.Equal(Status.NameTooLong, drive.Link(file, Root, new('x', 256)));
        drive.RemoveDirectory(Root, "d", new SessionId(1));
        Assert.Equal(Status.NotFound, drive.Link(file, directory, "x"));
        drive.Unlink(Root, "f", out _, new SessionId(1));
        Assert.Equal(Status.NotFound, drive.Link(file, Root, "x"));
    }

    [Fact]
    public void A_file_has_65000_names_at_the_most()
    {
        VNodeId file = drive.Given(Root, "f");
        drive.Run(t =>
        {
            t.PutVNode(file, drive.Head.Get(file) with { Nlink = Limits.Links - 1 });
            return Status.Ok;
        });
        Assert.Equal(Status.Ok, drive.Link(file, Root, "last"));
        Assert.Equal(Status.TooManyLinks, drive.Link(file, Root, "one-more"));
    }

    [Theory]
    [InlineData("first", "second", "third")]
    [InlineData("third", "second", "first")]
    [InlineData("second", "first", "third")]
    public void Names_go_in_any_order_and_the_parent_is_always_one_that_has_a_name(params string[] order)
    {
        VNodeId[] directories = [.. order.Select(name => drive.GivenDirectory(Root, $"d-{name}"))];
        VNodeId Directory(string name) => directories[Array.IndexOf(order, name)];
        VNodeId file = drive.Given(Directory("first"), "first");
        drive.Link(file, Directory("second"), "second");
        drive.Link(file, Directory("third"), "third");
        for (int gone = 0; gone < 2; gone++)
        {
            Assert.Equal(Status.Ok, drive.Unlink(Directory(order[gone]), order[gone]));
            VNode vnode = drive.Head.Get(file);
            Assert.Equal((uint)(2 - gone), vnode.Nlink);
            Assert.Contains(vnode.Parent, order[(gone + 1)..].Select(Directory));
            Assert.Equal(Status.Ok, VerifyReachable.Apply(drive.Head, file));
            FindingList.Nothing(drive);
        }

        Assert.Equal(VNodeFlags.None, drive.Head.Get(file).Flags & VNodeFlags.HasLinks);
        Assert.Equal(Status.Ok, drive.Unlink(Directory(order[2]), order[2]));
        Assert.False(drive.Head.Exists(file));
        FindingList.Nothing(drive);
    }

    [Fact]
    public void An_unlinked_file_with_all_that_it_had_leaves_no_record()
    {
        int records = drive.Records.All.Count;
        VNodeId file = drive.Given(Root, "f");
        drive.Write(file, 0, "content"u8);
        drive.SetXattr(file, "user.a", "1"u8);
        drive.SetXattr(file, "user.b", "2"u8);
        Assert.Equal(Status.Ok, drive.Unlink(Root, "f", out UnlinkResult result));
        Assert.True(result.Removed);
        Assert.False(result.Orphaned);
        Assert.False(result.NeedsReaping);
        Assert.Equal(records, drive.Records.All.Count);
        Assert.Equal((0ul, 1ul), (drive.Counters.UsedBytes, drive.Counters.UsedInodes));
    }

    [Fact]
    public void Only_the_right_call_removes_a_kind_and_only_empty_directories_go()
    {
        VNodeId directory = drive.GivenDirectory(Root, "d");
        drive.Given(directory, "f");
        Assert.Equal(Status.IsDirectory, drive.Unlink(Root, "d"));
        Assert.Equal(Status.NotDirectory, drive.RemoveDirectory(directory, "f"));
        Assert.Equal(Status.NotEmpty, drive.RemoveDirectory(Root, "d"));
        Assert.Equal(Status.NotFound, drive.Unlink(Root, "no"));
        Assert.Equal(Status.Invalid, drive.RemoveDirectory(Root, "."));
        Assert.Equal(Status.Stale, drive.Unlink(new(99), "x"));
        Assert.Equal(Status.Ok, drive.Unlink(directory, "f"));
        Assert.Equal(Status.NotDirectory, drive.Unlink(drive.Given(Root, "g"), "x"));
        Assert.Equal(Status.Ok, drive.RemoveDirectory(Root, "d"));
        Assert.Equal(2u, drive.Head.Get(Root).Nlink);
        FindingList.Nothing(drive);
    }

    [Fact]
    public void A_large_file_goes_in_steps_that_survive_a_restart()
    {
        VNodeId file = drive.Given(Root, "f");
        FileCommit commit = new() { Node = file, MinSize = 3000 * 8192 };
        commit.Inline.Extend(4096).Clear();
        for (uint i = 0; i < 3000; i++) { commit.Runs.Add(new(i * 8192, 4096, SliceKind.Inline, default, 0)); }
        drive.Run(t => CommitSlices.Apply(commit, t, out _));
        drive.Run(t => CreateSnapshot.Apply("s", t, out _));

        Assert.Equal(Status.Ok, drive.Unlink(Root, "f", out UnlinkResult result));
        Assert.True(result.Removed);
        Assert.True(result.NeedsReaping);
        Assert.True(drive.Head.Exists(file));
        FindingList.Nothing(drive);
        TestDrive restarted = new(drive.Records, drive.State.Drive);
        VNodeId next = VNodeId.None;
        int steps = restarted.RunSteps(t =>
        {
            Assert.Equal(
                Status.Ok, ReapOrphans.Apply(new LiveSessions(), new OpenNodes(), ref next, t, out bool more));
            return more;
        });
        Assert.True(steps > 1);
        Assert.False(restarted.Head.Exists(file));
        Assert.Equal(0ul, restarted.Counters.UsedBytes);
        FindingList.Nothing(restarted);
    }

    [Fact]
    public void The_reaper_takes_what_no_living_session_holds_and_nothing_else()
    {
        VNodeId[] files = [.. Enumerable.Range(0, 600).Select(i => drive.Given(Root, $"f{i}"))];
        OpenNodes open = new();
        for (int i = 0; i < files.Length; i++)
        {
            SessionId[] holders = i % 3 == 0 ? [new(1)] : i % 3 == 1 ? [new(2)] : [new(1), new(2)];
            Assert.Equal(Status.Ok, drive.Unlink(Root, $"f{i}", out _, holders));
            open.With(files[i], holders);
        }

        Reap(open, 1);
        Assert.All(Enumerable.Range(0, 600), i => Assert.Equal(i % 3 != 1, drive.Head.Exists(files[i])));
        FindingList.Nothing(drive);
        Reap(open);
        Assert.Equal(1ul, drive.Counters.UsedInodes);
        FindingList.Nothing(drive);
    }

    [Fact]
    public void The_reaper_takes_what_a_living_session_let_go_of_in_a_transaction_that_failed()
    {
        VNodeId file = drive.Given(Root, "f");
        Assert.Equal(Status.Ok, drive.Unlink(Root, "f", out _, [new(1)]));
        Reap(new OpenNodes().With(file, new SessionId(1)), 1);
        Assert.True(drive.Head.Exists(file));
        Reap(new OpenNodes(), 1);
        Assert.False(drive.Head.Exists(file));
        FindingList.Nothing(drive);
    }

    private void Reap(OpenNodes open, params ulong[] live)
    {
        VNodeId next = VNodeId.None;
        drive.RunSteps(t =>
        {
            Assert.Equal(
                Status.Ok, ReapOrphans.Apply(new LiveSessions(live), open, ref next, t, out bool more));
            return more;
        });
    }
}
