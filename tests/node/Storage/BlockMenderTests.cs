using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Tests.Storage;

/// <summary>A store whose blocks rot, beside another one that has them whole.</summary>
public sealed class BlockMenderTests : IDisposable
{
    private const int Blocks = 6;

    private readonly DataFolder data = new();
    private readonly DataFolder other = new();
    private readonly OtherFolder source;

    public BlockMenderTests()
    {
        source = new(other);
        foreach (DataFolder folder in (DataFolder[])[data, other])
        {
            folder.CreateDrive();
            for (ulong id = 1; id <= Blocks; id++)
            {
                Assert.Equal(Status.Ok, folder.Blocks.WriteBlock(DataFolder.Block(id), ContentOf(id)));
            }
        }

        data.Blocks.Mender.Source = source;
    }

    public void Dispose()
    {
        data.Dispose();
        other.Dispose();
    }

    [Fact]
    public void Bad_bytes_are_given_to_nobody_until_they_are_released_also_after_an_unclean_stop()
    {
        long bad = Flip(2);
        CheckReads();
        Assert.Equal(1, data.Blocks.GetStatistics(DataFolder.Drive)!.QuarantinedBlocks);
        Assert.Equal(102_400, data.Blocks.GetStatistics(DataFolder.Drive)!.QuarantinedBytes);
        byte[] kept = ReadIdvd(bad);
        Write(100, 30);
        Reopen(() => File.Delete(data.DrivePath(".bitmap")));
        Assert.Equal(102_400, data.Blocks.GetStatistics(DataFolder.Drive)!.QuarantinedBytes);
        Write(200, 30);
        Assert.Equal(kept, ReadIdvd(bad));
        Assert.Equal(DriveProblemKind.Quarantined, Assert.Single(data.Verify().Problems).Kind);

        List<BlockName> released = [];
        Assert.Equal(Status.Ok, data.Blocks.ReleaseQuarantine(DataFolder.Drive, released));
        Assert.Equal(DataFolder.Block(2), Assert.Single(released));
        Write(300, 30);
        Assert.NotEqual(kept, ReadIdvd(bad));
        Assert.True(data.Verify().IsClean);
        CheckReads();
    }

    [Fact]
    public void What_is_kept_of_a_block_that_is_bad_again_stays()
    {
        Flip(2);
        CheckReads();
        Flip(2);
        data.Blocks.Mender.Source = null;
        List<BlockName> released = [];
        Assert.Equal(Status.Ok, data.Blocks.ReleaseQuarantine(DataFolder.Drive, released));
        Assert.Empty(released);
        Assert.Equal(1, data.Blocks.GetStatistics(DataFolder.Drive)!.QuarantinedBlocks);
        data.Blocks.Mender.Source = source;
        CheckReads();
        Assert.Equal(2, data.Blocks.GetStatistics(DataFolder.Drive)!.QuarantinedBlocks);
    }

    [Fact]
    public void A_drive_with_a_damaged_entry_opens_after_an_unclean_stop_and_overwrites_nothing()
    {
        DamageEntry(3);
        Reopen(() => File.Delete(data.DrivePath(".bitmap")));
        Write(100, 40);
        Assert.Equal(Status.Corrupt, data.Blocks.ReadOwnCopy(DataFolder.Block(3), 0, new byte[1]));
        CheckReads();

        // All is known again: what was taken for used comes back.
        long free = data.Blocks.GetStatistics(DataFolder.Drive)!.FreeBytes;
        Reopen();
        Assert.True(data.Blocks.GetStatistics(DataFolder.Drive)!.FreeBytes > free);
        Assert.Equal(DriveProblemKind.Quarantined, Assert.Single(data.Verify().Problems).Kind);
        CheckReads();
    }

