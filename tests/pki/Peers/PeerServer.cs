using System.Net;
using System.Text;
using KvFs.Grpc;
using KvFs.Peers;
using KvFs.Pki.Tests.Support;

namespace KvFs.Pki.Tests.Peers;

/// <summary>A server on a real socket that says who calls it. Fails its test if it logs a warning.</summary>
internal sealed class PeerServer : IAsyncDisposable
{
    private const string Service = "kvfs.test.Peers";

    private readonly LogLines log = new();
    private readonly GrpcServer server;

    private PeerServer(PeerSecurity security, GrpcEndpoint endpoint, PeerRole[] roles)
    {
        GrpcServices services = new();
        services.Unary(Who, (_, call) => new ValueTask<ReadOnlyMemory<byte>>(
            Encoding.ASCII.GetBytes(security.PeerOf(call)?.Uri ?? "nobody")));
        services.Duplex(Echo, async (input, output, call) =>
        {
            while (await input.WaitToReadAsync(call.Cancellation))
            {
                while (input.TryRead(out ReadOnlyMemory<byte> message)) { await output.WriteAsync(message, call.Cancellation); }
            }
        });
        server = new GrpcServer(
            services, new GrpcServerOptions { Endpoints = [endpoint], Admit = security.Admit(roles) }, log);
    }

    /// <summary>Answers with the URI of the caller, or "nobody".</summary>
    private static GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> Who { get; } =
        new(GrpcMethodKind.Unary, Service, "Who", Marshaller.Bytes, Marshaller.Bytes);

    private static GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> Echo { get; } =
        new(GrpcMethodKind.Duplex, Service, "Echo", Marshaller.Bytes, Marshaller.Bytes);

    public int Port => ((IPEndPoint)server.Bound[0]).Port;

    public static Task<PeerServer> StartAsync(PeerSecurity security, params PeerRole[] roles) =>
        StartAsync(security, security.Endpoint(new IPEndPoint(IPAddress.Loopback, 0)), roles);

    public static async Task<PeerServer> StartAsync(PeerSecurity security, GrpcEndpoint endpoint, params PeerRole[] roles)
    {
        PeerServer started = new(security, endpoint, roles);
        await started.server.StartAsync(CancellationToken.None);
        return started;
    }

    /// <summary>Every call makes a connection of its own; streams stay on the one that they began on.</summary>
    public GrpcChannel Connect(PeerSecurity client, params PeerRole[] roles) => Connect(client.Target("127.0.0.1", Port, roles));

    public static GrpcChannel Connect(GrpcTarget target) =>
        new(target, new GrpcChannelOptions { MaxConnectionAge = TimeSpan.Zero });

    public static async Task<string> AskAsync(GrpcChannel channel) => Encoding.ASCII.GetString(
        (await channel.UnaryAsync(Who, default, GrpcCallOptions.None, CancellationToken.None)).Span);

    public async Task<string> AskOnceAsync(PeerSecurity client)
    {
        using GrpcChannel channel = Connect(client, PeerRole.Node);
        return await AskAsync(channel);
    }

    public static async Task<GrpcException> RefusedAsync(GrpcTarget target, GrpcStatusCode code)
    {
        using GrpcChannel channel = Connect(target);
        GrpcException refused = await Assert.ThrowsAsync<GrpcException>(() => AskAsync(channel));
        Assert.True(code == refused.Code, refused.Message);
        return refused;
    }

    public static EchoStream StartEcho(GrpcChannel channel) =>
        new(channel.Start(Echo, GrpcCallOptions.None, CancellationToken.None));

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        Assert.Empty(log.Warnings);
    }
}

/// <summary>A stream that stays open, and is used now and then.</summary>
internal sealed class EchoStream(GrpcCall<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> call) : IDisposable
{
    private byte next;

    /// <summary>Sends something, and gets it back.</summary>
    public async Task UseAsync()
    {
        byte[] sent = [next++];
        Assert.True(await call.Requests!.WriteAsync(sent, CancellationToken.None));
        Assert.True(await call.WaitToReadAsync());
        Assert.True(call.TryRead(out ReadOnlyMemory<byte> back));
        Assert.Equal(sent, back.ToArray());
    }

    public void Dispose() => call.Dispose();
}
