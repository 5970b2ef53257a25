using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client.Tests;

public sealed class WriteReadTests
{
    [Fact]
    public async Task What_was_written_is_read_before_and_after_it_is_committed()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        byte[] data = ClientWorld.Bytes(300_000, 1);
        await world.Write(file, 1000, data);
        byte[] expected = [.. new byte[1000], .. data];
        ClientWorld.CheckSame(expected, await world.Read(file, 0, 400_000));

        await world.Age();
        Assert.Equal(0, world.Client.DirtyMemory.RentedBuffers);
        ClientWorld.CheckSame(expected, await world.Read(file, 0, 400_000));
        Assert.Empty(await world.Read(file, 301_000, 10));
    }

    [Fact]
    public async Task A_write_over_committed_data_is_laid_over_it()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        byte[] data = ClientWorld.Bytes(100_000, 1);
        await world.Write(file, 0, data);
        await world.Age();
        byte[] patch = ClientWorld.Bytes(5_000, 2);
        await world.Write(file, 42_000, patch);
        patch.CopyTo(data, 42_000);
        ClientWorld.CheckSame(data, await world.Read(file, 0, 100_000));
        ClientWorld.CheckSame(data[40_000..50_000], await world.Read(file, 40_000, 10_000));
        ClientWorld.CheckSame(data[43_000..44_000], await world.Read(file, 43_000, 1_000));
    }

    [Fact]
    public async Task A_run_over_a_clusters_end_is_read_back()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        const ulong Offset = Limits.ClusterBytes - 1_000_000;
        byte[] data = ClientWorld.Bytes(3_000_000, 1);
        await world.Write(file, Offset, data);
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        ClientWorld.CheckSame(data, await world.Read(file, Offset, data.Length));
        Assert.Equal(new byte[5000], await world.Read(file, 5_000_000, 5000));
    }

    [Fact]
    public async Task Attributes_show_what_is_only_in_memory()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        world.Time.Advance(TimeSpan.FromMinutes(1));
        await world.Write(file, 10_000, ClientWorld.Bytes(5_000, 1));
        VNode dirty = await world.Stat(file.Id);
        Assert.Equal(15_000UL, dirty.Size);
        Assert.Equal(5_000UL, dirty.AllocatedBytes);
        Assert.Equal(dirty, (await world.Lookup("a")).Value.VNode);

        await world.Age();
        VNode clean = await world.Stat(file.Id);
        Assert.Equal(dirty with { DataVersion = clean.DataVersion }, clean);
    }

    [Fact]
    public async Task Times_that_are_set_after_a_write_outlast_its_commit()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, ClientWorld.Bytes(5_000, 1));
        Timestamp then = new(1_000_000_000);
        await world.Client.SetAttributesAsync(new SetAttributesRequest
        {
            Node = file.Id, Mask = AttributeMask.ModifyTime, ModifyTime = then,
        });
        VNode dirty = await world.Stat(file.Id);
        Assert.Equal(then, dirty.ModifyTime);
        await world.Age();
        VNode clean = await world.Stat(file.Id);
        Assert.Equal(then, clean.ModifyTime);
        Assert.Equal(dirty.ChangeTime, clean.ChangeTime);
        Assert.Equal(5_000UL, clean.Size);
    }

    [Fact]
    public async Task A_write_without_privilege_clears_set_id_at_once_and_a_later_chmod_sets_it_again()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a", mode: 0b110_111_101_101);
        await world.Client.WriteAsync(file, 0, new byte[10], new(KillSetId: true, Sync: false));
        Assert.Equal(0b000_111_101_101, (await world.Stat(file.Id)).Mode);
        await world.Client.SetAttributesAsync(new SetAttributesRequest
        {
            Node = file.Id, Mask = AttributeMask.Mode, Mode = 0b100_111_101_101,
        });
        await world.Age();
        Assert.Equal(0b100_111_101_101, (await world.Stat(file.Id)).Mode);
    }

    [Fact]
    public async Task A_smaller_size_cuts_dirty_and_committed_data_off()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        byte[] data = ClientWorld.Bytes(20_000, 1);
        await world.Write(file, 0, data[..8_000]);
        await world.Age();
        await world.Write(file, 8_000, data[8_000..]);
        Assert.Equal(15_000UL, (await world.Truncate(file.Id, 15_000)).Size);
        await world.Truncate(file.Id, 17_000);
        byte[] expected = [.. data[..15_000], .. new byte[2_000]];
        ClientWorld.CheckSame(expected, await world.Read(file, 0, 20_000));
        await world.Age();
        ClientWorld.CheckSame(expected, await world.Read(file, 0, 20_000));
        Assert.Equal(17_000UL, (await world.Stat(file.Id)).Size);
    }

    [Fact]
    public async Task A_file_that_is_emptied_before_its_data_is_committed_never_writes_it()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, ClientWorld.Bytes(200_000, 1));
        await world.Truncate(file.Id, 0);
        await world.Age();
        Assert.Equal(0, world.Blocks.Writes);
        Assert.Equal(0, world.Session.Commits);
        Assert.Equal(0, world.Client.DirtyMemory.RentedBuffers);
    }

    [Fact]
    public async Task A_snapshot_is_read_as_it_was_and_cannot_be_written()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        byte[] old = ClientWorld.Bytes(100_000, 1);
        await world.Write(file, 0, old);
        Assert.Equal(Status.Ok, await world.Session.Recall!.FlushAsync());
        CowNumber at = world.Session.Snapshot("s");
        await world.Write(file, 0, ClientWorld.Bytes(200_000, 2));

        OpenFile then = await world.Open(file.Id, at);
        ClientWorld.CheckSame(old, await world.Read(then, 0, 300_000));
        Assert.Equal(Status.ReadOnly, (await world.Client.WriteAsync(then, 0, new byte[1], default)).Status);
        await world.Age();
        ClientWorld.CheckSame(old, await world.Read(then, 0, 300_000));
    }

    [Fact]
    public async Task A_write_behind_the_largest_size_is_refused()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        Reply<int> reply = await world.Client.WriteAsync(file, Limits.FileBytes - 1, new byte[2], default);
        Assert.Equal(Status.TooLarge, reply.Status);
        await world.Write(file, Limits.FileBytes - 2, new byte[2]);
        Assert.Equal(Limits.FileBytes, (await world.Stat(file.Id)).Size);
    }

    [Fact]
    public async Task A_block_that_is_not_where_a_map_says_is_looked_up_anew()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        byte[] data = ClientWorld.Bytes(1 << 20, 1);
        await world.Write(file, 0, data);
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        ClientWorld.CheckSame(data, await world.Read(file, 0, 1 << 20));
        int maps = world.Session.MapsRead;
        int reads = 0;
        world.Blocks.OnRead = () => reads++ == 0 ? Status.NotFound : Status.Ok;
        ClientWorld.CheckSame(data[5000..9000], await world.Read(file, 5000, 4000));
        Assert.Equal(maps + 1, world.Session.MapsRead);
    }

    [Fact]
    public async Task A_block_that_cannot_be_read_is_an_error_of_the_read()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, ClientWorld.Bytes(1 << 20, 1));
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        world.Blocks.OnRead = () => Status.Corrupt;
        Assert.Equal(Status.Corrupt, (await world.Client.ReadAsync(file, 0, new byte[10])).Status);
        world.Blocks.OnRead = () => Status.NotFound;
        Assert.Equal(Status.IoError, (await world.Client.ReadAsync(file, 0, new byte[10])).Status);
    }
}
