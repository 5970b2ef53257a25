using KvFs.Authority;
using KvFs.Client;
using KvFs.Client.Remote;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>Several storage nodes of one pool in one process: each with its own folder and socket, and the map in a file.</summary>
internal sealed class PoolWorld : IAsyncDisposable
{
    public const int Shards = 4;

    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(20);

    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-pool-").FullName;
    private readonly SortedDictionary<int, RunningNode> nodes = [];
    private readonly FileAuthority laterAuthority;

    private PoolWorld(TimeSpan laterPoll)
    {
        Authority = new(new FileAuthority(Path.Combine(folder, "map"), poll: s_poll));
        laterAuthority = new(Path.Combine(folder, "map"), poll: laterPoll);
        Admin = new(
            [AddressOf(1), AddressOf(2), AddressOf(3)],
            static address => new(GrpcTarget.UnixSocket(address), new() { CallLimits = WireLimits.OfClient }),
            new());
    }

    /// <summary>A client's view of the whole pool, over its sockets.</summary>
    public PoolDriveAdmin Admin { get; }

    /// <summary>Where the first node has the pool map, and the test.</summary>
    public SeenAuthority Authority { get; }

    public IEnumerable<PoolMemberNode> Nodes => nodes.Values.Select(static one => one.Node);

    /// <summary>Starts a pool of so many nodes, and waits until all that there is has as many copies as it is to have.</summary>
    /// <param name="count">How many.</param>
    /// <param name="laterPoll">How often all but the first look at the pool map, if not as often as that one.</param>
    public static async Task<PoolWorld> StartAsync(int count, TimeSpan? laterPoll = null)
    {
        PoolWorld world = new(laterPoll ?? s_poll);
        for (int number = 1; number <= count; number++) { await world.StartNodeAsync(number); }
        await world.WholeAsync();
        return world;
    }

    public async Task<PoolMemberNode> StartNodeAsync(int number)
    {
        PoolNodeOptions options = new()
        {
            Storage = new()
            {
                DataPath = Path.Combine(folder, $"data-{number}"),
                NodeName = $"node-{number}",
                ShardCount = Shards,
                Scrub = new() { LeftoverInterval = TimeSpan.Zero, LeftoverAge = TimeSpan.Zero },
            },
            Authority = number == 1 ? Authority : laterAuthority,
            Addresses = [AddressOf(number)],
            Dial = static node => new(GrpcTarget.UnixSocket(node.Addresses[0]), new() { CallLimits = WireReplication.Limits }),
            Found = number == 1 ? PoolSettings.Default : null,
        };
        PoolMemberNode node = await PoolMemberNode.OpenAsync(options, NullLoggerFactory.Instance, CancellationToken.None);
        GrpcServices services = new();
        node.AddTo(services);
        GrpcServer server = new(
            services,
            new()
            {
                Endpoints = [GrpcEndpoint.UnixSocket(options.Addresses[0], GrpcEndpoint.OwnerOnly)],
                CallLimits = PoolMemberNode.CallLimits,
                DrainTime = TimeSpan.Zero,
            },
            NullLoggerFactory.Instance);
        await server.StartAsync(CancellationToken.None);
        await node.StartAsync();
        nodes.Add(number, new(node, server));
        return node;
    }

    /// <summary>Stops a node without a word to the others.</summary>
    public async Task StopAsync(PoolMemberNode node)
    {
        int number = nodes.First(one => one.Value.Node == node).Key;
        nodes.Remove(number, out RunningNode? stopped);
        await stopped!.DisposeAsync();
    }

    public string AddressOf(int number) => Path.Combine(folder, $"{number}.socket");

    public int NumberOf(PoolMemberNode node) => nodes.First(one => one.Value.Node == node).Key;

