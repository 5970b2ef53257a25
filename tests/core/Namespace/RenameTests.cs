namespace KvFs.Core.Tests.Namespace;

public sealed class RenameTests
{
    private static readonly VNodeId Root = VNodeId.Root;
    private readonly TestDrive drive = new();

    [Fact]
    public void A_file_moves_and_both_directories_note_it()
    {
        VNodeId a = drive.GivenDirectory(Root, "a");
        VNodeId b = drive.GivenDirectory(Root, "b");
        VNodeId file = drive.Given(a, "f");
        Assert.Equal(Status.Ok, drive.Rename(a, "f", b, "g"));

        Assert.Equal(Status.NotFound, drive.Head.Find(a, "f", out _));
        Assert.Equal(Status.Ok, drive.Head.Find(b, "g", out NodeInfo found));
        Assert.Equal(file, found.Id);
        Assert.Equal(b, found.VNode.Parent);
        Assert.Equal(drive.Now, found.VNode.ChangeTime);
        Assert.NotEqual(drive.Now, found.VNode.ModifyTime);
        foreach ((VNodeId directory, ulong entries) in new[] { (a, 0ul), (b, 1ul) })
        {
            VNode vnode = drive.Head.Get(directory);
            Assert.Equal(entries, vnode.Size);
            Assert.Equal(2u, vnode.Nlink);
            Assert.Equal(drive.Now, vnode.ModifyTime);
            Assert.Equal(drive.Now, vnode.ChangeTime);
        }
    }

    [Fact]
    public void A_directory_that_moves_takes_its_dot_dot_and_the_link_counts_along()
    {
        VNodeId a = drive.GivenDirectory(Root, "a");
        VNodeId b = drive.GivenDirectory(Root, "b");
        VNodeId moved = drive.GivenDirectory(a, "d");
        Assert.Equal(Status.Ok, drive.Rename(a, "d", b, "d"));

        Assert.Equal(2u, drive.Head.Get(a).Nlink);
        Assert.Equal(3u, drive.Head.Get(b).Nlink);
        Assert.Equal(Status.Ok, drive.Head.Find(moved, "..", out NodeInfo up));
        Assert.Equal(b, up.Id);
    }

    [Fact]
    public void A_replaced_file_that_nobody_holds_is_gone()
    {
        VNodeId source = drive.Given(Root, "a");
        VNodeId target = drive.Given(Root, "b");
        Assert.Equal(Status.Ok, drive.Rename(Root, "a", Root, "b", out UnlinkResult result));

        Assert.True(result.Removed);
        Assert.Equal(target, result.Info.Id);
        Assert.False(drive.Head.Exists(target));
        Assert.Equal(Status.Ok, drive.Head.Find(Root, "b", out NodeInfo found));
        Assert.Equal(source, found.Id);
        Assert.Equal(1ul, drive.Head.Get(Root).Size);
        Assert.Equal(2ul, drive.Counters.UsedInodes);
    }

    [Fact]
    public void A_replaced_file_that_somebody_holds_becomes_an_orphan()
    {
        drive.Given(Root, "a");
        VNodeId target = drive.Given(Root, "b");
        Assert.Equal(Status.Ok, drive.Rename(Root, "a", Root, "b", out UnlinkResult result, holders: [new(7), new(8)]));

        Assert.True(result.Orphaned);
        Assert.Equal(0u, drive.Head.Get(target).Nlink);
        Assert.Equal(Status.Ok, drive.Run(t => ReleaseOrphan.Apply(target, new(7), new OpenNodes(), t, out _)));
        Assert.True(drive.Head.Exists(target));
        Assert.Equal(Status.Ok, drive.Run(t => ReleaseOrphan.Apply(target, new(8), new OpenNodes(), t, out _)));
        Assert.False(drive.Head.Exists(target));
    }

    [Fact]
    public void A_replaced_empty_directory_counts_once_in_its_parent()
    {
        drive.GivenDirectory(Root, "a");
        drive.GivenDirectory(Root, "b");
        Assert.Equal(Status.Ok, drive.Rename(Root, "a", Root, "b"));
        Assert.Equal(3u, drive.Head.Get(Root).Nlink);
        Assert.Equal(1ul, drive.Head.Get(Root).Size);
        Assert.Equal(2ul, drive.Counters.UsedInodes);
    }

