using System.Text;
using KvFs.Core.Tests.Model;

namespace KvFs.Core.Tests.Namespace;

public sealed class CreateTests
{
    private static readonly VNodeId Root = VNodeId.Root;
    private readonly TestDrive drive = new();

    [Theory]
    [InlineData(VNodeKind.File, 1u)]
    [InlineData(VNodeKind.Directory, 2u)]
    [InlineData(VNodeKind.Symlink, 1u)]
    [InlineData(VNodeKind.CharacterDevice, 1u)]
    [InlineData(VNodeKind.BlockDevice, 1u)]
    [InlineData(VNodeKind.Fifo, 1u)]
    [InlineData(VNodeKind.Socket, 1u)]
    public void Every_kind_is_made_as_asked_for(VNodeKind kind, uint nlink)
    {
        NodeInfo info = default;
        Status status = drive.Run(t => Create.Apply(
            new()
            {
                Parent = Root,
                Name = "n"u8,
                Kind = kind,
                Mode = 0xFFF,
                Umask = 0x12,
                Rdev = 77,
                SymlinkTarget = kind == VNodeKind.Symlink ? "some/where"u8 : default,
                Caller = new(5, 6),
            },
            t,
            out info));
        Assert.Equal(Status.Ok, status);
        VNode made = drive.Head.Get(info.Id);
        Assert.Equal(info.VNode, made);
        Assert.Equal((kind, 5u, 6u, nlink, Root), (made.Kind, made.Uid, made.Gid, made.Nlink, made.Parent));
        Assert.Equal(kind == VNodeKind.Symlink ? 0x1FF : 0xFED, made.Mode);
        Assert.Equal(kind is VNodeKind.CharacterDevice or VNodeKind.BlockDevice ? 77u : 0u, made.Rdev);
        Assert.Equal(kind == VNodeKind.Symlink ? 10ul : 0ul, made.Size);
        Assert.Equal(
            (drive.Now, drive.Now, drive.Now, drive.Now),
            (made.AccessTime, made.ModifyTime, made.ChangeTime, made.BirthTime));

        VNode root = drive.Head.Get(Root);
        Assert.Equal((1ul, kind == VNodeKind.Directory ? 3u : 2u), (root.Size, root.Nlink));
        Assert.Equal((drive.Now, drive.Now), (root.ModifyTime, root.ChangeTime));
        FindingList.Nothing(drive);
    }

    [Fact]
    public void Names_are_checked()
    {
        Assert.Equal(Status.Invalid, Make(""));
        Assert.Equal(Status.Invalid, Make("."));
        Assert.Equal(Status.Invalid, Make(".."));
        Assert.Equal(Status.Invalid, Make("a/b"));
        Assert.Equal(Status.Invalid, Make("a\0b"));
        Assert.Equal(Status.NameTooLong, Make(new('x', 256)));
        Assert.Equal(Status.Ok, Make(new('x', 255)));
        Assert.Equal(Status.Exists, Make(new('x', 255)));
        Assert.Equal(Status.Ok, Make("..."));
    }

    [Fact]
    public void Only_a_directory_that_is_there_takes_names()
    {
        VNodeId file = drive.Given(Root, "f");
        VNodeId removed = drive.GivenDirectory(Root, "d");
        drive.RemoveDirectory(Root, "d", new SessionId(1));
        Assert.Equal(Status.NotDirectory, drive.Make(file, "x", VNodeKind.File, out _));
        Assert.Equal(Status.NotFound, drive.Make(removed, "x", VNodeKind.File, out _));
        Assert.Equal(Status.Stale, drive.Make(new(99), "x", VNodeKind.File, out _));
        Assert.Equal(Status.Invalid, drive.Make(Root, "x", (VNodeKind)8, out _));
    }

    [Fact]
    public void A_symlinks_target_has_1_to_4095_bytes_without_nul()
    {
        Assert.Equal(Status.Invalid, MakeSymlink(""));
        Assert.Equal(Status.Invalid, MakeSymlink("a\0b"));
        Assert.Equal(Status.NameTooLong, MakeSymlink(new('t', 4096)));
        Assert.Equal(Status.Ok, MakeSymlink(new('t', 4095)));
        ByteBuffer target = new();
        Assert.Equal(Status.Ok, drive.Head.Find(Root, "s", out NodeInfo found));
        Assert.Equal(Status.Ok, ReadLink.Apply(drive.Head, found.Id, target));
        Assert.Equal(4095, target.Length);
        Assert.Equal(Status.Invalid, ReadLink.Apply(drive.Head, Root, target));
        Assert.Equal(Status.Stale, ReadLink.Apply(drive.Head, new(99), target));
    }

