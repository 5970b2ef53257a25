using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using KvFs.Authority;
using KvFs.Client.Remote;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Protocol.Wire;

namespace KvFs.Pool.Tests;

/// <summary>A pool of real processes of <c>kvfs node</c> on this machine's loopback, which can be killed.</summary>
internal sealed class PoolProcesses : IAsyncDisposable
{
    private const int StopSignal = 15;
    private const int LogLines = 60;

    /// <summary>The command line that is tried.</summary>
    public static string Program { get; } =
        Environment.GetEnvironmentVariable("KVFS_PROGRAM") ?? Path.Combine(AppContext.BaseDirectory, "kvfs");

    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-pool-").FullName;
    private readonly SortedDictionary<int, Process> processes = [];
    private readonly ImmutableArray<int> ports;
    private readonly ConcurrentQueue<string> log = new();
    private readonly FileAuthority authority;

    private PoolProcesses(int count)
    {
        ports = [.. FreePorts(count)];
        authority = new(Path.Combine(folder, "map"), poll: TimeSpan.FromMilliseconds(20));
        Admin = new(
            [.. ports.Select(static port => $"127.0.0.1:{port}")],
            static address => new(
                GrpcTarget.TcpPlainText("127.0.0.1", int.Parse(address.AsSpan(address.IndexOf(':') + 1))),
                new() { CallLimits = WireLimits.OfClient, ConnectTimeout = TimeSpan.FromSeconds(2) }),
            new());
    }

    /// <summary>A client's view of the pool.</summary>
    public PoolDriveAdmin Admin { get; }

    public static async Task<PoolProcesses> StartAsync(int count)
    {
        PoolProcesses pool = new(count);
        for (int number = 1; number <= count; number++)
        {
            pool.Start(number);

            // The first one makes the pool.
            await PoolWorld.UntilAsync(pool.MapAsync, "there is no pool");
        }

        await pool.WholeAsync();
        return pool;
    }

    /// <summary>Starts a node, or starts it again.</summary>
    public void Start(int number)
    {
        ProcessStartInfo start = new(
            Program,
            [
                "node", "--name", $"n{number}", "--data", Path.Combine(folder, $"data-{number}"),
                "--authority", $"file:{Path.Combine(folder, "map")}", "--insecure", "--listen", $"127.0.0.1:{ports[number - 1]}",
                .. number == 1 ? (string[])["--found", "--shards", "8"] : [],
            ])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        Process process = Process.Start(start)!;

        // Their ends are not waited for: a killed process closes them.
        process.OutputDataReceived += static (_, _) => { };
        process.ErrorDataReceived += (_, line) => log.Enqueue($"n{number}: {line.Data}");
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        processes[number] = process;
    }

    /// <summary>Ends a node's process at once.</summary>
    public void Kill(int number)
    {
        processes.Remove(number, out Process? process);
        process!.Kill();
        process.WaitForExit();
        process.Dispose();
    }

    /// <summary>Stops a node politely, and waits for its end.</summary>
    public async Task<int> StopAsync(int number)
    {
        processes.Remove(number, out Process? process);
        using (process)
        {
            using Process kill = Process.Start("kill", ["-s", $"{StopSignal}", $"{process!.Id}"]);
            await kill.WaitForExitAsync();
            await process.WaitForExitAsync();
            return process.ExitCode;
        }
    }

    public async Task<PoolMap?> MapAsync() => (await authority.ReadAsync(CancellationToken.None)).Map;

    /// <summary>Which node serves what has a name.</summary>
    public async Task<int> PrimaryOfAsync(string drive)
    {
        PoolMap map = (await MapAsync())!;
        NodeId primary = map[HomeShard.OfName(drive, map.Shards.Length)].Primary;
        return int.Parse(map.Find(primary)!.Name.AsSpan(1));
    }

    /// <summary>Waits until every shard has all copies in sync, of the processes that run.</summary>
    public Task<PoolMap> WholeAsync() => PoolWorld.UntilAsync(
        async () => await MapAsync() is { } map
            && map.Shards.All(shard => shard.InSync.Length == processes.Count && shard.Learners.IsEmpty)
            && PlacementPlanner.Plan(map, PlacementLimits.Default, static _ => NodePresence.Here).IsEmpty
            ? map : null,
        () => $"the pool is not whole:\n{Log}");

    /// <summary>The last that the nodes said.</summary>
    public string Log => string.Join('\n', log.TakeLast(LogLines));

    public async ValueTask DisposeAsync()
    {
        Admin.Dispose();
        foreach (int number in processes.Keys.ToArray()) { Kill(number); }
        await authority.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    /// <summary>Ports that are free now.</summary>
    private static List<int> FreePorts(int count)
    {
        List<TcpListener> probes = [.. Enumerable.Range(0, count).Select(static _ => new TcpListener(IPAddress.Loopback, 0))];
        foreach (TcpListener probe in probes) { probe.Start(); }
        List<int> found = [.. probes.Select(static probe => ((IPEndPoint)probe.LocalEndpoint).Port)];
        foreach (TcpListener probe in probes) { probe.Dispose(); }
        return found;
    }
}
