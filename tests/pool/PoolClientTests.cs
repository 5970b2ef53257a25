using KvFs.Client;
using KvFs.Core;
using KvFs.Node;
using KvFs.Protocol;

namespace KvFs.Pool.Tests;

/// <summary>A pool as a client in another process sees it.</summary>
public sealed class PoolClientTests
{
    private static readonly CancellationToken s_none = CancellationToken.None;

    [Fact]
    public async Task Drives_are_made_found_and_removed_wherever_they_live()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        string[] names = [.. Enumerable.Range(0, 12).Select(static number => $"drive-{number:00}")];
        foreach (string name in names)
        {
            Assert.Equal(Status.Ok, (await world.Admin.CreateDriveAsync(new(name, DriveKind.FileSystem, 1 << 30, 0), s_none)).Status);
            Assert.Equal(Status.Exists, (await world.Admin.CreateDriveAsync(new(name, DriveKind.FileSystem, 0, 0), s_none)).Status);
        }

        Assert.Equal(Status.Ok, (await world.Admin.CloneAsync(names[0], null, "clone", s_none)).Status);
        Assert.Equal(Status.Exists, (await world.Admin.CloneAsync(names[1], null, "clone", s_none)).Status);
        Reply<IReadOnlyList<DriveInfo>> listed = await world.Admin.ListDrivesAsync(s_none);
        Assert.Equal([.. names, "clone"], listed.Value.Select(static drive => drive.Name).Order(StringComparer.Ordinal).OrderBy(static name => name == "clone"));

        // They live on more than one node.
        Assert.True(await ServersOfAsync(world, names) > 1);
        Assert.Equal(Status.Ok, await world.Admin.DeleteDriveAsync("clone", s_none));
        Assert.Equal(Status.NotFound, (await world.Admin.GetDriveAsync("clone", s_none)).Status);
        Assert.Equal(Status.NotFound, (await world.Admin.GetDriveAsync("never", s_none)).Status);
        Assert.Equal(1u << 30, (await world.Admin.GetDriveAsync(names[3], s_none)).Value.QuotaBytes);
    }

    [Fact]
    public async Task A_drive_is_found_again_where_it_is_served_after_its_primary_is_gone()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        Assert.Equal(Status.Ok, (await world.Admin.CreateDriveAsync(new("drive", DriveKind.FileSystem, 0, 0), s_none)).Status);
        Reply<IDriveSession> session = await world.Admin.OpenSessionAsync("drive", SessionAccess.Alone, s_none);
        byte[] content = Files.Bytes(6_000_000, 7);
        await using (DriveClient client = new(session.Value, new(), TimeProvider.System))
        {
            await Files.WriteAsync(client, "f", content);
            Assert.Equal(Status.Ok, (await world.Admin.CreateSnapshotAsync("drive", "s", s_none)).Status);
        }

        PoolMemberNode primary = await ServerOfAsync(world, "drive");
        await world.StopAsync(primary);
        Reply<IDriveSession> next = await world.Admin.OpenSessionAsync("drive", SessionAccess.Alone, s_none);
        Assert.Equal(Status.Ok, next.Status);
        await using DriveClient other = new(next.Value, new(), TimeProvider.System);
        Assert.Equal(content, await Files.ReadAsync(other, "f"));
        Assert.Equal("s", Assert.Single((await world.Admin.ListSnapshotsAsync("drive", s_none)).Value).Name);
        await Files.WriteAsync(other, "g", content);
    }

    [Fact]
    public async Task A_drive_is_never_said_not_to_be_there_while_its_shard_changes_hands()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        Assert.Equal(Status.Ok, (await world.Admin.CreateDriveAsync(new("drive", DriveKind.FileSystem, 0, 0), s_none)).Status);
        Assert.Equal(Status.Ok, (await world.Admin.CloneAsync("drive", null, "clone", s_none)).Status);
        bool isOver = false;
        Task<Dictionary<Status, int>> asking = Task.Run(async () =>
        {
            Dictionary<Status, int> heard = [];
            while (!Volatile.Read(ref isOver))
            {
                Status status = (await world.Admin.GetDriveAsync("clone", s_none)).Status;
                heard[status] = heard.GetValueOrDefault(status) + 1;
            }

            return heard;
        });
        for (int round = 0; round < 2; round++)
        {
            (PoolMemberNode primary, DriveClient client) = await world.OpenAsync("clone");
            await client.DisposeAsync();
            int number = world.NumberOf(primary);
            await world.StopAsync(primary);
            Assert.Equal(Status.Ok, (await world.Admin.GetDriveAsync("clone", s_none)).Status);
            await world.StartNodeAsync(number);
            await world.WholeAsync();
        }

        Volatile.Write(ref isOver, true);
        Assert.DoesNotContain(Status.NotFound, (await asking).Keys);
    }

    [Fact]
    public async Task A_pool_that_is_not_there_is_an_answer()
    {
        using KvFs.Client.Remote.PoolDriveAdmin admin = new(
            ["/nowhere/at/all"],
            static address => new(KvFs.Grpc.GrpcTarget.UnixSocket(address), new()),
            new() { OpenTime = TimeSpan.Zero });
        Assert.Equal(Status.Unavailable, (await admin.GetDriveAsync("drive", s_none)).Status);
        Assert.Equal(Status.Unavailable, (await admin.ListDrivesAsync(s_none)).Status);
    }

    private static async Task<PoolMemberNode> ServerOfAsync(PoolWorld world, string name)
    {
        foreach (PoolMemberNode node in world.Nodes)
        {
            if ((await node.Admin.GetDriveAsync(name, s_none)).IsOk) { return node; }
        }

        throw new InvalidOperationException($"nobody serves {name}");
    }

    private static async Task<int> ServersOfAsync(PoolWorld world, IEnumerable<string> names)
    {
        HashSet<PoolMemberNode> servers = [];
        foreach (string name in names) { servers.Add(await ServerOfAsync(world, name)); }
        return servers.Count;
    }
}
