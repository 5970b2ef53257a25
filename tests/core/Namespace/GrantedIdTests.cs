using System.Text;
using KvFs.Core.Tests.Model;

namespace KvFs.Core.Tests.Namespace;

/// <summary>VNodes that are made under ids that a session was granted, one by one and many in a transaction.</summary>
public sealed class GrantedIdTests
{
    private static readonly VNodeId Root = VNodeId.Root;
    private static readonly SessionId s_session = new(7);
    private readonly TestDrive drive = new();
    private readonly TransactResult result = new();

    [Fact]
    public void An_id_is_used_once_and_only_by_whom_it_was_granted_to()
    {
        VNodeId first = Grant(s_session, 3);
        VNodeId foreign = Grant(new(8), 1);
        VNodeId next = drive.Given(Root, "next");
        Assert.True(next.Value > foreign.Value && foreign.Value == first.Value + 3);

        VNodeId last = new(first.Value + 2);
        Assert.Equal(Status.Ok, Make("a", last));
        Assert.Equal(last, result.Nodes[0].Id);
        foreach (VNodeId wrong in (VNodeId[])[last, foreign, next, Root, new(next.Value + 1), new(ulong.MaxValue)])
        {
            Assert.Equal(Status.Invalid, Make("b", wrong));
            Assert.Equal(0, result.FailedAt);
        }

        Assert.Equal(Status.Ok, drive.Unlink(Root, "a"));
        Assert.Equal(Status.Invalid, Make("a", last));
        Assert.Equal(Status.Ok, Make("c", first));
        Assert.Equal(["c", "next"], drive.Head.Names(Root));
        FindingList.Nothing(drive);
    }

    [Fact]
    public void What_did_not_happen_has_used_no_id()
    {
        VNodeId id = Grant(s_session, 1);
        Assert.Equal(Status.Invalid, Run(New("a", id), New("b", id)));
        Assert.Equal(1, result.FailedAt);
        Assert.Equal(Status.Stale, Run(New("a", id), new UnlinkOperation(new VNodeId(99), Name("x"), Directory: false)));
        Assert.Equal(Status.Ok, Make("a", id));
    }

    [Fact]
    public void As_many_ids_as_are_granted_can_be_used_in_any_order()
    {
        Assert.Equal(Status.Invalid, drive.Run(t => GrantVNodes.Apply(s_session, 0, t, out _)));
        Assert.Equal(Status.Invalid, drive.Run(t => GrantVNodes.Apply(s_session, GrantVNodes.MaxCount + 1, t, out _)));
        VNodeId first = Grant(s_session, 300);
        VNodeId second = Grant(s_session, 700);
        Assert.Equal(first.Value + 300, second.Value);
        ulong[] ids = [.. Enumerable.Range(0, 1000).Select(i => first.Value + (ulong)i)];
        new Random(3).Shuffle(ids);
        foreach (ulong[] part in ids.Chunk(333))
        {
            Assert.Equal(Status.Ok, Run([.. part.Select(id => New($"{id}", new(id)))]));
        }

        using DriveCursor grants = drive.Head.WalkPrefix(RecordKey.Single(RecordKind.VNodeGrant));
        Assert.False(grants.MoveNext());
        Assert.Equal(1000, drive.Head.Names(Root).Count);
        FindingList.Nothing(drive);
    }

    [Fact]
    public void A_sessions_end_is_the_end_of_its_ids()
    {
        SessionId session = default;
        Assert.Equal(Status.Ok, drive.Run(t => OpenSession.Apply(SessionAccess.Alone, default, t, out session)));
        VNodeId id = Grant(session, GrantVNodes.MaxCount);
        bool done = false;
        Assert.Equal(Status.Ok, drive.Run(t => ExpireSession.Apply(session, new(), t, out done)));
        Assert.True(done);
        HashSet<SessionId> unfinished = [];
        ExpireSession.ListUnfinished(drive.Head, unfinished);
        Assert.Empty(unfinished);
        Assert.Equal(Status.Invalid, drive.Run(t => Create.Apply(
            new() { Parent = Root, Name = "a"u8, Kind = VNodeKind.File, Id = id, Session = session }, t, out _)));
        Assert.Equal(id.Value + GrantVNodes.MaxCount, drive.Given(Root, "a").Value);
    }

