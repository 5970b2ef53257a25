using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Tests.Storage;

/// <summary>What a store does with blocks of a drive that are spread over nodes.</summary>
public sealed class SpreadDriveTests : IDisposable
{
    private static readonly byte[] s_content = DataFolder.Content(200_000);

    private readonly DataFolder here = new();
    private readonly DataFolder there = new();

    public SpreadDriveTests()
    {
        Assert.Equal(Status.Ok, there.Blocks.CreateDrive(DataFolder.Drive, spread: 100).Status);
        Assert.Equal(Status.Ok, there.Blocks.WriteBlock(DataFolder.Block(1), s_content));
    }

    public void Dispose()
    {
        here.Dispose();
        there.Dispose();
    }

    [Fact]
    public void A_drive_has_its_spread_after_a_start_and_no_other_one()
    {
        Assert.Equal(Status.Ok, here.Blocks.CreateDrive(DataFolder.Drive, spread: 37).Status);
        here.Reopen();
        Assert.Equal(37, here.Blocks.SpreadOf(DataFolder.Drive));
        Assert.Equal(Status.Ok, here.Blocks.OpenOrCreateDrive(DataFolder.Drive, spread: 37).Status);
        here.Reopen();
        Assert.Equal((DataFolder.Drive, 37), Assert.Single(here.Blocks.ListSpreads()));
        Assert.Equal(Status.Conflict, here.Blocks.OpenOrCreateDrive(DataFolder.Drive, spread: 38).Status);
        Assert.Equal(0, here.Blocks.SpreadOf(new(99)));
    }

    [Fact]
    public void What_lies_elsewhere_is_read_there_and_not_kept_here()
    {
        Assert.Equal(Status.Ok, here.Blocks.CreateDrive(DataFolder.Drive, spread: 100).Status);
        here.Blocks.Mender.Source = new OtherFolder(there) { IsKept = false };
        byte[] read = new byte[50_000];
        Assert.Equal(Status.Ok, here.Blocks.ReadBlock(DataFolder.Block(1), 100_000, read));
        Assert.Equal(s_content[100_000..150_000], read);
        Assert.Equal(Status.NotFound, here.Blocks.ReadBlock(DataFolder.Block(2), 0, read));
        Assert.Equal(Status.NotFound, here.Blocks.GetBlockLength(DataFolder.Block(1), out _));
    }

    [Fact]
    public void What_is_missing_is_fetched_if_somebody_names_it_who_has_the_records()
    {
        here.Blocks.Mender.Source = new OtherFolder(there);
        Assert.Equal(Status.NotFound, here.Blocks.Mender.Mend(DataFolder.Block(1)));
        Assert.Equal(Status.Ok, here.Blocks.Mender.MendNamed(DataFolder.Block(1), spread: 100));
        Assert.Equal(100, here.Blocks.SpreadOf(DataFolder.Drive));
        byte[] read = new byte[s_content.Length];
        Assert.Equal(Status.Ok, here.Blocks.ReadOwnCopy(DataFolder.Block(1), 0, read));
        Assert.Equal(s_content, read);
    }

    [Fact]
    public void A_block_that_somebody_names_and_nobody_has_is_lost_until_somebody_has_it()
    {
        Assert.Equal(Status.Ok, here.Blocks.CreateDrive(DataFolder.Drive, spread: 100).Status);
        here.Blocks.Mender.Source = new OtherFolder(there);
        Assert.Equal(Status.Corrupt, here.Blocks.Mender.MendNamed(DataFolder.Block(2), spread: 100));
        Assert.True(here.Blocks.Mender.IsLost(DataFolder.Block(2)));
        Assert.Equal(Status.Ok, there.Blocks.WriteBlock(DataFolder.Block(2), s_content));
        Assert.Equal(Status.Ok, here.Blocks.Mender.MendNamed(DataFolder.Block(2), spread: 100));
        Assert.False(here.Blocks.Mender.IsLost(DataFolder.Block(2)));
    }
}
