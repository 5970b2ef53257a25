using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client.Tests;

public sealed class NameTests
{
    [Fact]
    public async Task A_dirty_file_that_takes_anothers_name_is_committed_before()
    {
        await using ClientWorld world = new();
        OpenFile old = await world.Create("config");
        await world.Write(old, 0, ClientWorld.Bytes(100, 1));
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(old));
        OpenFile fresh = await world.Create("config.tmp");
        await world.Write(fresh, 0, ClientWorld.Bytes(100, 2));
        await world.Rename("config.tmp", "config");

        // Whatever a crash leaves of the log, the name leads to one content or the other.
        int unsynced = world.Drive.UnsyncedCount;
        world.Crash(kept: unsynced);
        Reply<NodeInfo> found = await world.Lookup("config");
        ClientWorld.CheckSame(ClientWorld.Bytes(100, 2), await world.Read(await world.Open(found.Value.Id), 0, 200));
    }

    [Fact]
    public async Task A_dirty_file_that_takes_a_free_name_stays_in_memory()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, new byte[100]);
        await world.Rename("a", "b");
        Assert.Equal(0, world.Session.Commits);
        Assert.Equal(100UL, (await world.Lookup("b")).Value.VNode.Size);
    }

    [Fact]
    public async Task A_dirty_file_is_committed_before_it_gets_another_name()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, new byte[100]);
        ValueTask<Reply<NodeInfo>> linked = world.Client.LinkAsync(
            new LinkRequest { Node = file.Id, NewParent = VNodeId.Root, NewName = "b"u8 });
        NodeInfo info = (await linked).Value;
        Assert.Equal(2U, info.VNode.Nlink);
        Assert.Equal(100UL, info.VNode.Size);
        Assert.Equal(1, world.Session.Commits);
    }

    [Fact]
    public async Task Data_of_a_file_that_is_removed_is_never_written()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, new byte[200_000]);
        Assert.Equal(Status.Ok, await world.Client.CloseAsync(file));
        Assert.True((await world.Unlink("a")).Removed);
        Assert.Equal(0, world.Client.DirtyMemory.RentedBuffers);
        await world.Age();
        Assert.Equal(0, world.Blocks.Writes);
        Assert.Equal(Status.Ok, await world.Client.SyncAllAsync());
    }

    [Fact]
    public async Task A_file_without_a_name_works_until_it_is_closed_and_leaves_nothing()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        byte[] data = ClientWorld.Bytes(200_000, 1);
        await world.Write(file, 0, data);
        UnlinkResult unlinked = await world.Unlink("a");
        Assert.True(unlinked.Orphaned);
        Assert.Equal(200_000UL, unlinked.Info.VNode.Size);
        ClientWorld.CheckSame(data, await world.Read(file, 0, 200_000));
        await world.Age();
        ClientWorld.CheckSame(data, await world.Read(file, 0, 200_000));

        await world.Write(file, 0, new byte[100]);
        Assert.Equal(Status.Ok, await world.Client.CloseAsync(file));
        Assert.Equal(0, world.Client.DirtyMemory.RentedBuffers);
        Assert.Equal(0UL, world.Drive.Counters.UsedBytes);
        Assert.Equal(Status.Stale, (await world.Client.OpenAsync(file.Id, CowNumber.Head)).Status);
        await world.Age();
        Assert.Equal(Status.Ok, await world.Client.SyncAllAsync());
    }

    [Fact]
    public async Task A_removal_while_a_block_is_written_is_no_error()
    {
        await using ClientWorld world = new();
        OpenFile other = await world.Create("b");
        await world.Write(other, 0, new byte[100_000]);
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, new byte[100_000]);
        await world.Client.CloseAsync(file);
        Task<UnlinkResult>? unlinked = null;
        world.Blocks.OnWrite = () =>
        {
            unlinked ??= world.Unlink("a");
            Assert.True(unlinked.IsCompletedSuccessfully);
            return Status.Ok;
        };
        Assert.Equal(Status.Ok, await world.Client.SyncAllAsync());
        Assert.NotNull(unlinked);
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(other));
        Assert.Equal(100_000UL, (await world.Stat(other.Id)).AllocatedBytes);
        Assert.Equal(0, world.Client.DirtyMemory.RentedBuffers);
    }

    [Fact]
    public async Task A_vnode_is_held_from_its_first_open_to_its_last_close()
    {
        await using ClientWorld world = new();
        OpenFile first = await world.Create("a");
        OpenFile second = await world.Open(first.Id);
        await world.Client.CloseAsync(first);
        Assert.Equal(1, world.Session.Held);
        await world.Client.CloseAsync(second);
        Assert.Equal(0, world.Session.Held);
        OpenFile third = await world.Open(first.Id);
        Assert.Equal(1, world.Session.Held);
        await world.Client.CloseAsync(third);
        Assert.Equal(0, world.Session.Held);
    }

    [Fact]
    public async Task A_size_that_is_set_while_a_file_is_being_opened_is_known_to_the_handle()
    {
        await using ClientWorld world = new(ClientWorld.Still with { ClosedFiles = 0 });
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, ClientWorld.Bytes(1000, 1));
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        await world.Age();
        await world.Client.CloseAsync(file);
        Task<VNode>? truncated = null;
        world.Session.OnHeld = () => truncated = world.Truncate(file.Id, 10);
        OpenFile again = await world.Open(file.Id);
        Assert.Equal(10UL, (await truncated!).Size);
        Assert.Equal(ClientWorld.Bytes(1000, 1)[..10], await world.Read(again, 0, 2000));
    }

    [Fact]
    public async Task Many_closed_files_are_forgotten_and_found_again()
    {
        await using ClientWorld world = new(ClientWorld.Still with { ClosedFiles = 8 });
        List<VNodeId> ids = [];
        for (int i = 0; i < 100; i++)
        {
            OpenFile file = await world.Create($"f{i}");
            await world.Write(file, 0, ClientWorld.Bytes(100, i));
            await world.Client.CloseAsync(file);
            ids.Add(file.Id);
            if (i % 10 == 0) { await world.Age(); }
        }

        for (int i = 0; i < 100; i++)
        {
            Assert.Equal(100UL, (await world.Lookup($"f{i}")).Value.VNode.Size);
            OpenFile file = await world.Open(ids[i]);
            ClientWorld.CheckSame(ClientWorld.Bytes(100, i), await world.Read(file, 0, 200));
            await world.Client.CloseAsync(file);
        }
    }

    [Fact]
    public async Task A_drive_that_was_changed_behind_the_session_is_read_anew()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, ClientWorld.Bytes(1000, 1));
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        Assert.Equal(1000, (await world.Read(file, 0, 2000)).Length);
        int told = 0;
        world.Client.Invalidated = () =>
        {
            told++;
            return ValueTask.CompletedTask;
        };
        await world.Session.SetAttributesAsync(
            new SetAttributesRequest { Node = file.Id, Mask = AttributeMask.Size, Size = 10 });
        await world.Session.Recall!.InvalidateAsync();
        Assert.Equal(1, told);
        Assert.Equal(ClientWorld.Bytes(1000, 1)[..10], await world.Read(file, 0, 2000));
    }
}
