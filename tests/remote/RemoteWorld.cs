using System.Net;
using System.Text;
using KvFs.Client.Remote;
using KvFs.Client.Tests;
using KvFs.Core;
using KvFs.Direct;
using KvFs.Grpc;
using KvFs.Node;
using KvFs.Node.Remote;
using KvFs.Node.Storage;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging;

namespace KvFs.Remote.Tests;

/// <summary>A real node with a drive "test", its server, and a channel to it through a proxy that can be cut.</summary>
/// <remarks>The node's background loops do not run, and its clock stands still unless it is told to go: so two worlds that are asked
/// the same answer the same. Logged errors fail the test when it ends.</remarks>
internal sealed class RemoteWorld : IAsyncDisposable
{
    public const string Drive = "test";

    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-remote-").FullName;
    private readonly ErrorLog log = new();
    private readonly StorageNode node;
    private readonly GrpcServer server;
    private readonly DirectListener? direct;
    private ulong drawn;
    private bool stopped;

    private RemoteWorld(string transport, RemoteOptions options, TimeProvider serverClock)
    {
        StorageNodeOptions nodeOptions = new() { DataPath = folder, Clock = NodeTime, DrawId = DrawId };
        node = StorageNode.Start(
            nodeOptions, JournaledKeyValueStore.Open(Path.Combine(folder, "db")), new LinuxDisk(folder), log.CreateLogger("node"));
        if (transport == "tcp") { direct = new(new(IPAddress.Loopback, 0), tls: null, WireDirect.MessageBytes); }
        Services = new(node, options with { Direct = direct }, serverClock, log);
        GrpcServices services = new();
        Services.AddTo(services);
        string socket = Path.Combine(folder, "s");
        GrpcEndpoint endpoint = transport == "unix"
            ? GrpcEndpoint.UnixSocket(socket, GrpcEndpoint.OwnerOnly)
            : GrpcEndpoint.TcpPlainText(new(IPAddress.Loopback, 0));
        GrpcServerOptions serverOptions = new()
        {
            Endpoints = [endpoint], CallLimits = WireLimits.OfServer, DrainTime = TimeSpan.FromSeconds(5),
        };
        server = new(services, serverOptions, log);
        SocketPath = socket;
    }

    public ManualTime NodeTime { get; } = new();

    public RemoteServices Services { get; }

    public IDriveAdmin Local => node.Admin;

    public StorageNode Node => node;

    public string SocketPath { get; }

    public int Port { get; private set; }

    public CutProxy Proxy { get; private set; } = null!;

    public GrpcChannel Channel { get; private set; } = null!;

    public RemoteDriveAdmin Admin { get; private set; } = null!;

    /// <param name="transport">"tcp": through the proxy, and beside it a direct stream; "grpc": without that; "unix": straight.</param>
    /// <param name="options">The server's; null: a lease that no test outlives.</param>
    /// <param name="serverClock">The clock of leases; null: the system's.</param>
    /// <param name="clientOptions">The client's.</param>
    public static async Task<RemoteWorld> StartAsync(
        string transport = "tcp",
        RemoteOptions? options = null,
        TimeProvider? serverClock = null,
        RemoteClientOptions? clientOptions = null)
    {
        RemoteWorld world = new(
            transport, options ?? new() { Lease = TimeSpan.FromMinutes(10) }, serverClock ?? TimeProvider.System);
        await world.server.StartAsync(CancellationToken.None);
        if (transport != "unix") { world.Port = ((IPEndPoint)world.server.Bound[0]).Port; }
        world.Proxy = new(world.Port);
        world.Channel = new(
            transport == "unix" ? GrpcTarget.UnixSocket(world.SocketPath) : GrpcTarget.TcpPlainText("127.0.0.1", world.Proxy.Port),
            new());
        world.Admin = new(world.Channel, clientOptions ?? new());
        Reply<DriveInfo> made = await world.Admin.CreateDriveAsync(new(Drive, DriveKind.FileSystem, 0, 0), CancellationToken.None);
        Assert.Equal(Status.Ok, made.Status);
        return world;
    }

    public async Task<IDriveSession> OpenAsync(SessionAccess access = SessionAccess.Alone)
    {
        Reply<IDriveSession> session = await Admin.OpenSessionAsync(Drive, access, CancellationToken.None);
        Assert.Equal(Status.Ok, session.Status);
        return session.Value;
    }

    /// <summary>Another channel, that nothing stands in the way of.</summary>
    public GrpcChannel NewChannel() => new(
        Port == 0 ? GrpcTarget.UnixSocket(SocketPath) : GrpcTarget.TcpPlainText("127.0.0.1", Port), new());

    /// <summary>Stops the server and what it serves, as a node that ends does.</summary>
    public async Task StopServerAsync()
    {
        if (stopped) { return; }
        stopped = true;
        await server.StopAsync();
        await Services.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await StopServerAsync();
        Channel.Dispose();
        Proxy.Dispose();
        await server.DisposeAsync();
        direct?.Dispose();
        await node.DisposeAsync();
        Directory.Delete(folder, recursive: true);
        if (log.Lines.Count > 0) { Assert.Fail(string.Join('\n', log.Lines)); }
    }

    private Guid DrawId(DateTimeOffset moment) => new(
        (int)++drawn, (short)moment.Year, 0x7000, 0x80, 1, 2, 3, 4, 5, 6, 7);

    private sealed class ErrorLog : ILoggerFactory, ILogger
    {
        private readonly List<string> lines = [];

        public IReadOnlyList<string> Lines
        {
            get
            {
                lock (lines) { return [.. lines]; }
            }
        }

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider)
        {
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            // That the machine was busy for a second is no fault of the server.
            if (!IsEnabled(logLevel) || eventId.Name == "HeartbeatSlow") { return; }
            lock (lines) { lines.Add($"{logLevel}: {formatter(state, exception)} {exception}"); }
        }

        public void Dispose()
        {
        }
    }
}

/// <summary>Names and files, for short.</summary>
internal static class Ask
{
    public static ValueTask<Reply<NodeInfo>> CreateAsync(
        this IDriveSession session, string name, VNodeKind kind = VNodeKind.File, VNodeId parent = default) =>
        session.CreateAsync(new CreateRequest
        {
            Parent = parent == VNodeId.None ? VNodeId.Root : parent,
            Name = Encoding.UTF8.GetBytes(name),
            Kind = kind,
            Mode = 0x1A4,
        });

    public static ValueTask<Reply<NodeInfo>> LookupAsync(this IDriveSession session, string name) =>
        session.LookupAsync(VNodeId.Root, Encoding.UTF8.GetBytes(name), CowNumber.Head);

    /// <summary>The names of the root.</summary>
    public static async Task<List<string>> NamesAsync(this IDriveSession session)
    {
        List<string> names = [];
        DirectoryPage page = new();
        do
        {
            ulong cookie = page.Count == 0 ? 0 : page.Cookie(page.Count - 1);
            Assert.Equal(Status.Ok, await session.ReadDirectoryAsync(VNodeId.Root, CowNumber.Head, cookie, 100, false, page));
            for (int at = 0; at < page.Count; at++) { names.Add(Encoding.UTF8.GetString(page.Name(at))); }
        }
        while (!page.IsLast);

        names.Sort(StringComparer.Ordinal);
        return names;
    }
}
