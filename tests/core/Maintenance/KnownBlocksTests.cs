namespace KvFs.Core.Tests;

/// <summary>Which of the blocks that are stored are dead by the records of their drive.</summary>
public sealed class KnownBlocksTests
{
    private readonly TestDrive drive = new();

    [Fact]
    public void A_block_is_unknown_once_it_is_neither_granted_nor_in_use_nor_waiting_to_be_dropped()
    {
        SessionId session = new(7);
        BlockId first = default;
        Assert.Equal(Status.Ok, drive.Run(transaction => GrantBlocks.Apply(session, 3, transaction, out first)));
        ulong[] stored = [first.Value, first.Value + 1, first.Value + 2, first.Value + 3];
        Assert.Equal([first.Value + 3], KnownBlocks.FindUnknown(drive.Head, stored));

        // Named, given back, and still granted.
        Assert.Equal(Status.Ok, drive.Run(transaction => transaction.Blocks.Add(new(drive.State.Drive, first), 4096, session)));
        Assert.Equal(Status.Ok, drive.Run(transaction => ReturnBlocks.Apply(session, new(first.Value + 1), 1, transaction)));
        Assert.Equal([first.Value + 3], KnownBlocks.FindUnknown(drive.Head, stored));

        Assert.Equal(Status.Ok, drive.Run(transaction => DropDead.Apply([new(first.Value + 1)], transaction)));
        Assert.Equal([first.Value + 1, first.Value + 3], KnownBlocks.FindUnknown(drive.Head, stored));
        Assert.Empty(KnownBlocks.FindUnknown(drive.Head, []));
    }
}
