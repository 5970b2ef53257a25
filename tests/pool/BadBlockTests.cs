using KvFs.Client;
using KvFs.Core;
using KvFs.Node;
using KvFs.Node.Checking;
using KvFs.Node.Storage;
using KvFs.Protocol;

namespace KvFs.Pool.Tests;

/// <summary>What a client reads when a copy of it has rotted, and what becomes of the copy.</summary>
public sealed class BadBlockTests
{
    private static readonly byte[] s_content = Files.Bytes(3_000_000, 5);

    [Fact]
    public async Task A_rotten_block_of_the_primary_is_read_from_another_copy_and_made_good()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        (DriveId drive, PoolMemberNode primary) = await Files.MakeDriveAsync(world, "drive", s_content);
        BlockName block = Rot.Flip(primary, drive);
        Assert.Contains(Rot.Verify(primary, drive).Problems, problem => problem.Kind == DriveProblemKind.BadBytes && problem.Block == block);
        await ReadAsync(world, "drive");
        Rot.IsWhole(primary, drive, kept: 1);
        RepairStatistics repairs = primary.Storage.Blocks.Mender.GetStatistics();
        Assert.Equal((1, 1, 0, 1), (repairs.BadBlocks, repairs.RepairedBlocks, repairs.UnrepairableBlocks, repairs.QuarantinedBlocks));

