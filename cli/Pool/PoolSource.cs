using KvFs.Authority;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Hosting;
using KvFs.Cli.Top;
using KvFs.Client.Remote;
using KvFs.Core;
using KvFs.Peers;
using KvFs.Pki.Files;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Pool;

/// <summary>The drives of a pool of several nodes, as a client of it.</summary>
internal sealed class PoolSource : IDriveSource
{
    /// <summary>How long a start waits for nodes that are to come; then it goes on with those that are there.</summary>
    private static readonly TimeSpan s_startTime = TimeSpan.FromSeconds(60);

    /// <summary>A lease, and as much again for a takeover before it.</summary>
    private static readonly TimeSpan s_leaseTime = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);

    private readonly PoolDriveAdmin admin;
    private readonly PoolCalls calls;
    private readonly IReadOnlyList<string> seeds;
    private readonly OwnNodes? own;

    private PoolSource(IReadOnlyList<string> seeds, PeerSecurity security, NearOptions near, OwnNodes? own)
    {
        this.seeds = seeds;
        this.own = own;
        calls = new(security);
        admin = new([.. seeds], address => PoolOptions.Dial(security, address, WireLimits.OfClient), new() { Near = near });
    }

    public IDriveAdmin Admin => admin;

    public TimeSpan LeaseTime => s_leaseTime;

    public IReadOnlyList<RunningNode> Nodes => own?.Running ?? [];

    /// <summary>Starts the nodes, if they are this process's own, and waits until the pool serves.</summary>
    /// <exception cref="CommandException">The folder cannot be used, or no node answers.</exception>
    public static async Task<PoolSource> OpenAsync(
        string dataPath, PoolChoice choice, ILoggerFactory loggers, IProgress<ProgressReport> progress, CancellationToken cancel) =>
        choice switch
        {
            PoolChoice.Own own => await StartAsync(dataPath, own, loggers, progress, cancel).ConfigureAwait(false),
            PoolChoice.Running running => await JoinAsync(running, loggers, progress, cancel).ConfigureAwait(false),
            _ => throw new InvalidOperationException($"No such choice: {choice}."),
        };

    public async ValueTask<NodeReport> GetStatusAsync(CancellationToken cancel)
    {
        if (await admin.DirectoryAsync(cancel).ConfigureAwait(false) is not { } pool)
        {
            return new("pool", null, false, "No node of the pool answers.");
        }

        string? bad = await BadBlocksAsync(cancel).ConfigureAwait(false);
        int atRisk = pool.Holders.Count(holders => holders.Length < Math.Min(pool.Replicas, pool.Nodes.Count));
        string name = $"pool of {pool.Nodes.Count} nodes, {pool.Replicas} copies";
        string? few = atRisk == 0 ? null : $"{atRisk} of {pool.Holders.Length} shards have fewer copies than they are to have.";
        return new(name, null, true, bad is null ? few : $"{bad} {few}".TrimEnd());
    }

    /// <summary>What nodes say of blocks that are at risk; null: nothing.</summary>
    private async ValueTask<string?> BadBlocksAsync(CancellationToken cancel)
    {
        List<string> found = [];
        foreach ((NodeId node, NodeHealth health) in await admin.HealthAsync(cancel).ConfigureAwait(false))
        {
            if (health.UnrepairableBlocks > 0) { found.Add($"Node {node}: {health.UnrepairableBlocks} blocks are bad, and no other node has them whole."); }
            if (health.LackingBlocks > 0) { found.Add($"Node {node}: copies lack {health.LackingBlocks} blocks of its drives."); }
            if (health.DifferingBlocks > 0) { found.Add($"Node {node}: copies have {health.DifferingBlocks} blocks of its drives with other bytes."); }
        }

        return found.Count == 0 ? null : string.Join(' ', found);
    }

    public async Task<TopSample> SampleAsync(CancellationToken cancel) =>
        await calls.FindMapAsync(seeds, cancel).ConfigureAwait(false) is { } map
            ? await calls.SampleAsync(map, cancel).ConfigureAwait(false)
            : throw new CommandException(ExitCode.NotRunning, "No node of the pool answers.", "See `kvfs status`, and the logs of the nodes.");

    public DiskSpaceReport? GetDisk()
    {
        if (own is null) { return null; }
        System.IO.DriveInfo disk = new(Path.GetDirectoryName(own.Folder.MapPath)!);
        return new((ulong)disk.TotalSize, (ulong)(disk.AvailableFreeSpace / own.Copies));
    }

    public Task<CheckReport> CheckAsync(bool readBytes, IProgress<ProgressReport> progress, CancellationToken cancel) =>
        throw new CommandException(
            ExitCode.Refused,
            "A pool of several nodes checks its drives by itself.",
            "Stop a node, and check its data folder: kvfs fsck --offline --data DIR.");

    public async ValueTask DisposeAsync()
    {
        admin.Dispose();
        calls.Dispose();
        if (own is not null) { await own.DisposeAsync().ConfigureAwait(false); }
    }

    private static async Task<PoolSource> StartAsync(
        string dataPath, PoolChoice.Own choice, ILoggerFactory loggers, IProgress<ProgressReport> progress, CancellationToken cancel)
    {
        OwnPool folder = OwnPool.Take(dataPath, choice.Count);
        OwnNodes? own = null;
        try
        {
            progress.Report(new ProgressReport($"starting {choice.Count} nodes", 0, choice.Count));
            if (!choice.Insecure) { folder.MakeCertificates(choice.Count); }
            own = new(folder, choice, loggers);
            await own.WaitAsync(choice.Count, progress, cancel).ConfigureAwait(false);
            PeerSecurity security = choice.Insecure
                ? PeerSecurity.PlainTextOnLoopback
                : PoolOptions.SecurityOf(folder.ClientCertificates, OwnPool.Name, loggers);
            PoolSource source = new(own.Addresses, security, new(), own);
            own = null;
            await source.WaitUntilServedAsync(progress, cancel).ConfigureAwait(false);
            return source;
        }
        finally
        {
            if (own is not null) { await own.DisposeAsync().ConfigureAwait(false); }
        }
    }

    private static async Task<PoolSource> JoinAsync(
        PoolChoice.Running choice, ILoggerFactory loggers, IProgress<ProgressReport> progress, CancellationToken cancel)
    {
        progress.Report(new ProgressReport("looking for the pool", 0, null));
        foreach (string address in choice.Addresses) { PoolOptions.ParseAddress(address); }
        PeerSecurity security = choice.Certificates is { } certificates
            ? PoolOptions.SecurityOf(certificates, choice.Name!, loggers)
            : PeerSecurity.PlainTextOnLoopback;
        PoolSource source = new(choice.Addresses, security, choice.Near, null);
        PoolDirectory? pool = await source.admin.DirectoryAsync(cancel).ConfigureAwait(false);
        string? near = choice.Near.Node;
        if (pool is not null && (near is null || pool.Places.Values.Any(place => place.Name == near))) { return source; }
        await source.DisposeAsync().ConfigureAwait(false);
        if (pool is not null)
        {
            throw new CommandException(
                ExitCode.NotFound,
                $"The pool has no node {near}.",
                $"--near names the one on this machine; there are: {string.Join(", ", pool.Places.Values.Select(static place => place.Name).Order(StringComparer.Ordinal))}.");
        }

        throw new CommandException(
            ExitCode.NotRunning,
            $"No node of a pool answers at {string.Join(", ", choice.Addresses)}.",
            "Check the addresses, and that the certificates are of that pool: kvfs pki show.");
    }

    /// <summary>After all nodes were away they first compare what they have: waits until each shard is served by one of them.
    /// </summary>
    private async Task WaitUntilServedAsync(IProgress<ProgressReport> progress, CancellationToken cancel)
    {
        long began = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(began) < s_startTime)
        {
            Reply<IReadOnlyList<Protocol.DriveInfo>> drives = await admin.ListDrivesAsync(cancel).ConfigureAwait(false);
            if (drives.Status != Status.Unavailable) { return; }
            progress.Report(new ProgressReport("waiting for the nodes to serve", 0, null));
        }
    }

    /// <summary>The nodes of this process, and their folder.</summary>
    private sealed class OwnNodes : IAsyncDisposable
    {
        private readonly PoolNodes nodes;
        private readonly FileAuthority authority;

        public OwnNodes(OwnPool folder, PoolChoice.Own choice, ILoggerFactory loggers)
        {
            Folder = folder;
            Copies = Math.Min(choice.Count, PoolSettings.Default.Replicas);
            authority = new(folder.MapPath);
            nodes = new(folder, choice.Count, choice.Insecure, loggers.CreateLogger<PoolNodes>());
        }

        public OwnPool Folder { get; }

        public int Copies { get; }

        public IReadOnlyList<string> Addresses => nodes.Addresses;

        public IReadOnlyList<RunningNode> Running =>
            [.. nodes.Running.OrderBy(static one => one.Key).Select(one => new RunningNode(OwnPool.NodeName(one.Key), one.Value, Folder.LogOf(one.Key)))];

        /// <summary>Waits until everything has its copies, or for a minute.</summary>
        public async Task WaitAsync(int count, IProgress<ProgressReport> progress, CancellationToken cancel)
        {
            long began = TimeProvider.System.GetTimestamp();
            while (true)
            {
                PoolMap? map = (await authority.ReadAsync(cancel).ConfigureAwait(false)).Map;
                int whole = map?.Shards.Count(shard => shard.InSync.Length >= Copies) ?? 0;
                bool isHere = map is not null && map.Nodes.Count(static node => node.State != NodeState.Gone) >= count;
                if (map is not null && isHere && whole == map.Shards.Length) { return; }
                progress.Report(new ProgressReport($"waiting for {count} nodes to have {Copies} copies", whole, map?.Shards.Length));
                if (TimeProvider.System.GetElapsedTime(began) > s_startTime)
                {
                    if (map is not null) { return; }
                    throw new CommandException(ExitCode.Failure, "The pool's first node did not start.", $"See {Folder.LogOf(1)}.");
                }

                await Task.Delay(s_look, cancel).ConfigureAwait(false);
            }
        }

        public async ValueTask DisposeAsync()
        {
            await nodes.DisposeAsync().ConfigureAwait(false);
            await authority.DisposeAsync().ConfigureAwait(false);
            Folder.Dispose();
        }
    }
}
