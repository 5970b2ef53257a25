using System.Net;
using System.Net.Sockets;
using KvFs.Protocol.BlockChannel;

namespace KvFs.Protocol.Tests.Support;

/// <summary>A server by hand: it listens, and answers a client's hello.</summary>
/// <remarks>What a test does not take of a large block stays with the client but for what the client's own kernel buffers hold (4 MiB): the
/// receiving side's are small, and do not grow.</remarks>
internal sealed class RawServer : IDisposable
{
    private readonly Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)
    {
        ReceiveBufferSize = 64 << 10,
    };

    public RawServer()
    {
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
    }

    public BlockChannelTarget Target =>
        BlockChannelTarget.TcpPlainText("127.0.0.1", ((IPEndPoint)listener.LocalEndPoint!).Port);

    public Task<Socket> AcceptAsync() => listener.AcceptAsync();

    /// <summary>Connects a client.</summary>
    /// <param name="options">The client's.</param>
    /// <param name="windowBytes">Of the server's hello.</param>
    public async Task<(BlockChannelClient Client, RawPeer Server)> ConnectAsync(
        BlockChannelClientOptions options, int windowBytes = RawPeer.WindowBytes)
    {
        Task<ConnectOutcome> connecting = BlockChannelClient.ConnectAsync(Target, options, CancellationToken.None);
        RawPeer server = new(await AcceptAsync());
        await server.ReadHelloAsync();
        await server.SendAsync(RawPeer.ServerHelloBytes(windowBytes));
        return ((await connecting).Client!, server);
    }

    public void Dispose() => listener.Dispose();
}
