using System.Text;
using KvFs.Client;
using KvFs.Core;
using KvFs.Node;
using KvFs.Node.Maintenance;
using KvFs.Node.Replication;
using KvFs.Node.Storage;
using KvFs.Protocol;

namespace KvFs.Pool.Tests;

/// <summary>What nodes find in the background, before anybody reads it.</summary>
public sealed class ScrubTests
{
    private static readonly byte[] s_content = Files.Bytes(3_000_000, 5);

    [Fact]
    public async Task A_rotten_block_of_a_replica_is_found_and_fetched_from_another_copy()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        (DriveId drive, PoolMemberNode primary) = await Files.MakeDriveAsync(world, "drive", s_content);
        foreach (PoolMemberNode node in world.Nodes)
        {
            if (node != primary) { Rot.Flip(node, drive); }
        }

        foreach (PoolMemberNode node in world.Nodes)
        {
            using Scrubber scrubber = node.Storage.NewScrubber();
            scrubber.FinishPass(Unpaced(), CancellationToken.None);
            Assert.NotEqual(default, scrubber.LastEnded);
            Rot.IsWhole(node, drive, kept: node == primary ? 0 : 1);
            Assert.Equal(node == primary ? 0 : 1, node.Storage.Blocks.Mender.GetStatistics().RepairedBlocks);
        }
    }

    [Fact]
    public async Task A_node_that_is_asked_for_a_block_that_is_bad_there_looks_at_it_in_its_own_time()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        (DriveId drive, PoolMemberNode primary) = await Files.MakeDriveAsync(world, "drive", s_content);

        // The primary's and that of the first that is asked.
        foreach (PoolMemberNode node in world.Nodes.Where(node => node != primary).Take(1).Append(primary)) { Rot.Flip(node, drive); }
        using Scrubber scrubber = primary.Storage.NewScrubber();
        scrubber.FinishPass(Unpaced(), CancellationToken.None);
        Rot.IsWhole(primary, drive, kept: 1);
        foreach (PoolMemberNode node in world.Nodes)
        {
            await PoolWorld.UntilAsync(
                () => Task.FromResult(Rot.Verify(node, drive).Problems.All(static problem => problem.Kind == DriveProblemKind.Quarantined) ? node : null),
                "a bad copy is not mended");
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_counted_copy_that_lost_an_index_entry_gets_its_block_back(bool isDamaged)
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        (DriveId drive, PoolMemberNode primary) = await Files.MakeDriveAsync(world, "drive", s_content);
        BlockName block = Rot.FirstBlock(primary, drive);
        primary.Comparer.CompareAll(Unpaced(), CancellationToken.None);
        Assert.Equal(0, primary.Comparer.ReturnedBlocks);
        Assert.Equal((0, 0, 0, 0), Found(primary));
        PoolMemberNode replica = world.Nodes.First(node => node != primary);
        Rot.Entry(replica, block, isTaken: !isDamaged);
        primary.Comparer.CompareAll(Unpaced(), CancellationToken.None);
        Assert.Equal(1, primary.Comparer.ReturnedBlocks);
        Assert.Equal((0, 0, 0, 0), Found(primary));
        Rot.IsWhole(replica, drive, kept: isDamaged ? 1 : 0);
        Assert.Equal(Status.Ok, replica.Storage.Blocks.ReadOwnCopy(block, 0, new byte[100]));
    }

    [Fact]
    public async Task The_primary_fetches_what_it_lacks_itself_and_what_a_copy_has_too_much_is_counted_and_stays()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        (DriveId drive, PoolMemberNode primary) = await Files.MakeDriveAsync(world, "drive", s_content);
        BlockName block = Rot.FirstBlock(primary, drive);
        Rot.Entry(primary, block, isTaken: true);
        PoolMemberNode replica = world.Nodes.First(node => node != primary);
        BlockName never = new(drive, new(1UL << 40));
        Assert.Equal(Status.Ok, replica.Storage.Blocks.WriteOwnCopy(never, s_content, SpaceUse.Data));
        Assert.Equal(Status.Ok, replica.Storage.Blocks.SyncBlocks(drive));
        primary.Comparer.CompareAll(Unpaced(), CancellationToken.None);
        Assert.Equal((0, 0, 1, 0), Found(primary));
        Assert.Equal(Status.Ok, primary.Storage.Blocks.ReadOwnCopy(block, 0, new byte[100]));
        Assert.Equal(Status.Ok, replica.Storage.Blocks.ReadOwnCopy(never, 0, new byte[100]));
        Assert.Equal(Status.NotFound, primary.Storage.Blocks.ReadOwnCopy(never, 0, new byte[100]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_dead_block_that_a_copy_has_is_dropped_there(bool isPrimary)
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        (DriveId drive, PoolMemberNode primary) = await Files.MakeDriveAsync(world, "drive", s_content);
        PoolMemberNode replica = world.Nodes.First(node => node == primary == isPrimary);
        BlockName block = Rot.FirstBlock(primary, drive);
        await using (DriveClient client = new(await world.OpenSessionAsync("drive"), new(), TimeProvider.System))
        {
            await Files.UnlinkAsync(client, "f");
            await Files.UnlinkAsync(client, "g");
        }

        await PoolWorld.UntilAsync(
            () => Task.FromResult(replica.Storage.Blocks.GetBlockLength(block, out _) == Status.NotFound ? world : null),
            "a block that nothing refers to stays");

        // As a copy that was away then would have it.
        Assert.Equal(Status.Ok, replica.Storage.Blocks.WriteOwnCopy(block, s_content, SpaceUse.Data));
        Assert.Equal(Status.Ok, replica.Storage.Blocks.SyncBlocks(drive));
        await PoolWorld.UntilAsync(
            () =>
            {
                primary.Comparer.CompareAll(Unpaced(), CancellationToken.None);
                return Task.FromResult(primary.Comparer.DroppedBlocks == 1 ? world : null);
            },
            "a dead block is not dropped");
        Assert.Equal((0, 0, 0, 0), Found(primary));
        Assert.Equal(Status.NotFound, replica.Storage.Blocks.GetBlockLength(block, out _));
        primary.Comparer.CompareAll(Unpaced(), CancellationToken.None);
        Assert.Equal(1, primary.Comparer.DroppedBlocks);
    }

    [Fact]
    public async Task A_copy_that_has_other_bytes_under_right_checksums_is_told_and_left_alone()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        (DriveId drive, PoolMemberNode primary) = await Files.MakeDriveAsync(world, "drive", s_content);
        BlockName block = Rot.FirstBlock(primary, drive);
        PoolMemberNode replica = world.Nodes.First(node => node != primary);
        Assert.Equal(Status.Ok, replica.Storage.Blocks.DropOwnCopies(drive, [block.Id]));
        Assert.Equal(Status.Ok, replica.Storage.Blocks.WriteOwnCopy(block, s_content.AsSpan(0, 5000), SpaceUse.Data));
        Assert.Equal(Status.Ok, replica.Storage.Blocks.SyncBlocks(drive));
        primary.Comparer.CompareAll(Unpaced(), CancellationToken.None);
        Assert.Equal((0, 1, 0, 0), Found(primary));
        Assert.Equal(Status.Ok, replica.Storage.Blocks.GetBlockLength(block, out int length));
        Assert.Equal(5000, length);
    }

    [Fact]
    public async Task Nothing_is_found_while_clients_write_and_remove_files()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        (DriveId _, PoolMemberNode primary) = await Files.MakeDriveAsync(world, "drive", s_content);
        using CancellationTokenSource done = new();
        Task comparing = Task.Run(() =>
        {
            while (!done.IsCancellationRequested)
            {
                primary.Comparer.CompareAll(Unpaced(), done.Token);
                CopyTally found = primary.Comparer.Last;
                Assert.Equal((0, 0), (found.LackingBlocks, found.DifferingBlocks));
            }
        });
        await using (DriveClient client = new(await world.OpenSessionAsync("drive"), new(), TimeProvider.System))
        {
            for (int round = 0; round < 12; round++)
            {
                await Files.WriteAsync(client, $"file-{round}", s_content.AsSpan(0, 500_000 + round).ToArray());
                ValueTask<Reply<UnlinkResult>> unlinked = client.UnlinkAsync(
                    new UnlinkRequest { Parent = VNodeId.Root, Name = Encoding.UTF8.GetBytes($"file-{round}") });
                Assert.Equal(Status.Ok, (await unlinked).Status);
            }
        }

        await done.CancelAsync();
        await comparing;
        Assert.Equal(0, primary.Comparer.ReturnedBlocks);
        foreach (PoolMemberNode node in world.Nodes) { Assert.Equal(0, node.Storage.Blocks.Mender.GetStatistics().BadBlocks); }
    }

    private static (long Lacking, long Differing, long Surplus, long Silent) Found(PoolMemberNode node)
    {
        CopyTally found = node.Comparer.Last;
        return (found.LackingBlocks, found.DifferingBlocks, found.SurplusBlocks, found.SilentCopies);
    }

    private static Pace Unpaced() => new(static () => 0, TimeProvider.System, static _ => { });
}
