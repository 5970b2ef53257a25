using KvFs.Core;
using KvFs.Node.Tests.Maintenance;
using KvFs.Protocol;

namespace KvFs.Node.Tests;

/// <summary>A block that was stored, answered, and taken by a power cut before its index entry was on disk, while its client lived on.</summary>
public sealed class LostBlockTests : QuietNodeTests
{
    private const int Bytes = 100_000;

    [Fact]
    public async Task No_commit_may_name_it_until_its_bytes_are_stored_again()
    {
        IDriveSession session = await OpenAsync("d");
        VNodeId file = await CreateAsync(session, "f");
        BlockId first = (await session.GrantBlocksAsync(2)).Value;
        FileCommit lost = Commit(session, file, first);
        Assert.Equal(Status.Ok, await session.Blocks.WriteBlockAsync(new(session.Drive, first), new byte[Bytes]));
        Assert.Equal(Status.Ok, Node.Blocks.DropOwnCopies(session.Drive, [first]));
        Assert.Equal(Status.NotFound, await session.CommitAsync([lost], []));
        TransactRequest several = new([], [new CommitOperation(file, lost)]);
        Assert.Equal(Status.NotFound, await session.TransactAsync(several, new()));
        Assert.Equal(0UL, (await session.GetAsync(file, CowNumber.Head)).Value.VNode.Size);

        BlockId second = new(first.Value + 1);
        Assert.Equal(Status.Ok, await session.Blocks.WriteBlockAsync(new(session.Drive, second), new byte[Bytes]));
        Assert.Equal(Status.Ok, await session.CommitAsync([Commit(session, file, second)], []));
        Assert.Equal(Status.Ok, await session.ReturnBlocksAsync(first, 1));
        Assert.Equal((ulong)Bytes, (await session.GetAsync(file, CowNumber.Head)).Value.VNode.Size);
    }

    private static FileCommit Commit(IDriveSession session, VNodeId file, BlockId block)
    {
        FileCommit commit = new() { Node = file, MinSize = Bytes };
        commit.Runs.Add(new(0, Bytes, SliceKind.Block, new(session.Drive, block), 0));
        return commit;
    }
}
