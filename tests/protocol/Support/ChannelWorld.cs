using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using KvFs.Core;
using KvFs.Protocol.BlockChannel;

namespace KvFs.Protocol.Tests.Support;

/// <summary>A server on real sockets with blocks in memory, and clients of it.</summary>
/// <remarks>At its end the server must stop in order, have all its memory back, and no handler may have failed
/// unasked.</remarks>
internal sealed class ChannelWorld : IAsyncDisposable
{
    public static readonly PoolId Pool = new(UInt128.Parse("112233445566778899", System.Globalization.CultureInfo.InvariantCulture));

    private readonly ConcurrentQueue<Exception> failures = new();
    private readonly Channel<ChannelEnd> ends = Channel.CreateUnbounded<ChannelEnd>();
    private readonly List<IAsyncDisposable> owned = [];
    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-blocks-").FullName;
    private readonly TestAuthority? authority;

    public ChannelWorld(string transport = "tcp", Func<BlockChannelServerOptions, BlockChannelServerOptions>? change = null)
    {
        authority = transport == "tls" ? new TestAuthority("pool") : null;
        BlockChannelEndpoint endpoint = transport switch
        {
            "unix" => BlockChannelEndpoint.UnixSocket(SocketPath, BlockChannelEndpoint.OwnerOnly),
            "tls" => BlockChannelEndpoint.Tcp(new(IPAddress.Loopback, 0), () => Tls.Server(authority!)),
            _ => BlockChannelEndpoint.TcpPlainText(new(IPAddress.Loopback, 0)),
        };
        BlockChannelServerOptions options = new()
        {
            Endpoints = [endpoint],
            Pool = Pool,
            HandlerFailed = failures.Enqueue,
            ConnectionEnded = (_, end) => ends.Writer.TryWrite(end),
            HandshakeTime = Patience.Time,
            StallTime = Patience.Time,
            DrainTime = Patience.Time,
        };
        Options = change?.Invoke(options) ?? options;
        Server = new BlockChannelServer(Options, Blocks);
        Server.Start();
        Target = transport switch
        {
            "unix" => BlockChannelTarget.UnixSocket(SocketPath),
            "tls" => BlockChannelTarget.Tcp("127.0.0.1", Port, () => Tls.Client(authority!, authority!.IssueClient("node-2"))),
            _ => BlockChannelTarget.TcpPlainText("127.0.0.1", Port),
        };
    }

    public BlockTable Blocks { get; } = new();

    public BlockChannelServer Server { get; }

    public BlockChannelServerOptions Options { get; }

    public BlockChannelTarget Target { get; }

    public string SocketPath => Path.Combine(folder, "s");

    public int Port => ((IPEndPoint)Server.Bound[0]).Port;

    /// <summary>Exceptions of the handler that belong to the test.</summary>
    public int ExpectedFailures { get; set; }

    /// <summary>Of clients whose limits a test does not look at: a machine that has other things to do is no dead peer.</summary>
    public static BlockChannelClientOptions ClientOptions { get; } = new()
    {
        Pool = Pool,
        ConnectTime = Patience.Time,
        SilenceTime = Patience.Time,
        StallTime = Patience.Time,
    };

    public async Task<BlockChannelClient> ConnectAsync(BlockChannelClientOptions? options = null)
    {
        ConnectOutcome outcome =
            await BlockChannelClient.ConnectAsync(Target, options ?? ClientOptions, CancellationToken.None);
        Assert.Null(outcome.Failure);
        owned.Add(outcome.Client!);
        return outcome.Client!;
    }

    public BlockChannelPool Connections(BlockChannelClientOptions? options = null)
    {
        BlockChannelPool pool = new(Target, options ?? ClientOptions);
        owned.Add(pool);
        return pool;
    }

    /// <param name="receiveBytes">What the kernel keeps for a peer that takes nothing, about; 0: as much as it likes.</param>
    public async Task<Socket> ConnectRawAsync(int receiveBytes = 0)
    {
        bool isUnix = Server.Bound[0] is UnixDomainSocketEndPoint;
        Socket socket = isUnix
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (receiveBytes > 0) { socket.ReceiveBufferSize = receiveBytes; }
        await socket.ConnectAsync(Server.Bound[0]);
        return socket;
    }

    /// <summary>Why the next connection ended, as the server tells.</summary>
    public async Task<ChannelEnd> NextEndAsync() => await Patience.WaitForAsync(ends.Reader.ReadAsync);

    /// <summary>Lets the clock go on until something has ended.</summary>
    private async Task EndAsync(IAsyncDisposable each)
    {
        Task ending = each.DisposeAsync().AsTask();
        if (Options.Clock is ManualTime time) { time.AdvanceUntilEnd(ending, TimeSpan.FromSeconds(1)); }
        await ending;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (IAsyncDisposable each in owned) { await EndAsync(each); }
        await EndAsync(Server);
        authority?.Dispose();
        Directory.Delete(folder, recursive: true);

        // A clock that is driven by hand can be through with the server's patience before a connection's threads have had a turn.
        SpinWait.SpinUntil(() => Server is { Connections: 0, Buffers: 0, BufferBytes: 0 }, Patience.Time);
        Assert.Equal(0, Server.Buffers);
        Assert.Equal(0, Server.BufferBytes);
        Assert.Equal(0, Server.Connections);
        Assert.True(failures.Count == ExpectedFailures, string.Join('\n', failures));
    }
}
