using System.Text;
using KvFs.Client;
using KvFs.Core;
using KvFs.Node;
using KvFs.Node.Drives;
using KvFs.Node.Maintenance;
using KvFs.Node.Storage;
using KvFs.Protocol;

namespace KvFs.Pool.Tests;

/// <summary>Blocks of a drive that are spread over the shards of a pool: each lies on the nodes of its shard, wherever its drive is.</summary>
public sealed class SpreadTests
{
    private const string Drive = "drive";

    [Fact]
    public async Task Each_block_lies_on_all_nodes_of_its_shard_and_on_no_other_and_goes_from_all_of_them()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(5);
        DriveId drive = await MakeAsync(world, files: 24);
        PoolMap map = await world.WholeAsync();
        Dictionary<BlockName, List<NodeId>> places = PlacesOf(world, drive);
        Assert.True(places.Count >= 24);
        Assert.True(places.Keys.Select(ShardOf).Distinct().Count() > 1);
        foreach ((BlockName block, List<NodeId> nodes) in places)
        {
            Assert.Equal(map[ShardOf(block)].InSync.Select(static copy => copy.Node).Order(), nodes.Order());
        }

        await using DriveClient client = new(await world.OpenSessionAsync(Drive), new(), TimeProvider.System);
        for (int file = 0; file < 24; file++)
        {
            Assert.Equal(ContentOf(file), await Files.ReadAsync(client, $"f{file}"));
            await Files.UnlinkAsync(client, $"f{file}");
        }

