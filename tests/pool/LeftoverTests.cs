using KvFs.Authority;
using KvFs.Client;
using KvFs.Core;
using KvFs.Node;
using KvFs.Node.Replication;
using KvFs.Protocol;

namespace KvFs.Pool.Tests;

/// <summary>What a node has left of shards that have moved on from it, and of drives that were deleted while it was away.</summary>
public sealed class LeftoverTests
{
    private const int Files8 = 8;

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    public async Task A_node_that_was_drained_gives_its_space_back_once_the_pool_has_all_copies_without_it(int spread)
    {
        await using PoolWorld world = await PoolWorld.StartAsync(4);
        DriveId drive = await MakeAsync(world, spread);
        PoolMemberNode drained = world.Nodes.First(node => node.Storage.Blocks.ListDrives().Contains(drive));
        await ChangeAsync(world, map => PoolMapChange.Drain(map, drained.Process.Node));
        PoolMap whole = await world.WholeAsync();
        Assert.DoesNotContain(whole.Shards, shard => shard.IsInSync(drained.Process.Node));

        // With a copy less than the pool asks for, what is left may be needed yet.
        PoolMemberNode away = world.Nodes.First(node => node != drained && whole[Home(drive)].Primary != node.Process.Node);
        int number = world.NumberOf(away);
        await world.StopAsync(away);
        await PoolWorld.UntilAsync(
            async () => (await world.Authority.ReadAsync(CancellationToken.None)).Map!.Shards.Any(shard => shard.IsInSync(away.Process.Node)) ? null : world,
            "a node that is away counts");
        for (int round = 0; round < 3; round++) { drained.Leftovers.Run(CancellationToken.None); }
        Assert.Equal(0, drained.Leftovers.Removed);
        Assert.Contains(drive, drained.Storage.Blocks.ListDrives());
        await world.StartNodeAsync(number);
        await world.WholeAsync();

        // What was said once may be a mistake.
        drained.Leftovers.Run(CancellationToken.None);
        Assert.Equal(0, drained.Leftovers.Removed);
        await PoolWorld.UntilAsync(
            () =>
            {
                drained.Leftovers.Run(CancellationToken.None);
                return Task.FromResult(HasNothing(drained) ? world : null);
            },
            "what a drained node has left does not go");
        Assert.InRange(drained.Leftovers.Removed, 1, PoolWorld.Shards);

        // It comes back, and is as good as the others.
        await ChangeAsync(world, map => PoolMapChange.Undrain(map, drained.Process.Node));
        await world.WholeAsync();
        await using DriveClient client = new(await world.OpenSessionAsync("drive"), new(), TimeProvider.System);
        for (int file = 0; file < Files8; file++) { Assert.Equal(ContentOf(file), await Files.ReadAsync(client, $"f{file}")); }
        foreach (PoolMemberNode node in world.Nodes)
        {
            node.Comparer.CompareAll(new(static () => 0, TimeProvider.System, static _ => { }), CancellationToken.None);
            Assert.Equal(0, node.Comparer.ReturnedBlocks);
        }
    }

    [Fact]
    public async Task A_drive_that_was_deleted_while_a_node_was_away_goes_from_it_when_it_is_back()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        DriveId drive = await MakeAsync(world, spread: 0);
        DriveId other = await MakeAsync(world, spread: 0, name: "other");
        PoolMap map = await world.WholeAsync();
        PoolMemberNode away = world.Nodes.First(node => map[Home(drive)].Primary != node.Process.Node);
        int number = world.NumberOf(away);
        await world.StopAsync(away);
        await PoolWorld.UntilAsync(
            async () => await world.Admin.DeleteDriveAsync("drive", CancellationToken.None) is Status.Ok or Status.NotFound ? world : null,
            "the drive cannot be deleted");
        await PoolWorld.UntilAsync(
            () => Task.FromResult(world.Nodes.Any(node => node.Storage.Blocks.ListDrives().Contains(drive)) ? null : world),
            "a node keeps a drive that was deleted");
        PoolMemberNode back = await world.StartNodeAsync(number);
        await world.WholeAsync();
        Assert.Contains(drive, back.Storage.Blocks.ListDrives());
        await PoolWorld.UntilAsync(
            () =>
            {
                back.Leftovers.Run(CancellationToken.None);
                return Task.FromResult(back.Storage.Blocks.ListDrives().Contains(drive) ? null : world);
            },
            "what is left of a drive that was deleted does not go");
        Assert.Equal(1, back.Leftovers.Removed);
        Assert.All(world.Nodes, node => Assert.Contains(other, node.Storage.Blocks.ListDrives()));
    }

    private static bool HasNothing(PoolMemberNode node) =>
        node.Storage.Blocks.ListDrives().IsEmpty
        && !ShardRecords.Drives(node.Storage.Store).Any()
        && Enumerable.Range(0, PoolWorld.Shards).All(shard => !new ReplicaLog(node.Storage.Store, new((ushort)shard), PoolWorld.Shards).IsThere());

    private static async Task<DriveId> MakeAsync(PoolWorld world, int spread, string name = "drive")
    {
        DriveInfo made = await world.CreateDriveAsync(name, spread);
        await using (DriveClient client = new(await world.OpenSessionAsync(name), new(), TimeProvider.System))
        {
            for (int file = 0; file < Files8; file++) { await Files.WriteAsync(client, $"f{file}", ContentOf(file)); }
        }

        await world.WholeAsync();
        return made.Id;
    }

    private static byte[] ContentOf(int file) => Files.Bytes(100_000 + file, file);

    private static ShardId Home(DriveId drive) => HomeShard.Of(drive, PoolWorld.Shards);

    private static Task<PoolMap> ChangeAsync(PoolWorld world, Func<PoolMap, MapChange> change) => PoolWorld.UntilAsync(
        async () =>
        {
            PoolMap now = (await world.Authority.ReadAsync(CancellationToken.None)).Map!;
            MapChange next = change(now);
            Assert.True(next.IsDone, next.Reason);
            AuthorityAnswer answer = await world.Authority.CompareAndSwapAsync(now.Revision, next.Map, CancellationToken.None);
            return answer.Outcome == AuthorityOutcome.Ok ? answer.Map : null;
        },
        "the pool map cannot be changed");
}
