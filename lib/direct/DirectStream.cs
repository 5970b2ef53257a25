using System.Buffers;
using System.Buffers.Binary;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using KvFs.Core;
using KvFs.Grpc;

namespace KvFs.Direct;

/// <summary>Messages in both directions over one connection, as fast as a machine can hand them on: who sends writes to the socket
/// itself, and one thread at each end waits in the kernel for what comes, and handles it.</summary>
/// <remarks>
/// <see cref="Send"/> is for any thread and never waits: what the socket does not take at once is kept, and leaves from a thread of its
/// own. Layout of a message, little-endian: 0-3: bytes of its content; 4-7: CRC-32C of the content; 8 on: the content. What does not
/// have its checksum, or is too long, ends the stream.
/// </remarks>
public sealed class DirectStream : IDisposable
{
    /// <summary>Before the content of a message.</summary>
    internal const int HeadBytes = 8;

    private const int BufferBytes = 64 << 10;

    /// <summary>A buffer that has grown above this is given back when it is empty: blocks of 4 MiB must not make a new one each, and a
    /// buffer grows to twice what it needs.</summary>
    private const int KeptBytes = 9 << 20;

    /// <summary>Bytes that TLS has received at once: its records are 16 KiB, and each would be a call of the kernel.</summary>
    private const int CipherBytes = 256 << 10;

    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);

    private readonly object gate = new();
    private readonly Socket socket;
    private readonly int maxMessageBytes;
    private readonly SslStream? tls;
    private readonly ArrayBufferWriter<byte> plain = new(BufferBytes);
    private ArrayBufferWriter<byte> outgoing = new(BufferBytes);
    private int sent;
    private bool isDraining;
    private bool isGathering;
    private bool isOver;

    private DirectStream(Socket socket, bool isTls, int maxMessageBytes)
    {
        this.socket = socket;
        this.maxMessageBytes = maxMessageBytes;
        if (isTls) { tls = new(new Cipher(this)); }
    }

    /// <summary>Bytes that were sent here, and that the socket has not taken yet.</summary>
    public long WaitingBytes
    {
        get
        {
            lock (gate) { return outgoing.WrittenCount - sent; }
        }
    }

    /// <summary>Makes a stream of a connected socket, with the handshake of TLS if there is to be TLS.</summary>
    /// <param name="socket">The stream's from now on.</param>
    /// <param name="client">Its options, on the client's side.</param>
    /// <param name="server">Its options, on the server's side; neither: plain text.</param>
    /// <param name="maxMessageBytes">The longest message that is taken.</param>
    /// <exception cref="IOException">The connection is broken, or takes longer than the socket's timeouts.</exception>
    /// <exception cref="AuthenticationException">TLS failed.</exception>
    internal static DirectStream Open(
        Socket socket, SslClientAuthenticationOptions? client, SslServerAuthenticationOptions? server, int maxMessageBytes)
    {
        DirectStream stream = new(socket, client is not null || server is not null, maxMessageBytes);
        try
        {
            socket.NoDelay = true;
            SocketCalls.MakeBlocking(socket);
            if (client is not null) { stream.tls!.AuthenticateAsClient(client); }
            if (server is not null) { stream.tls!.AuthenticateAsServer(server); }
            return stream;
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Sends a message; one that comes when the stream is over is lost.</summary>
    public void Send<T>(Marshaller<T> marshaller, T message)
    {
        ArgumentNullException.ThrowIfNull(marshaller);
        lock (gate)
        {
            if (isOver) { return; }
            plain.ResetWrittenCount();
            plain.GetSpan(HeadBytes);
            plain.Advance(HeadBytes);
            marshaller.Write(message, plain);
            Span<byte> bytes = System.Runtime.InteropServices.MemoryMarshal.AsMemory(plain.WrittenMemory).Span;
            BinaryPrimitives.WriteInt32LittleEndian(bytes, bytes.Length - HeadBytes);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes[4..], Crc32C.Compute(bytes[HeadBytes..]));
            try
            {
                Write(bytes);
            }
            catch (Exception e) when (IsBroken(e))
            {
                // TLS knows from the receiver that it is over, who is about to tell.
            }
        }
    }

    /// <summary>Begins to receive, on a thread of its own, until the stream is over.</summary>
    /// <param name="name">The thread's.</param>
    /// <param name="marshaller">Of what comes.</param>
    /// <param name="maxWaitingBytes">While more than that waits to be sent nothing is taken: who does not listen is not listened to.
    /// </param>
    /// <param name="onMessage">Handles one after the other, on that thread. What it throws ends the stream.</param>
    /// <param name="onEnd">Is told once why it is over; null: the other side ended it.</param>
    public void Start<T>(string name, Marshaller<T> marshaller, long maxWaitingBytes, Action<T> onMessage, Action<string?> onEnd)
    {
        ArgumentNullException.ThrowIfNull(marshaller);
        ArgumentNullException.ThrowIfNull(onMessage);
        ArgumentNullException.ThrowIfNull(onEnd);
        Thread thread = new(() => onEnd(Receive(marshaller, maxWaitingBytes, onMessage))) { Name = name, IsBackground = true };
        thread.Start();
    }

    /// <summary>Ends it at once; what waits is lost.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            if (isOver) { return; }
            isOver = true;
            Monitor.PulseAll(gate);
        }

        try
        {
            // Wakes who waits in recv(2); closing alone does not.
            socket.Shutdown(SocketShutdown.Both);
        }
        catch (SocketException)
        {
            // It is broken already.
        }

        socket.Dispose();
    }

    /// <summary>Receives so many bytes, before <see cref="Start"/>.</summary>
    /// <exception cref="IOException">The connection is broken, or ended before.</exception>
    internal void ReceiveExactly(Span<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            int received = ReceiveSome(bytes);
            if (received == 0) { throw new EndOfStreamException("the other side ended the connection"); }
            bytes = bytes[received..];
        }
    }

    /// <summary>Sends bytes that are no message, before <see cref="Start"/>.</summary>
    internal void SendRaw(ReadOnlySpan<byte> bytes)
    {
        lock (gate) { Write(bytes); }
    }

    private int ReceiveSome(Span<byte> bytes) => tls is null ? SocketCalls.Receive(socket, bytes) : tls.Read(bytes);

    private void Write(ReadOnlySpan<byte> bytes)
    {
        if (tls is not null)
        {
            // All of its records leave together.
            isGathering = true;
            try
            {
                tls.Write(bytes);
            }
            finally
            {
                isGathering = false;
            }

            Flush();
            return;
        }

        outgoing.Write(bytes);
        Flush();
    }

    /// <summary>Sends what the socket takes; the rest leaves from another thread. With the gate held.</summary>
    private void Flush()
    {
        if (isDraining || isGathering || isOver) { return; }
        try
        {
            SendWhatFits();
        }
        catch (Exception e) when (IsBroken(e))
        {
            // The receiver meets the same, and tells of it.
            Forget();
            return;
        }

        if (outgoing.WrittenCount == sent) { return; }
        isDraining = true;
        new Thread(Drain) { Name = "kvfs-direct-send", IsBackground = true }.Start();
    }

    private void SendWhatFits()
    {
        while (sent < outgoing.WrittenCount)
        {
            int taken = SocketCalls.TrySend(socket, outgoing.WrittenSpan[sent..]);
            if (taken == 0) { return; }
            sent += taken;
        }

        Forget();
    }

    private void Forget()
    {
        sent = 0;
        if (outgoing.Capacity > KeptBytes) { outgoing = new(BufferBytes); }
        else { outgoing.ResetWrittenCount(); }
        Monitor.PulseAll(gate);
    }

    private void Drain()
    {
        try
        {
            while (true)
            {
                SocketCalls.AwaitRoom(socket, s_look);
                lock (gate)
                {
                    if (!isOver) { SendWhatFits(); }
                    if (!isOver && sent < outgoing.WrittenCount) { continue; }
                    isDraining = false;
                    return;
                }
            }
        }
        catch (Exception e) when (IsBroken(e))
        {
            Dispose();
        }
    }

    private string? Receive<T>(Marshaller<T> marshaller, long maxWaitingBytes, Action<T> onMessage)
    {
        byte[] buffer = new byte[BufferBytes];
        int start = 0;
        int end = 0;
        try
        {
            while (true)
            {
                int wanted = HeadBytes;
                if (end - start >= HeadBytes)
                {
                    int length = BinaryPrimitives.ReadInt32LittleEndian(buffer.AsSpan(start));
                    if (length < 0 || length > maxMessageBytes) { return $"a message of {length} bytes, and no more than {maxMessageBytes} are taken"; }
                    wanted += length;
                }

                if (end - start >= wanted)
                {
                    ReadOnlyMemory<byte> content = buffer.AsMemory(start + HeadBytes, wanted - HeadBytes);
                    if (BinaryPrimitives.ReadUInt32LittleEndian(buffer.AsSpan(start + 4)) != Crc32C.Compute(content.Span))
                    {
                        return "a message that does not have its checksum";
                    }

                    T message = marshaller.Read(new ReadOnlySequence<byte>(content));
                    start += wanted;
                    AwaitListener(maxWaitingBytes);
                    onMessage(message);
                    continue;
                }

                (buffer, start, end) = MakeRoom(buffer, start, end, wanted);
                int received = ReceiveSome(buffer.AsSpan(end));
                if (received == 0) { return end == start ? null : "the other side ended it in the middle of a message"; }
                end += received;
            }
        }
        catch (InvalidDataException e)
        {
            return e.Message;
        }
        catch (Exception e) when (IsBroken(e))
        {
            return e.Message;
        }
#pragma warning disable CA1031 // Whatever it is, it ends this stream, whose owner is told, and not the process.
        catch (Exception e)
#pragma warning restore CA1031
        {
            return $"a bug here: {e}";
        }
        finally
        {
            Dispose();
            tls?.Dispose();
        }
    }

    private static (byte[] Buffer, int Start, int End) MakeRoom(byte[] buffer, int start, int end, int wanted)
    {
        if (start == end && buffer.Length > KeptBytes && wanted <= BufferBytes) { return (new byte[BufferBytes], 0, 0); }
        if (buffer.Length - start >= wanted && end < buffer.Length) { return (buffer, start, end); }
        byte[] next = wanted <= buffer.Length ? buffer : new byte[wanted];
        buffer.AsSpan(start, end - start).CopyTo(next);
        return (next, 0, end - start);
    }

    /// <summary>Waits while too much waits for the other side to take it.</summary>
    private void AwaitListener(long maxWaitingBytes)
    {
        lock (gate)
        {
            while (!isOver && outgoing.WrittenCount - sent > maxWaitingBytes) { Monitor.Wait(gate); }
        }
    }

    /// <summary>Whether an exception is the network's doing, or that of <see cref="Dispose"/>.</summary>
    internal static bool IsBroken(Exception e) =>
        e is IOException or SocketException or ObjectDisposedException or AuthenticationException or InvalidOperationException;

    /// <summary>What TLS reads from and writes to.</summary>
    private sealed class Cipher(DirectStream stream) : Stream
    {
        private readonly byte[] received = new byte[CipherBytes];
        private int start;
        private int end;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(Span<byte> buffer)
        {
            if (start == end)
            {
                start = 0;
                end = 0;
                end = SocketCalls.Receive(stream.socket, received);
            }

            int taken = Math.Min(buffer.Length, end - start);
            received.AsSpan(start, taken).CopyTo(buffer);
            start += taken;
            return taken;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            lock (stream.gate)
            {
                stream.outgoing.Write(buffer);
                stream.Flush();
            }
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush()
        {
            // Each write leaves at once.
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
