using KvFs.Node.Maintenance;
using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Protocol;

namespace KvFs.Node.Tests.Maintenance;

/// <summary>Folds that nobody has in mind any more.</summary>
public sealed class CrowdSearchTests : QuietNodeTests
{
    private const int BlockBytes = 64 << 10;

    [Fact]
    public async Task What_was_to_be_folded_before_a_restart_is_found_and_what_it_hides_comes_back()
    {
        IDriveSession session = await OpenAsync("d");
        for (int number = 0; number < 3; number++) { await OverwriteAsync(session, $"f{number}", times: number == 1 ? 1 : 20); }
        await session.DisposeAsync();
        await OpenAgainAsync();
        long before = Node.StoredBytes("d");

        // A few records at a time: what ends in the middle of a cluster goes on behind it.
        int steps = 0;
        while (Node.Search.Step(records: 7)) { Assert.InRange(++steps, 1, 20); }
        Node.Fold();
        Node.Reap();

        Assert.Equal(2, Node.Folds);
        Assert.Equal(before - (2 * 19 * BlockBytes), Node.StoredBytes("d"));
        Assert.False(Node.Search.Step());
    }

    [Fact]
    public async Task Notes_beyond_the_bound_are_let_go_and_found_again()
    {
        IDriveSession session = await OpenAsync("d");
        await OverwriteAsync(session, "f", times: 20);
        while (Node.Search.Step()) { }
        Node.Fold();
        long folded = Node.Folds;
        await OverwriteAsync(session, "g", times: 20);
        TakeAll();
        Assert.False(Node.Search.Step());

        // Each is noted twice: it presses, and it is to be folded well when it rests.
        NoteMany(5000);
        Assert.Equal(2 * 4096, TakeAll());
        while (Node.Search.Step()) { }
        Node.Fold();
        Assert.Equal(folded + 1, Node.Folds);
    }

    [Fact]
    public async Task What_is_noted_is_taken_in_order_and_each_for_the_same_little()
    {
        await OpenAsync("d");
        NoteMany(4000);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (uint cluster = 0; cluster < 4000; cluster++)
        {
            Assert.True(Node.Work.TryTakeCrowded(out ClusterToFold taken));
            if (taken.Cluster != cluster) { Assert.Fail($"{taken.Cluster} came in the place of {cluster}."); }
        }

        Assert.InRange((GC.GetAllocatedBytesForCurrentThread() - before) / 4000, 0, 1024);
    }

    /// <summary>Takes all notes, and folds nothing.</summary>
    private int TakeAll()
    {
        Node.Work.FoldResting();
        Node.Work.FoldResting();
        int taken = 0;
        while (Node.Work.TryTakeCrowded(out _) || Node.Work.TryTakeRested(out _)) { taken++; }
        return taken;
    }

    /// <summary>Takes note of clusters of a file that is not there.</summary>
    private void NoteMany(uint count)
    {
        HostedDrive drive = Node.Drive("d");
        for (uint cluster = 0; cluster < count; cluster++)
        {
            Node.Work.Fold(drive, new(new(1 << 30), cluster, Limits.MaxSlices, 0, 0, 1));
        }
    }

    /// <summary>Writes one block over and over.</summary>
    private static async Task OverwriteAsync(IDriveSession session, string name, int times)
    {
        VNodeId file = await CreateAsync(session, name);
        byte[] content = new byte[BlockBytes];
        for (int time = 0; time < times; time++)
        {
            content.AsSpan().Fill((byte)(time + 1));
            BlockName block = new(session.Drive, (await session.GrantBlocksAsync(1)).Value);
            Assert.Equal(Status.Ok, await session.Blocks.WriteBlockAsync(block, content));
            FileCommit commit = new() { Node = file, MinSize = BlockBytes };
            commit.Runs.Add(new(0, BlockBytes, SliceKind.Block, block, 0));
            Assert.Equal(Status.Ok, await session.CommitAsync([commit], []));
        }
    }
}
