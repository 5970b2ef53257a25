using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client.Tests;

public sealed class FaultTests
{
    [Fact]
    public async Task A_flush_that_fails_for_good_is_told_once_by_every_handle()
    {
        await using ClientWorld world = new();
        OpenFile first = await world.Create("a");
        OpenFile second = await world.Open(first.Id);
        await world.Write(first, 0, new byte[100_000]);
        world.Blocks.OnWrite = () => Status.IoError;
        await world.Age();
        Assert.Equal(0, world.Client.DirtyMemory.RentedBuffers);
        Assert.Equal(Status.IoError, await world.Client.FsyncAsync(first));
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(first));
        Assert.Equal(Status.IoError, await world.Client.FlushAsync(second));
        Assert.Equal(Status.Ok, await world.Client.FlushAsync(second));
        Assert.Equal(0UL, (await world.Stat(first.Id)).Size);
    }

    [Fact]
    public async Task A_read_that_ends_while_it_is_asked_whether_it_has_is_read()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        byte[] data = ClientWorld.Bytes(100_000, 1);
        await world.Write(file, 0, data);
        await world.Age();
        ClientWorld.CheckSame(data, await world.Read(file, 0, data.Length));
        world.Blocks.EndsReadsWhileAsked = true;
        int before = world.Blocks.Reads;
        ClientWorld.CheckSame(data, await world.Read(file, 0, data.Length));
        Assert.Equal(before + 1, world.Blocks.Reads);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_bug_in_a_flush_leaves_nobody_waiting_and_ends_the_client(bool atBlock)
    {
        ClientWorld world = new();
        OpenFile first = await world.Create("a");
        OpenFile second = await world.Create("b");
        await world.Write(first, 0, new byte[100_000]);
        await world.Write(second, 0, new byte[100_000]);
        Task<Status> beside = Task.FromResult(Status.Ok);
        Status Fail()
        {
            // Somebody who waits already, for a batch that is under way.
            beside = world.Client.FsyncAsync(first).AsTask();
            throw new InvalidOperationException("planted");
        }

        if (atBlock) { world.Blocks.OnWrite = Fail; }
        else { world.Session.OnCommit = Fail; }
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await world.Client.FsyncAsync(first));
        Assert.Equal(Status.IoError, await beside);
        await Assert.ThrowsAsync<InvalidOperationException>(() => world.Client.Completion);

        world.Blocks.OnWrite = null;
        world.Session.OnCommit = null;
        Assert.Equal(Status.IoError, await world.Client.FsyncAsync(first));
        Assert.Equal(Status.IoError, await world.Client.FsyncAsync(second));
        Assert.Equal(Status.IoError, await world.Client.SyncAllAsync());
        Reply<int> written = Reply.Ok(0);
        for (int at = 1; written.IsOk && at < 100; at++)
        {
            written = await world.Client.WriteAsync(second, (ulong)at << 20, new byte[1 << 20], default);
        }

        Assert.Equal(Status.IoError, written.Status);
        await world.DisposeAsync();
    }

    /// <summary>The block of a batch is live only as long as a file names it, and files of a batch may commit apart.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task A_block_that_all_nodes_lost_before_it_was_named_is_stored_anew_under_another_number(int count)
    {
        await using ClientWorld world = new();
        List<OpenFile> files = [];
        for (int at = 0; at < count; at++)
        {
            files.Add(await world.Create($"f{at}"));
            await world.Write(files[at], 0, ClientWorld.Bytes(300_000 + at, at));
        }

        int asked = 0;
        world.Session.OnCommit = () => asked++ < 2 ? Status.NotFound : Status.Ok;
        foreach (OpenFile file in files) { Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file)); }
        world.Session.OnCommit = null;
        Assert.Equal(2, world.Session.Returned.Count);
        for (int at = 0; at < count; at++)
        {
            ClientWorld.CheckSame(ClientWorld.Bytes(300_000 + at, at), await world.Read(files[at], 0, 400_000));
        }
    }

    [Fact]
    public async Task A_block_that_is_lost_every_time_fails_the_sync()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("f");
        await world.Write(file, 0, ClientWorld.Bytes(300_000, 1));
        world.Session.OnCommit = static () => Status.NotFound;
        Assert.Equal(Status.IoError, await world.Client.FsyncAsync(file));
        world.Session.OnCommit = null;
        Assert.Equal(Status.Ok, await world.Client.CloseAsync(file));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_file_that_is_removed_between_its_commit_and_the_next_takes_no_data_of_others_along(bool parks)
    {
        const int Files = 4;
        await using ClientWorld world = new();
        List<VNodeId> ids = [];
        for (int at = 0; at < Files; at++)
        {
            OpenFile file = await world.Create($"f{at}");
            await world.Write(file, 0, ClientWorld.Bytes(30_000 + at, at));
            Assert.Equal(Status.Ok, await world.Client.CloseAsync(file));
            ids.Add(file.Id);
        }

        // The whole is refused, because the first file goes; then each commits alone, and the second goes before the third.
        int commits = 0;
        world.Session.OnCommit = () =>
        {
            int call = commits++;
            if (call is 0 or 3) { Assert.True(world.Unlink(call == 0 ? "f0" : "f1").IsCompletedSuccessfully); }
            return call == 3 && parks ? Status.NoSpace : Status.Ok;
        };
        await world.CheckClean();
        Assert.True(commits > 4);
        Assert.Empty(world.Session.Returned);
        world.Session.OnCommit = null;
        for (int at = 2; at < Files; at++)
        {
            OpenFile file = await world.Open(ids[at]);
            ClientWorld.CheckSame(ClientWorld.Bytes(30_000 + at, at), await world.Read(file, 0, 100_000));
        }
    }

    [Theory]
    [InlineData(true, 30_000)]
    [InlineData(true, 0)]
    [InlineData(true, 500_000)]
    [InlineData(false, 30_000)]
    [InlineData(false, 0)]
    [InlineData(false, 500_000)]
    public async Task A_file_whose_data_does_not_fit_can_be_cut_on_a_full_disk(bool atBlock, int size)
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        OpenFile other = await world.Create("b");
        byte[] data = ClientWorld.Bytes(100_000, 1);
        byte[] beside = ClientWorld.Bytes(50_000, 2);
        await world.Write(file, 0, data);
        await world.Write(other, 0, beside);
        if (atBlock) { world.Blocks.OnWrite = () => Status.NoSpace; }
        else { world.Session.OnCommit = () => Status.NoSpace; }
        await world.Age();

        // What is written over parked data is cut like the rest.
        await world.Write(file, 20_000, data[..20_000]);
        data.AsSpan(0, 20_000).CopyTo(data.AsSpan(20_000));
        byte[] expected = new byte[size];
        data.AsSpan(0, Math.Min(size, data.Length)).CopyTo(expected);
        Assert.Equal((ulong)size, (await world.Truncate(file.Id, (ulong)size)).Size);
        Timestamp cut = (await world.Stat(file.Id)).ModifyTime;
        ClientWorld.CheckSame(expected, await world.Read(file, 0, 1 << 20));
        Assert.Equal(Status.NoSpace, await world.Client.FsyncAsync(other));

        world.Blocks.OnWrite = null;
        world.Session.OnCommit = null;
        await world.Age();
        Assert.Equal(0, world.Client.DirtyMemory.RentedBuffers);
        ClientWorld.CheckSame(expected, await world.Read(file, 0, 1 << 20));
        ClientWorld.CheckSame(beside, await world.Read(other, 0, 1 << 20));
        VNode node = (await world.Session.GetAsync(file.Id, CowNumber.Head)).Value.VNode;
        Assert.Equal(((ulong)size, cut), (node.Size, node.ModifyTime));
    }

    [Fact]
    public async Task A_file_that_was_emptied_on_a_full_disk_has_nothing_left_to_fail()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, new byte[100_000]);
        world.Blocks.OnWrite = () => Status.NoSpace;
        world.Session.OnCommit = () => Status.NoSpace;
        Assert.Equal(Status.NoSpace, await world.Client.FsyncAsync(file));
        Assert.Equal(0UL, (await world.Truncate(file.Id, 0)).Size);
        Assert.Equal(0, world.Client.DirtyMemory.RentedBuffers);
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        Assert.Equal(Status.Ok, await world.Client.SyncAllAsync());
    }

    [Fact]
    public async Task A_block_that_could_not_be_synced_before_a_cut_is_in_nobodys_way()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        OpenFile other = await world.Create("b");
        byte[] data = ClientWorld.Bytes(100_000, 1);
        byte[] beside = ClientWorld.Bytes(50_000, 2);
        await world.Write(file, 0, data);
        await world.Write(other, 0, beside);
        world.Blocks.OnSync = () => Status.NoSpace;
        await world.Age();
        Assert.Equal(30_000UL, (await world.Truncate(file.Id, 30_000)).Size);
        Assert.Empty(world.Session.Returned);

        world.Blocks.OnSync = null;
        await world.Age();
        Assert.Equal(Status.Ok, await world.Client.SyncAllAsync());
        ClientWorld.CheckSame(data[..30_000], await world.Read(file, 0, 1 << 20));
        ClientWorld.CheckSame(beside, await world.Read(other, 0, 1 << 20));

        // The first one's id, and only that.
        Assert.Single(world.Session.Returned);
    }

    [Fact]
    public async Task The_block_of_a_batch_that_a_cut_emptied_is_given_back()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, new byte[100_000]);
        world.Session.OnCommit = () => Status.NoSpace;
        Assert.Equal(Status.NoSpace, await world.Client.FsyncAsync(file));
        Assert.Equal(1, world.Blocks.Writes);
        await world.Truncate(file.Id, 0);
        Assert.Single(world.Session.Returned);
        world.Session.OnCommit = null;

        // One that a file names stays, and so does one that is to be named still.
        await world.Write(file, 0, new byte[100_000]);
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        Assert.Single(world.Session.Returned);
    }

    [Fact]
    public async Task A_failure_that_nobody_has_heard_of_is_told_by_the_next_handle()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, new byte[100_000]);
        await world.Client.CloseAsync(file);
        world.Blocks.OnWrite = () => Status.IoError;
        await world.Age();
        world.Blocks.OnWrite = null;
        OpenFile next = await world.Open(file.Id);
        OpenFile another = await world.Open(file.Id);
        Assert.Equal(Status.IoError, await world.Client.FsyncAsync(next));
        Assert.Equal(Status.IoError, await world.Client.FsyncAsync(another));
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(await world.Open(file.Id)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_full_disk_keeps_the_data_until_there_is_space_and_fsync_never_lies(bool atBlock)
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        byte[] data = ClientWorld.Bytes(100_000, 1);
        await world.Write(file, 0, data);
        if (atBlock) { world.Blocks.OnWrite = () => Status.NoSpace; }
        else { world.Session.OnCommit = () => Status.NoSpace; }

        await world.Age();
        Assert.Equal(Status.NoSpace, await world.Client.FlushAsync(file));
        Assert.Equal(Status.Ok, await world.Client.FlushAsync(file));
        Assert.Equal(Status.NoSpace, await world.Client.FsyncAsync(file));
        Assert.Equal(Status.NoSpace, await world.Client.FsyncAsync(file));
        ClientWorld.CheckSame(data, await world.Read(file, 0, 200_000));

        world.Blocks.OnWrite = null;
        world.Session.OnCommit = null;
        await world.Client.TickAsync();
        Assert.Equal(0, world.Client.DirtyMemory.RentedBuffers);
        ClientWorld.CheckSame(data, await world.Read(file, 0, 200_000));
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        Assert.Equal(1, world.Blocks.Writes);
    }

    [Fact]
    public async Task A_write_after_a_failed_flush_of_the_same_bytes_wins_over_the_retried_one()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, ClientWorld.Bytes(100_000, 1));
        world.Blocks.OnWrite = () => Status.NoSpace;
        await world.Age();
        byte[] newer = ClientWorld.Bytes(100_000, 2);
        await world.Write(file, 0, newer);
        await world.Age();
        world.Blocks.OnWrite = null;
        Assert.Equal(Status.Ok, await world.Client.SyncAllAsync());
        ClientWorld.CheckSame(newer, await world.Read(file, 0, 200_000));
        Assert.Equal(0, world.Client.DirtyMemory.RentedBuffers);
    }

    [Fact]
    public async Task What_is_only_busy_is_tried_again_and_nobody_hears_of_it()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, new byte[100_000]);
        int blocks = 0;
        int commits = 0;
        world.Blocks.OnWrite = () => ++blocks % 5 == 0 ? Status.Ok : Status.Busy;
        world.Session.OnCommit = () => ++commits % 5 == 0 ? Status.Ok : Status.Busy;
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        Assert.Equal(Status.Ok, await world.Client.FlushAsync(file));
    }

    [Fact]
    public async Task An_answer_that_never_came_is_asked_for_again()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        await world.Write(file, 0, new byte[100_000]);
        world.Session.OnCommit = () => Status.Unknown;
        Assert.Equal(Status.Unknown, await world.Client.FsyncAsync(file));
        world.Session.OnCommit = null;
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        Assert.Equal(100_000UL, (await world.Stat(file.Id)).AllocatedBytes);
    }

    [Fact]
    public async Task Memory_that_is_full_of_what_cannot_be_written_refuses_writes()
    {
        await using ClientWorld world = new();
        OpenFile file = await world.Create("a");
        world.Blocks.OnWrite = () => Status.NoSpace;
        ulong offset = 0;
        Reply<int> reply = Reply.Ok(0);
        while (reply.IsOk)
        {
            Assert.True(offset <= (ulong)world.Options.DirtyBytes);
            reply = await world.Client.WriteAsync(file, offset, new byte[1 << 20], default);
            offset += (ulong)reply.Value;
        }

        Assert.Equal(Status.NoSpace, reply.Status);
        world.Blocks.OnWrite = null;
        await world.Write(file, offset, new byte[1 << 20]);
        Assert.Equal(Status.Ok, await world.Client.SyncAllAsync());
        Assert.Equal(offset + (1 << 20), (await world.Stat(file.Id)).AllocatedBytes);
    }

    [Fact]
    public async Task Writers_never_hold_more_memory_than_they_may()
    {
        await using ClientWorld world = new(ClientWorld.Still with { DirtyBytes = 8 << 20 });
        long most = 0;
        world.Blocks.OnWrite = () =>
        {
            most = Math.Max(most, world.Client.DirtyMemory.RentedBytes);
            return Status.Ok;
        };
        OpenFile[] files = [await world.Create("a"), await world.Create("b"), await world.Create("c")];
        for (int i = 0; i < 100; i++)
        {
            await world.Write(files[i % 3], (ulong)i << 20, ClientWorld.Bytes(1 << 20, i));
        }

        Assert.InRange(most, 1, 8 << 20);
        Assert.Equal(Status.Ok, await world.Client.SyncAllAsync());
        for (int i = 0; i < 100; i++)
        {
            byte[] expected = ClientWorld.Bytes(1 << 20, i);
            ClientWorld.CheckSame(expected, await world.Read(files[i % 3], (ulong)i << 20, 1 << 20));
        }
    }
}