    [Fact]
    public void A_session_with_nothing_but_ids_left_is_found_and_ended()
    {
        Grant(s_session, 1);
        HashSet<SessionId> unfinished = [];
        ExpireSession.ListUnfinished(drive.Head, unfinished);
        Assert.Equal([s_session], unfinished);
    }

    [Fact]
    public void A_damaged_record_of_ids_is_told()
    {
        VNodeId id = Grant(s_session, 1);
        Assert.Equal(Status.Ok, drive.Run(t =>
        {
            RecordKey key = VNodeGrant.Key(s_session, id.Value / VNodeGrant.GroupIds);
            t.Put(ref key, new byte[VNodeGrant.PayloadBytes]);
            return Status.Ok;
        }));
        Assert.Throws<RecordCorruptException>(() => Make("a", id));
    }

    [Fact]
    public void A_tree_is_made_filled_and_changed_by_ids_in_one_request_and_by_the_same_ids_later()
    {
        VNodeId first = Grant(s_session, 2);
        VNodeId file = new(first.Value + 1);
        CreateOperation folder = New("d", first) with { Kind = VNodeKind.Directory, Mode = 0x1FF };
        Assert.Equal(Status.Ok, Run(
            folder,
            new CreateOperation(first, Name("f"), VNodeKind.File) { Id = file },
            new CommitOperation(file, Inline("abc")),
            new SetAttributesOperation(file, new() { Mask = AttributeMask.Mode, Mode = 0x124 }),
            new LinkOperation(file, Root, Name("g"))));
        Assert.Equal(Status.Ok, Run(
            new CommitOperation(file, Inline("xyz")), new RenameOperation(first, Name("f"), Root, Name("h"))));
        Assert.Equal(["d", "g", "h"], drive.Head.Names(Root));
        Assert.Equal("xyz"u8.ToArray(), drive.Head.Content(file));
        Assert.Equal((ushort)0x124, drive.Head.Get(file).Mode);
        FindingList.Nothing(drive);
    }

    /// <summary>What backs a new file is looked for in the transaction alone, also once its cache has forgotten it.</summary>
    [Fact]
    public void A_file_that_is_made_overwritten_and_cut_in_one_request_is_charged_what_it_backs()
    {
        const int Clusters = 1500;
        VNodeId file = Grant(s_session, 1);
        FileCommit wide = Inline("abc");
        for (int i = 1; i < Clusters; i++)
        {
            wide.Runs.Add(new((ulong)i * Limits.ClusterBytes, 3, SliceKind.Inline, default, 0));
        }

        wide.MinSize = ((Clusters - 1) * (ulong)Limits.ClusterBytes) + 3;
        SetAttributesRequest cut = new() { Mask = AttributeMask.Size, Size = 2 };
        Assert.Equal(Status.Ok, Run(
            New("a", file), new CommitOperation(file, wide), new CommitOperation(file, Inline("vwxyz"))));
        Assert.Equal((Clusters * 3UL) + 2, drive.Head.Get(file).AllocatedBytes);

        VNodeId other = Grant(s_session, 1);
        Assert.Equal(Status.Ok, Run(
            New("b", other), new CommitOperation(other, Inline("abcdef")), new SetAttributesOperation(other, cut),
            new CommitOperation(other, Inline("x")), new SetAttributesOperation(other, cut with { Size = 5 })));
        Assert.Equal("xb\0\0\0"u8.ToArray(), drive.Head.Content(other));
        Assert.Equal(2UL, drive.Head.Get(other).AllocatedBytes);
        FindingList.Nothing(drive);
    }

    [Fact]
    public void Times_that_a_client_has_told_stay_and_a_directorys_do_not_go_back()
    {
        Assert.Equal(Status.Ok, Run(New("early", default) with { Times = new(new(1), new(2), new(3), new(4)) }));
        VNode made = result.Nodes[0].VNode;
        Assert.Equal(
            (1, 2, 3, 4),
            (made.AccessTime.Nanoseconds, made.ModifyTime.Nanoseconds, made.ChangeTime.Nanoseconds, made.BirthTime.Nanoseconds));
        Timestamp late = new(drive.Now.Nanoseconds * 100);
        Assert.Equal(Status.Ok, Run(New("late", default) with { Times = NodeTimes.Made(late) }));
        Assert.Equal((late, late), (drive.Head.Get(Root).ModifyTime, drive.Head.Get(Root).ChangeTime));
        Assert.Equal(Status.Ok, Run(New("earlier", default) with { Times = NodeTimes.Made(new(9)) }));
        Assert.Equal((late, late), (drive.Head.Get(Root).ModifyTime, drive.Head.Get(Root).ChangeTime));
        FindingList.Nothing(drive);
    }

