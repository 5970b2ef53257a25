using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Node.Tests.Maintenance;
using KvFs.Protocol;

namespace KvFs.Node.Tests;

/// <summary>What sessions set aside for data that is still in memory, against one disk.</summary>
public sealed class ReservationTests : QuietNodeTests
{
    private const ulong MiB = 1 << 20;

    [Fact]
    public async Task Reservations_of_all_drives_together_are_no_more_than_the_disk_has()
    {
        IDriveSession one = await OpenAsync("one");
        IDriveSession other = await OpenAsync("other");
        Node.Disk.FreeBytes = SpaceGuard.ReserveBytes + ((1L << 30) / 100) + (10L * (long)MiB);
        Assert.Equal(Status.Ok, await one.ReserveAsync(new(6 * MiB, 0)));
        Assert.Equal(Status.NoSpace, await one.ReserveAsync(new(6 * MiB, 0)));
        Assert.Equal(Status.NoSpace, await other.ReserveAsync(new(6 * MiB, 0)));
        Assert.Equal(Status.Ok, Node.Blocks.Space.GetFree(out long free));
        Assert.InRange(free, 3L * (long)MiB, 4L * (long)MiB);

        one.Unreserve(new(3 * MiB, 0));
        Assert.Equal(Status.Ok, await other.ReserveAsync(new(6 * MiB, 0)));
        await one.DisposeAsync();
        Assert.Equal(Status.Ok, await other.ReserveAsync(new(3 * MiB, 0)));
        Assert.Equal(Status.NoSpace, await other.ReserveAsync(new(ulong.MaxValue, 0)));
        await other.DisposeAsync();
        Assert.Equal(Status.Ok, Node.Blocks.Space.GetFree(out free));
        Assert.InRange(free, 9L * (long)MiB, 10L * (long)MiB);
    }

    [Fact]
    public async Task What_the_node_copies_for_itself_leaves_what_is_promised()
    {
        IDriveSession session = await OpenAsync("d");
        VNodeId file = await CreateAsync(session, "f");
        for (int round = 0; round < 4; round++) { Assert.Equal(Status.Ok, await WriteInlineAsync(session, file, 300)); }
        Narrow(SpaceGuard.ReserveBytes + ((1L << 30) / 100) + (10L * (long)MiB));
        Assert.Equal(Status.Ok, await session.ReserveAsync(new(9 * MiB, 0)));
        Node.Fold();
        Assert.Equal(0, Node.Folds);

        // What it was promised for has its room.
        BlockName block = new(session.Drive, (await session.GrantBlocksAsync(1)).Value);
        Assert.Equal(Status.Ok, await session.Blocks.WriteBlockAsync(block, new byte[9 * MiB]));
        session.Unreserve(new(9 * MiB, 0));
        Assert.Equal(Status.Ok, await WriteInlineAsync(session, file, 300));
        Node.Fold();
        Assert.True(Node.Folds > 0);
    }

    [Fact]
    public async Task A_transaction_counts_as_what_it_writes()
    {
        IDriveSession session = await OpenAsync("d");
        VNodeId file = await CreateAsync(session, "f");
        Narrow((SpaceGuard.ReserveBytes + ((1L << 30) / 100)) / 2 + (3L * (long)MiB));
        Assert.Equal(Status.NoSpace, await WriteInlineAsync(session, file, 800));
        Assert.Equal(Status.Ok, await WriteInlineAsync(session, file, 200));
        ClusterMap map = (await session.GetClusterAsync(file, 0, CowNumber.Head)).Value;
        Assert.Equal(200, map.DeltaCount);
    }

    [Fact]
    public async Task A_block_that_is_being_written_counts_until_the_disk_has_it()
    {
        Narrow(SpaceGuard.ReserveBytes + ((1L << 30) / 100) + (10L * (long)MiB));
        SpaceGuard space = Node.Blocks.Space;
        Assert.Equal(Status.Ok, space.Take(6 * (long)MiB, SpaceUse.Data));
        Assert.Equal(Status.Ok, space.Take(3 * (long)MiB, SpaceUse.Data));
        Task<Status> third = Task.Run(() => space.Take(3 * (long)MiB, SpaceUse.Data));
        Task<Status> fourth = Task.Run(() => space.Take(1, SpaceUse.Copies));
        Assert.Equal(Status.Ok, await fourth);

        // The first came to nothing, the second is written.
        space.Taken(6 * (long)MiB, SpaceUse.Data);
        Assert.Equal(Status.Ok, await third);
        Node.Disk.FreeBytes -= 3 * (long)MiB;
        space.Taken(3 * (long)MiB, SpaceUse.Data);
        Task<Status> fifth = Task.Run(() => space.Take(5 * (long)MiB, SpaceUse.Data));
        Node.Disk.FreeBytes -= 3 * (long)MiB;
        space.Taken(3 * (long)MiB, SpaceUse.Data);
        space.Taken(1, SpaceUse.Copies);
        Assert.Equal(Status.NoSpace, await fifth);
    }

    /// <summary>Lets the disk have so much, and the guard know of it.</summary>
    private void Narrow(long freeBytes)
    {
        Node.Disk.FreeBytes = freeBytes;
        Node.Blocks.Space.Check(1L << 40, SpaceUse.Release);
    }

    /// <summary>One transaction of so many slices of 4 KiB side by side.</summary>
    private static async Task<Status> WriteInlineAsync(IDriveSession session, VNodeId file, int slices)
    {
        FileCommit commit = new() { Node = file, MinSize = (ulong)slices * Limits.InlineSliceBytes };
        for (int at = 0; at < slices; at++)
        {
            uint offset = (uint)at * Limits.InlineSliceBytes;
            commit.Runs.Add(new(offset, Limits.InlineSliceBytes, SliceKind.Inline, default, offset));
        }

        commit.Inline.Append(new byte[slices * Limits.InlineSliceBytes]);
        return await session.CommitAsync([commit], []);
    }
}