    [Fact]
    public void Kinds_that_do_not_fit_are_refused()
    {
        VNodeId full = drive.GivenDirectory(Root, "full");
        drive.Given(full, "f");
        drive.GivenDirectory(Root, "d");
        drive.Given(Root, "file");

        Assert.Equal(Status.IsDirectory, drive.Rename(Root, "file", Root, "d"));
        Assert.Equal(Status.NotDirectory, drive.Rename(Root, "d", Root, "file"));
        Assert.Equal(Status.NotEmpty, drive.Rename(Root, "d", Root, "full"));
        Assert.Equal(Status.IsDirectory, drive.Rename(full, "f", Root, "full"));
        Assert.Equal(["d", "file", "full"], drive.Head.Names(Root));
    }

    [Fact]
    public void A_directory_does_not_go_into_itself_or_below()
    {
        VNodeId a = drive.GivenDirectory(Root, "a");
        VNodeId b = drive.GivenDirectory(a, "b");
        VNodeId c = drive.GivenDirectory(b, "c");
        Assert.Equal(Status.Invalid, drive.Rename(Root, "a", a, "x"));
        Assert.Equal(Status.Invalid, drive.Rename(Root, "a", c, "x"));
        Assert.Equal(Status.Invalid, drive.Rename(Root, "a", a, "b", RenameFlags.Exchange));
        Assert.Equal(Status.Invalid, drive.Rename(a, "b", Root, "a", RenameFlags.Exchange));
        Assert.Equal(Status.NotEmpty, drive.Rename(a, "b", Root, "a"));
    }

    [Fact]
    public void Two_names_of_one_file_stay_as_they_are()
    {
        VNodeId file = drive.Given(Root, "a");
        Assert.Equal(Status.Ok, drive.Link(file, Root, "b"));
        Assert.Equal(Status.Ok, drive.Rename(Root, "a", Root, "b"));
        Assert.Equal(Status.Ok, drive.Rename(Root, "a", Root, "b", RenameFlags.Exchange));
        Assert.Equal(Status.Ok, drive.Rename(Root, "a", Root, "a"));
        Assert.Equal(Status.Exists, drive.Rename(Root, "a", Root, "b", RenameFlags.NoReplace));
        Assert.Equal(["a", "b"], drive.Head.Names(Root));
        Assert.Equal(2u, drive.Head.Get(file).Nlink);
    }

    [Fact]
    public void Without_replacing_a_taken_name_is_refused_and_a_free_one_is_not()
    {
        drive.Given(Root, "a");
        drive.Given(Root, "b");
        Assert.Equal(Status.Exists, drive.Rename(Root, "a", Root, "b", RenameFlags.NoReplace));
        Assert.Equal(Status.Ok, drive.Rename(Root, "a", Root, "c", RenameFlags.NoReplace));
    }

    [Fact]
    public void An_exchange_of_a_file_and_a_directory_moves_the_link_counts()
    {
        VNodeId a = drive.GivenDirectory(Root, "a");
        VNodeId b = drive.GivenDirectory(Root, "b");
        VNodeId file = drive.Given(a, "x");
        VNodeId directory = drive.GivenDirectory(b, "y");
        Assert.Equal(Status.Ok, drive.Rename(a, "x", b, "y", RenameFlags.Exchange));

        Assert.Equal(Status.Ok, drive.Head.Find(a, "x", out NodeInfo inA));
        Assert.Equal(Status.Ok, drive.Head.Find(b, "y", out NodeInfo inB));
        Assert.Equal((directory, file), (inA.Id, inB.Id));
        Assert.Equal((a, b), (inA.VNode.Parent, inB.VNode.Parent));
        Assert.Equal(3u, drive.Head.Get(a).Nlink);
        Assert.Equal(2u, drive.Head.Get(b).Nlink);
        Assert.Equal(1ul, drive.Head.Get(a).Size);
    }

    [Fact]
    public void An_exchange_needs_both_names()
    {
        drive.Given(Root, "a");
        Assert.Equal(Status.NotFound, drive.Rename(Root, "a", Root, "b", RenameFlags.Exchange));
        Assert.Equal(Status.NotFound, drive.Rename(Root, "b", Root, "a", RenameFlags.Exchange));
    }

