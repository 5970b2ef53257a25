using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client.Tests;

public sealed class QuotaTests
{
    private const int Quota = 1 << 20;

    [Fact]
    public async Task A_full_quota_is_told_by_the_write_and_never_by_a_flush()
    {
        await using ClientWorld world = new(quotaBytes: Quota);
        OpenFile file = await world.Create("a");
        ulong written = await Fill(world, file, 0);
        Assert.Equal((ulong)Quota, written);
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        Assert.Equal((ulong)Quota, world.Drive.Counters.UsedBytes);
    }

    [Fact]
    public async Task A_full_drive_can_be_overwritten()
    {
        await using ClientWorld world = new(quotaBytes: Quota);
        OpenFile file = await world.Create("a");
        await Fill(world, file, 0);
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        for (int round = 0; round < 3; round++)
        {
            byte[] data = ClientWorld.Bytes(Quota, round);
            for (int at = 0; at < Quota; at += 5000)
            {
                await world.Write(file, (ulong)at, data[at..Math.Min(Quota, at + 5000)]);
            }

            ClientWorld.CheckSame(data, await world.Read(file, 0, Quota));
            Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
            ClientWorld.CheckSame(data, await world.Read(file, 0, Quota));
        }

        Assert.Equal((ulong)Quota, world.Drive.Counters.UsedBytes);
    }

    [Fact]
    public async Task A_write_that_fits_in_part_is_taken_in_part()
    {
        await using ClientWorld world = new(quotaBytes: Quota);
        OpenFile file = await world.Create("a");
        Reply<int> reply = await world.Client.WriteAsync(file, 0, new byte[Quota + 50_000], default);
        Assert.Equal(Status.Ok, reply.Status);
        Assert.InRange(reply.Value, Quota - 4096, Quota);
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
    }

    [Fact]
    public async Task Space_that_a_truncate_frees_can_be_written_again()
    {
        await using ClientWorld world = new(quotaBytes: Quota);
        OpenFile file = await world.Create("a");
        await Fill(world, file, 0);
        await world.Truncate(file.Id, Quota / 2);
        await world.Write(file, Quota / 2, new byte[Quota / 2]);
        Assert.Equal(Status.NoSpace, (await world.Client.WriteAsync(file, Quota, new byte[1], default)).Status);
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
    }

    [Fact]
    public async Task Dirty_data_counts_as_used_and_what_is_not_needed_goes_back()
    {
        await using ClientWorld world = new(quotaBytes: 100 << 20);
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, new byte[1 << 20]);
        DriveUsage usage = (await world.Client.StatfsAsync()).Value;
        Assert.Equal(1UL << 20, usage.UsedBytes);
        Assert.Equal(99UL << 20, usage.FreeBytes);
        await world.Age();
        Assert.Equal(1UL << 20, (await world.Client.StatfsAsync()).Value.UsedBytes);
        Assert.Equal(default, world.Drive.Ledger.ReservedByOthers(default));
    }

    [Fact]
    public async Task Data_that_is_overwritten_while_it_is_flushed_is_reserved_for_and_comes_back()
    {
        await using ClientWorld world = new(quotaBytes: 64 << 20);
        OpenFile file = await world.Create("a");
        for (int round = 0; round < 50; round++)
        {
            await world.Write(file, 0, ClientWorld.Bytes(900_000, round));
            await world.Age();
        }

        Assert.Equal(900_000UL, world.Drive.Counters.UsedBytes);
        Assert.Equal(default, world.Drive.Ledger.ReservedByOthers(default));
    }

    /// <summary>Writes until the quota is full; returns the bytes written.</summary>
    private static async Task<ulong> Fill(ClientWorld world, OpenFile file, ulong offset)
    {
        for (; ; )
        {
            Reply<int> reply = await world.Client.WriteAsync(file, offset, new byte[4096], default);
            if (!reply.IsOk)
            {
                Assert.Equal(Status.NoSpace, reply.Status);
                return offset;
            }

            offset += (ulong)reply.Value;
        }
    }
}
