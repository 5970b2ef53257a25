using System.Net;
using System.Net.Sockets;

namespace KvFs.Grpc.Tests.Support;

/// <summary>A server on real sockets, which fails its test if it logs what nobody expected.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    private readonly TestLog log = new();
    private readonly List<string> expected = [];
    private GrpcServer server = null!;
    private string? folder;

    public TestServices Services { get; } = new();

    public GrpcServer Server => server;

    public IReadOnlyList<string> LogLines => log.Lines;

    public int Port => ((IPEndPoint)server.Bound[0]).Port;

    public string SocketPath => Path.Combine(folder!, "s");

    public static Task<TestServer> OverTcpAsync(Func<GrpcEndpoint, GrpcServerOptions>? options = null) =>
        StartAsync(_ => GrpcEndpoint.TcpPlainText(new IPEndPoint(IPAddress.Loopback, 0)), options);

    public static Task<TestServer> OverTlsAsync(ServerTls tls) =>
        StartAsync(_ => GrpcEndpoint.Tcp(new IPEndPoint(IPAddress.Loopback, 0), tls), options: null);

    public static Task<TestServer> OverUnixAsync(Func<GrpcEndpoint, GrpcServerOptions>? options = null) =>
        StartAsync(test => GrpcEndpoint.UnixSocket(test.SocketPath, GrpcEndpoint.OwnerOnly), options);

    public static Task<TestServer> OverAsync(string transport) => transport == "unix" ? OverUnixAsync() : OverTcpAsync();

    private static async Task<TestServer> StartAsync(
        Func<TestServer, GrpcEndpoint> endpoint, Func<GrpcEndpoint, GrpcServerOptions>? options)
    {
        TestServer test = new() { folder = Directory.CreateTempSubdirectory("kvfs-grpc-").FullName };
        GrpcEndpoint at = endpoint(test);
        test.server = new GrpcServer(
            test.Services.Build(), options?.Invoke(at) ?? new GrpcServerOptions { Endpoints = [at] }, test.log);
        await test.server.StartAsync(CancellationToken.None);
        return test;
    }

    /// <summary>A log line that contains this is part of the test.</summary>
    public void Expect(string part) => expected.Add(part);

    public GrpcTarget Target => server.Bound[0] is UnixDomainSocketEndPoint
        ? GrpcTarget.UnixSocket(SocketPath)
        : GrpcTarget.TcpPlainText("127.0.0.1", Port);

    public GrpcChannel Connect(GrpcChannelOptions? options = null) => new(Target, options ?? new GrpcChannelOptions());

    public async Task<RawConnection> ConnectRawAsync()
    {
        bool isUnix = server.Bound[0] is UnixDomainSocketEndPoint;
        Socket socket = isUnix
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(isUnix ? new UnixDomainSocketEndPoint(SocketPath) : server.Bound[0]);
        return new RawConnection(socket);
    }

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        Directory.Delete(folder!, recursive: true);
        string unexpected = string.Join('\n', log.Lines.Where(line => !expected.Any(part => line.Contains(part, StringComparison.Ordinal))));
        Assert.True(unexpected.Length == 0, unexpected);
        Assert.All(expected, part => Assert.Contains(log.Lines, line => line.Contains(part, StringComparison.Ordinal)));
    }
}