    [Fact]
    public void What_is_opened_and_loses_its_name_in_one_request_is_the_sessions_orphan()
    {
        VNodeId first = Grant(s_session, 3);
        VNodeId closed = new(first.Value + 1);
        VNodeId replaced = new(first.Value + 2);
        Assert.Equal(Status.Ok, Run(
            New("open", first) with { Opened = true },
            New("closed", closed),
            New("replaced", replaced) with { Opened = true },
            new UnlinkOperation(Root, Name("open"), Directory: false),
            new UnlinkOperation(Root, Name("closed"), Directory: false),
            New("other", default),
            new RenameOperation(Root, Name("other"), Root, Name("replaced"))));
        Assert.Equal([first, replaced], result.Opened);
        Assert.Equal(["replaced"], drive.Head.Names(Root));
        Assert.False(drive.Head.TryGetVNode(closed, out _));
        foreach (VNodeId orphan in (VNodeId[])[first, replaced])
        {
            Assert.Equal(0U, drive.Head.Get(orphan).Nlink);
            RecordKey key = RecordKey.Numbered(RecordKind.Orphan, orphan.Value, s_session.Value);
            Assert.True(drive.Head.TryGet(ref key, new ByteBuffer()));
        }

        FindingList.Nothing(drive);
    }

    [Fact]
    public void A_nameless_file_is_made_filled_and_linked_in_one_request()
    {
        VNodeId id = Grant(s_session, 1);
        CreateOperation nameless = New("", id) with { Opened = true, Nameless = true };
        Assert.Equal(Status.Invalid, Run(nameless with { Opened = false }));
        Assert.Equal(Status.Ok, Run(
            nameless, new CommitOperation(id, Inline("abc")), new LinkOperation(id, Root, Name("a"))));
        Assert.Equal("abc"u8.ToArray(), drive.Head.Content(id));
        Assert.Equal(1U, drive.Head.Get(id).Nlink);
        FindingList.Nothing(drive);
    }

    [Fact]
    public void As_many_small_files_as_operations_allow_are_far_from_the_bytes_of_a_transaction()
    {
        const int Files = TransactRequest.MaxOperations / 3;
        VNodeId first = Grant(s_session, Files);
        List<TransactOperation> operations = [];
        for (int i = 0; i < Files; i++)
        {
            VNodeId id = new(first.Value + (ulong)i);
            operations.Add(New($"a-name-of-usual-length-{i}", id));
            operations.Add(new CommitOperation(id, Inline(new string('x', Limits.InlineSliceBytes))));
            operations.Add(new SetAttributesOperation(id, new() { Mask = AttributeMask.Mode | AttributeMask.Uid }));
        }

        int bytes = 0;
        Assert.Equal(Status.Ok, drive.Run(t =>
        {
            Status status = Transact.Apply(new([], operations), s_session, new OpenNodes(), t, result);
            bytes = t.BatchBytes;
            return status;
        }));
        Assert.InRange(bytes, Files * Limits.InlineSliceBytes, Limits.TransactionBytes / 2);
    }

    private VNodeId Grant(SessionId session, uint count)
    {
        VNodeId first = default;
        Assert.Equal(Status.Ok, drive.Run(t => GrantVNodes.Apply(session, count, t, out first)));
        return first;
    }

    private Status Make(string name, VNodeId id) => Run(New(name, id));

    private Status Run(params TransactOperation[] operations) =>
        drive.Run(t => Transact.Apply(new([], operations), s_session, new OpenNodes(), t, result));

    private static CreateOperation New(string name, VNodeId id) => new(Root, Name(name), VNodeKind.File) { Id = id };

    private static FileCommit Inline(string text)
    {
        FileCommit commit = new() { MinSize = (ulong)text.Length };
        commit.Inline.Append(Name(text));
        commit.Runs.Add(new(0, (uint)text.Length, SliceKind.Inline, default, 0));
        return commit;
    }

    private static byte[] Name(string name) => Encoding.UTF8.GetBytes(name);
}
