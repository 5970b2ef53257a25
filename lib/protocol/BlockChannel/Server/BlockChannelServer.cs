using System.Net;
using System.Net.Sockets;
using KvFs.Core;
using KvFs.Protocol.BlockChannel.Connection;
using KvFs.Protocol.BlockChannel.Server;
using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.BlockChannel;

/// <summary>Takes blocks in and gives them out over sockets: the node's end of the block channel.</summary>
/// <remarks>Start it once, stop it once. Wire format: docs/block-channel.md.</remarks>
public sealed class BlockChannelServer : IAsyncDisposable
{
    /// <summary>Sockets that are not through with their hello, beyond
    /// <see cref="BlockChannelServerOptions.MaxConnections"/>; more are closed without a word.</summary>
    private const int MaxHandshakes = 64;

    /// <summary>How often connections are looked at for silence and stalls.</summary>
    private static readonly TimeSpan TickInterval = TimeSpan.FromSeconds(1);

    /// <summary>After an accept that failed, which means that the process or the machine has no room for a socket.</summary>
    private static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);

    /// <summary>After the drain time, what handlers and peers have to come to an end.</summary>
    private static readonly TimeSpan LastWords = TimeSpan.FromSeconds(2);

    private readonly BlockChannelServerOptions options;
    private readonly ServerContext context;
    private readonly Reception reception;
    private readonly CancellationTokenSource stopping = new();
    private readonly Lock gate = new();
    private readonly List<Listener> listeners = [];
    private readonly List<Task> accepting = [];
    private readonly HashSet<ServerConnection> connections = [];
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ITimer? ticker;
    private int sockets;
    private bool isStopped;

    /// <exception cref="ArgumentException">The options make no sense.</exception>
    public BlockChannelServer(BlockChannelServerOptions options, IBlockChannelHandler handler)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(handler);
        ArgumentOutOfRangeException.ThrowIfZero(options.Endpoints.Count);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.WindowBytes, WireLimits.MinWindowBytes);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.WriteBytes, WireLimits.MinWindowBytes);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxRequests, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.MaxRequests, WireLimits.MaxRequests);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.CallThreads, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.ChunkBytes, WireLimits.MinPayloadBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.ChunkBytes, WireLimits.MaxPayloadBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(options.ChunkBytes % Limits.ChecksumUnitBytes, 0);
        this.options = options;
        context = new(options, handler);
        reception = new(context);
    }

    /// <summary>The addresses that it listens on, in the order of the options. Valid after the start.</summary>
    public IReadOnlyList<EndPoint> Bound { get; private set; } = [];

    /// <summary>Connections that are through with their hello.</summary>
    public int Connections
    {
        get
        {
            lock (gate) { return connections.Count; }
        }
    }

    /// <summary>Bytes of buffers in use by requests.</summary>
    public long BufferBytes => context.WriteMemory.RentedBytes + context.ReadMemory.RentedBytes;

    /// <summary>Buffers in use by requests.</summary>
    public int Buffers => context.WriteMemory.RentedBuffers + context.ReadMemory.RentedBuffers;

    /// <summary>Binds and listens on all endpoints, or on none.</summary>
    /// <exception cref="IOException">An address is taken, or a socket file cannot be made.</exception>
    public void Start()
    {
        try
        {
            foreach (BlockChannelEndpoint endpoint in options.Endpoints) { listeners.Add(Listener.Open(endpoint)); }
        }
        catch
        {
            foreach (Listener listener in listeners) { listener.Dispose(); }
            listeners.Clear();
            throw;
        }

        Bound = [.. options.Endpoints.Zip(listeners, static (endpoint, listener) =>
            endpoint.Address is IPEndPoint ? listener.Socket.LocalEndPoint! : endpoint.Address)];
        for (int at = 0; at < listeners.Count; at++) { accepting.Add(AcceptAsync(listeners[at], options.Endpoints[at])); }
        ticker = options.Clock.CreateTimer(_ => Tick(), null, TickInterval, TickInterval);
    }

    /// <summary>Lets nobody in any more, asks clients for no more requests, finishes those in flight for the drain time, and
    /// closes. A call of the handler that does not end in spite of its token is left behind, with its memory.</summary>
    public async Task StopAsync()
    {
        lock (gate)
        {
            if (isStopped) { return; }
            isStopped = true;
            if (sockets == 0) { ended.TrySetResult(); }
        }

        await stopping.CancelAsync().ConfigureAwait(false);
        foreach (Listener listener in listeners) { listener.Dispose(); }
        await Task.WhenAll(accepting).ConfigureAwait(false);
        foreach (ServerConnection connection in Snapshot()) { connection.Drain(); }
        if (!await EndsWithinAsync(options.DrainTime).ConfigureAwait(false))
        {
            foreach (ServerConnection connection in Snapshot())
            {
                connection.Cut(new(Status.Unavailable, $"requests did not end within {options.DrainTime} of a stop"));
            }

            await EndsWithinAsync(LastWords).ConfigureAwait(false);
        }

        if (ticker is not null) { await ticker.DisposeAsync().ConfigureAwait(false); }
        context.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync().ConfigureAwait(false);
        stopping.Dispose();
    }

    private async Task AcceptAsync(Listener listener, BlockChannelEndpoint endpoint)
    {
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                Socket socket = await listener.Socket.AcceptAsync(stopping.Token).ConfigureAwait(false);
                Take(socket, endpoint);
            }
            catch (SocketException e)
            {
                options.ConnectionEnded?.Invoke(null, new(Status.Unavailable, $"nobody could be let in: {e.Message}"));
                await Task.Delay(AcceptPause, options.Clock, stopping.Token)
                    .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private void Take(Socket socket, BlockChannelEndpoint endpoint)
    {
        bool isFull;
        lock (gate)
        {
            if (isStopped || sockets >= options.MaxConnections + MaxHandshakes)
            {
                socket.Dispose();
                return;
            }

            sockets++;
            isFull = connections.Count >= options.MaxConnections;
        }

        _ = ServeAsync(socket, endpoint, isFull);
    }

    /// <summary>From an accepted socket to its end. Never fails: what goes wrong is told to
    /// <see cref="BlockChannelServerOptions.ConnectionEnded"/>.</summary>
    private async Task ServeAsync(Socket socket, BlockChannelEndpoint endpoint, bool isFull)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        EndPoint? peer = PeerOf(socket);
        (ServerConnection? connection, ChannelEnd? end) =
            await reception.ReceiveAsync(socket, endpoint.Tls, isFull, stopping.Token).ConfigureAwait(false);
        if (connection is not null)
        {
            await ServeAsync(connection).ConfigureAwait(false);
            end = connection.End;
        }

        options.ConnectionEnded?.Invoke(peer, end!);
        lock (gate)
        {
            sockets--;
            if (isStopped && sockets == 0) { ended.TrySetResult(); }
        }
    }

    private async Task ServeAsync(ServerConnection connection)
    {
        bool isLate;
        lock (gate)
        {
            connections.Add(connection);
            isLate = isStopped;
        }

        if (isLate) { connection.Drain(); }
        await connection.ServeAsync().ConfigureAwait(false);
        lock (gate) { connections.Remove(connection); }
    }

    private void Tick()
    {
        foreach (ServerConnection connection in Snapshot()) { connection.Tick(); }
        context.Tick();
    }

    private ServerConnection[] Snapshot()
    {
        lock (gate) { return [.. connections]; }
    }

    private async Task<bool> EndsWithinAsync(TimeSpan time)
    {
        try
        {
            await ended.Task.WaitAsync(time, options.Clock).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private static EndPoint? PeerOf(Socket socket)
    {
        try
        {
            return socket.RemoteEndPoint;
        }
        catch (Exception e) when (Transport.IsBroken(e))
        {
            return null;
        }
    }
}
