using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using KvFs.Core;
using KvFs.Protocol.BlockChannel.Client;
using KvFs.Protocol.BlockChannel.Connection;
using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.BlockChannel;

/// <summary>A connection that was made, or why it was not.</summary>
/// <param name="Client">Null if there is a failure. The caller disposes it.</param>
/// <param name="Failure">Null if there is a client.</param>
public readonly record struct ConnectOutcome(BlockChannelClient? Client, ChannelEnd? Failure);

/// <summary>One connection to a node's blocks.</summary>
/// <remarks>Thread safe; any number of requests at once, answered in any order. A request is sent once. Its memory is lent until
/// the call ends. Wire format: docs/block-channel.md.</remarks>
public sealed class BlockChannelClient : IAsyncDisposable
{
    private readonly ClientConnection connection;
    private readonly Task running;

    private BlockChannelClient(ClientConnection connection)
    {
        this.connection = connection;
        running = connection.RunAsync();
    }

    /// <summary>Why the connection ended; null while it has not.</summary>
    public ChannelEnd? End => connection.End;

    /// <summary>Takes requests: it has not ended, and the server is not about to stop.</summary>
    public bool IsOpen => connection.IsOpen;

    /// <summary>Bytes of the blocks, and parts of blocks, of the requests in flight.</summary>
    public long LoadBytes => connection.LoadBytes;

    /// <summary>What the last ping took, about every <see cref="BlockChannelClientOptions.PingInterval"/>; zero before the
    /// first.</summary>
    public TimeSpan RoundTrip => connection.RoundTrip;

    /// <summary>Ends once the connection has ended.</summary>
    public Task Ended => running;

