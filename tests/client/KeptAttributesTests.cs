using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client.Tests;

public sealed class KeptAttributesTests
{
    private const ushort Mode = 0b100_111_101_101;

    [Fact]
    public async Task What_an_archive_sets_of_a_file_that_it_has_just_written_is_one_transaction_with_the_data()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, new byte[10_000]);
        int before = world.Drive.UnsyncedCount;
        await Set(world, file, new() { Mask = AttributeMask.ModifyTime, ModifyTime = new(7) });
        await Set(world, file, new() { Mask = AttributeMask.Uid | AttributeMask.Gid, Uid = 5, Gid = 6 });
        await Set(world, file, new() { Mask = AttributeMask.Mode, Mode = Mode });
        VNode shown = await world.Stat(file.Id);
        Assert.Equal((5U, 6U, Mode, new Timestamp(7)), (shown.Uid, shown.Gid, shown.Mode, shown.ModifyTime));
        Assert.Equal(shown, (await world.Lookup("a")).Value.VNode);
        Assert.Equal(before, world.Drive.UnsyncedCount);

        Assert.Equal(Status.Ok, await world.Client.FlushAsync());
        Assert.Equal(1, world.Session.Commits);
        Assert.Equal(before + 1, world.Drive.UnsyncedCount);
        await CheckStored(world, file, shown);
    }

    [Fact]
    public async Task An_fsync_makes_them_durable()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, new byte[100]);
        await Set(world, file, new() { Mask = AttributeMask.Mode, Mode = Mode });
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        world.Crash(kept: 0);
        Assert.Equal(Mode, (await world.Lookup("a")).Value.VNode.Mode);
    }

    [Fact]
    public async Task A_later_write_gives_the_modify_time_and_clears_set_id()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, new byte[100]);
        await Set(world, file, new() { Mask = AttributeMask.ModifyTime, ModifyTime = new(7) });
        await Set(world, file, new() { Mask = AttributeMask.Mode, Mode = Mode });
        world.Time.Advance(TimeSpan.FromSeconds(1));
        await world.Client.WriteAsync(file, 0, new byte[10], new(KillSetId: true, Sync: false));
        VNode shown = await world.Stat(file.Id);
        Assert.Equal(Timestamp.At(world.Time.GetUtcNow()), shown.ModifyTime);
        Assert.Equal(Mode & 0x1FF, shown.Mode);
        Assert.Equal(Status.Ok, await world.Client.FlushAsync());
        await CheckStored(world, file, shown);
    }

    [Fact]
    public async Task A_cut_takes_the_data_but_not_the_attributes()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, new byte[100]);
        await Set(world, file, new() { Mask = AttributeMask.Mode, Mode = 0x180 });
        VNode cut = await Cut(world, file, 0);
        Assert.Equal((0x180, 0UL), (cut.Mode, cut.Size));
        await CheckStored(world, file, cut);
    }

    [Fact]
    public async Task A_cut_on_a_full_disk_keeps_the_attributes_of_what_could_not_be_committed()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, new byte[100]);
        await Set(world, file, new() { Mask = AttributeMask.Mode, Mode = 0x180 });
        await Set(world, file, new() { Mask = AttributeMask.ModifyTime, ModifyTime = new(7) });
        world.Session.OnCommit = () => Status.NoSpace;
        Assert.Equal(Status.NoSpace, await world.Client.FlushAsync());
        world.Session.OnCommit = null;
        world.Time.Advance(TimeSpan.FromSeconds(1));
        VNode cut = await Cut(world, file, 0);
        Assert.Equal((0x180, Timestamp.At(world.Time.GetUtcNow())), (cut.Mode, cut.ModifyTime));
        Assert.Equal(Status.Ok, await world.Client.FlushAsync());
        await CheckStored(world, file, cut);

        // Nothing is kept any more that would hide what the session tells.
        await Set(world, file, new() { Mask = AttributeMask.Mode, Mode = 0x1A4 });
        Assert.Equal(0x1A4, (await world.Stat(file.Id)).Mode);
    }

    [Fact]
    public async Task What_waits_on_a_full_disk_with_another_files_data_is_neither_hidden_nor_overtaken()
    {
        await using ClientWorld world = new();
        OpenFile first = await world.Create("a");
        OpenFile second = await world.Create("b");
        await world.Write(first, 0, new byte[80_000]);
        await world.Write(second, 0, new byte[80_000]);
        await Set(world, first, new() { Mask = AttributeMask.Mode, Mode = 0x180 });
        world.Blocks.OnWrite = () => Status.NoSpace;
        Assert.Equal(Status.NoSpace, await world.Client.FlushAsync());
        Assert.Equal(0x180, (await Cut(world, first, 0)).Mode);

        // Both would be in vain as long as what waits comes later.
        Assert.Equal(Status.NoSpace, await world.Client.FsyncAsync(first));
        Reply<NodeInfo> refused = await world.Client.SetAttributesAsync(
            new SetAttributesRequest { Node = first.Id, Mask = AttributeMask.Mode, Mode = 0x1A4 });
        Assert.Equal(Status.NoSpace, refused.Status);
        Assert.Equal(0x180, (await world.Stat(first.Id)).Mode);

        world.Blocks.OnWrite = null;
        await Set(world, first, new() { Mask = AttributeMask.Mode, Mode = 0x1A4 });
        Assert.Equal(Status.Ok, await world.Client.SyncAllAsync());
        Assert.Equal(0x1A4, (await world.Session.GetAsync(first.Id, CowNumber.Head)).Value.VNode.Mode);
    }

    [Fact]
    public async Task They_outlive_data_that_cannot_be_stored()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, new byte[80_000]);
        await Set(world, file, new() { Mask = AttributeMask.Mode, Mode = 0x180 });
        world.Blocks.OnWrite = () => Status.IoError;
        Assert.Equal(Status.IoError, await world.Client.FsyncAsync(file));
        Assert.Equal(0x180, (await world.Session.GetAsync(file.Id, CowNumber.Head)).Value.VNode.Mode);
        Assert.Equal(0x180, (await world.Stat(file.Id)).Mode);
    }

    [Fact]
    public async Task A_file_with_extended_attributes_asks_the_session()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, new byte[100]);
        ValueTask<Status> set = world.Client.SetXattrAsync(
            new SetXattrRequest { Node = file.Id, Name = "user.a"u8, Value = "b"u8 });
        Assert.Equal(Status.Ok, await set);
        Assert.Equal(1, world.Session.Commits);
        await world.Write(file, 0, new byte[100]);
        await Set(world, file, new() { Mask = AttributeMask.Mode, Mode = 0x180 });
        Assert.Equal(0x180, (await world.Session.GetAsync(file.Id, CowNumber.Head)).Value.VNode.Mode);
    }

    /// <summary>The same life twice: once kept, once flushed after every step. Whatever is kept shows as if it were not.
    /// </summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Nobody_can_tell_whether_attributes_are_kept(int seed)
    {
        for (int life = 0; life < 50; life++)
        {
            Random random = new((seed * 1000) + life);
            await using ClientWorld lazy = new();
            await using ClientWorld eager = new();
            OpenFile first = await lazy.Create("a");
            OpenFile second = await eager.Create("a");
            for (int step = 0; step < 30; step++)
            {
                int choice = random.Next(8);
                int number = random.Next(1, 5000);
                await Step(lazy, first, choice, number);
                await Step(eager, second, choice, number);
                Assert.Equal(Status.Ok, await eager.Client.FlushAsync());
                if (random.Next(10) == 0) { Assert.Equal(Status.Ok, await lazy.Client.FlushAsync()); }
                lazy.Time.Advance(TimeSpan.FromMilliseconds(number));
                eager.Time.Advance(TimeSpan.FromMilliseconds(number));
                VNode expected = await eager.Stat(second.Id);
                VNode actual = await lazy.Stat(first.Id);
                Assert.True(Same(expected, actual), $"seed {seed}, life {life}, step {step}: {expected} but {actual}");
            }

            Assert.Equal(Status.Ok, await lazy.Client.SyncAllAsync());
            NodeInfo stored = (await lazy.Session.GetAsync(first.Id, CowNumber.Head)).Value;
            Assert.True(Same(await eager.Stat(second.Id), stored.VNode), $"seed {seed}, life {life}: {stored}");
        }
    }

    private static bool Same(in VNode expected, in VNode actual) => expected with
    {
        DataVersion = actual.DataVersion,
        AllocatedBytes = actual.AllocatedBytes,
    } == actual;

    private static async Task Step(ClientWorld world, OpenFile file, int choice, int number)
    {
        switch (choice)
        {
            case 0:
                await Set(world, file, new() { Mask = AttributeMask.Mode, Mode = (ushort)(number & 0xFFF) });
                break;
            case 1:
                await Set(world, file, new() { Mask = AttributeMask.Uid, Uid = (uint)number });
                break;
            case 2:
                await Set(world, file, new() { Mask = AttributeMask.Gid | AttributeMask.KillSetId, Gid = (uint)number });
                break;
            case 3:
                await Set(world, file, new() { Mask = AttributeMask.ModifyTime, ModifyTime = new(number) });
                break;
            case 4:
                await Set(world, file, new()
                {
                    Mask = AttributeMask.AccessTime | AttributeMask.KeepChangeTime,
                    AccessTime = new(number),
                });
                break;
            case 5:
                await Cut(world, file, (ulong)number);
                break;
            default:
                WriteOptions options = new(KillSetId: number % 2 == 0, Sync: false);
                await world.Client.WriteAsync(file, (ulong)number, new byte[100], options);
                break;
        }
    }

    /// <summary>As the mount cuts a file.</summary>
    private static async Task<VNode> Cut(ClientWorld world, OpenFile file, ulong size)
    {
        Reply<NodeInfo> reply = await world.Client.SetAttributesAsync(new SetAttributesRequest
        {
            Node = file.Id, Mask = AttributeMask.Size | AttributeMask.ModifyTimeNow, Size = size,
        });
        Assert.Equal(Status.Ok, reply.Status);
        return reply.Value.VNode;
    }

    private static async Task Set(ClientWorld world, OpenFile file, SetAttributesRequest request)
    {
        Reply<NodeInfo> reply = await world.Client.SetAttributesAsync(request with { Node = file.Id });
        Assert.Equal(Status.Ok, reply.Status);
    }

    private static async Task CheckStored(ClientWorld world, OpenFile file, VNode expected)
    {
        Reply<NodeInfo> stored = await world.Session.GetAsync(file.Id, CowNumber.Head);
        Assert.True(Same(expected, stored.Value.VNode), $"{expected} but {stored.Value.VNode}");
    }
}
