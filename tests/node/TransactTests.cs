using System.Text;
using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Node.Tests.Maintenance;
using KvFs.Protocol;

namespace KvFs.Node.Tests;

/// <summary>Requests of several operations over a real store: who holds what, what is set aside, what is in the way.</summary>
public sealed class TransactTests : QuietNodeTests
{
    private const int PageBytes = 4096;

    private readonly TransactResult result = new();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_a_request_opens_and_somebody_unlinks_is_there_until_it_is_released(bool inOneRequest)
    {
        IDriveSession session = await OpenAsync();
        VNodeId id = await GrantAsync(session, 1);
        UnlinkOperation unlink = new(VNodeId.Root, Name("a"), Directory: false);
        TransactOperation[] make = [New("a", id) with { Opened = true }, new CommitOperation(id, Page())];
        if (inOneRequest)
        {
            Assert.Equal(Status.Ok, await RunAsync(session, [.. make, unlink]));
        }
        else
        {
            Assert.Equal(Status.Ok, await RunAsync(session, make));
            Assert.Equal(Status.Ok, await RunAsync(session, unlink));
        }

        Reply<NodeInfo> orphan = await session.GetAsync(id, CowNumber.Head);
        Assert.Equal((Status.Ok, 0U, (ulong)PageBytes), (orphan.Status, orphan.Value.VNode.Nlink, orphan.Value.VNode.Size));
        Assert.Equal(Status.Ok, await session.ReleaseAsync(id));
        Assert.Equal(Status.Stale, (await session.GetAsync(id, CowNumber.Head)).Status);
        DriveUsage usage = (await session.GetUsageAsync()).Value;
        Assert.Equal((0UL, 1UL), (usage.UsedBytes, usage.UsedInodes));
        await Assert.ThrowsAsync<ArgumentException>(async () => await session.ReleaseAsync(id));
        await session.DisposeAsync();
    }

    [Fact]
    public async Task What_is_held_and_replaced_under_a_name_of_the_same_request_is_an_orphan()
    {
        IDriveSession session = await OpenAsync();
        Assert.Equal(Status.Ok, await RunAsync(session, New("old", default)));
        VNodeId old = result.Nodes[0].Id;
        Assert.Equal(Status.Ok, (await session.HoldAsync(old)).Status);
        Assert.Equal(Status.Ok, await RunAsync(
            session,
            new RenameOperation(VNodeId.Root, Name("old"), VNodeId.Root, Name("moved")),
            New("new", default),
            new RenameOperation(VNodeId.Root, Name("new"), VNodeId.Root, Name("moved"))));
        Assert.Equal(0U, (await session.GetAsync(old, CowNumber.Head)).Value.VNode.Nlink);
        Assert.Equal(Status.Ok, await session.ReleaseAsync(old));
        Assert.Equal(Status.Stale, (await session.GetAsync(old, CowNumber.Head)).Status);
        await session.DisposeAsync();
    }

    [Fact]
    public async Task A_nameless_file_that_the_request_links_stays_when_it_is_released()
    {
        IDriveSession session = await OpenAsync();
        VNodeId first = await GrantAsync(session, 2);
        VNodeId lost = new(first.Value + 1);
        CreateOperation nameless = New("", first) with { Opened = true, Nameless = true };
        Assert.Equal(Status.Ok, await RunAsync(
            session, nameless, new LinkOperation(first, VNodeId.Root, Name("a")), nameless with { Id = lost }));
        Assert.Equal(Status.Ok, await session.ReleaseAsync(first));
        Assert.Equal(Status.Ok, await session.ReleaseAsync(lost));
        Assert.Equal(1U, (await session.GetAsync(first, CowNumber.Head)).Value.VNode.Nlink);
        Assert.Equal(Status.Stale, (await session.GetAsync(lost, CowNumber.Head)).Status);
        await session.DisposeAsync();
    }

