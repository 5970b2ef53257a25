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
    /// <summary>What a Unix socket holds of what is sent, if the kernel allows it: two chunks. With its 208 KiB sender and
    /// receiver take turns, at less than half the speed. TCP sees to it by itself.</summary>
    private const int UnixSendBytes = 1 << 20;

    protected Socket Socket { get; } = socket;

    /// <summary>Sets what a socket of the channel has otherwise than others.</summary>
    public static void Tune(Socket socket)
    {
        if (socket.AddressFamily == AddressFamily.Unix) { socket.SendBufferSize = UnixSendBytes; }
        else { socket.NoDelay = true; }
    }

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

    /// <summary>Sends all of two runs of bytes, one behind the other, without a copy.</summary>
    /// <exception cref="IOException">The connection is broken.</exception>
    /// <exception cref="SocketException">As above.</exception>
    /// <exception cref="ObjectDisposedException">It was aborted.</exception>
    public abstract ValueTask SendAsync(ReadOnlyMemory<byte> first, ReadOnlyMemory<byte> second);

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

    public override ValueTask SendAsync(ReadOnlyMemory<byte> first, ReadOnlyMemory<byte> second)
    {
        int sent = GatherSend.TrySend(Socket, first.Span, second.Span);
        if (sent == first.Length + second.Length) { return ValueTask.CompletedTask; }
        return sent >= first.Length ? SendAsync(second[(sent - first.Length)..]) : SendBothAsync(first[sent..], second);
    }

    public override ValueTask EndSendAsync()
    {
        Socket.Shutdown(SocketShutdown.Send);
        return ValueTask.CompletedTask;
    }

    private async ValueTask SendBothAsync(ReadOnlyMemory<byte> first, ReadOnlyMemory<byte> second)
    {
        await SendAsync(first).ConfigureAwait(false);
        await SendAsync(second).ConfigureAwait(false);
    }
}

/// <summary>TLS over a socket.</summary>
internal sealed class TlsTransport(Socket socket, SslStream stream) : Transport(socket)
{
    public override ValueTask<int> ReceiveAsync(Memory<byte> destination) =>
        stream.ReadAsync(destination, CancellationToken.None);

    public override ValueTask SendAsync(ReadOnlyMemory<byte> bytes) => stream.WriteAsync(bytes, CancellationToken.None);

    public override async ValueTask SendAsync(ReadOnlyMemory<byte> first, ReadOnlyMemory<byte> second)
    {
        await stream.WriteAsync(first, CancellationToken.None).ConfigureAwait(false);
        await stream.WriteAsync(second, CancellationToken.None).ConfigureAwait(false);
    }

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
