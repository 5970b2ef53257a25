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
/// own. What the receiving thread sends while more messages are here that it is about to handle is kept back, and leaves with what it
/// sends for those, or before it waits: one call, and one wake-up of the other side, for all of them. Layout of a message, little-endian: 0-3: bytes of its content; 4-7: CRC-32C of the content; 8-11: bytes that are attached; 12 on:
/// the content, then what is attached. What does not have its checksum, or is too long, ends the stream. What is attached is neither
/// copied into a message nor has it a checksum here: the message has one.
/// </remarks>
public sealed class DirectStream : IDisposable
{
    /// <summary>Before the content of a message.</summary>
    internal const int HeadBytes = 12;

    private const int BufferBytes = 64 << 10;

    /// <summary>A buffer that has grown above this for a long message is given back behind it.</summary>
    private const int KeptBytes = 1 << 20;

    /// <summary>Bytes that TLS has received at once: its records are 16 KiB, and each would be a call of the kernel.</summary>
    private const int CipherBytes = 256 << 10;

    /// <summary>Messages of the receiving thread that are kept back at the most.</summary>
    private const int MaxKeptBack = 16;

    /// <summary>What TLS adds to a record at the least: with less than that there is no message.</summary>
    private const int RecordBytes = 22;

    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);

    private readonly object gate = new();
    private readonly Socket socket;
    private readonly int maxMessageBytes;
    private readonly SslStream? tls;
    private readonly Cipher? cipher;
    private readonly OutgoingBytes outgoing = new();
    private ArrayBufferWriter<byte> plain = new(BufferBytes);
    private bool isDraining;
    private bool isGathering;
    private bool isOver;

    /// <summary>The thread that receives. The two behind it are its own.</summary>
    private Thread? receiver;

    /// <summary>Bytes are here behind the message that it handles.</summary>
    private bool hasMore;

    /// <summary>Messages that it has sent and that are kept back.</summary>
    private int keptBack;

    private DirectStream(Socket socket, bool isTls, int maxMessageBytes)
    {
        this.socket = socket;
        this.maxMessageBytes = maxMessageBytes;
        if (!isTls) { return; }
        cipher = new(this);
        tls = new(cipher);
    }

    /// <summary>Bytes that were sent here, and that the socket has not taken yet.</summary>
    public long WaitingBytes
    {
        get
        {
            lock (gate) { return outgoing.Length; }
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
    /// <param name="marshaller">Its.</param>
    /// <param name="message">What to say.</param>
    /// <param name="attached">Bytes that go with it; they are the caller's again when this returns.</param>
    public void Send<T>(Marshaller<T> marshaller, T message, ReadOnlySpan<byte> attached = default)
    {
        ArgumentNullException.ThrowIfNull(marshaller);
        lock (gate)
        {
            if (isOver) { return; }
            bool keepsBack = Thread.CurrentThread == receiver && hasMore && keptBack < MaxKeptBack;
            if (keepsBack) { keptBack++; }
            plain.ResetWrittenCount();
            plain.GetSpan(HeadBytes);
            plain.Advance(HeadBytes);
            marshaller.Write(message, plain);
            Span<byte> bytes = System.Runtime.InteropServices.MemoryMarshal.AsMemory(plain.WrittenMemory).Span;
            BinaryPrimitives.WriteInt32LittleEndian(bytes, bytes.Length - HeadBytes);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes[4..], Crc32C.Compute(bytes[HeadBytes..]));
            BinaryPrimitives.WriteInt32LittleEndian(bytes[8..], attached.Length);
            try
            {
                Write(bytes, attached, keepsBack);
            }
            catch (Exception e) when (IsBroken(e))
            {
                // TLS knows from the receiver that it is over, who is about to tell.
            }

            if (plain.Capacity > KeptBytes) { plain = new(BufferBytes); }
        }
    }

    /// <summary>Begins to receive, on a thread of its own, until the stream is over.</summary>
    /// <param name="name">The thread's.</param>
    /// <param name="marshaller">Of what comes.</param>
    /// <param name="maxWaitingBytes">While more than that waits to be sent nothing is taken: who does not listen is not listened to.
    /// </param>
    /// <param name="onMessage">Handles one after the other, on that thread, and disposes what was attached to it. What it throws ends the
    /// stream.</param>
    /// <param name="onEnd">Is told once why it is over; null: the other side ended it.</param>
    public void Start<T>(string name, Marshaller<T> marshaller, long maxWaitingBytes, Action<T, AttachedBytes?> onMessage, Action<string?> onEnd)
    {
        ArgumentNullException.ThrowIfNull(marshaller);
        ArgumentNullException.ThrowIfNull(onMessage);
        ArgumentNullException.ThrowIfNull(onEnd);
        receiver = new(() => onEnd(Receive(marshaller, maxWaitingBytes, onMessage))) { Name = name, IsBackground = true };
        receiver.Start();
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

    /// <summary>Receives so many bytes, before <see cref="Start"/>, or on its thread.</summary>
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
        lock (gate) { Write(bytes, [], keepsBack: false); }
    }

    private int ReceiveSome(Span<byte> bytes) => tls is null ? ReceiveRaw(bytes) : tls.Read(bytes);

    /// <summary>Waits for bytes from the socket.</summary>
    private int ReceiveRaw(Span<byte> bytes)
    {
        if (keptBack > 0)
        {
            keptBack = 0;
            lock (gate) { Flush(); }
        }

        return SocketCalls.Receive(socket, bytes);
    }

    private void Write(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> attached, bool keepsBack)
    {
        isGathering = true;
        try
        {
            WritePart(bytes);
            WritePart(attached);
        }
        finally
        {
            isGathering = false;
        }

        if (!keepsBack) { Flush(); }
    }

    private void WritePart(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) { return; }
        if (tls is null) { Put(bytes); }
        else { tls.Write(bytes); }
    }

    /// <summary>Takes bytes as they are to leave. Those of a message leave together, a long one's in pieces.</summary>
    private void Put(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            ReadOnlySpan<byte> part = bytes[..Math.Min(bytes.Length, OutgoingBytes.PieceBytes)];
            outgoing.Append(part);
            if (!isGathering || outgoing.Length >= OutgoingBytes.PieceBytes) { Flush(); }
            bytes = bytes[part.Length..];
        }
    }

    /// <summary>Sends what the socket takes; the rest leaves from another thread. With the gate held.</summary>
    private void Flush()
    {
        if (isDraining || isOver) { return; }
        try
        {
            SendWhatFits();
        }
        catch (Exception e) when (IsBroken(e))
        {
            // The receiver meets the same, and tells of it.
            outgoing.Clear();
            Monitor.PulseAll(gate);
            return;
        }

        if (outgoing.Length == 0) { return; }
        isDraining = true;
        new Thread(Drain) { Name = "kvfs-direct-send", IsBackground = true }.Start();
    }

    private void SendWhatFits()
    {
        while (outgoing.Length > 0)
        {
            int taken = SocketCalls.TrySend(socket, outgoing.Next);
            if (taken == 0) { break; }
            outgoing.Take(taken);
        }

        // Who waits until less waits to leave looks again.
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
                    if (!isOver && outgoing.Length > 0) { continue; }
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

    private string? Receive<T>(Marshaller<T> marshaller, long maxWaitingBytes, Action<T, AttachedBytes?> onMessage)
    {
        byte[] buffer = new byte[BufferBytes];
        int start = 0;
        int end = 0;
        try
        {
            while (true)
            {
                int wanted = HeadBytes;
                int attachedBytes = 0;
                if (end - start >= HeadBytes)
                {
                    int length = BinaryPrimitives.ReadInt32LittleEndian(buffer.AsSpan(start));
                    attachedBytes = BinaryPrimitives.ReadInt32LittleEndian(buffer.AsSpan(start + 8));
                    int maxAttachedBytes = Math.Min(maxMessageBytes, Limits.BlockBytes);
                    if (length < 0 || length > maxMessageBytes || attachedBytes < 0 || attachedBytes > maxAttachedBytes)
                    {
                        return $"a message of {length} bytes with {attachedBytes} attached, and no more than {maxMessageBytes} and {maxAttachedBytes} are taken";
                    }

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
                    AttachedBytes? attached = null;
                    if (attachedBytes > 0)
                    {
                        attached = AttachedBytes.Rent(attachedBytes);
                        start += ReceiveAttached(attached.Memory.Span, buffer.AsSpan(start, end - start));
                    }

                    hasMore = start < end || cipher?.HasMore == true;
                    AwaitListener(maxWaitingBytes);
                    onMessage(message, attached);
                    continue;
                }

                (buffer, start, end) = MakeRoom(buffer, start, end, wanted);
                int received = ReceiveSome(buffer.AsSpan(end));
                cipher?.Opened(received);
                if (received == 0) { return end == start ? null : "the other side ended it in the middle of a message"; }
                end += received;
            }
        }
        catch (EndOfStreamException)
        {
            return "the other side ended it in the middle of what is attached to a message";
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

    /// <summary>Fills what is attached: with what was received with its message, then from the socket.</summary>
    /// <returns>How much was there.</returns>
    private int ReceiveAttached(Span<byte> attached, ReadOnlySpan<byte> received)
    {
        int there = Math.Min(received.Length, attached.Length);
        received[..there].CopyTo(attached);
        ReceiveExactly(attached[there..]);
        return there;
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
            if (outgoing.Length > maxWaitingBytes) { Flush(); }
            while (!isOver && outgoing.Length > maxWaitingBytes) { Monitor.Wait(gate); }
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

        /// <summary>Bytes that were given to TLS, and of which it has made nothing yet.</summary>
        private int inside;

        /// <summary>Whether there is probably another message in what was received.</summary>
        public bool HasMore => (end - start) + inside > RecordBytes;

        /// <summary>TLS has made so many bytes of a record.</summary>
        public void Opened(int bytes) => inside -= bytes + RecordBytes;

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
                end = stream.ReceiveRaw(received);
            }

            int taken = Math.Min(buffer.Length, end - start);
            received.AsSpan(start, taken).CopyTo(buffer);
            start += taken;

            // It asks when it lacks a whole record: what it has of one does not count.
            inside = taken;
            return taken;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            lock (stream.gate) { stream.Put(buffer); }
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
