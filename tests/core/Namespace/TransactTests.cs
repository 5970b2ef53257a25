using System.Text;
using KvFs.Core.Tests.Model;

namespace KvFs.Core.Tests.Namespace;

public sealed class TransactTests
{
    private static readonly VNodeId Root = VNodeId.Root;
    private static readonly SessionId s_session = new(7);
    private readonly TestDrive drive = new();
    private readonly TransactResult result = new();

    [Fact]
    public void Later_operations_use_what_earlier_ones_made()
    {
        FileCommit commit = new() { MinSize = 3 };
        commit.Inline.Append("abc"u8);
        commit.Runs.Add(new(0, 3, SliceKind.Inline, default, 0));
        Status status = Run(
            [new NameIsFree(Root, Name("d"))],
            new CreateOperation(Root, Name("d"), VNodeKind.Directory) { Mode = 0x1FF },
            new CreateOperation(NodeReference.ResultOf(0), Name("f"), VNodeKind.File),
            new CommitOperation(NodeReference.ResultOf(1), commit),
            new SetXattrOperation(NodeReference.ResultOf(1), Name("user.a"), Name("1")),
            new LinkOperation(NodeReference.ResultOf(1), Root, Name("g")),
            new SetAttributesOperation(
                NodeReference.ResultOf(1), new() { Mask = AttributeMask.Mode, Mode = 0x124 }),
            new RenameOperation(NodeReference.ResultOf(0), Name("f"), Root, Name("h")));
        Assert.Equal(Status.Ok, status);
        Assert.Equal(-1, result.FailedAt);
        Assert.Equal(7, result.Nodes.Count);

        Assert.Equal(["d", "g", "h"], drive.Head.Names(Root));
        VNodeId file = result.Nodes[1].Id;
        Assert.Equal("abc"u8.ToArray(), drive.Head.Content(file));
        Assert.Equal((2u, (ushort)0x124), (drive.Head.Get(file).Nlink, drive.Head.Get(file).Mode));
        FindingList.Nothing(drive);
    }

    [Fact]
    public void If_one_fails_nothing_is_done()
    {
        drive.Given(Root, "taken");
        Status status = Run(
            [],
            new CreateOperation(Root, Name("a"), VNodeKind.File),
            new UnlinkOperation(Root, Name("taken"), Directory: false),
            new UnlinkOperation(Root, Name("missing"), Directory: false));
        Assert.Equal(Status.NotFound, status);
        Assert.Equal(2, result.FailedAt);
        Assert.Equal(["taken"], drive.Head.Names(Root));
        FindingList.Nothing(drive);
    }

    /// <summary>One operation of each kind, and one that fails, at every place among them.</summary>
    [Fact]
    public void Wherever_one_fails_nothing_is_done_and_it_is_told_where()
    {
        VNodeId file = drive.Given(Root, "f");
        drive.Given(Root, "doomed");
        Assert.Equal(Status.Ok, drive.SetXattr(file, "user.old", "1"u8));
        FileCommit commit = new() { MinSize = 3 };
        commit.Inline.Append("abc"u8);
        commit.Runs.Add(new(0, 3, SliceKind.Inline, default, 0));
        TransactOperation[] all =
        [
            new CreateOperation(Root, Name("a"), VNodeKind.File) { Opened = true },
            new CommitOperation(file, commit),
            new SetAttributesOperation(file, new() { Mask = AttributeMask.Size, Size = 1 }),
            new SetXattrOperation(file, Name("user.new"), Name("1")),
            new RemoveXattrOperation(file, Name("user.old")),
            new LinkOperation(file, Root, Name("g")),
            new RenameOperation(Root, Name("f"), Root, Name("h")),
            new UnlinkOperation(Root, Name("doomed"), Directory: false),
        ];
        TransactOperation fails = new UnlinkOperation(Root, Name("missing"), Directory: false);
        KeyValuePair<byte[], byte[]>[] before = Records();
        for (int at = 0; at <= all.Length; at++)
        {
            Assert.Equal(Status.NotFound, Run([], [.. all.Take(at), fails, .. all.Skip(at)]));
            Assert.Equal((at, false), (result.FailedAt, result.IsPrecondition));
            Assert.Equal((0, 0, default), (result.Nodes.Count, result.Opened.Count, result.Grown));
            Assert.Equal(before, Records());
        }

        Assert.Equal(Status.Ok, Run([], all));
        Assert.Equal(["a", "g", "h"], drive.Head.Names(Root));
        Assert.Equal("a"u8.ToArray(), drive.Head.Content(file));
        Assert.Equal(new Reservation(1, 0), result.Grown);
        FindingList.Nothing(drive);
    }

