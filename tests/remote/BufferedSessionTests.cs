using System.Text;
using KvFs.Client;
using KvFs.Client.Tests;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Remote.Tests;

/// <summary>A session that answers before it tells its primary: what is told when, and what happens if it cannot be.</summary>
public sealed class BufferedSessionTests
{
    private static readonly byte[] s_content = "content"u8.ToArray();

    [Fact]
    public async Task What_was_done_is_told_in_few_requests_and_at_the_latest_with_a_sync()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        IDriveSession inner = await world.OpenAsync();
        await using BufferedDriveSession session = new(inner, () => true, new ManualTime());
        for (int at = 0; at < 100; at++) { Assert.Equal(Status.Ok, (await session.CreateAsync($"f{at}")).Status); }
        Assert.Equal(100, session.Waiting);
        Assert.Equal(Status.NotFound, (await inner.LookupAsync("f0")).Status);
        Assert.Equal(Status.Exists, (await session.CreateAsync("f7")).Status);
        Assert.Equal(Status.Ok, (await session.UnlinkAsync(new() { Parent = VNodeId.Root, Name = "f7"u8 })).Status);
        Assert.Equal(Status.Ok, (await RenameAsync(session, "f8", "f9")).Status);
        NodeInfo here = (await session.LookupAsync("f9")).Value;
        Assert.Equal(Status.Ok, await session.SyncAsync());
        Assert.Equal(0, session.Waiting);
        NodeInfo there = (await inner.LookupAsync("f9")).Value;
        Assert.Equal(here.VNode with { DataVersion = default }, there.VNode with { DataVersion = default });
        Assert.Equal(98, (await inner.NamesAsync()).Count);
        Assert.Equal(await session.NamesAsync(), await inner.NamesAsync());
        Assert.Equal(99UL, (await session.GetUsageAsync()).Value.UsedInodes);
    }

    [Fact]
    public async Task What_was_done_long_ago_is_told_by_itself()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        IDriveSession inner = await world.OpenAsync();
        ManualTime clock = new();
        await using BufferedDriveSession session = new(inner, () => true, clock);
        Assert.Equal(Status.Ok, (await session.CreateAsync("f")).Status);
        clock.Advance(TimeSpan.FromSeconds(2));
        await FaultTests.WaitUntilAsync(() => session.Waiting == 0);
        Assert.Equal(Status.Ok, (await inner.LookupAsync("f")).Status);
    }

    [Fact]
    public async Task An_open_file_keeps_its_data_when_its_name_goes_and_goes_when_it_is_closed()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        IDriveSession inner = await world.OpenAsync();
        BufferedDriveSession session = new(inner, () => true, TimeProvider.System);
        await using DriveClient client = new(session, new(), TimeProvider.System);
        OpenFile taken = await WriteAsync(client, "taken");
        OpenFile replaced = await WriteAsync(client, "replaced");
        Assert.Equal(Status.Ok, (await WriteAndCloseAsync(client, "new")).Status);
        ValueTask<Reply<UnlinkResult>> unlinking = client.UnlinkAsync(new() { Parent = VNodeId.Root, Name = "taken"u8 });
        Assert.True((await unlinking).Value.Orphaned);
        Assert.True((await RenameAsync(session, "new", "replaced")).Value.Orphaned);
        Assert.Equal(Status.Ok, await client.SyncAllAsync());
        Assert.Equal(4UL, (await inner.GetUsageAsync()).Value.UsedInodes);
        foreach (OpenFile file in (OpenFile[])[taken, replaced])
        {
            byte[] found = new byte[s_content.Length];
            Assert.Equal(s_content.Length, (await client.ReadAsync(file, 0, found)).Value);
            Assert.Equal(s_content, found);
            Assert.Equal(Status.Ok, await client.CloseAsync(file));
        }

        Assert.Equal(Status.Stale, (await session.GetAsync(taken.State.Id, CowNumber.Head)).Status);
        Assert.Equal(2UL, (await inner.GetUsageAsync()).Value.UsedInodes);
    }

    [Fact]
    public async Task A_quota_of_VNodes_is_exact()
    {
        // The root is one.
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        Assert.Equal(Status.Ok, (await world.Admin.ResizeDriveAsync(RemoteWorld.Drive, 0, 6, default)).Status);
        await using BufferedDriveSession session = new(await world.OpenAsync(), () => true, TimeProvider.System);
        for (int at = 0; at < 5; at++) { Assert.Equal(Status.Ok, (await session.CreateAsync($"f{at}")).Status); }
        Assert.Equal(Status.NoInodes, (await session.CreateAsync("f5")).Status);
        Assert.Equal(Status.Ok, (await session.UnlinkAsync(new() { Parent = VNodeId.Root, Name = "f0"u8 })).Status);
        Assert.Equal(Status.Ok, (await session.CreateAsync("f5")).Status);
        Assert.Equal(Status.NoInodes, (await session.CreateAsync("f6")).Status);
    }

    [Fact]
    public async Task A_snapshot_has_what_was_done_before_it_and_a_restore_shows()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        BufferedDriveSession session = new(await world.OpenAsync(), () => true, TimeProvider.System);
        await using DriveClient client = new(session, new(), TimeProvider.System);
        OpenFile open = await WriteAsync(client, "old");
        Assert.Equal(Status.Ok, (await session.CreateAsync("d", VNodeKind.Directory)).Status);
        Reply<SnapshotInfo> taken = await world.Admin.CreateSnapshotAsync(RemoteWorld.Drive, "s", default);
        Assert.Equal(Status.Ok, taken.Status);
        Assert.Equal(Status.Ok, (await session.LookupAsync(VNodeId.Root, "d"u8, taken.Value.At)).Status);
        Assert.Equal(Status.Ok, (await RenameAsync(session, "d", "e")).Status);
        Assert.Equal(Status.Ok, (await session.CreateAsync("more")).Status);
        Assert.Equal(Status.Ok, await world.Admin.RestoreAsync(RemoteWorld.Drive, "s", "/", default));
        Assert.Equal(["d", "old"], (await session.NamesAsync()).Order(StringComparer.Ordinal));

        // The one that is open is the one from before.
        byte[] found = new byte[s_content.Length];
        Assert.Equal(s_content.Length, (await client.ReadAsync(open, 0, found)).Value);
        Assert.Equal(Status.Ok, await client.CloseAsync(open));
    }

    [Fact]
    public async Task What_an_ended_session_had_not_told_fails_the_next_sync_and_is_reported()
    {
        ManualTime clock = new();
        await using RemoteWorld world = await RemoteWorld.StartAsync(
            "grpc", options: new() { Lease = TimeSpan.FromSeconds(5) }, serverClock: clock);
        List<(Status Status, int Count)> lost = [];
        await using BufferedDriveSession session = new(await world.OpenAsync(), () => true, new ManualTime())
        {
            Lost = (status, operations) => lost.Add((status, operations.Count)),
        };
        Assert.Equal(Status.Ok, (await session.CreateAsync("told")).Status);
        Assert.Equal(Status.Ok, await session.SyncAsync());
        Assert.Equal(Status.Ok, (await session.CreateAsync("lost")).Status);
        world.Proxy.Cut();
        for (int tick = 0; tick < 4; tick++)
        {
            clock.Advance(TimeSpan.FromSeconds(2));
            world.Services.Tick();
        }

        await FaultTests.WaitUntilAsync(() => world.Services.SessionCount == 0);
        world.Proxy.Mend();
        Assert.Equal(Status.IoError, await session.SyncAsync());

        // Unknown, if it was given to the stream before this side saw that it is cut.
        (Status why, int count) = Assert.Single(lost);
        Assert.Contains(why, (Status[])[Status.SessionExpired, Status.Unknown]);
        Assert.Equal(1, count);
        Assert.Equal(Status.SessionExpired, (await session.LookupAsync("told")).Status);
    }

    [Fact]
    public async Task What_the_primary_has_no_room_for_waits_and_nothing_more_is_promised()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using BufferedDriveSession session = new(await world.OpenAsync(), () => true, new ManualTime());
        for (int at = 0; at < 5; at++) { Assert.Equal(Status.Ok, (await session.CreateAsync($"f{at}")).Status); }

        // Somebody takes away what the session had set aside, and more.
        session.Unreserve(new(0, ulong.MaxValue));
        Assert.Equal(Status.Ok, (await world.Admin.ResizeDriveAsync(RemoteWorld.Drive, 0, 3, default)).Status);
        Assert.Equal(Status.NoInodes, await session.SyncAsync());
        Assert.Equal(Status.NoInodes, (await session.CreateAsync("more")).Status);
        Assert.Equal(5, session.Waiting);
        Assert.Equal(Status.Ok, (await world.Admin.ResizeDriveAsync(RemoteWorld.Drive, 0, 0, default)).Status);
        Assert.Equal(Status.Ok, await session.SyncAsync());
        Assert.Equal(Status.Ok, (await session.CreateAsync("more")).Status);
        Assert.Equal(6, (await session.NamesAsync()).Count);
    }

    [Fact]
    public async Task A_session_that_only_reads_changes_nothing()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using (IDriveSession writer = await world.OpenAsync()) { Assert.Equal(Status.Ok, (await writer.CreateAsync("f")).Status); }
        await using BufferedDriveSession session = new(await world.OpenAsync(SessionAccess.ReadOnly), () => true, TimeProvider.System);
        NodeInfo file = (await session.LookupAsync("f")).Value;
        Assert.Equal(Status.ReadOnly, (await session.CreateAsync("g")).Status);
        Assert.Equal(Status.ReadOnly, (await session.UnlinkAsync(new() { Parent = VNodeId.Root, Name = "f"u8 })).Status);
        Assert.Equal(Status.ReadOnly, (await RenameAsync(session, "f", "g")).Status);
        SetAttributesRequest change = new() { Node = file.Id, Mask = AttributeMask.Mode };
        Assert.Equal(Status.ReadOnly, (await session.SetAttributesAsync(change)).Status);
        Assert.Equal(0, session.Waiting);
        Assert.Equal(Status.Ok, (await session.LookupAsync("f")).Status);
    }

    [Fact]
    public async Task What_has_no_name_any_more_is_changed_before_it_is_released()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using BufferedDriveSession session = new(await world.OpenAsync(), () => true, new ManualTime());
        VNodeId file = (await session.CreateAsync("f")).Value.Id;
        Assert.Equal(Status.Ok, (await session.HoldAsync(file)).Status);
        Assert.True((await session.UnlinkAsync(new() { Parent = VNodeId.Root, Name = "f"u8 })).Value.Orphaned);
        SetAttributesRequest change = new() { Node = file, Mask = AttributeMask.Mode, Mode = 0x1C0 };
        Assert.Equal(0x1C0, (await session.SetAttributesAsync(change)).Value.VNode.Mode);
        Assert.Equal(Status.Ok, await session.ReleaseAsync(file));
        Assert.Equal(Status.Ok, await session.SyncAsync());
        Assert.Equal(Status.Stale, (await session.GetAsync(file, CowNumber.Head)).Status);
    }

    [Fact]
    public async Task What_was_done_while_a_restore_began_is_not_done_to_what_it_brought_back()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        List<Status> lost = [];
        IDriveSession inner = await world.OpenAsync();
        await using BufferedDriveSession session = new(inner, () => true, new ManualTime())
        {
            Lost = (status, _) => lost.Add(status),
        };
        Recalled user = new();
        session.OnRecall(user);
        Assert.Equal(Status.Ok, (await session.CreateAsync("f")).Status);
        ISessionRecall recall = session;
        Assert.Equal(Status.Ok, await recall.FlushAsync());
        Assert.Equal(0, session.Waiting);

        // What comes now is the primary's to decide, until it has said that it is done.
        Assert.Equal(Status.Ok, (await session.CreateAsync("g")).Status);
        Assert.Equal(0, session.Waiting);
        await recall.InvalidateAsync();
        Assert.Equal(Status.Ok, (await session.UnlinkAsync(new() { Parent = VNodeId.Root, Name = "f"u8 })).Status);
        Assert.Equal(1, session.Waiting);
        await recall.InvalidateAsync();
        Assert.Equal([Status.Stale], lost);
        Assert.Equal(Status.Ok, (await inner.LookupAsync("f")).Status);
        Assert.Equal(Status.IoError, await session.SyncAsync());
        Assert.Equal(Status.Ok, await session.SyncAsync());
        Assert.InRange(user.Invalidations, 2, 3);
    }

    [Fact]
    public async Task Many_threads_make_move_and_remove_names_of_their_own_and_all_is_told()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        IDriveSession inner = await world.OpenAsync();
        await using BufferedDriveSession session = new(inner, () => true, TimeProvider.System);
        await Parallel.ForEachAsync(Enumerable.Range(0, 4), async (worker, _) =>
        {
            VNodeId folder = (await session.CreateAsync($"d{worker}", VNodeKind.Directory)).Value.Id;
            for (int at = 0; at < 2000; at++)
            {
                Assert.Equal(Status.Ok, (await session.CreateAsync($"f{at}", parent: folder)).Status);
                if (at % 3 == 0) { Assert.Equal(Status.Ok, (await RenameAsync(session, $"f{at}", $"g{at}", folder)).Status); }
                if (at % 3 == 1)
                {
                    ValueTask<Reply<UnlinkResult>> going =
                        session.UnlinkAsync(new() { Parent = folder, Name = Encoding.UTF8.GetBytes($"f{at}") });
                    Assert.True((await going).Value.Removed);
                }

                if (at % 100 == 0) { Assert.Equal(Status.Ok, await session.SyncAsync()); }
            }
        });
        Assert.Equal(Status.Ok, await session.SyncAsync());
        for (int worker = 0; worker < 4; worker++)
        {
            NodeInfo folder = (await inner.LookupAsync($"d{worker}")).Value;
            Assert.Equal(1333UL, folder.VNode.Size);
            Assert.Equal(Status.Ok, (await inner.LookupAsync(folder.Id, "g999"u8, CowNumber.Head)).Status);
            Assert.Equal(Status.NotFound, (await inner.LookupAsync(folder.Id, "f1000"u8, CowNumber.Head)).Status);
        }
    }

    private static async Task<OpenFile> WriteAsync(DriveClient client, string name)
    {
        ValueTask<Reply<CreatedFile>> creating = client.CreateOpenAsync(new CreateRequest
        {
            Parent = VNodeId.Root, Name = Encoding.UTF8.GetBytes(name), Kind = VNodeKind.File, Mode = 0x1A4,
        });
        OpenFile file = (await creating).Value.File;
        Assert.Equal(s_content.Length, (await client.WriteAsync(file, 0, s_content, default)).Value);
        return file;
    }

    private static async Task<Reply<NodeInfo>> WriteAndCloseAsync(DriveClient client, string name)
    {
        OpenFile file = await WriteAsync(client, name);
        Assert.Equal(Status.Ok, await client.CloseAsync(file));
        return await client.GetAsync(file.State.Id, CowNumber.Head);
    }

    private static ValueTask<Reply<UnlinkResult>> RenameAsync(
        IDriveSession session, string from, string to, VNodeId? parent = null) => session.RenameAsync(new()
        {
            OldParent = parent ?? VNodeId.Root,
            OldName = Encoding.UTF8.GetBytes(from),
            NewParent = parent ?? VNodeId.Root,
            NewName = Encoding.UTF8.GetBytes(to),
        });

    /// <summary>Counts what it is told.</summary>
    private sealed class Recalled : ISessionRecall
    {
        private int invalidations;

        public int Invalidations => Volatile.Read(ref invalidations);

        public ValueTask<Status> FlushAsync() => new(Status.Ok);

        public ValueTask InvalidateAsync()
        {
            Interlocked.Increment(ref invalidations);
            return default;
        }
    }
}