    [Fact]
    public async Task A_request_that_fails_opens_and_orphans_nothing()
    {
        IDriveSession session = await OpenAsync();
        VNodeId id = await GrantAsync(session, 1);
        UnlinkOperation missing = new(VNodeId.Root, Name("missing"), Directory: false);
        Assert.Equal(Status.NotFound, await RunAsync(session, New("a", id) with { Opened = true }, missing));
        Assert.Equal((1, 0), (result.FailedAt, result.Opened.Count));
        Assert.True(Node.Drive("d").Holds.IsEmpty);
        Assert.Equal(Status.Ok, await RunAsync(session, New("a", id)));
        Assert.Equal(Status.Ok, (await session.UnlinkAsync(new() { Parent = VNodeId.Root, Name = "a"u8 })).Status);
        Assert.Equal(Status.Stale, (await session.GetAsync(id, CowNumber.Head)).Status);
        await session.DisposeAsync();
    }

    [Fact]
    public async Task What_was_set_aside_is_used_exactly_and_a_quota_is_kept_exactly()
    {
        IDriveSession session = await OpenAsync(quotaPages: 8, quotaInodes: 4);
        Assert.Equal(Status.Ok, await session.ReserveAsync(new(8 * PageBytes, 3)));
        Assert.Equal(Status.NoSpace, await session.ReserveAsync(new(1, 0)));
        Assert.Equal(Status.NoInodes, await session.ReserveAsync(new(0, 1)));
        VNodeId first = await GrantAsync(session, 8);
        VNodeId second = new(first.Value + 1);
        Assert.Equal(Status.Ok, await RunAsync(
            session, New("a", first), new CommitOperation(first, Page()), New("b", second),
            new CommitOperation(second, Page()), new CommitOperation(second, Page(at: 1))));
        Assert.Equal(new Reservation(3 * PageBytes, 2), result.Grown);

        // Five pages and one VNode are still set aside: nothing is free.
        Assert.Equal(Status.NoSpace, await session.ReserveAsync(new(1, 0)));
        session.Unreserve(new(5 * PageBytes, 1));
        Assert.Equal(Status.Ok, await session.ReserveAsync(new(5 * PageBytes, 1)));
        Assert.Equal(Status.NoSpace, await session.ReserveAsync(new(1, 0)));
        Assert.Equal(Status.NoInodes, await session.ReserveAsync(new(0, 1)));

        // One page more than there is: nothing happens, and what was set aside still is.
        TransactOperation[] pages =
            [.. Enumerable.Range(1, 6).Select(at => new CommitOperation(first, Page(at: (ulong)at)))];
        Assert.Equal(Status.NoSpace, await RunAsync(session, pages));
        Assert.Equal((5, default), (result.FailedAt, result.Grown));
        Assert.Equal(Status.NoInodes, await RunAsync(session, New("c", default), New("d", default)));
        Assert.Equal(1, result.FailedAt);
        Assert.Equal(Status.NoSpace, await session.ReserveAsync(new(1, 0)));
        Assert.Equal(Status.Ok, await RunAsync(session, pages[..5]));
        DriveUsage usage = (await session.GetUsageAsync()).Value;
        Assert.Equal((8UL * PageBytes, 3UL, 0UL), (usage.UsedBytes, usage.UsedInodes, usage.FreeBytes));
        await session.DisposeAsync();
    }

    [Fact]
    public async Task What_is_in_the_way_of_a_commit_is_cleared()
    {
        IDriveSession session = await OpenAsync();
        VNodeId id = await GrantAsync(session, 1);
        FileCommit many = new() { MinSize = 2 * Limits.MaxSlices };
        many.Inline.Append(0x61);
        for (int i = 0; i < Limits.MaxSlices; i++) { many.Runs.Add(new(2 * (ulong)i, 1, SliceKind.Inline, default, 0)); }
        Assert.Equal(Status.Ok, await RunAsync(session, New("a", id), new CommitOperation(id, many)));
        long before = Node.Drive("d").CommittedBytes;
        Assert.Equal(Limits.MaxSlices, before);
        Assert.Equal(Status.Ok, await RunAsync(session, new CommitOperation(id, Page()), New("b", default)));
        Assert.Equal(before + PageBytes, Node.Drive("d").CommittedBytes);
        await session.DisposeAsync();
    }

