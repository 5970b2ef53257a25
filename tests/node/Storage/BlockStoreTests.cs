using KvFs.Core;
using KvFs.Memory;
using KvFs.Node.Storage;

namespace KvFs.Node.Tests.Storage;

public sealed class BlockStoreTests : IDisposable
{
    private readonly DataFolder data = new();

    public void Dispose() => data.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(65_537)]
    [InlineData(1_000_001)]
    [InlineData(Limits.BlockBytes)]
    public void A_block_reads_back_whole_and_in_part_before_and_after_a_restart(int length)
    {
        data.CreateDrive();
        byte[] content = DataFolder.Content(length);
        Assert.Equal(Status.Ok, data.Blocks.WriteBlock(DataFolder.Block(1), content));
        CheckReads(content);
        data.Reopen();
        Assert.True(data.Blocks.OpenDrive(DataFolder.Drive).IsOk);
        CheckReads(content);
        Assert.True(data.Verify().IsClean);
    }

    [Fact]
    public void What_is_in_memory_is_read_without_waiting_and_only_if_it_is_good()
    {
        data.CreateDrive();
        byte[] content = DataFolder.Content(200_000);
        Assert.Equal(Status.Ok, data.Blocks.WriteBlock(DataFolder.Block(1), content));
        byte[] read = new byte[4096];
        Assert.False(data.Blocks.TryReadCached(DataFolder.Block(2), 0, read));

        // A read brings the entry, and the pages, into memory.
        CheckReads(content);
        foreach (int offset in (int[])[0, 4096, 61_440, 65_536, 196_608 - 4096])
        {
            Assert.True(data.Blocks.TryReadCached(DataFolder.Block(1), offset, read));
            Assert.Equal(content[offset..(offset + read.Length)], read);
        }

        Assert.True(data.Blocks.TryReadCached(DataFolder.Block(1), content.Length - 1, read.AsSpan(0, 1)));
        Assert.Equal(content[^1], read[0]);
        foreach ((int offset, int length) in new[] { (-1, 1), (0, 0), (65_535, 2), (content.Length, 1), (content.Length - 1, 2), (int.MaxValue, 1) })
        {
            Assert.False(data.Blocks.TryReadCached(DataFolder.Block(1), offset, read.AsSpan(0, length)));
        }
    }

    [Fact]
    public void Aligned_memory_and_any_other_memory_store_the_same()
    {
        data.CreateDrive();
        byte[] content = DataFolder.Content(3_000_000);
        using AlignedMemory aligned = new(content.Length);
        content.CopyTo(aligned.GetSpan());
        Assert.Equal(Status.Ok, data.Blocks.WriteBlock(DataFolder.Block(1), aligned.GetSpan()));
        Assert.Equal(Status.Ok, data.Blocks.WriteBlock(DataFolder.Block(1), content));
        Assert.Equal(1, data.Blocks.GetStatistics().BlocksWritten);
        CheckReads(content);
    }

    [Fact]
    public void An_id_stands_for_one_content_only()
    {
        data.CreateDrive();
        byte[] content = DataFolder.Content(5000);
        Assert.Equal(Status.Ok, data.Blocks.WriteBlockUnsynced(DataFolder.Block(1), content));
        Assert.Equal(Status.Ok, data.Blocks.WriteBlockUnsynced(DataFolder.Block(1), content));
        Assert.Equal(Status.Exists, data.Blocks.WriteBlockUnsynced(DataFolder.Block(1), DataFolder.Content(5000, seed: 2)));
        Assert.Equal(Status.Ok, data.Blocks.WriteBlock(DataFolder.Block(1), content));
        Assert.Equal(Status.Exists, data.Blocks.WriteBlock(DataFolder.Block(1), DataFolder.Content(5001)));
        Assert.Equal(Status.Invalid, data.Blocks.WriteBlock(DataFolder.Block(2), []));
        Assert.Equal(Status.NotFound, data.Blocks.WriteBlock(new BlockName(new DriveId(9), new BlockId(1)), content));
    }

    [Fact]
    public void Dropped_blocks_are_gone_and_their_room_is_used_again()
    {
        data.CreateDrive();
        long[] free = new long[3];
        for (int round = 0; round < free.Length; round++)
        {
            for (ulong id = 1; id <= 8; id++)
            {
                Assert.Equal(Status.Ok, data.Blocks.WriteBlock(DataFolder.Block((ulong)(round * 100) + id), DataFolder.Content(4 << 20, (int)id)));
            }

            free[round] = data.Blocks.GetStatistics(DataFolder.Drive)!.CapacityBytes;
            BlockId[] ids = [.. Enumerable.Range(1, 9).Select(id => new BlockId((ulong)((round * 100) + id)))];
            Assert.Equal(Status.Ok, data.Blocks.DropBlocks(DataFolder.Drive, ids));
            Assert.Equal(Status.NotFound, data.Blocks.ReadBlock(new BlockName(DataFolder.Drive, ids[0]), 0, new byte[1]));
        }

        Assert.Equal(free[0], free[2]);
        Assert.True(data.Verify().IsClean);
    }

    [Fact]
    public void A_damaged_entry_stays_and_is_counted_and_keeps_no_other_block_from_being_dropped()
    {
        data.CreateDrive();
        for (ulong id = 1; id <= 3; id++)
        {
            Assert.Equal(Status.Ok, data.Blocks.WriteBlock(DataFolder.Block(id), DataFolder.Content(100_000)));
        }

        data.Reopen(() =>
        {
            using JournaledKeyValueStore store = JournaledKeyValueStore.Open(data.PathOf("db"));
            byte[] key = new byte[BlockKey.Size];
            BlockKey.Write(DataFolder.Block(2), key);
            KeyValueBatch batch = new();
            batch.Put(Family.Block, key, [1, 2, 3]);
            Assert.Equal(Status.Ok, store.Write(batch, logged: true));
            Assert.Equal(Status.Ok, store.SyncLog());
        });

        Assert.Equal(Status.Ok, data.Blocks.OpenDrive(DataFolder.Drive).Status);
        Assert.Equal(Status.Ok, data.Blocks.DropBlocks(DataFolder.Drive, [new(1), new(2), new(3)]));
        Assert.Equal(1, data.Blocks.GetStatistics().CorruptReads);
        byte[] read = new byte[100];
        Assert.Equal(Status.NotFound, data.Blocks.ReadBlock(DataFolder.Block(1), 0, read));
        Assert.Equal(Status.NotFound, data.Blocks.ReadBlock(DataFolder.Block(3), 0, read));
        Assert.Equal(Status.Corrupt, data.Blocks.ReadBlock(DataFolder.Block(2), 0, read));
    }

    [Fact]
    public void Many_threads_write_read_and_drop_without_meeting()
    {
        data.CreateDrive();
        Thread[] threads = [.. Enumerable.Range(0, 6).Select(thread => new Thread(() => Work(thread)))];
        failures.Clear();
        foreach (Thread thread in threads) { thread.Start(); }
        foreach (Thread thread in threads) { thread.Join(); }
        Assert.Empty(failures);
        DriveReport report = data.Verify();
        Assert.True(report.IsClean);
        Assert.Equal(6 * 20, report.Blocks);
        Assert.Equal(0, data.Blocks.GetStatistics().CorruptReads);
    }

    private readonly List<string> failures = [];

    private void Work(int thread)
    {
        Random chance = new(thread);
        for (int i = 0; i < 40; i++)
        {
            BlockName name = DataFolder.Block((ulong)((thread * 1000) + i + 1));
            byte[] content = DataFolder.Content(chance.Next(1, 400_000), thread + (i * 10));
            Expect(Status.Ok, data.Blocks.WriteBlock(name, content));
            byte[] read = new byte[content.Length];
            Expect(Status.Ok, data.Blocks.ReadBlock(name, 0, read));
            if (!read.AsSpan().SequenceEqual(content)) { Fail("other bytes"); }
            if (i % 2 == 0) { Expect(Status.Ok, data.Blocks.DropBlocks(DataFolder.Drive, [name.Id])); }
        }
    }

    private void Expect(Status expected, Status actual)
    {
        if (expected != actual) { Fail(actual.ToString()); }
    }

    private void Fail(string what)
    {
        lock (failures) { failures.Add(what); }
    }

    private void CheckReads(byte[] content)
    {
        BlockName name = DataFolder.Block(1);
        byte[] whole = new byte[content.Length];
        Assert.Equal(Status.Ok, data.Blocks.ReadBlock(name, 0, whole));
        Assert.Equal(content, whole);
        Assert.Equal(Status.Ok, data.Blocks.GetBlockLength(name, out int length));
        Assert.Equal(content.Length, length);
        Random chance = new(content.Length);
        for (int i = 0; i < 20; i++)
        {
            int offset = chance.Next(content.Length);
            byte[] part = new byte[chance.Next(content.Length - offset + 1)];
            data.Blocks.Prefetch(name, offset, part.Length);
            Assert.Equal(Status.Ok, data.Blocks.ReadBlock(name, offset, part));
            Assert.True(content.AsSpan(offset, part.Length).SequenceEqual(part));
        }

        Assert.Equal(Status.Invalid, data.Blocks.ReadBlock(name, 1, whole));
        Assert.Equal(Status.Invalid, data.Blocks.ReadBlock(name, -1, whole));
    }
}
