using KvFs.Core;

namespace KvFs.Node.Tests.Replication;

/// <summary>A disk that fills, and one that fails, under a node that serves.</summary>
public sealed class FailingDiskTests
{
    [Fact]
    public async Task What_finds_no_space_is_owed_and_applied_when_there_is_some()
    {
        await using LoneNode node = await LoneNode.StartAsync();
        Assert.Equal(Status.Ok, Commit(node, 1));
        node.IsFull = true;
        Assert.Equal(Status.Unknown, Commit(node, 2));
        Assert.True(node.Log.IsOwed);
        LogIndex before = node.Log.Published;
        Assert.Equal(Status.NoSpace, Commit(node, 3));
        Assert.Equal(Status.NoSpace, node.Log.Resume());
        node.IsFull = false;
        Assert.Equal(Status.Ok, node.Log.Resume());
        Assert.Equal(before.Next, node.Log.Published);
        Assert.False(node.Log.IsOwed);
        Assert.Equal(Status.Ok, Commit(node, 3));
    }

    [Fact]
    public async Task A_write_that_fails_ends_this_nodes_part_and_not_its_process()
    {
        await using LoneNode node = await LoneNode.StartAsync();
        Assert.Equal(Status.Ok, Commit(node, 1));
        node.Store.FailsAt = 1;
        Assert.Equal(Status.IoError, Commit(node, 2));
        await AssertOutAsync(node);
    }

    [Fact]
    public async Task A_read_that_fails_while_something_is_owed_ends_this_nodes_part_and_not_its_process()
    {
        await using LoneNode node = await LoneNode.StartAsync();
        node.IsFull = true;
        Assert.Equal(Status.Unknown, Commit(node, 1, 200 << 10));  // Too large to be kept in memory.
        node.Store.FailsReads = true;
        node.IsFull = false;
        await AssertOutAsync(node);
    }

    private static Status Commit(LoneNode node, ulong key, int bytes = 10) =>
        node.Log.Commit(LoneNode.Drive, TestPool.Put(LoneNode.Drive, key, new byte[bytes]));

    private static async Task AssertOutAsync(LoneNode node)
    {
        await node.UntilAsync(() => !node.IsServing, "it still serves");
        Assert.True(node.Log.IsBroken);
        Assert.False(node.Log.CanServe);
        Assert.Equal(Status.IoError, node.Log.Resume());
        Assert.Equal(Status.IoError, node.Log.Sync());
        Assert.Equal(Status.IoError, Commit(node, 9));
    }
}
