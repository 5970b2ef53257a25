using System.Net;
using KvFs.Core;
using KvFs.Direct;
using KvFs.Grpc;
using KvFs.Node;
using KvFs.Peers;
using KvFs.Pki;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Pool;

/// <summary>A storage node of a pool with its server: what <c>kvfs node</c> runs.</summary>
internal sealed class PoolServer : IAsyncDisposable
{
    private readonly PoolMemberNode node;
    private readonly GrpcServer server;
    private readonly DirectListener direct;

    private PoolServer(PoolMemberNode node, GrpcServer server, DirectListener direct)
    {
        this.node = node;
        this.server = server;
        this.direct = direct;
    }

    public PoolMemberNode Node => node;

    /// <summary>Where it listens.</summary>
    public IPEndPoint Address => (IPEndPoint)server.Bound[0];

    /// <summary>Takes the data folder, finds its place in the pool, listens, and takes part.</summary>
    public static async Task<PoolServer> StartAsync(
        PoolNodeOptions options, IPEndPoint listen, PeerSecurity security, ILoggerFactory loggers, CancellationToken cancel)
    {
        PoolMemberNode? node = null;
        GrpcServer? server = null;
        DirectListener? direct = null;
        try
        {
            direct = new(new(listen.Address, 0), security.ServerTls, WireDirect.MessageBytes);
            node = await PoolMemberNode.OpenAsync(options with { Direct = direct }, loggers, cancel).ConfigureAwait(false);
            GrpcServices services = new();
            node.AddTo(services);
            server = new(
                services,
                new()
                {
                    Endpoints = [security.Endpoint(listen)],
                    CallLimits = PoolMemberNode.CallLimits,
                    Admit = Admission(security),
                    DrainTime = TimeSpan.FromSeconds(1),
                },
                loggers);
            await server.StartAsync(cancel).ConfigureAwait(false);
            await node.StartAsync().ConfigureAwait(false);
            PoolServer started = new(node, server, direct);
            node = null;
            server = null;
            direct = null;
            return started;
        }
        finally
        {
            if (server is not null) { await server.DisposeAsync().ConfigureAwait(false); }
            if (node is not null) { await node.DisposeAsync().ConfigureAwait(false); }
            direct?.Dispose();
        }
    }

    /// <summary>Hands over what others can take.</summary>
    public Task LeaveAsync() => node.LeaveAsync();

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync().ConfigureAwait(false);
        await node.DisposeAsync().ConfigureAwait(false);
        direct.Dispose();
    }

    /// <summary>What nodes tell one another is for nodes alone.</summary>
    private static Func<ServerCall, ValueTask> Admission(PeerSecurity security)
    {
        Func<ServerCall, ValueTask> nodes = security.Admit(PeerRole.Node);
        Func<ServerCall, ValueTask> all = security.Admit(
            PeerRole.Node, PeerRole.Client, PeerRole.Operator, PeerRole.Csi, PeerRole.Admin);
        return call => call.Path.StartsWith("/kvfs.v1.Replication/", StringComparison.Ordinal)
            || call.Path.StartsWith("/kvfs.v1.BlockCopies/", StringComparison.Ordinal) ? nodes(call) : all(call);
    }
}
