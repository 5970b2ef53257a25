using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using KvFs.Authority;
using KvFs.Authority.Tests.Support;
using KvFs.Client.Remote;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Protocol.Wire;

namespace KvFs.Pool.Tests;

/// <summary>What a pool of processes is made of, where that is not the ordinary thing.</summary>
internal sealed record PoolSetting
{
    /// <summary>Members of an etcd that has the pool map; none: a file has it.</summary>
    public ImmutableArray<Uri> Etcd { get; init; } = [];

    /// <summary>Each node is in a network namespace of its own; null: all are on this machine's loopback.</summary>
    public NodeNetwork? Network { get; init; }

    /// <summary>Where a node has its data; null: in a folder of the pool.</summary>
    public Func<int, string>? DataOf { get; init; }

    /// <summary>Nodes that may be started later.</summary>
    public int Later { get; init; }
}

/// <summary>A pool of real processes of <c>kvfs node</c>, which can be killed, and stopped where they stand.</summary>
internal sealed class PoolProcesses : IAsyncDisposable
{
    private const int LogLines = 120;

    /// <summary>Longer than a pool is away in any test, and not longer than a failed test is to take.</summary>
    private static readonly TimeSpan s_resumeTime = TimeSpan.FromMinutes(1);

    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-pool-").FullName;
    private readonly SortedDictionary<int, Process> processes = [];
    private readonly HashSet<BootId> over = [];
    private readonly PoolSetting setting;
    private readonly ImmutableArray<string> addresses;
    private readonly ConcurrentQueue<string> log = new();
    private readonly IPoolAuthority authority;
    private readonly CancellationTokenSource stop = new();
    private readonly Task watching;
    private readonly ImmutableArray<Lazy<GrpcChannel>> channels;
    private PoolMap? map;

    private PoolProcesses(int count, PoolSetting setting)
    {
        this.setting = setting;
        addresses = setting.Network is { } network
            ? [.. Enumerable.Range(1, count).Select(network.AddressOf)]
            : [.. Enumerable.Range(0, count).Select(static _ => $"127.0.0.1:{FreePorts.Next()}")];
        authority = setting.Etcd.IsEmpty
            ? new FileAuthority(MapPath, poll: TimeSpan.FromMilliseconds(20))
            : new EtcdAuthority(new() { Endpoints = setting.Etcd });
        Admin = NewAdmin(new());
        channels = [.. addresses.Select(address => new Lazy<GrpcChannel>(() => Dial(address)))];
        watching = Task.Run(WatchAsync);
    }

    /// <summary>The program that is tested.</summary>
    public static string Program =>
        Environment.GetEnvironmentVariable("KVFS_PROGRAM") ?? Path.Combine(AppContext.BaseDirectory, "kvfs");

    /// <summary>A client's view of the pool.</summary>
    public PoolDriveAdmin Admin { get; }

    /// <summary>Another client's view of it. The caller disposes it.</summary>
    public PoolDriveAdmin NewAdmin(RemoteClientOptions options) => new(addresses, Dial, options with { ResumeTime = s_resumeTime });

    /// <summary>The option that names the authority.</summary>
    public string AuthorityName => setting.Etcd.IsEmpty
        ? $"file:{MapPath}"
        : string.Join(',', setting.Etcd.Select(static one => one.OriginalString));

    /// <summary>The file that has the map, if a file has it.</summary>
    public string MapPath => Path.Combine(folder, "map");

    /// <summary>Where all nodes listen, joined by commas.</summary>
    public string Addresses => string.Join(',', addresses);

    /// <summary>The options with which a mount finds the pool.</summary>
    public ImmutableArray<string> ClientArguments =>
        ["--server", Addresses, .. setting.Network?.ClientCertificates ?? ["--insecure"]];

    /// <summary>Where a node listens.</summary>
    public string AddressOf(int number) => addresses[number - 1];

    /// <summary>The newest map that is known here; null: there is none yet.</summary>
    public PoolMap? Map => Volatile.Read(ref map);