    [Fact]
    public void A_set_gid_directory_hands_its_group_down_and_to_directories_the_bit_too()
    {
        VNodeId parent = drive.GivenDirectory(Root, "p");
        AttributeMask both = AttributeMask.Mode | AttributeMask.Gid;
        drive.Set(new() { Node = parent, Mask = both, Mode = 0x5ED, Gid = 555 });
        VNode file = drive.Head.Get(drive.Given(parent, "f"));
        VNode directory = drive.Head.Get(drive.GivenDirectory(parent, "d"));
        Assert.Equal((555u, 0), (file.Gid, file.Mode & 0x400));
        Assert.Equal((555u, 0x400), (directory.Gid, directory.Mode & 0x400));
    }

    [Fact]
    public void A_quota_of_VNodes_is_met_exactly_with_what_others_have_reserved()
    {
        TestDrive small = new(quotaInodes: 4);
        small.ReservedByOthers = new(0, 1);
        Assert.Equal(Status.Ok, small.Make(Root, "a", VNodeKind.File, out _));
        Assert.Equal(Status.Ok, small.Make(Root, "b", VNodeKind.File, out _));
        Assert.Equal(Status.NoInodes, small.Make(Root, "c", VNodeKind.File, out _));
        small.ReservedByOthers = default;
        Assert.Equal(Status.Ok, small.Make(Root, "c", VNodeKind.File, out _));
        Assert.Equal(Status.NoInodes, small.Make(Root, "d", VNodeKind.File, out _));
        Assert.Equal(Status.NoInodes, small.Rename(Root, "a", Root, "z", RenameFlags.Whiteout));
        Assert.Equal(Status.Ok, small.Unlink(Root, "a"));
        Assert.Equal(Status.Ok, small.Make(Root, "d", VNodeKind.File, out _));
    }

    [Fact]
    public void Without_reserved_ids_nothing_is_made_and_it_may_be_sent_again()
    {
        DriveCounters counters = drive.Counters;
        counters.Reserved = counters.Reserved with { VNode = counters.Next.VNode };
        DriveTransaction transaction = new();
        Assert.Equal(Status.Ok, transaction.Begin(drive.State, counters, drive.Records, default));
        CreateRequest request = new() { Parent = Root, Name = "a"u8, Kind = VNodeKind.File };
        Assert.Equal(Status.Busy, Create.Apply(request, transaction, out _));
        counters.Reserved = counters.Reserved with { Cow = counters.Next.Cow };
        Assert.Equal(Status.Busy, transaction.Begin(drive.State, counters, drive.Records, default));
    }

    [Fact]
    public void A_nameless_file_lives_while_it_is_held_and_may_get_a_name()
    {
        SessionId session = new(4);
        Assert.Equal(Status.Ok, drive.MakeNameless(Root, session, linkable: true, out NodeInfo made));
        Assert.Equal(0u, made.VNode.Nlink);
        Assert.Equal([], drive.Head.Names(Root));
        Assert.Equal(Status.Stale, VerifyReachable.Apply(drive.Head, made.Id));
        FindingList.Nothing(drive);

        Assert.Equal(Status.Ok, drive.Link(made.Id, Root, "named"));
        Assert.Equal(1u, drive.Head.Get(made.Id).Nlink);
        Assert.Equal(Status.Ok, VerifyReachable.Apply(drive.Head, made.Id));
        Assert.Equal(Status.Ok, drive.Run(t => ReleaseOrphan.Apply(made.Id, session, new OpenNodes(), t, out _)));
        Assert.True(drive.Head.Exists(made.Id));
        Assert.Equal(Status.Ok, drive.Unlink(Root, "named", out _, session));
        Assert.Equal(Status.NotFound, drive.Link(made.Id, Root, "again"));
        FindingList.Nothing(drive);
    }

    [Fact]
    public void A_nameless_file_that_may_not_be_linked_goes_with_its_holder()
    {
        SessionId session = new(4);
        Assert.Equal(Status.Ok, drive.MakeNameless(Root, session, linkable: false, out NodeInfo made));
        Assert.Equal(Status.NotFound, drive.Link(made.Id, Root, "named"));
        Assert.Equal(Status.Ok, drive.Run(t => ReleaseOrphan.Apply(made.Id, session, new OpenNodes(), t, out _)));
        Assert.False(drive.Head.Exists(made.Id));
        Assert.Equal(1ul, drive.Counters.UsedInodes);
        Assert.Equal(Status.Invalid, drive.MakeNameless(Root, default, linkable: true, out _));
    }

    private Status Make(string name) => drive.Make(Root, name, VNodeKind.File, out _);

    private Status MakeSymlink(string target)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(target);
        return drive.Run(t => Create.Apply(
            new() { Parent = Root, Name = "s"u8, Kind = VNodeKind.Symlink, SymlinkTarget = bytes }, t, out _));
    }
}