    /// <summary>Waits until every shard has its copies in sync, on as many nodes as there are, and nothing is to be moved.</summary>
    public Task<PoolMap> WholeAsync() => UntilAsync(
        async () => (await Authority.ReadAsync(CancellationToken.None)).Map is { } map
            && map.Shards.All(shard => shard.InSync.Length == Math.Min(map.Settings.Replicas, nodes.Count)
                && shard.InSync.All(copy => Nodes.Any(node => node.Process == copy)))
            && PlacementPlanner.Plan(map, PlacementLimits.Default, static _ => NodePresence.Here).IsEmpty
            ? map : null,
        "the pool is not whole");

    /// <summary>Makes a drive wherever its name belongs.</summary>
    public Task<DriveInfo> CreateDriveAsync(string name, int spread = 0) => UntilAsync(
        async () =>
        {
            foreach (PoolMemberNode node in Nodes)
            {
                Reply<DriveInfo> made = await node.Admin.CreateDriveAsync(
                    new(name, DriveKind.FileSystem, 0, 0) { Spread = spread }, CancellationToken.None);
                if (made.IsOk) { return made.Value; }
                Assert.Contains(made.Status, new[] { Status.StaleEpoch, Status.Unknown, Status.Exists });
            }

            return null;
        },
        $"nobody makes drive {name}");

    /// <summary>Opens a client where a drive is served, as soon as it is.</summary>
    public Task<(PoolMemberNode Node, DriveClient Client)> OpenAsync(string name) => UntilAsync(
        async () =>
        {
            foreach (PoolMemberNode node in Nodes)
            {
                Reply<IDriveSession> session = await node.Admin.OpenSessionAsync(name, SessionAccess.Alone, CancellationToken.None);
                if (session.IsOk) { return Tuple.Create(node, new DriveClient(session.Value, new(), TimeProvider.System)); }
            }

            return null;
        },
        $"nobody serves drive {name}").ContinueWith(static found => (found.Result.Item1, found.Result.Item2), TaskScheduler.Default);

    /// <summary>Opens a session from outside, which goes on wherever its drive is served.</summary>
    public async Task<IDriveSession> OpenSessionAsync(string name)
    {
        IDriveSession? opened = null;
        await UntilAsync(
            async () =>
            {
                Reply<IDriveSession> session = await Admin.OpenSessionAsync(name, SessionAccess.Alone, CancellationToken.None);
                opened = session.IsOk ? session.Value : null;
                return opened;
            },
            $"nobody opens drive {name}");
        return opened!;
    }

    /// <summary>The node that serves a drive, as soon as one does.</summary>
    public Task<PoolMemberNode> ServerOfAsync(string name) => UntilAsync(
        async () =>
        {
            foreach (PoolMemberNode node in Nodes)
            {
                if ((await node.Admin.GetDriveAsync(name, CancellationToken.None)).IsOk) { return node; }
            }

            return null;
        },
        $"nobody serves drive {name}");

    public GrpcChannel ChannelTo(int number) => new(GrpcTarget.UnixSocket(AddressOf(number)), new() { CallLimits = WireLimits.OfClient });

    public static Task<T> UntilAsync<T>(Func<Task<T?>> find, string otherwise)
        where T : class => UntilAsync(find, () => otherwise);

    /// <summary>Waits until something is there.</summary>
    public static async Task<T> UntilAsync<T>(Func<Task<T?>> find, Func<string> otherwise)
        where T : class
    {
        using PeriodicTimer timer = new(TimeSpan.FromMilliseconds(20));
        long began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            if (await find() is { } found) { return found; }
            Assert.True(TimeProvider.System.GetElapsedTime(began) < s_patience, TimeProvider.System.GetElapsedTime(began) < s_patience ? null : otherwise());
            await timer.WaitForNextTickAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        Admin.Dispose();
        foreach (RunningNode node in nodes.Values) { await node.DisposeAsync(); }
        await Authority.DisposeAsync();
        await laterAuthority.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    private sealed record RunningNode(PoolMemberNode Node, GrpcServer Server) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await Server.DisposeAsync();
            await Node.DisposeAsync();
        }
    }
}
