using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using KvFs.Grpc;

namespace KvFs.Direct;

/// <summary>A place that the caller of a gRPC call may connect to directly.</summary>
/// <param name="Port">On the address at which it called.</param>
/// <param name="Ticket">16 bytes, for one connection: proves that it is the caller.</param>
public readonly record struct DirectOffer(int Port, ReadOnlyMemory<byte> Ticket);

/// <summary>Takes direct connections of those who were offered one in a gRPC call, which has found out who they are.</summary>
/// <remarks>Thread safe. Beside the gRPC server, on a port of its own, with the same TLS. A connection begins with the ticket; one byte
/// answers it. Who shows none in time, or one that is not known, is cut off.</remarks>
public sealed class DirectListener : IDisposable
{
    public const int TicketBytes = 16;

    /// <summary>Streams at once: each has a thread. Others do without.</summary>
    private const int MaxStreams = 1024;

    /// <summary>Connections that have not shown their ticket yet.</summary>
    private const int MaxStrangers = 64;

    private static readonly TimeSpan s_offerTime = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<UInt128, Expected> expected = new();
    private readonly Socket listener;
    private readonly ServerTls? tls;
    private readonly int maxMessageBytes;
    private int strangers;
    private int streams;

    /// <param name="address">Where it listens; port 0 is any free one.</param>
    /// <param name="tls">That of the gRPC server; null: plain text.</param>
    /// <param name="maxMessageBytes">The longest message that is taken.</param>
    /// <exception cref="SocketException">It cannot listen there.</exception>
    public DirectListener(IPEndPoint address, ServerTls? tls, int maxMessageBytes)
    {
        ArgumentNullException.ThrowIfNull(address);
        this.tls = tls;
        this.maxMessageBytes = maxMessageBytes;
        listener = new(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            listener.Bind(address);
            listener.Listen();
        }
        catch
        {
            listener.Dispose();
            throw;
        }

        Port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        _ = Task.Run(AcceptAsync);
    }

    public int Port { get; }

    /// <summary>Offers a direct stream to who calls. Null: there are too many.</summary>
    /// <param name="onConnected">Gets the stream, on another thread, if the caller comes in time; it is its owner from then on, and calls
    /// <see cref="OnStreamEnded"/> when it has ended.</param>
    public DirectOffer? Offer(Action<DirectStream> onConnected)
    {
        ArgumentNullException.ThrowIfNull(onConnected);
        if (Volatile.Read(ref streams) >= MaxStreams) { return null; }
        long now = Environment.TickCount64;
        foreach ((UInt128 known, Expected one) in expected)
        {
            if (now - one.Since > s_offerTime.TotalMilliseconds) { expected.TryRemove(known, out _); }
        }

        byte[] ticket = RandomNumberGenerator.GetBytes(TicketBytes);
        expected[BinaryPrimitives.ReadUInt128BigEndian(ticket)] = new(onConnected, now);
        return new(Port, ticket);
    }

    /// <summary>A stream that somebody was given is no more.</summary>
    public void OnStreamEnded() => Interlocked.Decrement(ref streams);

    public void Dispose()
    {
        listener.Dispose();
        expected.Clear();
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            try
            {
                Socket socket = await listener.AcceptAsync().ConfigureAwait(false);
                if (Interlocked.Increment(ref strangers) > MaxStrangers)
                {
                    Interlocked.Decrement(ref strangers);
                    socket.Dispose();
                    continue;
                }

                new Thread(() => Welcome(socket)) { Name = "kvfs-direct-hello", IsBackground = true }.Start();
            }
            catch (SocketException e) when (e.SocketErrorCode != SocketError.OperationAborted)
            {
                // The machine has no room for a socket, or the other side is gone already.
                await Task.Delay(s_pause).ConfigureAwait(false);
            }
            catch (Exception e) when (e is ObjectDisposedException or SocketException)
            {
                return;
            }
        }
    }

    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);

    private void Welcome(Socket socket)
    {
        DirectStream? stream = null;
        try
        {
            socket.ReceiveTimeout = (int)s_offerTime.TotalMilliseconds;
            stream = DirectStream.Open(socket, null, tls?.HandshakeWithoutProtocol(), maxMessageBytes);
            Span<byte> ticket = stackalloc byte[TicketBytes];
            stream.ReceiveExactly(ticket);
            if (!expected.TryRemove(BinaryPrimitives.ReadUInt128BigEndian(ticket), out Expected? one)) { return; }
            socket.ReceiveTimeout = 0;
            stream.SendRaw([1]);
            Interlocked.Increment(ref streams);
            DirectStream welcomed = stream;
            stream = null;
            one.OnConnected(welcomed);
        }
#pragma warning disable CA1031 // Whatever a stranger can cause, it ends his connection, and not the process.
        catch (Exception)
#pragma warning restore CA1031
        {
            // Whoever it was does without.
        }
        finally
        {
            stream?.Dispose();
            Interlocked.Decrement(ref strangers);
        }
    }

    private sealed record Expected(Action<DirectStream> OnConnected, long Since);
}

/// <summary>Takes up what a server offers.</summary>
public static class DirectDial
{
    /// <summary>A connection that is not there by then does not come: somebody on the way lets only gRPC through.</summary>
    private static readonly TimeSpan s_connectTime = TimeSpan.FromSeconds(1);

    /// <summary>Connects to where a channel leads, at another port. Null: that did not work; the caller does without.</summary>
    /// <param name="target">That of the channel over which it was offered.</param>
    /// <param name="offer">What was offered.</param>
    /// <param name="maxMessageBytes">The longest message that is taken.</param>
    /// <param name="cancellation">Gives up.</param>
    public static async Task<DirectStream?> TryConnectAsync(
        GrpcTarget target, DirectOffer offer, int maxMessageBytes, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(target);
        if (target.Host is not { } host || offer.Port is <= 0 or > ushort.MaxValue || offer.Ticket.Length != DirectListener.TicketBytes) { return null; }
        try
        {
            IPAddress[] addresses = await Dns.GetHostAddressesAsync(host, cancellation).ConfigureAwait(false);
            return addresses.Length == 0 ? null : await Task.Run(
                () => Greet(new(addresses[0], offer.Port), target, offer, maxMessageBytes), cancellation).ConfigureAwait(false);
        }
        catch (Exception e) when (DirectStream.IsBroken(e) || e is OperationCanceledException)
        {
            return null;
        }
    }

    /// <remarks>Nothing here is asynchronous: a socket that the runtime has once waited for wakes its threads with all that comes, for
    /// ever.</remarks>
    private static DirectStream Greet(IPEndPoint address, GrpcTarget target, DirectOffer offer, int maxMessageBytes)
    {
        Socket socket = new(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp)
        {
            SendTimeout = (int)s_connectTime.TotalMilliseconds,
            ReceiveTimeout = (int)s_connectTime.TotalMilliseconds,
        };
        try
        {
            socket.Connect(address);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        DirectStream stream = DirectStream.Open(socket, target.HandshakeWithoutProtocol(), null, maxMessageBytes);
        try
        {
            stream.SendRaw(offer.Ticket.Span);
            stream.ReceiveExactly(stackalloc byte[1]);
            socket.ReceiveTimeout = 0;
            return stream;
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }
}
