using KvFs.Core;
using KvFs.Node.Maintenance;
using KvFs.Node.Storage;
using KvFs.Node.Tests.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Node.Tests.Maintenance;

/// <summary>A store that is read in the background, beside another one that has its blocks whole.</summary>
public sealed class ScrubberTests : IDisposable
{
    private const int Blocks = 8;
    private const int BlockBytes = 1_500_000;

    private readonly DataFolder data = new();
    private readonly DataFolder other = new();
    private readonly ManualTime clock = new();
    private readonly OtherFolder source;

    public ScrubberTests()
    {
        source = new(other);
        foreach (DataFolder folder in (DataFolder[])[data, other])
        {
            folder.CreateDrive();
            for (ulong id = 1; id <= Blocks; id++)
            {
                Assert.Equal(Status.Ok, folder.Blocks.WriteBlock(DataFolder.Block(id), DataFolder.Content(BlockBytes, (int)id)));
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
    public void Bad_blocks_are_found_and_mended_without_a_read()
    {
        Flip(3);
        Flip(6);
        using Scrubber scrubber = New();
        scrubber.FinishPass(Unpaced(), CancellationToken.None);
        Assert.Equal(Blocks * (long)BlockBytes, scrubber.ScrubbedBytes);
        Assert.NotEqual(default, scrubber.LastEnded);
        RepairStatistics repairs = data.Blocks.Mender.GetStatistics();
        Assert.Equal((2, 2, 0, 2), (repairs.BadBlocks, repairs.RepairedBlocks, repairs.UnrepairableBlocks, repairs.QuarantinedBlocks));
        Assert.All(data.Verify().Problems, static problem => Assert.Equal(DriveProblemKind.Quarantined, problem.Kind));
        Assert.Equal(2, data.Verify().ProblemCount);
    }

    [Fact]
    public void It_reads_no_faster_than_it_may()
    {
        using Scrubber scrubber = New(new() { BytesPerSecond = BlockBytes, PassTime = TimeSpan.FromSeconds(1) });
        scrubber.Run(Unpaced(), CancellationToken.None);
        Assert.Equal(0, scrubber.ScrubbedBytes);
        clock.Advance(TimeSpan.FromSeconds(1));
        scrubber.Run(Unpaced(), CancellationToken.None);
        Assert.Equal(BlockBytes, scrubber.ScrubbedBytes);
        clock.Advance(TimeSpan.FromSeconds(0.5));
        scrubber.Run(Unpaced(), CancellationToken.None);
        Assert.Equal(2 * BlockBytes, scrubber.ScrubbedBytes);

        // That was half a block too much.
        clock.Advance(TimeSpan.FromSeconds(0.5));
        scrubber.Run(Unpaced(), CancellationToken.None);
        Assert.Equal(2 * BlockBytes, scrubber.ScrubbedBytes);
    }

    [Fact]
    public void It_takes_as_long_as_a_pass_may_if_that_is_slower()
    {
        using Scrubber scrubber = New(new() { BytesPerSecond = 1L << 40, PassTime = TimeSpan.FromSeconds(16) });
        for (int second = 1; second <= 16; second++)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            scrubber.Run(Unpaced(), CancellationToken.None);
            Assert.InRange(scrubber.ScrubbedBytes, (second - 1) * BlockBytes / 2, (second + 2) * BlockBytes / 2);
        }
    }

    [Fact]
    public void Where_it_is_survives_a_restart_and_the_end_of_a_pass_too()
    {
        ScrubOptions options = new() { BytesPerSecond = BlockBytes, PassTime = TimeSpan.FromSeconds(1) };
        using (Scrubber scrubber = New(options))
        {
            for (int second = 0; second < 5; second++)
            {
                clock.Advance(TimeSpan.FromSeconds(1));
                scrubber.Run(Unpaced(), CancellationToken.None);
            }

            Assert.Equal(5 * BlockBytes, scrubber.ScrubbedBytes);
        }

        Reopen();
        using (Scrubber scrubber = New(options))
        {
            Assert.Equal(default, scrubber.LastEnded);
            scrubber.FinishPass(Unpaced(), CancellationToken.None);
            Assert.Equal((Blocks - 5) * BlockBytes, scrubber.ScrubbedBytes);
        }

        Reopen();
        using Scrubber last = New(options with { PassTime = TimeSpan.FromDays(7) });
        Assert.NotEqual(default, last.LastEnded);

        // The next pass has time.
        clock.Advance(TimeSpan.FromHours(1));
        last.Run(Unpaced(), CancellationToken.None);
        Assert.Equal(0, last.ScrubbedBytes);
        clock.Advance(TimeSpan.FromDays(1));
        last.Run(Unpaced(), CancellationToken.None);
        Assert.NotEqual(0, last.ScrubbedBytes);
    }

    [Fact]
    public void It_rests_behind_each_part_and_ends_when_it_is_to()
    {
        using CancellationTokenSource stop = new();
        int rests = 0;
        Pace pace = new(static () => 0, clock, _ =>
        {
            if (++rests == 3) { stop.Cancel(); }
        });
        using Scrubber scrubber = New();
        scrubber.FinishPass(pace, stop.Token);
        Assert.Equal(3, rests);
        Assert.Equal(BlockBytes + (1 << 20), scrubber.ScrubbedBytes);
        Assert.Equal(default, scrubber.LastEnded);
    }

    [Fact]
    public void A_block_that_somebody_met_is_looked_at_first_also_where_nothing_is_read()
    {
        Flip(8);
        using Scrubber scrubber = New(new() { BytesPerSecond = 0 });
        scrubber.Run(Unpaced(), CancellationToken.None);
        Assert.Equal(0, data.Blocks.Mender.GetStatistics().BadBlocks);
        data.Blocks.Mender.Suspect(DataFolder.Block(8));
        scrubber.Run(Unpaced(), CancellationToken.None);
        Assert.Equal(1, data.Blocks.Mender.GetStatistics().RepairedBlocks);
        Assert.Equal(0, scrubber.ScrubbedBytes);
    }

    [Fact]
    public void Where_there_is_no_other_copy_it_only_tells()
    {
        Flip(3);
        Refer(3);
        data.Blocks.Mender.Source = null;
        using Scrubber scrubber = New();
        scrubber.FinishPass(Unpaced(), CancellationToken.None);
        RepairStatistics repairs = data.Blocks.Mender.GetStatistics();
        Assert.Equal((0, 1, 0), (repairs.RepairedBlocks, repairs.UnrepairableBlocks, repairs.QuarantinedBlocks));
        Assert.True(data.Blocks.Mender.IsLost(DataFolder.Block(3)));
        Assert.Equal(DriveProblemKind.BadBytes, Assert.Single(data.Verify().Problems).Kind);

        // A copy comes back: it is tried again before the next pass.
        data.Blocks.Mender.Source = source;
        clock.Advance(TimeSpan.FromMinutes(1));
        scrubber.Run(Unpaced(), CancellationToken.None);
        Assert.False(data.Blocks.Mender.IsLost(DataFolder.Block(3)));
        Assert.Equal(1, data.Blocks.Mender.GetStatistics().RepairedBlocks);
    }

    [Fact]
    public void A_block_whose_room_was_used_again_meanwhile_is_no_bad_one()
    {
        int rests = 0;
        Pace pace = new(static () => 0, clock, _ =>
        {
            if (++rests != 1) { return; }
            Assert.Equal(Status.Ok, data.Blocks.DropOwnCopies(DataFolder.Drive, [new(1), new(2)]));
            Assert.Equal(Status.Ok, data.Blocks.WriteBlock(DataFolder.Block(100), DataFolder.Content(2 * BlockBytes, 100)));
        });
        using Scrubber scrubber = New();
        scrubber.FinishPass(pace, CancellationToken.None);
        Assert.Equal(0, data.Blocks.Mender.GetStatistics().BadBlocks);
        Assert.Equal(Status.NotFound, data.Blocks.ReadBlock(DataFolder.Block(2), 0, new byte[1]));
        Assert.True(data.Verify().IsClean);
    }

    private Scrubber New(ScrubOptions? options = null) =>
        new(data.Blocks, data.KeyValues, clock, options ?? new(), NullLogger.Instance);

    private Pace Unpaced() => new(static () => 0, clock, static _ => { });

    private void Reopen()
    {
        data.Reopen();
        data.Blocks.Mender.Source = source;
        Assert.True(data.Blocks.OpenDrive(DataFolder.Drive).IsOk);
    }

    /// <summary>Writes down that something refers to a block.</summary>
    private void Refer(ulong id)
    {
        RecordKey key = RecordKey.Numbered(RecordKind.BlockLive, id);
        KeyValueBatch batch = new();
        batch.Put(Family.Namespace, key.In(DataFolder.Drive), [1]);
        Assert.Equal(Status.Ok, data.KeyValues.Write(batch, logged: true));
    }

    private void Flip(ulong id)
    {
        using BlockCursor blocks = data.Blocks.OpenBlockCursor(DataFolder.Drive, new(id));
        Assert.True(blocks.MoveNext());
        using FileStream idvd = new(data.DrivePath("idvd"), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        long offset = blocks.Entry!.Extents[0].Offset + 1_200_000;
        idvd.Position = offset;
        int value = idvd.ReadByte();
        idvd.Position = offset;
        idvd.WriteByte((byte)(value ^ 1));
    }
}