        // It is good by itself now: nobody is asked again.
        await ReadAsync(world, "drive");
        Assert.Equal(1, primary.Storage.Blocks.Mender.GetStatistics().BadBlocks);
        List<BlockName> released = [];
        Assert.Equal(Status.Ok, primary.Storage.Blocks.ReleaseQuarantine(drive, released));
        Assert.Equal(block, Assert.Single(released));
        Rot.IsWhole(primary, drive, kept: 0);
    }

    [Fact]
    public async Task What_is_kept_of_bad_blocks_is_shown_and_released_by_a_check_of_the_folder()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        (DriveId drive, PoolMemberNode primary) = await Files.MakeDriveAsync(world, "drive", s_content);
        BlockName block = Rot.Flip(primary, drive);
        await ReadAsync(world, "drive");
        (NodeId _, NodeHealth health) = (await world.Admin.HealthAsync(CancellationToken.None)).Single(one => one.Node == primary.Process.Node);
        Assert.Equal((1ul, 1ul, 0ul), (health.RepairedBlocks, health.QuarantinedBlocks, health.UnrepairableBlocks));
        await world.StopAsync(primary);
        string folder = primary.Storage.Options.DataPath;
        NodeProblem shown = Assert.Single(MemberFolderChecker.Check(folder, new(ReadBytes: true, Repair: false), null, CancellationToken.None)!.Problems);
        Assert.Equal((drive.ToString(), false), (shown.Drive, shown.Repaired));
        Assert.Contains($"block {block.Id}", shown.Place, StringComparison.Ordinal);
        NodeCheckReport repaired = MemberFolderChecker.Check(folder, new(ReadBytes: true, Repair: true), null, CancellationToken.None)!;
        Assert.True(repaired.IsClean);
        Assert.True(Assert.Single(repaired.Problems).Repaired);
        Assert.Equal(0, MemberFolderChecker.Check(folder, new(ReadBytes: true, Repair: false), null, CancellationToken.None)!.ProblemCount);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_index_entry_of_the_primary_that_is_damaged_or_gone_comes_back(bool isGone)
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        (DriveId drive, PoolMemberNode primary) = await Files.MakeDriveAsync(world, "drive", s_content);
        BlockName block = Rot.FirstBlock(primary, drive);
        Rot.Entry(primary, block, isGone);
        Assert.Equal(isGone ? Status.NotFound : Status.Corrupt, primary.Storage.Blocks.ReadOwnCopy(block, 0, new byte[100]));
        await ReadAsync(world, "drive");
        Assert.Equal(Status.Ok, primary.Storage.Blocks.ReadOwnCopy(block, 0, new byte[100]));
        Assert.Equal(1, primary.Storage.Blocks.Mender.GetStatistics().RepairedBlocks);
        Assert.Equal(isGone ? 0 : 1, primary.Storage.Blocks.GetStatistics(drive)!.QuarantinedBlocks);
    }

    [Fact]
    public async Task A_block_that_is_bad_everywhere_is_corrupt_and_harms_nothing_else()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        (DriveId drive, PoolMemberNode primary) = await Files.MakeDriveAsync(world, "drive", s_content);
        BlockName block = default;
        foreach (PoolMemberNode node in world.Nodes) { block = Rot.Flip(node, drive); }
        await using (DriveClient client = await OpenAsync(world, "drive"))
        {
            Reply<NodeInfo> found = await client.LookupAsync(VNodeId.Root, "f"u8.ToArray(), CowNumber.Head);
            OpenFile file = (await client.OpenAsync(found.Value.Id, CowNumber.Head)).Value;
            Assert.Equal(Status.Corrupt, await ReadToEndAsync(client, file));
            Assert.Equal(Status.Ok, await client.CloseAsync(file));
            Assert.Equal(s_content, await Files.ReadAsync(client, "g"));
            await Files.WriteAsync(client, "h", s_content);
        }

        Assert.True(primary.Storage.Blocks.Mender.IsLost(block));
        Assert.Equal(1, primary.Storage.Blocks.Mender.GetStatistics().UnrepairableBlocks);
        Assert.Contains("no other copy", primary.Storage.GetStatus().Trouble, StringComparison.Ordinal);

        // One copy is good again: a disk that was put back, say.
        PoolMemberNode replica = world.Nodes.First(node => node != primary);
        Rot.Flip(replica, drive);
        await ReadAsync(world, "drive");
        Assert.False(primary.Storage.Blocks.Mender.IsLost(block));
        Assert.Equal(0, primary.Storage.Blocks.Mender.GetStatistics().UnrepairableBlocks);
        Rot.IsWhole(primary, drive, kept: 1);
    }

    [Fact]
    public async Task A_node_that_may_keep_no_more_bad_bytes_still_answers_with_good_ones()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        (DriveId drive, PoolMemberNode primary) = await Files.MakeDriveAsync(world, "drive", s_content);
        primary.Storage.Blocks.Mender.QuarantineBytes = 4096;
        BlockName block = Rot.Flip(primary, drive);
        await ReadAsync(world, "drive");
        Assert.Equal(Status.Corrupt, primary.Storage.Blocks.ReadOwnCopy(block, 0, new byte[100]));
        Assert.Equal(Status.TooLarge, primary.Storage.Blocks.Mender.Mend(block));
        primary.Storage.Blocks.Mender.QuarantineBytes = BlockMender.DefaultQuarantineBytes;
        Assert.Equal(Status.Ok, primary.Storage.Blocks.Mender.Mend(block));
        Rot.IsWhole(primary, drive, kept: 1);
    }

    [Fact]
    public async Task A_block_that_nothing_refers_to_any_more_does_not_come_back()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        (DriveId drive, PoolMemberNode primary) = await Files.MakeDriveAsync(world, "drive", s_content);
        BlockName never = new(drive, new(1UL << 40));
        foreach (PoolMemberNode node in world.Nodes.Where(node => node != primary))
        {
            Assert.True(node.Storage.Blocks.OpenDrive(drive).IsOk);
            Assert.Equal(Status.Ok, node.Storage.Blocks.WriteOwnCopy(never, s_content, SpaceUse.Data));
        }

        Assert.Equal(Status.NotFound, primary.Storage.Blocks.ReadBlock(never, 0, new byte[100]));
        Assert.Equal(Status.NotFound, primary.Storage.Blocks.GetBlockLength(never, out _));
    }

    /// <summary>A client that knows nothing yet, on the other side of a socket.</summary>
    private static async Task<DriveClient> OpenAsync(PoolWorld world, string name) =>
        new(await world.OpenSessionAsync(name), new(), TimeProvider.System);

    private static async Task<Status> ReadToEndAsync(DriveClient client, OpenFile file)
    {
        byte[] content = new byte[s_content.Length];
        for (int at = 0; at < content.Length;)
        {
            Reply<int> read = await client.ReadAsync(file, (ulong)at, content.AsMemory(at));
            if (!read.IsOk) { return read.Status; }
            at += read.Value;
        }

        return Status.Ok;
    }

    private static async Task ReadAsync(PoolWorld world, string name)
    {
        await using DriveClient client = await OpenAsync(world, name);
        foreach (string file in (string[])["f", "g"]) { Assert.Equal(s_content, await Files.ReadAsync(client, file)); }
    }
}
