using KvFs.Authority;
using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Tests;

/// <summary>How a disk finds its place in a pool, by what it has been in.</summary>
public sealed class PoolMembershipTests : IDisposable
{
    private static readonly BootId s_boot = new((UInt128)1 << 64);
    private static readonly DiskId s_disk = new(1001);

    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-membership-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task A_disk_of_a_pool_founds_no_other_one_and_enters_no_other_one()
    {
        PoolMap map = await FoundAsync();
        PoolPast past = new(map.Pool, null);
        Assert.Null((await EnterAsync("n1", past, s_disk)).Refusal);
        Assert.Equal(Status.InUse, (await RefusedAsync("n1", new(new(77), null), s_disk)).Status);
        File.Delete(MapPath);
        StorageException refused = await RefusedAsync("n1", past, s_disk);
        Assert.Equal(Status.NotFound, refused.Status);
        Assert.Contains("kvfs pool rebuild", refused.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(MapPath));
    }

    [Fact]
    public async Task One_that_knows_a_newer_map_waits_in_that_one_whatever_stands_there()
    {
        PoolMap map = await FoundAsync();
        byte[] older = await File.ReadAllBytesAsync(MapPath);
        PoolMap newer = (await EnterAsync("n2", default, new(1002))).Map;
        Assert.Equal(map.Revision + 1, newer.Revision);
        PoolPast past = new(newer.Pool, newer);
        Assert.Equal((newer.Revision, null), Told(await EnterAsync("n2", past, new(1002))));
        foreach (Action change in (Action[])[() => File.WriteAllBytes(MapPath, older), () => File.WriteAllText(MapPath, "no map"), () => File.Delete(MapPath)])
        {
            change();
            Membership entered = await EnterAsync("n2", past, new(1002));
            Assert.NotEmpty(entered.Refusal!);
            Assert.Equal((newer, new InSyncReplica(new(2), new(1002), s_boot)), (entered.Map, entered.Process));
        }

        // One that is not in the map that it knows waits for nothing.
        Assert.Equal(Status.NotPermitted, (await RefusedAsync("n3", past, new(1003))).Status);
        Assert.False(File.Exists(MapPath));
    }

    [Fact]
    public async Task One_that_replaces_another_joins_in_its_place()
    {
        await FoundAsync();
        Assert.Equal(Status.NotFound, (await RefusedAsync("n2", default, new(1002), replaces: "n9")).Status);
        PoolMap joined = (await EnterAsync("n2", default, new(1002), replaces: "n1")).Map;
        Assert.Equal(("n1", NodeState.Draining), (joined.Find("n2")!.Place, joined.Find("n1")!.State));

        // Later starts leave that as it is, and a name that is taken is refused with the reason.
        Assert.Equal(joined.Revision, (await EnterAsync("n2", default, new(1002), replaces: "n9")).Map.Revision);
        StorageException taken = await RefusedAsync("n2", default, new(1003));
        Assert.Equal(Status.Exists, taken.Status);
        Assert.Contains("the name n2", taken.Message, StringComparison.Ordinal);
    }

    private string MapPath => Path.Combine(folder, "map");

    private static (ulong Revision, string? Refusal) Told(Membership entered) => (entered.Map.Revision, entered.Refusal);

    private async Task<PoolMap> FoundAsync() => (await EnterAsync("n1", default, s_disk)).Map;

    private async Task<StorageException> RefusedAsync(string name, PoolPast past, DiskId disk, string? replaces = null) =>
        await Assert.ThrowsAsync<StorageException>(() => EnterAsync(name, past, disk, replaces));

    private async Task<Membership> EnterAsync(string name, PoolPast past, DiskId disk, string? replaces = null)
    {
        await using FileAuthority authority = new(MapPath);
        PoolNodeOptions options = new()
        {
            Storage = new() { DataPath = folder, NodeName = name, ShardCount = 2 },
            Authority = authority,
            Addresses = [$"/{name}"],
            Dial = static _ => throw new InvalidOperationException("nobody is dialled"),
            Found = PoolSettings.Default,
            Replaces = replaces,
        };
        return await PoolMembership.EnterAsync(options, past, disk, s_boot, CancellationToken.None);
    }
}