    /// <summary>Starts a pool of so many nodes, and waits until all that there is has as many copies as it is to have.</summary>
    public static async Task<PoolProcesses> StartAsync(int count, PoolSetting? setting = null)
    {
        PoolProcesses pool = new(count + (setting?.Later ?? 0), setting ?? new());
        try
        {
            for (int number = 1; number <= count; number++)
            {
                pool.Start(number);

                // The first one makes the pool.
                if (number == 1) { await pool.MapThatAsync(static _ => true, "there is no pool"); }
            }

            await pool.WholeAsync();
            return pool;
        }
        catch
        {
            await pool.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts a node, or starts it again.</summary>
    /// <param name="number">Which one.</param>
    /// <param name="more">Options that it has beside those of all nodes.</param>
    public void Start(int number, params string[] more)
    {
        string[] command =
        [
            .. setting.Network?.Inside(number) ?? [],
            Program, "node", "--name", $"n{number}", "--data", setting.DataOf?.Invoke(number) ?? Path.Combine(folder, $"data-{number}"),
            "--authority", AuthorityName, "--listen", addresses[number - 1],
            .. setting.Network?.Certificates ?? ["--insecure"],
            .. number == 1 ? (string[])["--found", "--shards", "4"] : [],
            .. more,
        ];
        Process process = Process.Start(new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;

        // Their ends are not waited for: a killed process closes them.
        process.OutputDataReceived += static (_, _) => { };
        process.ErrorDataReceived += (_, line) => log.Enqueue($"n{number}: {line.Data}");
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        processes[number] = process;
    }

    /// <summary>Ends a node's process at once.</summary>
    public async Task KillAsync(int number)
    {
        Process process = Forget(number);
        process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
        NoteOver(number);
    }

    /// <summary>Stops a node politely, and waits for its end.</summary>
    public async Task<int> StopAsync(int number)
    {
        using Process process = Forget(number);
        await Signals.SendAsync(process, "TERM");
        await process.WaitForExitAsync();
        NoteOver(number);
        return process.ExitCode;
    }

    /// <summary>Stops a node where it stands: its connections stay, and nothing of it moves.</summary>
    public Task FreezeAsync(int number) => Signals.FreezeAsync(processes[number]);

    /// <summary>Lets it go on.</summary>
    public Task ThawAsync(int number) => Signals.ThawAsync(processes[number]);

    /// <summary>A channel to one of the nodes; stays the pool's.</summary>
    public GrpcChannel ChannelTo(int number) => channels[number - 1].Value;

    /// <summary>A way to what one of the nodes has copies of. Who dials waits for a second only: on a busy machine it may take several.</summary>
    public Task<CopyStream> OpenCopiesAsync(int number) => PoolWorld.UntilAsync(
        () => CopyStream.TryOpenAsync(ChannelTo(number), new() { Patience = s_resumeTime }, CancellationToken.None), () => $"node {number} is not reached:\n{Log}");

    public async Task<PoolMap?> MapAsync() => (await authority.ReadAsync(CancellationToken.None)).Map;

    /// <summary>Which node serves what has a name.</summary>
    public int PrimaryOf(string drive)
    {
        PoolMap known = Map!;
        return NumberOf(known, EntryOf(known, drive).Primary);
    }

    /// <summary>Another node that has a copy of what has a name; waits for one where the primary goes on alone for a moment.</summary>
    public async Task<int> ReplicaOfAsync(string drive)
    {
        PoolMap known = await MapThatAsync(map => EntryOf(map, drive).InSync.Length > 1, $"there is no other copy of {drive}");
        ShardEntry entry = EntryOf(known, drive);
        return NumberOf(known, entry.InSync.First(copy => copy.Node != entry.Primary).Node);
    }

    /// <summary>Waits until a node is primary of nothing.</summary>
    public Task<PoolMap> NoPrimaryAsync(int number) => MapThatAsync(
        map => map.Shards.All(shard => NumberOf(map, shard.Primary) != number), $"node {number} is still a primary");

    /// <summary>Waits until every shard has all copies in sync that it is to have, all of them run, and nothing is to be moved.</summary>
    public Task<PoolMap> WholeAsync() => MapThatAsync(
        map => map.Shards.All(shard => shard.Learners.IsEmpty
            && shard.InSync.Length == Math.Min(map.Settings.Replicas, processes.Count)
            && shard.InSync.All(copy => processes.ContainsKey(NumberOf(map, copy.Node)) && !over.Contains(copy.Boot)))
            && PlacementPlanner.Plan(map, PlacementLimits.Default, static _ => NodePresence.Here).IsEmpty,
        "the pool is not whole");

    /// <summary>Waits until the map says something.</summary>
    public Task<PoolMap> MapThatAsync(Func<PoolMap, bool> says, string otherwise) => PoolWorld.UntilAsync(
        () => Task.FromResult(Map is { } known && says(known) ? known : null),
        () => $"{otherwise}:\n{Describe(Map)}\n{Log}");

    public static int NumberOf(PoolMap map, NodeId node) => int.Parse(map.Find(node)!.Name.AsSpan(1), CultureInfo.InvariantCulture);

    /// <summary>The last that the nodes said.</summary>
    public string Log => string.Join('\n', log.TakeLast(LogLines));

    public async ValueTask DisposeAsync()
    {
        Admin.Dispose();
        foreach (Lazy<GrpcChannel> channel in channels.Where(static channel => channel.IsValueCreated)) { channel.Value.Dispose(); }
        foreach (Process process in processes.Values)
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
        }

        await stop.CancelAsync();
        await watching;
        await authority.DisposeAsync();
        stop.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    private GrpcChannel Dial(string address) => new(
        setting.Network?.TargetOf(address) ?? GrpcTarget.TcpPlainText("127.0.0.1", IPEndPoint.Parse(address).Port),
        new() { CallLimits = WireLimits.OfClient, ConnectTimeout = TimeSpan.FromSeconds(2) });

    private static string Describe(PoolMap? map) =>
        map is null ? "no map" : string.Join('\n', map.ShardIds.Select(shard => new Reign(shard, map[shard]).ToString()));

    private async Task WatchAsync()
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await foreach (PoolMap next in authority.WatchAsync(0, stop.Token)) { Volatile.Write(ref map, next); }
            }
            catch (OperationCanceledException)
            {
                // The test ends.
            }
            catch (AuthorityException)
            {
                // The test has taken the map away, or put an older one there.
            }
        }
    }

    private static ShardEntry EntryOf(PoolMap map, string drive) => map[HomeShard.OfName(drive, map.Shards.Length)];

    private Process Forget(int number)
    {
        processes.Remove(number, out Process? process);
        return process!;
    }

    /// <summary>The map may have that process for a while still.</summary>
    private void NoteOver(int number)
    {
        if (Map is not { } known) { return; }
        foreach (ShardEntry shard in known.Shards)
        {
            foreach (InSyncReplica copy in shard.InSync)
            {
                if (NumberOf(known, copy.Node) == number) { over.Add(copy.Boot); }
            }
        }
    }
}
