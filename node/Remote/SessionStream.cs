using System.Threading.Channels;
using KvFs.Direct;
using KvFs.Grpc;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

/// <summary>What goes to the client over one stream of its session.</summary>
/// <remarks>Thread safe. Messages that are there together are written together.</remarks>
internal sealed class SessionStream : IDisposable
{
    private readonly Channel<Outgoing> outgoing = Channel.CreateUnbounded<Outgoing>(
        new() { SingleReader = true, AllowSynchronousContinuations = false });

    private readonly CancellationTokenSource ending;
    private readonly Lock gate = new();
    private DirectStream? direct;
    private bool hasEnded;

    /// <param name="ended">Ends it.</param>
    public SessionStream(CancellationToken ended)
    {
        ending = CancellationTokenSource.CreateLinkedTokenSource(ended);
        Ended = ending.Token;
    }

    /// <summary>Nothing more is read or written.</summary>
    public CancellationToken Ended { get; }

    /// <summary>Another stream of its session has taken its place.</summary>
    public bool IsReplaced { get; private set; }

    /// <summary>Takes a quicker way for what is sent from here on; it ends with the stream. False: the stream has ended.</summary>
    public bool TryTake(DirectStream way)
    {
        lock (gate)
        {
            if (hasEnded) { return false; }
            Volatile.Write(ref direct, way);
            return true;
        }
    }

    /// <summary>Ends the stream: its quicker way has ended.</summary>
    public void End() => ending.CancelIfAlive();

    /// <summary>Sends a message; what it has taken of <paramref name="room"/> is given back when it has left, or never will.
    /// </summary>
    public void Send(V1.ServerMessage message, SemaphoreSlim? room = null)
    {
        if (Volatile.Read(ref direct) is { } way && message.BodyCase != V1.ServerMessage.BodyOneofCase.Closed)
        {
            way.Send(DriveMethods.Session.Responses, message.Detach(out ReadOnlyMemory<byte> attached), attached.Span);
            message.Answer?.Lent?.Dispose();
            room?.Release();
            return;
        }

        if (!outgoing.Writer.TryWrite(new(message, room))) { room?.Release(); }
    }

    /// <summary>Another stream has taken its place.</summary>
    public void Replace()
    {
        IsReplaced = true;
        ending.CancelIfAlive();
    }

    /// <summary>Takes no more messages; those that were taken still leave.</summary>
    public void Complete() => outgoing.Writer.TryComplete();

    /// <summary>Writes until it is complete, ended, or the client takes no more; then it is ended.</summary>
    public async Task WriteAsync(MessageWriter<V1.ServerMessage> writer)
    {
        try
        {
            while (await outgoing.Reader.WaitToReadAsync(Ended))
            {
                if (!await WriteBatchAsync(writer)) { break; }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or GrpcException)
        {
            // The client is gone, or the stream was ended: its session knows by the end of the reader.
        }
        finally
        {
            Complete();
            while (outgoing.Reader.TryRead(out Outgoing left)) { left.Room?.Release(); }
            lock (gate)
            {
                hasEnded = true;
                direct?.Dispose();
            }

            ending.CancelIfAlive();
        }
    }

    public void Dispose() => ending.Dispose();

    private async ValueTask<bool> WriteBatchAsync(MessageWriter<V1.ServerMessage> writer)
    {
        int sent = 0;
        SemaphoreSlim? room = null;
        try
        {
            while (writer.UnflushedBytes < MaxUnflushedBytes && outgoing.Reader.TryRead(out Outgoing next))
            {
                if (next.Room is not null)
                {
                    room = next.Room;
                    sent++;
                }

                writer.Write(next.Message);
                next.Message.Answer?.Lent?.Dispose();
            }

            return await writer.FlushAsync(Ended);
        }
        finally
        {
            if (sent > 0) { room!.Release(sent); }
        }
    }

    /// <summary>Bytes that are written together.</summary>
    private const int MaxUnflushedBytes = 1 << 20;

    private readonly record struct Outgoing(V1.ServerMessage Message, SemaphoreSlim? Room);
}
