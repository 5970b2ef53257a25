using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Security.Authentication;

namespace KvFs.Protocol.BlockChannel.Connection;

/// <summary>A stream of bytes in both directions: a socket, or TLS over one.</summary>
/// <remarks>One receive and one send may be under way at once. Memory is the transport's until the call ends, also if
/// <see cref="Abort"/> ends it.</remarks>
internal abstract class Transport(Socket socket) : IAsyncDisposable
{
    protected Socket Socket { get; } = socket;

    /// <summary>Receives what is there, at least one byte; 0: the peer sends no more.</summary>
    /// <exception cref="IOException">The connection is broken.</exception>
    /// <exception cref="SocketException">As above.</exception>
    /// <exception cref="ObjectDisposedException">It was aborted.</exception>
    public abstract ValueTask<int> ReceiveAsync(Memory<byte> destination);

    /// <summary>Sends all of it.</summary>
    /// <exception cref="IOException">The connection is broken.</exception>
    /// <exception cref="SocketException">As above.</exception>
    /// <exception cref="ObjectDisposedException">It was aborted.</exception>
    public abstract ValueTask SendAsync(ReadOnlyMemory<byte> bytes);

    /// <summary>Tells the peer that nothing more comes.</summary>
    public abstract ValueTask EndSendAsync();

    /// <summary>Ends what is under way, and the connection. Any thread, any number of times.</summary>
    public void Abort() => Socket.Dispose();

    public virtual ValueTask DisposeAsync()
    {
        Abort();
        return ValueTask.CompletedTask;
    }

    /// <summary>Whether a failure of a transport is the network's doing, or that of <see cref="Abort"/>.</summary>
    public static bool IsBroken(Exception failure) =>
        failure is IOException or SocketException or ObjectDisposedException or OperationCanceledException
            or AuthenticationException;
}

/// <summary>A socket, TCP or Unix, without TLS.</summary>
internal sealed class PlainTransport(Socket socket) : Transport(socket)
{
    public override ValueTask<int> ReceiveAsync(Memory<byte> destination) =>
        Socket.ReceiveAsync(destination, SocketFlags.None, CancellationToken.None);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public override async ValueTask SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            int sent = await Socket.SendAsync(bytes, SocketFlags.None, CancellationToken.None).ConfigureAwait(false);
            bytes = bytes[sent..];
        }
    }

    public override ValueTask EndSendAsync()
    {
        Socket.Shutdown(SocketShutdown.Send);
        return ValueTask.CompletedTask;
    }
}

/// <summary>TLS over a socket.</summary>
internal sealed class TlsTransport(Socket socket, SslStream stream) : Transport(socket)
{
    public override ValueTask<int> ReceiveAsync(Memory<byte> destination) =>
        stream.ReadAsync(destination, CancellationToken.None);

    public override ValueTask SendAsync(ReadOnlyMemory<byte> bytes) => stream.WriteAsync(bytes, CancellationToken.None);

    public override async ValueTask EndSendAsync()
    {
        await stream.ShutdownAsync().ConfigureAwait(false);
        Socket.Shutdown(SocketShutdown.Send);
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync().ConfigureAwait(false);
        await stream.DisposeAsync().ConfigureAwait(false);
    }
}
