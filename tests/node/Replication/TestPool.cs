using System.Buffers.Binary;
using System.Collections.Immutable;
using KvFs.Authority;
using KvFs.Core;

namespace KvFs.Node.Tests.Replication;

/// <summary>Several nodes' replication in one process: stores on disk, sockets, a map in a file.</summary>
internal sealed class TestPool : IAsyncDisposable
{
    /// <summary>Those of real pools, but for the wait for disks that do not come, and that for disks that do not answer.</summary>
    public static readonly ReplicationTimes Times = new() { ColdStartWait = TimeSpan.FromSeconds(10), DiskPatience = TimeSpan.FromSeconds(1) };

    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-pool-").FullName;
    private readonly SortedDictionary<NodeId, TestMember> members = [];
    private readonly SortedDictionary<NodeId, ulong> boots = [];
    private readonly PoolMap founded;
    private int folders;

    private TestPool(int nodes, int shards)
    {
        ImmutableArray<(NodeIntroduction, BootId)> founders =
        [
            .. Enumerable.Range(1, nodes).Select(number => (
                new NodeIntroduction($"node-{number}", [AddressOf(new((uint)number))], "", PoolLimits.NormalWeight, DiskOf(new((uint)number))),
                BootOf(1))),
        ];
        founded = PoolMapChange.Found(new(4711), PoolSettings.Default, shards, founders).Map!;
    }

    public string MapPath => Path.Combine(folder, "map");

    public IEnumerable<TestMember> Members => members.Values;

    public static async Task<TestPool> StartAsync(int nodes, int shards = 1)
    {
        TestPool pool = new(nodes, shards);
        await using (FileAuthority authority = new(pool.MapPath))
        {
            Assert.Equal(AuthorityOutcome.Ok, (await authority.CompareAndSwapAsync(0, pool.founded, CancellationToken.None)).Outcome);
        }

        foreach (PoolNode node in pool.founded.Nodes) { await pool.StartAsync(node.Id, pool.NewFolder()); }
        return pool;
    }

    public static DiskId DiskOf(NodeId node) => new(1000 + node.Value);

    public static BootId BootOf(ulong start) => new((UInt128)start << 64);

    public string AddressOf(NodeId node) => Path.Combine(folder, $"{node}.socket");

    public string NewFolder() => Directory.CreateDirectory(Path.Combine(folder, $"data-{folders++}")).FullName;

    public bool IsCutOff(NodeId node) => members.TryGetValue(node, out TestMember? member) && member.IsCutOff;

    public TestMember this[NodeId node] => members[node];

    /// <summary>Starts a node from what a folder has, as a new process.</summary>
    public async Task StartAsync(NodeId node, string data)
    {
        boots[node] = boots.GetValueOrDefault(node) + 1;
        await using FileAuthority authority = new(MapPath);
        PoolMap map = (await authority.ReadAsync(CancellationToken.None)).Map!;
        members[node] = await TestMember.StartAsync(this, new(node, DiskOf(node), BootOf(boots[node])), data, map);
    }

    public async Task<string> KillAsync(NodeId node)
    {
        members.Remove(node, out TestMember? member);
        return await member!.KillAsync();
    }

    /// <summary>Who serves a shard, as soon as somebody does.</summary>
    public Task<TestMember> PrimaryOfAsync(ShardId shard) => UntilAsync(
        () => Task.FromResult(members.Values.FirstOrDefault(member => member.Serves(shard))), $"nobody serves shard {shard}");

    /// <summary>Waits until all copies of a shard are in sync again.</summary>
    public Task<PoolMap> HealthyAsync(ShardId shard) => UntilAsync(
        async () => await ReadAsync() is { } map && map[shard].InSync.Length == members.Count && map[shard].Learners.IsEmpty
            && map[shard].InSync.All(replica => members.TryGetValue(replica.Node, out TestMember? member) && member.Process == replica)
                ? map : null,
        $"shard {shard} is not whole");

    /// <summary>Waits until something is there.</summary>
    public static async Task<T> UntilAsync<T>(Func<Task<T?>> find, string otherwise)
        where T : class
    {
        using PeriodicTimer timer = new(TimeSpan.FromMilliseconds(10));
        long began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            if (await find() is { } found) { return found; }
            Assert.True(TimeProvider.System.GetElapsedTime(began) < s_patience, otherwise);
            await timer.WaitForNextTickAsync();
        }
    }

    /// <summary>A drive that lives on a shard.</summary>
    public DriveId DriveOn(ShardId shard)
    {
        for (UInt128 value = 1; ; value++)
        {
            if (HomeShard.Of(new(value), founded.Shards.Length) == shard) { return new(value); }
        }
    }

    /// <summary>A batch that puts one record.</summary>
    public static RecordBatch Put(DriveId drive, ulong key, ReadOnlySpan<byte> value)
    {
        RecordBatch batch = new();
        batch.Put(KeyOf(drive, key), value);
        return batch;
    }

    public static byte[] KeyOf(DriveId drive, ulong key)
    {
        byte[] bytes = new byte[DriveId.Size + sizeof(ulong)];
        drive.Write(bytes);
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(DriveId.Size), key);
        return bytes;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (TestMember member in members.Values) { await member.DisposeAsync(); }
        Directory.Delete(folder, recursive: true);
    }

    private async Task<PoolMap?> ReadAsync()
    {
        await using FileAuthority authority = new(MapPath);
        return (await authority.ReadAsync(CancellationToken.None)).Map;
    }
}
