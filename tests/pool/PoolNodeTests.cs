using KvFs.Client;
using KvFs.Core;
using KvFs.Node;
using KvFs.Protocol;

namespace KvFs.Pool.Tests;

public sealed class PoolNodeTests
{
    [Fact]
    public async Task Nodes_that_join_get_copies_of_all_that_there_is()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(1);
        await world.CreateDriveAsync("early");
        (PoolMemberNode first, DriveClient client) = await world.OpenAsync("early");
        await Files.WriteAsync(client, "small", Files.Bytes(3_000, 1));
        await Files.WriteAsync(client, "large", Files.Bytes(9_000_000, 2));
        await client.DisposeAsync();
        await world.StartNodeAsync(2);
        await world.StartNodeAsync(3);
        await world.WholeAsync();

        // The first one goes, with the only copy that there was at first.
        await world.StopAsync(first);
        (PoolMemberNode second, DriveClient other) = await world.OpenAsync("early");
        Assert.NotEqual(first, second);
        Assert.Equal(Files.Bytes(3_000, 1), await Files.ReadAsync(other, "small"));
        Assert.Equal(Files.Bytes(9_000_000, 2), await Files.ReadAsync(other, "large"));
        await other.DisposeAsync();
    }

    [Fact]
    public async Task What_was_synced_survives_each_primary_in_turn()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        await world.CreateDriveAsync("drive");
        for (int round = 0; round < 3; round++)
        {
            (PoolMemberNode primary, DriveClient client) = await world.OpenAsync("drive");
            for (int before = 0; before < round; before++)
            {
                Assert.Equal(Files.Bytes(5_000_000, before), await Files.ReadAsync(client, $"large{before}"));
                Assert.Equal(Files.Bytes(1_000, before), await Files.ReadAsync(client, $"small{before}"));
            }

            await Files.WriteAsync(client, $"large{round}", Files.Bytes(5_000_000, round));
            await Files.WriteAsync(client, $"small{round}", Files.Bytes(1_000, round));
            Assert.Equal(Status.Ok, await client.SyncAllAsync());
            int number = world.NumberOf(primary);
            await world.StopAsync(primary);
            (PoolMemberNode next, DriveClient other) = await world.OpenAsync("drive");
            Assert.NotEqual(primary, next);
            Assert.Equal(Files.Bytes(5_000_000, round), await Files.ReadAsync(other, $"large{round}"));
            await Files.WriteAsync(other, $"meanwhile{round}", Files.Bytes(2_000_000, 100 + round));
            await other.DisposeAsync();
            await world.StartNodeAsync(number);
            await world.WholeAsync();
        }

        (PoolMemberNode _, DriveClient last) = await world.OpenAsync("drive");
        for (int round = 0; round < 3; round++) { Assert.Equal(Files.Bytes(2_000_000, 100 + round), await Files.ReadAsync(last, $"meanwhile{round}")); }
        await last.DisposeAsync();
    }

    [Fact]
    public async Task A_name_is_taken_once_in_the_whole_pool()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        await world.CreateDriveAsync("one");
        List<Status> answers = [];
        foreach (PoolMemberNode node in world.Nodes)
        {
            answers.Add((await node.Admin.CreateDriveAsync(new("one", DriveKind.FileSystem, 0, 0), CancellationToken.None)).Status);
        }

        Assert.Equal([Status.Exists, Status.StaleEpoch, Status.StaleEpoch], answers.Order());
    }
}
