using System.Text;
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
        await WriteAsync(client, "small", Bytes(3_000, 1));
        await WriteAsync(client, "large", Bytes(9_000_000, 2));
        await client.DisposeAsync();
        await world.StartNodeAsync(2);
        await world.StartNodeAsync(3);
        await world.WholeAsync();

        // The first one goes, with the only copy that there was at first.
        await world.StopAsync(first);
        (PoolMemberNode second, DriveClient other) = await world.OpenAsync("early");
        Assert.NotEqual(first, second);
        Assert.Equal(Bytes(3_000, 1), await ReadAsync(other, "small"));
        Assert.Equal(Bytes(9_000_000, 2), await ReadAsync(other, "large"));
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
                Assert.Equal(Bytes(5_000_000, before), await ReadAsync(client, $"large{before}"));
                Assert.Equal(Bytes(1_000, before), await ReadAsync(client, $"small{before}"));
            }

            await WriteAsync(client, $"large{round}", Bytes(5_000_000, round));
            await WriteAsync(client, $"small{round}", Bytes(1_000, round));
            Assert.Equal(Status.Ok, await client.SyncAllAsync());
            int number = world.NumberOf(primary);
            await world.StopAsync(primary);
            (PoolMemberNode next, DriveClient other) = await world.OpenAsync("drive");
            Assert.NotEqual(primary, next);
            Assert.Equal(Bytes(5_000_000, round), await ReadAsync(other, $"large{round}"));
            await WriteAsync(other, $"meanwhile{round}", Bytes(2_000_000, 100 + round));
            await other.DisposeAsync();
            await world.StartNodeAsync(number);
            await world.WholeAsync();
        }

        (PoolMemberNode _, DriveClient last) = await world.OpenAsync("drive");
        for (int round = 0; round < 3; round++) { Assert.Equal(Bytes(2_000_000, 100 + round), await ReadAsync(last, $"meanwhile{round}")); }
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

    private static async Task WriteAsync(DriveClient client, string name, byte[] content)
    {
        ValueTask<Reply<CreatedFile>> created = client.CreateOpenAsync(new CreateRequest
        {
            Parent = VNodeId.Root, Name = Encoding.UTF8.GetBytes(name), Kind = VNodeKind.File, Mode = 0x1A4,
        });
        Reply<CreatedFile> file = await created;
        Assert.Equal(Status.Ok, file.Status);
        Assert.Equal(Reply.Ok(content.Length), await client.WriteAsync(file.Value.File, 0, content, default));
        Assert.Equal(Status.Ok, await client.FsyncAsync(file.Value.File));
        Assert.Equal(Status.Ok, await client.CloseAsync(file.Value.File));
    }

    private static async Task<byte[]> ReadAsync(DriveClient client, string name)
    {
        Reply<NodeInfo> found = await client.LookupAsync(VNodeId.Root, Encoding.UTF8.GetBytes(name), CowNumber.Head);
        Assert.Equal(Status.Ok, found.Status);
        Reply<OpenFile> opened = await client.OpenAsync(found.Value.Id, CowNumber.Head);
        byte[] content = new byte[found.Value.VNode.Size];
        for (int at = 0; at < content.Length;)
        {
            Reply<int> reply = await client.ReadAsync(opened.Value, (ulong)at, content.AsMemory(at));
            Assert.Equal(Status.Ok, reply.Status);
            Assert.NotEqual(0, reply.Value);
            at += reply.Value;
        }

        Assert.Equal(Status.Ok, await client.CloseAsync(opened.Value));
        return content;
    }

    private static byte[] Bytes(int length, int seed)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
