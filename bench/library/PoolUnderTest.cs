using KvFs.Client;
using KvFs.Client.Remote;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Peers;
using KvFs.Pki;
using KvFs.Pki.Files;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Bench;

/// <summary>A pool that runs, as a client of it: the same library, certificates and streams as of <c>kvfs mount</c>, without a mount.
/// </summary>
internal sealed class PoolUnderTest : IAsyncDisposable
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);

    /// <summary>How long a drive that was just made, or left, may take to be there for a session.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly PoolDriveAdmin admin;
    private readonly HashSet<string> made = [];
    private readonly string prefix = $"bench-{Guid.NewGuid().ToString("N")[..8]}";

    private PoolUnderTest(PoolDriveAdmin admin, PoolDirectory directory)
    {
        this.admin = admin;
        Directory = directory;
    }

    public PoolDirectory Directory { get; }

    public int Nodes => Directory.Nodes.Count;

    /// <summary>Copies of what is written.</summary>
    public int Copies => Directory.Holders.Min(static holders => holders.Length);

    /// <exception cref="BenchException">There is none, or it cannot be talked to.</exception>
    public static async Task<PoolUnderTest> ConnectAsync(BenchOptions options, CancellationToken cancel)
    {
        PeerSecurity security = SecurityOf(options);
        PoolDriveAdmin admin = new(options.Servers, address => Dial(security, address), new());
        if (await admin.DirectoryAsync(cancel) is { } directory) { return new(admin, directory); }
        admin.Dispose();
        throw new BenchException(
            BenchException.NotThere,
            $"No node of a pool answers at {string.Join(", ", options.Servers)}. Is it running (kvfs status), and are the certificates of that pool (kvfs pki show)?");
    }

    /// <summary>Makes drives on shards of their own, whose primaries are spread over the nodes.</summary>
    /// <param name="purpose">A part of their names.</param>
    /// <param name="count">How many.</param>
    /// <param name="cancel">Ends it.</param>
    public async Task<IReadOnlyList<string>> MakeDrivesAsync(string purpose, int count, CancellationToken cancel)
    {
        NodeId[] nodes = [.. Directory.Nodes.Keys.OrderBy(static node => node.Value)];
        NodeId[] serving = [.. nodes.Where(node => Directory.Primaries.Contains(node))];
        HashSet<ushort> taken = [];
        List<string> names = [];
        for (int number = 0; number < count; number++)
        {
            string name = NameAt($"{prefix}-{purpose}-{made.Count}", serving[number % serving.Length], taken);
            Reply<KvFs.Protocol.DriveInfo> reply = await admin.CreateDriveAsync(new(name, DriveKind.FileSystem, 0, 0), cancel);
            BenchException.Check(reply.Status, $"making drive {name}");
            made.Add(name);
            names.Add(name);
        }

        return names;
    }

    /// <summary>A session that has a drive for itself; names and attributes are asked of the primary.</summary>
    public async Task<IDriveSession> OpenAsync(string drive, CancellationToken cancel)
    {
        long began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            Reply<IDriveSession> reply = await admin.OpenSessionAsync(drive, SessionAccess.Alone, cancel);
            if (reply.IsOk) { return reply.Value; }
            bool isPassing = reply.Status is Status.InUse or Status.Busy or Status.Unavailable;
            if (!isPassing || TimeProvider.System.GetElapsedTime(began) > s_patience) { BenchException.Check(reply.Status, $"opening drive {drive}"); }
            await Task.Delay(s_look, cancel);
        }
    }

    /// <summary>The same as a mount has it: names and attributes are answered here, and told behind that.</summary>
    public async Task<IDriveSession> OpenBufferedAsync(string drive, CancellationToken cancel) =>
        SessionMemory.Around(await OpenAsync(drive, cancel), TimeProvider.System);

    /// <summary>Deletes what was made.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (string drive in made)
        {
            Status status = await admin.DeleteDriveAsync(drive, CancellationToken.None);
            if (status != Status.Ok) { Results.Say($"drive {drive} is left: {status}"); }
        }

        admin.Dispose();
    }

    /// <summary>A name whose shard nobody has yet and is led by a node; if there is none, one that has any other shard.</summary>
    private string NameAt(string name, NodeId wanted, HashSet<ushort> taken)
    {
        const int Attempts = 4096;
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            string next = $"{name}-{attempt}";
            ShardId shard = HomeShard.OfName(next, Directory.Primaries.Length);
            if (Directory.Primaries[shard.Value] == wanted && taken.Add(shard.Value)) { return next; }
        }

        return name;
    }

    private static PeerSecurity SecurityOf(BenchOptions options)
    {
        if (options.Certificates is not { } folder) { return PeerSecurity.PlainTextOnLoopback; }
        try
        {
            return PeerSecurity.ByCertificates(new(folder, TimeProvider.System, NullLogger<CertificateFiles>.Instance), options.Pool!);
        }
        catch (Exception e) when (e is PkiException or IOException or UnauthorizedAccessException)
        {
            throw new BenchException(BenchException.NotThere, $"The certificates in {folder} cannot be used: {e.Message}");
        }
    }

    private static GrpcChannel Dial(PeerSecurity security, string address)
    {
        int colon = address.LastIndexOf(':');
        if (colon <= 0 || !ushort.TryParse(address.AsSpan(colon + 1), out ushort port))
        {
            throw new BenchException(BenchException.Usage, $"'{address}' is no address and port, such as 127.0.0.1:9740.");
        }

        return new(
            security.Target(address[..colon].Trim('[', ']'), port, PeerRole.Node),
            new() { CallLimits = WireLimits.OfClient, ConnectTimeout = TimeSpan.FromSeconds(2) });
    }
}