    [Fact]
    public async Task On_a_full_disk_only_requests_that_do_nothing_but_release_are_let_through()
    {
        Node.Disk.FreeBytes = SpaceGuard.ReserveBytes + (64L << 20);
        IDriveSession session = await OpenAsync();
        Assert.Equal(Status.Ok, await RunAsync(session, New("a", default), New("b", default)));
        UnlinkOperation unlink = new(VNodeId.Root, Name("a"), Directory: false);
        Node.Disk.FreeBytes = SpaceGuard.ReserveBytes / 4;
        Assert.Equal(Status.NoSpace, (await session.GrantVNodesAsync(1)).Status);
        Assert.Equal(Status.NoSpace, await RunAsync(session, unlink, New("c", default)));
        Assert.Equal(-1, result.FailedAt);
        Assert.Equal(Status.Ok, await RunAsync(
            session, unlink, new SetAttributesOperation(VNodeIdOf(session, "b"), new() { Mask = AttributeMask.Size })));
        await session.DisposeAsync();
    }

    [Fact]
    public async Task Who_may_only_read_or_has_closed_changes_nothing()
    {
        IDriveSession session = await OpenAsync();
        await session.DisposeAsync();
        Assert.Equal(Status.SessionExpired, await RunAsync(session, New("a", default)));
        Assert.Equal(Status.SessionExpired, (await session.GrantVNodesAsync(1)).Status);
        await using IDriveSession reader = (await Node.Admin.OpenSessionAsync("d", SessionAccess.ReadOnly, default)).Value;
        Assert.Equal(Status.ReadOnly, await RunAsync(reader, New("a", default)));
        Assert.Equal(-1, result.FailedAt);
        Assert.Equal(Status.ReadOnly, (await reader.GrantVNodesAsync(1)).Status);
        Assert.Equal(Status.NotFound, (await reader.LookupAsync(VNodeId.Root, "a"u8, CowNumber.Head)).Status);
    }

    [Fact]
    public async Task A_single_create_may_have_a_granted_id_and_ids_end_with_their_session()
    {
        IDriveSession session = await OpenAsync();
        VNodeId first = await GrantAsync(session, 2);
        Assert.Equal(Status.Ok, Create(session, "a", first));
        Assert.Equal(Status.Invalid, Create(session, "b", first));
        await session.DisposeAsync();
        await using IDriveSession later = (await Node.Admin.OpenSessionAsync("d", SessionAccess.Alone, default)).Value;
        Assert.Equal(Status.Invalid, Create(later, "b", new(first.Value + 1)));
        Assert.Equal(first.Value + 2, (await GrantAsync(later, 1)).Value);
    }

    private static Status Create(IDriveSession session, string name, VNodeId id)
    {
        CreateRequest request = new() { Parent = VNodeId.Root, Name = Name(name), Kind = VNodeKind.File, Id = id };
        return session.CreateAsync(in request).AsTask().GetAwaiter().GetResult().Status;
    }

    private static VNodeId VNodeIdOf(IDriveSession session, string name) => session
        .LookupAsync(VNodeId.Root, Name(name), CowNumber.Head).AsTask().GetAwaiter().GetResult().Value.Id;

    private ValueTask<Status> RunAsync(IDriveSession session, params TransactOperation[] operations) =>
        session.TransactAsync(new([], operations), result);

    private async Task<IDriveSession> OpenAsync(ulong quotaPages = 0, ulong quotaInodes = 0)
    {
        DriveSpec drive = new("d", DriveKind.FileSystem, quotaPages * PageBytes, quotaInodes);
        Assert.Equal(Status.Ok, (await Node.Admin.CreateDriveAsync(drive, default)).Status);
        return (await Node.Admin.OpenSessionAsync("d", SessionAccess.Alone, default)).Value;
    }

    private static async Task<VNodeId> GrantAsync(IDriveSession session, uint count)
    {
        Reply<VNodeId> granted = await session.GrantVNodesAsync(count);
        Assert.Equal(Status.Ok, granted.Status);
        return granted.Value;
    }

    private static CreateOperation New(string name, VNodeId id) =>
        new(VNodeId.Root, Name(name), VNodeKind.File) { Id = id, Mode = 0x1A4 };

    /// <summary>A page of bytes at a place, counted in pages.</summary>
    private static FileCommit Page(ulong at = 0)
    {
        FileCommit commit = new() { MinSize = (at + 1) * PageBytes };
        commit.Inline.Append(new byte[PageBytes]);
        commit.Runs.Add(new(at * PageBytes, PageBytes, SliceKind.Inline, default, 0));
        return commit;
    }

    private static byte[] Name(string name) => Encoding.UTF8.GetBytes(name);
}