    [Fact]
    public void A_whiteout_stays_where_the_name_was_and_counts_as_a_VNode()
    {
        VNodeId file = drive.Given(Root, "a");
        Assert.Equal(Status.Ok, drive.Rename(Root, "a", Root, "b", RenameFlags.Whiteout));

        Assert.Equal(Status.Ok, drive.Head.Find(Root, "a", out NodeInfo left));
        Assert.Equal(VNodeKind.CharacterDevice, left.VNode.Kind);
        Assert.Equal((0u, (ushort)0, 1u), (left.VNode.Rdev, left.VNode.Mode, left.VNode.Nlink));
        Assert.Equal(DriveActions.Alice.Uid, left.VNode.Uid);
        Assert.Equal(Status.Ok, drive.Head.Find(Root, "b", out NodeInfo moved));
        Assert.Equal(file, moved.Id);
        Assert.Equal(2ul, drive.Head.Get(Root).Size);
        Assert.Equal(3ul, drive.Counters.UsedInodes);
    }

    [Theory]
    [InlineData(RenameFlags.Exchange | RenameFlags.NoReplace)]
    [InlineData(RenameFlags.Exchange | RenameFlags.Whiteout)]
    [InlineData((RenameFlags)8)]
    public void Flags_that_contradict_each_other_or_are_unknown_are_refused(RenameFlags flags)
    {
        drive.Given(Root, "a");
        drive.Given(Root, "b");
        Assert.Equal(Status.Invalid, drive.Rename(Root, "a", Root, "b", flags));
    }

    [Fact]
    public void Missing_names_and_directories_are_told_apart()
    {
        VNodeId file = drive.Given(Root, "f");
        VNodeId removed = drive.GivenDirectory(Root, "d");
        drive.RemoveDirectory(Root, "d", new SessionId(1));
        Assert.Equal(Status.NotFound, drive.Rename(Root, "no", Root, "x"));
        Assert.Equal(Status.NotDirectory, drive.Rename(file, "no", Root, "x"));
        Assert.Equal(Status.NotDirectory, drive.Rename(Root, "f", file, "x"));
        Assert.Equal(Status.Stale, drive.Rename(new(999), "no", Root, "x"));
        Assert.Equal(Status.NotFound, drive.Rename(Root, "f", removed, "x"));
        Assert.Equal(Status.NameTooLong, drive.Rename(Root, "f", Root, new('x', 256)));
        Assert.Equal(Status.Invalid, drive.Rename(Root, "f", Root, "a/b"));
        Assert.Equal(Status.Invalid, drive.Rename(Root, "f", Root, ".."));
    }

    [Fact]
    public void A_directory_with_65000_links_takes_no_further_subdirectory()
    {
        VNodeId full = drive.GivenDirectory(Root, "full");
        drive.GivenDirectory(Root, "d");
        drive.Given(Root, "f");
        drive.Run(t =>
        {
            t.PutVNode(full, t.TryGetVNode(full, out VNode vnode) ? vnode with { Nlink = Limits.Links } : default);
            return Status.Ok;
        });
        Assert.Equal(Status.TooManyLinks, drive.Rename(Root, "d", full, "d"));
        Assert.Equal(Status.TooManyLinks, drive.Make(full, "e", VNodeKind.Directory, out _));
        Assert.Equal(Status.Ok, drive.Rename(Root, "f", full, "f"));
        Assert.Equal(Status.TooManyLinks, drive.Rename(Root, "d", full, "f", RenameFlags.Exchange));
    }

    [Fact]
    public void A_further_name_of_a_file_moves_with_its_link_record()
    {
        VNodeId a = drive.GivenDirectory(Root, "a");
        VNodeId b = drive.GivenDirectory(Root, "b");
        VNodeId file = drive.Given(Root, "f");
        drive.Link(file, a, "second");
        Assert.Equal(Status.Ok, drive.Rename(a, "second", b, "third"));
        Assert.Equal(Status.Ok, drive.Unlink(Root, "f"));

        VNode vnode = drive.Head.Get(file);
        Assert.Equal((1u, b), (vnode.Nlink, vnode.Parent));
        Assert.Equal(Status.Ok, VerifyReachable.Apply(drive.Head, file));
    }
}