        await PoolWorld.UntilAsync(
            () => Task.FromResult(PlacesOf(world, drive).Count == 0 ? world : null), "blocks that nothing refers to stay somewhere");
    }

    [Fact]
    public async Task A_copy_that_lost_a_block_of_a_drive_that_lives_elsewhere_gets_it_back()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(5);
        DriveId drive = await MakeAsync(world, files: 12);
        PoolMap map = await world.WholeAsync();
        PoolMemberNode primary = await world.ServerOfAsync(Drive);
        primary.Comparer.CompareAll(Unpaced(), CancellationToken.None);
        Assert.Equal((0, 0, 0, 0), Found(primary));
        Assert.Equal(0, primary.Comparer.ReturnedBlocks);
        HashSet<NodeId> home = [.. map[HomeShard.Of(drive, PoolWorld.Shards)].InSync.Select(static copy => copy.Node)];
        BlockName block = PlacesOf(world, drive).First(place => place.Value.Any(node => !home.Contains(node))).Key;
        foreach (PoolMemberNode node in HoldersOf(world, map, block))
        {
            if (node.Process.Node != map[ShardOf(block)].Primary) { Rot.Entry(node, block, isTaken: true); }
        }

        primary.Comparer.CompareAll(Unpaced(), CancellationToken.None);
        Assert.Equal(2, primary.Comparer.ReturnedBlocks);
        Assert.Equal((0, 0, 0, 0), Found(primary));
        Assert.All(HoldersOf(world, map, block), node => Assert.Equal(Status.Ok, node.Storage.Blocks.GetBlockLength(block, out _)));
    }

    [Fact]
    public async Task A_rotten_copy_is_mended_by_a_node_that_has_no_records_of_the_drive()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(5);
        DriveId drive = await MakeAsync(world, files: 12);
        PoolMap map = await world.WholeAsync();
        HashSet<NodeId> home = [.. map[HomeShard.Of(drive, PoolWorld.Shards)].InSync.Select(static copy => copy.Node)];
        PoolMemberNode stranger = world.Nodes.First(
            node => !home.Contains(node.Process.Node) && PlacesOf(world, drive).Values.Any(nodes => nodes.Contains(node.Process.Node)));
        Rot.Flip(stranger, drive);
        using Scrubber scrubber = stranger.Storage.NewScrubber();
        scrubber.FinishPass(Unpaced(), CancellationToken.None);
        Rot.IsWhole(stranger, drive, kept: 1);
        Assert.Equal(1, stranger.Storage.Blocks.Mender.GetStatistics().RepairedBlocks);
    }

    [Fact]
    public async Task A_clone_has_its_origins_spread_and_reads_its_blocks()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(5);
        await MakeAsync(world, files: 6);
        Reply<DriveInfo> clone = await world.Admin.CloneAsync(Drive, null, "clone", CancellationToken.None);
        Assert.Equal((Status.Ok, 100), (clone.Status, clone.Value.Spread));
        await using (DriveClient origin = new(await world.OpenSessionAsync(Drive), new(), TimeProvider.System))
        {
            for (int file = 0; file < 6; file++) { await Files.UnlinkAsync(origin, $"f{file}"); }
        }

        await using DriveClient client = new(await world.OpenSessionAsync("clone"), new(), TimeProvider.System);
        await Files.WriteAsync(client, "own", ContentOf(99));
        for (int file = 0; file < 6; file++) { Assert.Equal(ContentOf(file), await Files.ReadAsync(client, $"f{file}")); }
        Assert.Equal(ContentOf(99), await Files.ReadAsync(client, "own"));
    }

    [Fact]
    public async Task A_drive_that_is_deleted_goes_from_every_node()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(5);
        DriveId drive = await MakeAsync(world, files: 12);
        await world.WholeAsync();
        await PoolWorld.UntilAsync(
            async () => await world.Admin.DeleteDriveAsync(Drive, CancellationToken.None) is Status.Ok or Status.NotFound ? world : null,
            "the drive cannot be deleted");
        await PoolWorld.UntilAsync(
            () => Task.FromResult(world.Nodes.Any(node => node.Storage.Blocks.ListDrives().Contains(drive)) ? null : world),
            "a node keeps a drive that was deleted");
    }

    [Fact]
    public async Task Half_dead_blocks_are_repacked_wherever_they_lie()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(5);
        DriveId drive = await MakeAsync(world, files: 12);
        PoolMap map = await world.WholeAsync();
        PoolMemberNode primary = await world.ServerOfAsync(Drive);
        List<BlockName> old = [.. PlacesOf(world, drive).Keys];
        Assert.Contains(old, block => !map[ShardOf(block)].IsInSync(primary.Process.Node));
        await using DriveClient client = new(await world.OpenSessionAsync(Drive), new(), TimeProvider.System);
        for (int file = 0; file < 12; file++)
        {
            Reply<NodeInfo> found = await client.LookupAsync(VNodeId.Root, Encoding.UTF8.GetBytes($"f{file}"), CowNumber.Head);
            OpenFile opened = (await client.OpenAsync(found.Value.Id, CowNumber.Head)).Value;

            // The most of it: what is left of the block is too little to be worth its room.
            Assert.Equal(Reply.Ok(150_000), await client.WriteAsync(opened, 0, ContentOf(file).AsMemory(0, 150_000), default));
            Assert.Equal(Status.Ok, await client.FsyncAsync(opened));
            Assert.Equal(Status.Ok, await client.CloseAsync(opened));

            // What is hidden is referred to until then.
            HostedDrive hosted = primary.Storage.Host.Find(drive)!;
            Assert.Equal(Status.Ok, primary.Storage.Packer.Fold(hosted, found.Value.Id, 0, FoldCopies.Inline, SpaceUse.Data));
        }

        Repacker repacker = primary.Storage.NewRepacker();
        await PoolWorld.UntilAsync(
            () =>
            {
                repacker.Run(CancellationToken.None);
                return Task.FromResult(PlacesOf(world, drive).Keys.Intersect(old).Any() ? null : repacker);
            },
            "half-dead blocks stay somewhere");
        for (int file = 0; file < 12; file++) { Assert.Equal(ContentOf(file), await Files.ReadAsync(client, $"f{file}")); }
    }

    private static async Task<DriveId> MakeAsync(PoolWorld world, int files)
    {
        DriveInfo made = await world.CreateDriveAsync(Drive, spread: 100);
        Assert.Equal(100, made.Spread);
        await using DriveClient client = new(await world.OpenSessionAsync(Drive), new(), TimeProvider.System);
        for (int file = 0; file < files; file++) { await Files.WriteAsync(client, $"f{file}", ContentOf(file)); }
        return made.Id;
    }

    private static byte[] ContentOf(int file) => Files.Bytes(200_000 + file, file);

    private static ShardId ShardOf(BlockName block) => ShardOfBlock.Of(block, 100, PoolWorld.Shards);

    private static IEnumerable<PoolMemberNode> HoldersOf(PoolWorld world, PoolMap map, BlockName block) =>
        world.Nodes.Where(node => map[ShardOf(block)].IsInSync(node.Process.Node));

    private static Dictionary<BlockName, List<NodeId>> PlacesOf(PoolWorld world, DriveId drive)
    {
        Dictionary<BlockName, List<NodeId>> places = [];
        foreach (PoolMemberNode node in world.Nodes)
        {
            using BlockCursor blocks = node.Storage.Blocks.OpenBlockCursor(drive);
            while (blocks.MoveNext())
            {
                if (!places.TryGetValue(blocks.Name, out List<NodeId>? nodes)) { places[blocks.Name] = nodes = []; }
                nodes.Add(node.Process.Node);
            }
        }

        return places;
    }

    private static (long Lacking, long Differing, long Surplus, long Silent) Found(PoolMemberNode node) =>
        (node.Comparer.Last.LackingBlocks, node.Comparer.Last.DifferingBlocks, node.Comparer.Last.SurplusBlocks, node.Comparer.Last.SilentCopies);

    private static Pace Unpaced() => new(static () => 0, TimeProvider.System, static _ => { });
}