    /// <summary>Connects: socket, TLS, hellos.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static async Task<ConnectOutcome> ConnectAsync(
        BlockChannelTarget target, BlockChannelClientOptions options, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.ChunkBytes, WireLimits.MinPayloadBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.ChunkBytes, WireLimits.MaxPayloadBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(options.ChunkBytes % Limits.ChecksumUnitBytes, 0);
        using CancellationTokenSource time = new(options.ConnectTime, options.Clock);
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(time.Token, cancellation);
        Socket socket = NewSocket(target.Address);
        Transport.Tune(socket);
        Transport? transport = null;
        try
        {
            await socket.ConnectAsync(target.Address, limit.Token).ConfigureAwait(false);
            using CancellationTokenRegistration abort =
                limit.Token.UnsafeRegister(static state => ((Socket)state!).Dispose(), socket);
            transport = target.Tls is null
                ? new PlainTransport(socket)
                : await SecureAsync(socket, target.Tls(), limit.Token).ConfigureAwait(false);
            return await GreetAsync(transport, target, options).ConfigureAwait(false);
        }
#pragma warning disable CA1031 // Of the network's failures, and of a callback's, the outcome tells.
        catch (Exception e)
#pragma warning restore CA1031
        {
            if (transport is not null) { await transport.DisposeAsync().ConfigureAwait(false); }
            socket.Dispose();
            cancellation.ThrowIfCancellationRequested();
            if (!Transport.IsBroken(e)) { return new(null, new(Status.Unknown, $"connecting to {target} failed: {e}")); }
            string reason = time.IsCancellationRequested ? $"no answer within {options.ConnectTime}" : e.Message;
            return new(null, new(Status.Unavailable, $"{target} cannot be reached: {reason}"));
        }
    }

    /// <summary>Stores a block.</summary>
    /// <param name="write">Which, and what Ok is to promise.</param>
    /// <param name="content">1 byte to 16 MiB; must not change until the call ends, or the server finds its checksums wrong.</param>
    /// <param name="checksums">CRC-32C of each 64 KiB, if they are known (then they are not computed again, and must not
    /// change either); else empty.</param>
    /// <param name="deadline">When to give up.</param>
    /// <param name="cancellation">Gives up, too.</param>
    /// <returns>What the server answers, among it: StaleEpoch with the newer epoch; Busy: it, or this client, has no room
    /// just now; Corrupt: what reached it does not have the checksums, nothing was stored. Or: Unavailable: not sent, the
    /// connection is no more; Unknown: sent, but the connection ended before the answer; TimedOut.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled; stored or not, we cannot tell.</exception>
    /// <exception cref="ArgumentException">The block's or the checksums' length.</exception>
    public ValueTask<BlockAnswer> WriteAsync(
        BlockWrite write,
        ReadOnlyMemory<byte> content,
        ReadOnlyMemory<uint> checksums,
        Deadline deadline,
        CancellationToken cancellation)
    {
        ArgumentOutOfRangeException.ThrowIfZero(content.Length, nameof(content));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(content.Length, Limits.BlockBytes, nameof(content));
        if (!checksums.IsEmpty)
        {
            ArgumentOutOfRangeException.ThrowIfNotEqual(checksums.Length, BlockPieces.Count(0, content.Length), nameof(checksums));
        }

        return connection.WriteAsync(write, content, checksums, deadline, cancellation);
    }

    /// <summary>Reads a part of a block.</summary>
    /// <param name="read">Which; its length is that of the destination.</param>
    /// <param name="destination">Is filled, if the answer is Ok; else undefined.</param>
    /// <param name="checksums">Takes the CRC-32C of each piece (<see cref="BlockPieces"/>), compared with the bytes; empty:
    /// they are not wanted.</param>
    /// <param name="deadline">When to give up.</param>
    /// <param name="cancellation">Gives up, too.</param>
    /// <returns>What the server answers, among it: NotFound; Invalid: the block is shorter; StaleEpoch with the newer epoch.
    /// Or: Corrupt: what came does not have the checksums that came with it (it was damaged on the server's disk, or on its
    /// way); Unavailable: the connection is no more; TimedOut; Busy: this client has too many requests waiting.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ArgumentException">The range, or the room for checksums.</exception>
    public ValueTask<BlockAnswer> ReadAsync(
        BlockRead read, Memory<byte> destination, Memory<uint> checksums, Deadline deadline, CancellationToken cancellation)
    {
        ArgumentOutOfRangeException.ThrowIfZero(destination.Length, nameof(destination));
        ArgumentOutOfRangeException.ThrowIfNotEqual(destination.Length, read.Length, nameof(destination));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(read.Offset + (ulong)read.Length, (ulong)Limits.BlockBytes, nameof(read));
        if (!checksums.IsEmpty)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(
                checksums.Length, BlockPieces.Count(read.Offset, read.Length), nameof(checksums));
        }

        return connection.ReadAsync(read, destination, checksums, deadline, cancellation);
    }

    /// <summary>Says goodbye and closes. Requests that are not answered end as if the connection had.</summary>
    public async ValueTask DisposeAsync()
    {
        connection.Leave();
        await running.ConfigureAwait(false);
    }

    private static Socket NewSocket(EndPoint address) => address switch
    {
        UnixDomainSocketEndPoint => new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified),
        IPEndPoint ip => new(ip.AddressFamily, SocketType.Stream, ProtocolType.Tcp),
        _ => new(SocketType.Stream, ProtocolType.Tcp),
    };

    private static async Task<Transport> SecureAsync(
        Socket socket, SslClientAuthenticationOptions tls, CancellationToken limit)
    {
        SslStream stream = new(new NetworkStream(socket, ownsSocket: false));
        try
        {
            await stream.AuthenticateAsClientAsync(tls, limit).ConfigureAwait(false);
            return new TlsTransport(socket, stream);
        }
        catch
        {
            await stream.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private static async Task<ConnectOutcome> GreetAsync(
        Transport transport, BlockChannelTarget target, BlockChannelClientOptions options)
    {
        FrameReceiver receiver = new(transport, options.Clock);
        await HelloExchange.SendAsync(transport, new Hello(Status.Ok, options.Pool, options.ChunkBytes, 0, 0, 0, string.Empty))
            .ConfigureAwait(false);
        (Status status, Hello hello) = await HelloExchange.ReceiveAsync(receiver).ConfigureAwait(false);
        ChannelEnd? failure = status switch
        {
            Status.Ok when hello.Status != Status.Ok => new(hello.Status, $"{target} refuses: {hello.Reason}"),
            Status.Ok when hello.Pool != options.Pool => new(Status.NotFound, $"{target} is a node of pool {hello.Pool}"),
            Status.Ok when hello.WindowBytes < WireLimits.MinWindowBytes || hello.Requests == 0 =>
                new(Status.Invalid, $"{target} takes no requests"),
            Status.Ok => null,
            Status.Unavailable => new(status, $"{target} ended the connection before its hello"),
            Status.NotSupported => new(status, $"{target} does not speak version {Hello.Version}"),
            _ => new(status, $"{target} did not answer with a hello of the block channel"),
        };
        if (failure is null) { return new(new(new ClientConnection(transport, receiver, options, hello)), null); }
        await transport.DisposeAsync().ConfigureAwait(false);
        return new(null, failure);
    }
}