    [Fact]
    public void Where_there_is_no_other_copy_a_damaged_entry_keeps_the_drive_closed_after_an_unclean_stop()
    {
        DamageEntry(3);
        data.Reopen(() => File.Delete(data.DrivePath(".bitmap")));
        Assert.Equal(Status.Corrupt, data.Blocks.OpenDrive(DataFolder.Drive).Status);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_block_that_is_dropped_while_it_is_fetched_stays_dropped(bool isEntryBad)
    {
        if (isEntryBad) { DamageEntry(2); }
        else { Flip(2); }
        source.Asked = block =>
        {
            if (isEntryBad) { Put(block, null); }
            else { Assert.Equal(Status.Ok, data.Blocks.DropOwnCopies(block.Owner, [block.Id])); }
        };
        Assert.Equal(Status.NotFound, data.Blocks.Mender.Mend(DataFolder.Block(2)));
        Assert.Equal(Status.NotFound, data.Blocks.ReadBlock(DataFolder.Block(2), 0, new byte[1]));
        Reopen(() => File.Delete(data.DrivePath(".bitmap")));
        Assert.True(data.Verify().IsClean);
        Assert.Equal(Blocks - 1, data.Verify().Blocks);
    }

    [Fact]
    public void Many_readers_of_a_bad_block_mend_it_once()
    {
        Flip(2);
        byte[][] read = new byte[8][];
        Thread[] threads = [.. Enumerable.Range(0, read.Length).Select(thread => new Thread(() =>
        {
            byte[] content = new byte[ContentOf(2).Length];
            if (data.Blocks.ReadBlock(DataFolder.Block(2), 0, content) == Status.Ok) { read[thread] = content; }
        }))];
        foreach (Thread thread in threads) { thread.Start(); }
        foreach (Thread thread in threads) { thread.Join(); }
        Assert.All(read, static content => Assert.Equal(ContentOf(2), content));
        RepairStatistics repairs = data.Blocks.Mender.GetStatistics();
        Assert.Equal((1, 1, 0, 1), (repairs.BadBlocks, repairs.RepairedBlocks, repairs.UnrepairableBlocks, repairs.QuarantinedBlocks));
    }

    [Fact]
    public void A_drive_that_is_deleted_takes_along_what_is_kept_of_its_bad_blocks()
    {
        Flip(2);
        CheckReads();
        Assert.True(data.Blocks.DeleteDrive(DataFolder.Drive).IsOk);
        using IRecordCursor left = data.KeyValues.OpenCursor(Family.Block, [], []);
        Assert.False(left.MoveNext());
    }

    private static byte[] ContentOf(ulong id) => DataFolder.Content(100_000, (int)id);

    private void CheckReads()
    {
        for (ulong id = 1; id <= Blocks; id++)
        {
            byte[] read = new byte[ContentOf(id).Length];
            Assert.Equal(Status.Ok, data.Blocks.ReadBlock(DataFolder.Block(id), 0, read));
            Assert.Equal(ContentOf(id), read);
        }
    }

    private void Write(ulong first, int count)
    {
        for (ulong id = first; id < first + (ulong)count; id++)
        {
            Assert.Equal(Status.Ok, data.Blocks.WriteBlock(DataFolder.Block(id), ContentOf(id)));
        }
    }

    private void Reopen(Action? meanwhile = null)
    {
        data.Reopen(meanwhile);
        data.Blocks.Mender.Source = source;
        StorageResult opened = data.Blocks.OpenDrive(DataFolder.Drive);
        Assert.True(opened.IsOk, opened.Message);
    }

    /// <summary>Flips a bit of a block's bytes; answers where they begin.</summary>
    private long Flip(ulong id)
    {
        using BlockCursor blocks = data.Blocks.OpenBlockCursor(DataFolder.Drive, new(id));
        Assert.True(blocks.MoveNext());
        long offset = blocks.Entry!.Extents[0].Offset;
        using FileStream idvd = new(data.DrivePath("idvd"), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        idvd.Position = offset + 70_000;
        int value = idvd.ReadByte();
        idvd.Position = offset + 70_000;
        idvd.WriteByte((byte)(value ^ 1));
        return offset;
    }

    private byte[] ReadIdvd(long offset)
    {
        using FileStream idvd = new(data.DrivePath("idvd"), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        idvd.Position = offset;
        byte[] bytes = new byte[100_000];
        idvd.ReadExactly(bytes);
        return bytes;
    }

    private void DamageEntry(ulong id)
    {
        Put(DataFolder.Block(id), [1, 2, 3]);
        data.Blocks.ForgetEntry(DataFolder.Block(id));
    }

    private void Put(BlockName block, byte[]? value)
    {
        byte[] key = new byte[BlockKey.Size];
        BlockKey.Write(block, key);
        KeyValueBatch batch = new();
        if (value is null) { batch.Delete(Family.Block, key); }
        else { batch.Put(Family.Block, key, value); }
        Assert.Equal(Status.Ok, data.KeyValues.Write(batch, logged: true));
        Assert.Equal(Status.Ok, data.KeyValues.SyncLog());
    }
}
