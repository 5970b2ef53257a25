using KvFs.Core;
using KvFs.Node.Blocks;
using KvFs.Node.Sessions;
using KvFs.Node.Tests.Maintenance;
using KvFs.Protocol;

namespace KvFs.Node.Tests;

/// <summary>A block that was stored and answered under one primary of its drive, and that nothing named there: a power cut of all nodes may have
/// taken it at some of them.</summary>
public sealed class LostBlockTests : QuietNodeTests
{
    private const int Bytes = 100_000;

    [Fact]
    public async Task The_next_primary_lets_it_be_named_only_once_it_is_stored_there()
    {
        LocalDriveSession before = Assert.IsType<LocalDriveSession>(await OpenAsync("d"));
        VNodeId file = await CreateAsync(before, "f");
        BlockId first = (await before.GrantBlocksAsync(2)).Value;
        Assert.Equal(Status.Ok, await before.Blocks.WriteBlockAsync(new(before.Drive, first), new byte[Bytes]));

        await using LocalDriveSession after = NextTermOf(before);
        FileCommit unsure = Commit(after, file, first);
        Assert.Equal(Status.NotFound, await after.CommitAsync([unsure], []));
        TransactRequest several = new([], [new CommitOperation(file, unsure)]);
        Assert.Equal(Status.NotFound, await after.TransactAsync(several, new()));
        Assert.Equal(0UL, (await after.GetAsync(file, CowNumber.Head)).Value.VNode.Size);

        BlockId second = new(first.Value + 1);
        Assert.Equal(Status.Ok, await after.Blocks.WriteBlockAsync(new(after.Drive, second), new byte[Bytes]));
        Assert.Equal(Status.Ok, await after.CommitAsync([Commit(after, file, second)], []));
        Assert.Equal(Status.Ok, await after.ReturnBlocksAsync(first, 1));
        Assert.Equal((ulong)Bytes, (await after.GetAsync(file, CowNumber.Head)).Value.VNode.Size);
    }

    [Fact]
    public async Task What_is_named_already_may_be_named_under_the_next_primary_too()
    {
        LocalDriveSession before = Assert.IsType<LocalDriveSession>(await OpenAsync("d"));
        VNodeId first = await CreateAsync(before, "f");
        VNodeId second = await CreateAsync(before, "g");
        BlockId block = (await before.GrantBlocksAsync(1)).Value;
        Assert.Equal(Status.Ok, await before.Blocks.WriteBlockAsync(new(before.Drive, block), new byte[Bytes]));
        Assert.Equal(Status.Ok, await before.CommitAsync([Commit(before, first, block)], []));

        await using LocalDriveSession after = NextTermOf(before);
        Assert.Equal(Status.Ok, await after.CommitAsync([Commit(after, second, block)], []));
        Assert.Equal((ulong)Bytes, (await after.GetAsync(second, CowNumber.Head)).Value.VNode.Size);
    }

    /// <summary>The session as the drive's next primary has it.</summary>
    private LocalDriveSession NextTermOf(LocalDriveSession before) =>
        new(before.Hosted, before.Id, before.Access, new LocalBlockService(Node.Blocks), static _ => ValueTask.CompletedTask);

    private static FileCommit Commit(LocalDriveSession session, VNodeId file, BlockId block)
    {
        FileCommit commit = new() { Node = file, MinSize = Bytes };
        commit.Runs.Add(new(0, Bytes, SliceKind.Block, new(session.Drive, block), 0));
        return commit;
    }
}
