using System.Text;
using KvFs.Client;
using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Remote;
using KvFs.Protocol;
using static KvFs.Remote.Tests.SharedFiles;

namespace KvFs.Remote.Tests;

/// <summary>Files whose writes are left with one of several clients that share a drive: it answers them from its memory, and nobody else sees
/// less than what was answered.</summary>
public sealed class DelegationTests
{
    [Fact]
    public async Task What_is_written_to_a_new_file_is_in_memory_until_somebody_else_looks()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using DriveClient one = await OpenAsync(world);
        await using DriveClient other = await OpenAsync(world);
        OpenFile[] files = [await CreateAsync(one, "a"), await CreateAsync(one, "b"), await CreateAsync(one, "c")];
        WriteDelegations writes = WritesOf(world);
        foreach (OpenFile file in files) { Assert.Equal(Reply.Ok(3), await one.WriteAsync(file, 0, "abc"u8.ToArray(), default)); }
        Assert.Equal(3, writes.Count);
        Assert.True(one.DirtyMemory.RentedBuffers > 0);

        // By name, in a directory, and by id, by somebody who has not opened it.
        Assert.Equal(3UL, (await other.LookupAsync(VNodeId.Root, "a"u8, CowNumber.Head)).Value.VNode.Size);
        Assert.Equal(2, writes.Count);
        DirectoryPage page = new();
        Assert.Equal(Status.Ok, await other.Session.ReadDirectoryAsync(VNodeId.Root, CowNumber.Head, 0, 10, withNodes: true, page));
        Assert.Equal([3UL, 3UL, 3UL], Enumerable.Range(0, page.Count).Select(at => page.Info(at).VNode.Size));
        Assert.Equal(0, writes.Count);
        Assert.Equal(Reply.Ok(3), await one.WriteAsync(files[2], 3, "def"u8.ToArray(), default));
        Assert.Equal(6UL, (await other.GetAsync(files[2].Id, CowNumber.Head)).Value.VNode.Size);
        Assert.Equal("abcdef", Encoding.UTF8.GetString(await ReadAsync(other, "c")));
    }

    [Fact]
    public async Task A_change_by_somebody_else_comes_behind_what_was_answered_before()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using DriveClient one = await OpenAsync(world);
        await using DriveClient other = await OpenAsync(world);
        OpenFile file = await CreateAsync(one, "f");
        Assert.Equal(Reply.Ok(6), await one.WriteAsync(file, 0, "aaaaaa"u8.ToArray(), default));
        SetAttributesRequest cut = new() { Node = file.Id, Mask = AttributeMask.Size, Size = 4 };
        Assert.Equal(Status.Ok, (await other.SetAttributesAsync(cut)).Status);
        Assert.Equal(Reply.Ok(1), await one.WriteAsync(file, 5, "b"u8.ToArray(), default));
        Assert.Equal("aaaa\0b", Encoding.UTF8.GetString(await ReadAsync(other, "f")));
        Assert.Equal(0, WritesOf(world).Count);

        // What is unlinked by somebody else is still his who has it open.
        OpenFile gone = await CreateAsync(one, "g");
        Assert.Equal(Reply.Ok(3), await one.WriteAsync(gone, 0, "xyz"u8.ToArray(), default));
        ValueTask<Reply<UnlinkResult>> unlinking = other.UnlinkAsync(new() { Parent = VNodeId.Root, Name = "g"u8 });
        Assert.Equal(Status.Ok, (await unlinking).Status);
        byte[] read = new byte[3];
        Assert.Equal(Reply.Ok(3), await one.ReadAsync(gone, 0, read));
        Assert.Equal("xyz", Encoding.UTF8.GetString(read));
        Assert.Equal(Status.Ok, await one.CloseAsync(gone));
    }

    [Fact]
    public async Task An_old_file_is_left_with_who_writes_it_again_unless_others_have_it_open()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using DriveClient one = await OpenAsync(world);
        await using DriveClient other = await OpenAsync(world);
        await one.CloseAsync(await CreateAsync(one, "f"));
        WriteDelegations writes = WritesOf(world);
        await UntilAsync(() => writes.Count == 0);
        OpenFile file = await FindAsync(one, "f");
        Assert.Equal(Reply.Ok(1), await one.WriteAsync(file, 0, new byte[1], default));
        Assert.Equal(0, writes.Count);
        Assert.Equal(Reply.Ok(1), await one.WriteAsync(file, 1, new byte[1], default));
        Assert.Equal(1, writes.Count);
        OpenFile second = await FindAsync(other, "f");
        Assert.Equal(0, writes.Count);
        for (int at = 0; at < 3; at++) { Assert.Equal(Reply.Ok(1), await other.WriteAsync(second, 0, new byte[1], default)); }
        Assert.Equal(0, writes.Count);
        Assert.Equal(Status.Locked, (await other.Session.DelegateAsync(file.Id)).Status);
    }

    [Fact]
    public async Task A_file_that_is_closed_and_committed_is_given_back()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using DriveClient one = await OpenAsync(world);
        for (int at = 0; at < 50; at++)
        {
            OpenFile file = await CreateAsync(one, $"f{at}");
            Assert.Equal(Reply.Ok(1), await one.WriteAsync(file, 0, new byte[1], default));
            Assert.Equal(Status.Ok, await one.CloseAsync(file));
        }

        await UntilAsync(() => WritesOf(world).Count == 0);
        Assert.Equal(Status.Ok, await one.SyncAllAsync());
        Assert.Equal(0, one.DirtyMemory.RentedBuffers);
    }

    [Fact]
    public async Task Who_is_cut_off_is_waited_for_until_his_lease_is_over_and_hears_that_what_he_had_is_lost()
    {
        RemoteOptions options = new() { Lease = TimeSpan.FromSeconds(1) };
        await using RemoteWorld world = await RemoteWorld.StartAsync(options: options);
        await using DriveClient one = await OpenAsync(world);
        OpenFile file = await CreateAsync(one, "f");
        Assert.Equal(Reply.Ok(4), await one.WriteAsync(file, 0, "told"u8.ToArray(), default));
        Assert.Equal(Status.Ok, await one.FsyncAsync(file));
        Assert.Equal(Reply.Ok(4), await one.WriteAsync(file, 0, "lost"u8.ToArray(), default));
        world.Proxy.Cut();
        using KvFs.Grpc.GrpcChannel channel = world.NewChannel();
        KvFs.Client.Remote.RemoteDriveAdmin admin = new(channel, new());
        Reply<IDriveSession> session = await admin.OpenSessionAsync(RemoteWorld.Drive, SessionAccess.Shared, CancellationToken.None);
        Assert.Equal(Status.Ok, session.Status);
        await using DriveClient other = new(SessionMemory.Around(session.Value, TimeProvider.System), new(), TimeProvider.System);
        Assert.Equal("told", Encoding.UTF8.GetString(await ReadAsync(other, "f")));
        Assert.Equal(0, WritesOf(world).Count);

        // Not even a read shows him what is nobody's any more.
        Assert.NotEqual(Status.Ok, (await one.ReadAsync(file, 0, new byte[4])).Status);
        Assert.NotEqual(Status.Ok, await one.FsyncAsync(file));
        Assert.Equal("told", Encoding.UTF8.GetString(await ReadAsync(other, "f")));
    }

    [Fact]
    public async Task Who_runs_short_of_space_gets_what_others_have_set_aside()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        Assert.Equal(Status.Ok, (await world.Admin.ResizeDriveAsync(RemoteWorld.Drive, 2 << 20, 0, CancellationToken.None)).Status);
        await using DriveClient one = await OpenAsync(world);
        await using DriveClient other = await OpenAsync(world);
        OpenFile first = await CreateAsync(one, "a");
        OpenFile second = await CreateAsync(other, "b");
        const int Each = 1 << 19;
        Assert.Equal(Reply.Ok(Each), await one.WriteAsync(first, 0, new byte[Each], default));
        Assert.Equal(Reply.Ok(Each), await other.WriteAsync(second, 0, new byte[Each], default));

        // Both have set aside a MiB: nothing is left but what they do not need.
        Assert.Equal(Reply.Ok(2 * Each), await one.WriteAsync(first, Each, new byte[2 * Each], default));
        Assert.Equal(Status.NoSpace, (await other.WriteAsync(second, Each, new byte[1], default)).Status);
        Assert.Equal(Status.Ok, await one.FsyncAsync(first));
        Assert.Equal(Status.Ok, await other.FsyncAsync(second));
    }

    [Fact]
    public async Task Who_does_not_share_his_drive_is_left_nothing()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using IDriveSession session = await world.OpenAsync(SessionAccess.Alone);
        Reply<NodeInfo> made = await session.CreateAsync("f");
        Assert.Equal(Status.NotSupported, (await session.DelegateAsync(made.Value.Id)).Status);
        DelegationWish wish = new();
        ValueTask<Reply<NodeInfo>> making = session.CreateAsync(RequestFor("g") with { Wish = wish });
        Assert.Equal(Status.Ok, (await making).Status);
        Assert.False(wish.IsGranted);
    }

    private static WriteDelegations WritesOf(RemoteWorld world) => world.Node.Host.Find(RemoteWorld.Drive)!.Writes;

    private static async Task<byte[]> ReadAsync(DriveClient client, string name)
    {
        OpenFile file = await FindAsync(client, name);
        byte[] content = new byte[4096];
        Reply<int> read = await client.ReadAsync(file, 0, content);
        Assert.Equal(Status.Ok, read.Status);
        Assert.Equal(Status.Ok, await client.CloseAsync(file));
        return content[..read.Value];
    }

    private static async Task UntilAsync(Func<bool> isSo)
    {
        using PeriodicTimer timer = new(TimeSpan.FromMilliseconds(10));
        for (int look = 0; look < 3000 && !isSo(); look++) { await timer.WaitForNextTickAsync(); }
        Assert.True(isSo());
    }
}
