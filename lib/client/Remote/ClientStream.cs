using System.Threading.Channels;
using KvFs.Direct;
using KvFs.Grpc;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Client.Remote;

/// <summary>One stream of a session, opened: writes what it is given, reads what comes, renews the lease.</summary>
/// <remarks><see cref="Send"/> is for any thread. Owned by whoever runs it.</remarks>
internal sealed class ClientStream(
    GrpcCall<V1.ClientMessage, V1.ServerMessage> call, CancellationTokenSource ending, LeaseClock lease) : IDisposable
{
    /// <summary>Renewals within one lease: two may be late.</summary>
    private const int RenewalsPerLease = 3;

    /// <summary>Bytes that are written together.</summary>
    private const int MaxUnflushedBytes = 1 << 20;

    private readonly Channel<V1.ClientMessage> outgoing =
        Channel.CreateUnbounded<V1.ClientMessage>(new() { SingleReader = true });

    private const long None = long.MinValue;

    /// <summary>When the renewal was sent that was not answered yet.</summary>
    private long renewalSentAt = None;

    private long heardAt = lease.Clock.GetTimestamp();

    /// <summary>What it goes over.</summary>
    public required GrpcChannel Via { get; init; }

    /// <summary>A quicker way for all but the end; ends with the stream, and the stream with it. Null: there is none.</summary>
    public DirectStream? Direct { get; init; }

    /// <summary>Its primary did not serve the session before.</summary>
    public bool WantsHoldings { get; init; }

    /// <summary>A request was answered over it.</summary>
    public bool HasAnswered { get; private set; }

    /// <summary>Is cancelled when it has ended.</summary>
    public CancellationToken Ended { get; } = ending.Token;

    /// <summary>Ends it.</summary>
    public Task EndAsync() => ending.CancelAsync();

    /// <summary>Whether the primary has said nothing for so long; if so, it is asked for a word.</summary>
    public bool IsSilent(TimeSpan time)
    {
        if (lease.Clock.GetElapsedTime(Volatile.Read(ref heardAt)) < time) { return false; }
        Renew();
        return true;
    }

    /// <summary>Whether it owes that word for so long.</summary>
    public bool OwesWord(TimeSpan time) =>
        Volatile.Read(ref renewalSentAt) is var sentAt and not None && lease.Clock.GetElapsedTime(sentAt) >= time;

    /// <summary>Sends a message, unless the stream has ended.</summary>
    public void Send(V1.ClientMessage message)
    {
        if (Direct is { } way && message.BodyCase != V1.ClientMessage.BodyOneofCase.Close)
        {
            way.Send(DriveMethods.Session.Requests, message.Detach(out ReadOnlyMemory<byte> attached), attached.Span);
        }
        else { outgoing.Writer.TryWrite(message); }
    }

    /// <summary>Runs until the primary has closed the session as it was asked to (true), or the stream has ended.</summary>
    /// <param name="onAnswer">Gets an answer, and whether the thread that brings it is there for nothing else.</param>
    /// <param name="onRecall">Gets a recall.</param>
    public async Task<bool> RunAsync(Action<V1.Answer, bool> onAnswer, Action<V1.Recall> onRecall)
    {
        Task writing = WriteAsync();
        Task renewing = RenewAsync();
        Direct?.Start(
            "kvfs-session",
            DriveMethods.Session.Responses,
            long.MaxValue,
            (message, attached) =>
            {
                message.Attach(attached);
                Take(message, isOwnThread: true, onAnswer, onRecall);
            },
            _ => ending.CancelIfAlive());
        try
        {
            return await ReadAsync(onAnswer, onRecall);
        }
        catch (Exception e) when (e is GrpcException or OperationCanceledException)
        {
            return false;
        }
        finally
        {
            outgoing.Writer.TryComplete();
            Direct?.Dispose();
            await ending.CancelAsync();
            await writing;
            await renewing;
        }
    }

    public void Dispose()
    {
        call.Dispose();
        ending.Dispose();
    }

    private async ValueTask<bool> ReadAsync(Action<V1.Answer, bool> onAnswer, Action<V1.Recall> onRecall)
    {
        while (await call.WaitToReadAsync())
        {
            while (call.TryRead(out V1.ServerMessage message))
            {
                if (message.BodyCase == V1.ServerMessage.BodyOneofCase.Closed) { return message.Closed.Status == V1.Status.Ok; }
                Take(message, isOwnThread: false, onAnswer, onRecall);
            }
        }

        return false;
    }

    private void Take(V1.ServerMessage message, bool isOwnThread, Action<V1.Answer, bool> onAnswer, Action<V1.Recall> onRecall)
    {
        Volatile.Write(ref heardAt, lease.Clock.GetTimestamp());
        switch (message.BodyCase)
        {
            case V1.ServerMessage.BodyOneofCase.Answer:
                HasAnswered = true;
                onAnswer(message.Answer, isOwnThread);
                break;
            case V1.ServerMessage.BodyOneofCase.Recall:
                onRecall(message.Recall);
                break;
            case V1.ServerMessage.BodyOneofCase.Renewed:
                if (Interlocked.Exchange(ref renewalSentAt, None) is var sentAt and not None) { lease.Confirm(sentAt); }
                break;
            default:
                break;
        }
    }

    private async Task WriteAsync()
    {
        try
        {
            while (await outgoing.Reader.WaitToReadAsync(ending.Token))
            {
                MessageWriter<V1.ClientMessage> writer = call.Requests!;
                while (writer.UnflushedBytes < MaxUnflushedBytes && outgoing.Reader.TryRead(out V1.ClientMessage? next))
                {
                    writer.Write(next);
                }

                if (!await writer.FlushAsync(ending.Token)) { break; }
            }
        }
        catch (Exception e) when (e is GrpcException or OperationCanceledException or ObjectDisposedException)
        {
            // The stream is over. Its reader knows how, unless it was this side that could not go on.
            await ending.CancelAsync();
        }
    }

    private void Renew()
    {
        if (Interlocked.CompareExchange(ref renewalSentAt, lease.Clock.GetTimestamp(), None) == None) { Send(new() { Renew = new() }); }
    }

    /// <summary>Renews the lease; breaks the stream off if the primary does not answer within it.</summary>
    private async Task RenewAsync()
    {
        try
        {
            using PeriodicTimer timer = new(lease.Length / RenewalsPerLease, lease.Clock);
            while (await timer.WaitForNextTickAsync(ending.Token))
            {
                if (lease.HasPassed(1))
                {
                    await ending.CancelAsync();
                    return;
                }

                Renew();
            }
        }
        catch (OperationCanceledException)
        {
            // The stream has ended.
        }
    }
}
