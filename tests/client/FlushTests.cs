using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client.Tests;

public sealed class FlushTests
{
    [Fact]
    public async Task Little_data_that_must_be_durable_goes_into_the_transaction_and_needs_no_block()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        byte[] data = ClientWorld.Bytes(10_000, 1);
        await world.Write(file, 100, data);
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        Assert.Equal(0, world.Blocks.Writes);
        Assert.Equal(1, world.Session.Commits);
        Assert.Equal(1, world.Session.Syncs);
        Assert.Equal(0, world.Client.DirtyMemory.RentedBuffers);
        ClientWorld.CheckSame(data, await world.Read(file, 100, 20_000));
    }

    [Fact]
    public async Task A_commit_that_is_durable_with_its_answer_needs_no_sync_behind_it()
    {
        await using ClientWorld world = new(ClientWorld.Still with { DirtyBytes = 64 << 20 });
        world.Session.SyncsWithCommits = true;
        OpenFile file = await world.Create("a");
        for (int round = 1; round <= 6; round++)
        {
            // Little, which goes into the transaction, and a stream whose end is packed.
            await world.Write(file, 0, ClientWorld.Bytes(round % 2 == 0 ? 10_000 : 9 << 20, round));
            Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        }

        int syncs = world.Session.Syncs;
        Assert.InRange(syncs, 1, 4);

        // Nothing is dirty: what was answered otherwise has to be synced all the same.
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        Assert.Equal(syncs + 1, world.Session.Syncs);
    }

    [Fact]
    public async Task A_stream_becomes_blocks_of_four_mebibytes()
    {
        await using ClientWorld world = new(ClientWorld.Still with { DirtyBytes = 64 << 20 });
        OpenFile file = await world.Create("a");
        byte[] data = ClientWorld.Bytes(33 << 20, 1);
        for (int at = 0; at < data.Length; at += 1 << 20)
        {
            await world.Write(file, (ulong)at, data[at..(at + (1 << 20))]);
        }

        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        Assert.Equal(1 + 8, world.Blocks.Writes);
        Assert.Equal(data.Length, world.Blocks.Bytes);
        ClientWorld.CheckSame(data, await world.Read(file, 0, data.Length));
    }

    [Fact]
    public async Task Small_writes_of_many_files_are_packed_into_one_block_and_one_transaction()
    {
        await using ClientWorld world = new();
        List<OpenFile> files = [];
        for (int i = 0; i < 200; i++)
        {
            OpenFile file = await world.Create($"f{i}");
            await world.Write(file, 0, ClientWorld.Bytes(4096, i));
            Assert.Equal(Status.Ok, await world.Client.FlushAsync(file));
            files.Add(file);
        }

        Assert.Equal(0, world.Session.Commits);
        await world.Age();
        Assert.Equal(1, world.Blocks.Writes);
        Assert.Equal(1, world.Session.Commits);
        Assert.Equal(200 * 4096, world.Blocks.Bytes);
        for (int i = 0; i < 200; i++)
        {
            ClientWorld.CheckSame(ClientWorld.Bytes(4096, i), await world.Read(files[i], 0, 5000));
        }
    }

    [Fact]
    public async Task Random_small_writes_of_one_file_are_packed_and_neighbours_become_one_run()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        byte[] data = ClientWorld.Bytes(1 << 20, 1);
        int[] pages = [.. Enumerable.Range(0, 256)];
        new Random(1).Shuffle(pages);
        foreach (int page in pages)
        {
            await world.Write(file, (ulong)page * 4096, data[(page * 4096)..((page + 1) * 4096)]);
        }

        int runs = 0;
        world.Session.Committed = commits => runs = commits.Sum(commit => commit.Runs.Count);
        await world.Age();
        Assert.Equal(1, world.Blocks.Writes);
        Assert.Equal(1, runs);
        ClientWorld.CheckSame(data, await world.Read(file, 0, 1 << 20));
    }

    [Fact]
    public async Task Young_data_stays_in_memory_until_it_is_old()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, new byte[100]);
        world.Time.Advance(world.Options.DirtyAge / 2);
        await world.Client.TickAsync();
        Assert.Equal(0, world.Session.Commits);
        world.Time.Advance(world.Options.DirtyAge);
        await world.Client.TickAsync();
        Assert.Equal(1, world.Session.Commits);
    }

    [Fact]
    public async Task A_file_that_is_always_young_does_not_keep_others_from_ageing()
    {
        await using ClientWorld world = new();
        OpenFile hot = await world.Create("hot");
        OpenFile cold = await world.Create("cold");
        await world.Write(hot, 0, new byte[100]);
        await world.Write(cold, 0, new byte[100]);
        world.Time.Advance(world.Options.DirtyAge);
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(hot));
        await world.Write(hot, 0, new byte[100]);
        int commits = world.Session.Commits;
        world.Time.Advance(TimeSpan.FromMilliseconds(1));
        await world.Client.TickAsync();
        Assert.Equal(commits + 1, world.Session.Commits);
        Assert.Equal(100, world.Client.DirtyMemory.RentedBuffers * 100);
    }

    [Fact]
    public async Task A_write_during_a_flush_of_the_same_bytes_wins()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        byte[] data = ClientWorld.Bytes(600_000, 1);
        await world.Write(file, 0, data);
        byte[] newer = ClientWorld.Bytes(4096, 2);
        newer.CopyTo(data, 8192);
        bool written = false;
        world.Blocks.OnWrite = () =>
        {
            if (written) { return Status.Ok; }
            written = true;
            Assert.True(world.Client.WriteAsync(file, 8192, newer, default).AsTask().IsCompletedSuccessfully);
            return Status.Ok;
        };
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        Assert.True(written);
        ClientWorld.CheckSame(data, await world.Read(file, 0, 600_000));
        await world.Age();
        Assert.Equal(0, world.Client.DirtyMemory.RentedBuffers);
        ClientWorld.CheckSame(data, await world.Read(file, 0, 600_000));
    }

    [Fact]
    public async Task Batches_over_the_same_bytes_commit_in_the_order_of_the_writes_even_if_a_later_block_is_faster()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, ClientWorld.Bytes(600_000, 1));
        byte[] newer = ClientWorld.Bytes(600_000, 2);
        Task<Status>? second = null;
        world.Blocks.OnWrite = () =>
        {
            if (second is not null) { return Status.Ok; }
            second = Task.FromResult(Status.Ok);
            Assert.True(world.Client.WriteAsync(file, 0, newer, default).AsTask().IsCompletedSuccessfully);
            second = world.Client.FsyncAsync(file).AsTask();
            Assert.False(second.IsCompleted);
            Assert.Equal(0, world.Session.Commits);
            return Status.Ok;
        };
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        Assert.Equal(Status.Ok, await second!);
        Assert.Equal(2, world.Session.Commits);
        ClientWorld.CheckSame(newer, await world.Read(file, 0, 600_000));
        Assert.Equal(0, world.Client.DirtyMemory.RentedBuffers);
    }

    [Fact]
    public async Task Dirty_data_is_described_by_flat_records()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 5, new byte[10]);
        await world.Write(file, 100_000, new byte[5000]);
        List<DirtyRecord> records = [];
        world.Client.CopyDirtyRecords(records);
        Assert.Equal([(5UL, 10), (100_000UL, 5000)], records.Select(record => (record.Offset, record.Length)));
        Assert.All(records, record => Assert.Equal((file.Id, 0), (record.Node, record.SlotOffset)));
        Assert.NotEqual(records[0].Slot, records[1].Slot);
    }

    [Fact]
    public async Task Syncing_all_commits_and_syncs_everything()
    {
        await using ClientWorld world = new();
        OpenFile a = await world.Create("a");
        OpenFile b = await world.Create("b");
        await world.Write(a, 0, ClientWorld.Bytes(2_000_000, 1));
        await world.Write(b, 0, ClientWorld.Bytes(100, 2));
        Assert.Equal(Status.Ok, await world.Client.SyncAllAsync());
        Assert.Equal(0, world.Drive.UnsyncedCount);
        world.Crash(kept: 0);
        ClientWorld.CheckSame(ClientWorld.Bytes(2_000_000, 1), await world.Read(await world.Open(a.Id), 0, 3_000_000));
        ClientWorld.CheckSame(ClientWorld.Bytes(100, 2), await world.Read(await world.Open(b.Id), 0, 100));
    }
}