    [Fact]
    public void A_block_that_is_not_the_sessions_to_name_is_a_conflict_of_the_operation()
    {
        VNodeId file = drive.Given(Root, "f");
        BlockId block = default;
        Assert.Equal(Status.Ok, drive.Run(t => GrantBlocks.Apply(new(8), 1, t, out block)));
        FileCommit commit = new() { MinSize = 4096, Session = new(8) };
        commit.Runs.Add(new(0, 4096, SliceKind.Block, new(drive.State.Drive, block), 0));
        Assert.Equal(Status.Conflict, Run([new NameIs(Root, Name("f"), file)], new CommitOperation(file, commit)));
        Assert.Equal((0, false), (result.FailedAt, result.IsPrecondition));
    }

    [Fact]
    public void Preconditions_that_do_not_hold_are_a_conflict()
    {
        VNodeId file = drive.Given(Root, "f");
        Assert.Equal(Status.Ok, GetNode.Apply(drive.Head, file, out NodeInfo seen));
        CreateOperation create = new(Root, Name("new"), VNodeKind.File);
        Precondition[] wrong =
        [
            new VersionIs(file, new(seen.Version.Value + 1)),
            new VersionIs(new(99), seen.Version),
            new NameIs(Root, Name("f"), Root),
            new NameIs(Root, Name("g"), file),
            new NameIs(Root, Name(new string('x', 300)), file),
            new NameIsFree(Root, Name("f")),
            new NameIsFree(file, Name("x")),
            new NameIsFree(new(99), Name("x")),
            new NameIsFree(Root, Name(new string('x', 300))),
        ];
        foreach (Precondition precondition in wrong)
        {
            Assert.Equal(Status.Conflict, Run([new VersionIs(file, seen.Version), precondition], create));
            Assert.Equal((1, true), (result.FailedAt, result.IsPrecondition));
        }

        Assert.Equal(["f"], drive.Head.Names(Root));
        Precondition[] right =
            [new VersionIs(file, seen.Version), new NameIs(Root, Name("f"), file), new NameIsFree(Root, Name("new"))];
        Assert.Equal(Status.Ok, Run(right, create));
        drive.Set(new() { Node = file, Mask = AttributeMask.Mode });
        Assert.Equal(Status.Conflict, Run([new VersionIs(file, seen.Version)], create));
    }

    [Fact]
    public void What_loses_its_last_name_is_the_orphan_of_who_holds_it_under_whatever_name()
    {
        VNodeId file = drive.Given(Root, "f");
        OpenNodes holders = new OpenNodes().With(file, new SessionId(9));
        Status status = Run(
            [],
            holders,
            new RenameOperation(Root, Name("f"), Root, Name("g")),
            new CreateOperation(Root, Name("f"), VNodeKind.File),
            new RenameOperation(Root, Name("f"), Root, Name("g")));
        Assert.Equal(Status.Ok, status);
        Assert.Equal(0u, drive.Head.Get(file).Nlink);
        FindingList.Nothing(drive);
    }

    [Fact]
    public void Bounds_are_kept()
    {
        Assert.Equal(Status.Invalid, Run([]));
        CreateOperation create = new(Root, Name("a"), VNodeKind.File);
        Assert.Equal(Status.Invalid, Run([], [.. Enumerable.Repeat(create, 1025)]));
        Precondition free = new NameIsFree(Root, Name("a"));
        Assert.Equal(Status.Invalid, Run([.. Enumerable.Repeat(free, 1025)], create));
        Assert.Equal(Status.Invalid, Run([], create, new LinkOperation(NodeReference.ResultOf(1), Root, Name("b"))));
        Assert.Equal(Status.Ok, Run([], [.. Enumerable.Range(0, 1024).Select(i => create with { Name = Name($"{i}") })]));
        Assert.Throws<ArgumentException>(() => Run([], create, null!));
        Assert.Throws<ArgumentException>(() => Run([null!], create));
    }

    [Fact]
    public void More_than_one_transaction_may_write_is_refused()
    {
        VNodeId[] files = [.. Enumerable.Range(0, 80).Select(i => drive.Given(Root, $"f{i}"))];
        byte[] value = new byte[Limits.XattrValueBytes];
        Assert.Equal(
            Status.TooLarge, Run([], [.. files.Select(file => new SetXattrOperation(file, Name("user.a"), value))]));
        Assert.Equal(Status.NoAttribute, drive.Head.GetXattr(files[0], "user.a", out _));
    }

    /// <summary>What the drive's records are but for the ids that are reserved.</summary>
    private KeyValuePair<byte[], byte[]>[] Records() =>
        [.. drive.Records.All.Where(record => record.Key[DriveId.Size] != (byte)RecordKind.Reservation)];

    private Status Run(Precondition[] preconditions, params TransactOperation[] operations) =>
        Run(preconditions, new OpenNodes(), operations);

    private Status Run(Precondition[] preconditions, OpenNodes holders, params TransactOperation[] operations) =>
        drive.Run(t => Transact.Apply(new(preconditions, operations), s_session, holders, t, result));

    private static byte[] Name(string name) => Encoding.UTF8.GetBytes(name);
}
