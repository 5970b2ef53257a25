using KvFs.Core;
using KvFs.Direct;
using KvFs.Grpc;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

/// <summary>The service of drive.proto: streams of sessions, and sessions without one.</summary>
internal sealed class DriveService(RemoteServices remote)
{
    public void AddTo(GrpcServices services)
    {
        services.Duplex(DriveMethods.Session, ServeAsync);
        services.Unary(DriveMethods.Open, OpenAsync);
        services.Unary(DriveMethods.Call, CallAsync);
        services.Unary(DriveMethods.Renew, Renew);
        services.Unary(DriveMethods.Close, CloseAsync);
    }

    /// <remarks>In order: (1) the first message finds or opens the session; (2) its answer is the stream's first message; (3) the
    /// stream becomes the session's, which sends what stands; (4) messages are taken, until one says that it is over, the client
    /// says no more, or either side breaks off.</remarks>
    private async ValueTask ServeAsync(
        MessageReader<V1.ClientMessage> reader, MessageWriter<V1.ServerMessage> writer, ServerCall call)
    {
        // 1.
        using CancellationTokenSource over =
            CancellationTokenSource.CreateLinkedTokenSource(call.Cancellation, call.Draining);
        (V1.Opened opened, RemoteSession? session) = await BeginAsync(await FirstAsync(reader, call), over.Token);
        if (session is null)
        {
            await writer.WriteAsync(new() { Opened = opened }, call.Cancellation);
            return;
        }

        // 2, 3.
        using SessionStream stream = new(over.Token);
        opened.Direct = Offer(session, stream, call);
        stream.Send(new() { Opened = opened });
        if (!session.Attach(stream)) { throw new GrpcException(GrpcStatusCode.Aborted, "the session has ended meanwhile"); }
        Task writing = stream.WriteAsync(writer);
        try
        {
            // 4.
            await ReadAsync(reader, session, stream);
        }
        catch (OperationCanceledException) when (!call.Cancellation.IsCancellationRequested)
        {
            throw WhyEnded(stream, call);
        }
        finally
        {
            session.Detach(stream);
            stream.Complete();
            await writing;
        }
    }

    private static async ValueTask<V1.ClientMessage> FirstAsync(MessageReader<V1.ClientMessage> reader, ServerCall call)
    {
        if (await reader.WaitToReadAsync(call.Cancellation) && reader.TryRead(out V1.ClientMessage first)) { return first; }
        throw new GrpcException(GrpcStatusCode.InvalidArgument, "a stream begins with open or resume");
    }

    private async ValueTask<(V1.Opened Opened, RemoteSession? Session)> BeginAsync(V1.ClientMessage first, CancellationToken over)
    {
        RemoteSession? session;
        Status status;
        switch (first.BodyCase)
        {
            case V1.ClientMessage.BodyOneofCase.Open:
                (status, session) = await remote.OpenAsync(first.Open);
                break;
            case V1.ClientMessage.BodyOneofCase.Resume:
                (session, status) = await remote.FindSoonAsync(first.Resume, over);
                break;
            default:
                throw new GrpcException(GrpcStatusCode.InvalidArgument, "a stream begins with open or resume");
        }

        return (session is null ? new() { Status = status.ToWire() } : remote.Describe(session), session);
    }

    private async ValueTask ReadAsync(
        MessageReader<V1.ClientMessage> reader, RemoteSession session, SessionStream stream)
    {
        while (await reader.WaitToReadAsync(stream.Ended))
        {
            session.Renew();
            while (reader.TryRead(out V1.ClientMessage message))
            {
                switch (message.BodyCase)
                {
                    case V1.ClientMessage.BodyOneofCase.Request:
                        await session.AcceptAsync(message.Request, stream.Ended);
                        break;
                    case V1.ClientMessage.BodyOneofCase.Close:
                        await remote.EndAsync(session, Status.Ok);
                        return;
                    default:
                        if (TryTake(message, session, stream)) { break; }
                        throw new GrpcException(
                            GrpcStatusCode.InvalidArgument, "a message without a body that this server knows, in its place");
                }
            }
        }
    }

    /// <summary>Takes a message that nobody waits for; false: it is none of these.</summary>
    private static bool TryTake(V1.ClientMessage message, RemoteSession session, SessionStream stream)
    {
        switch (message.BodyCase)
        {
            case V1.ClientMessage.BodyOneofCase.Cancel:
                session.Cancel(message.Cancel.Id);
                return true;
            case V1.ClientMessage.BodyOneofCase.RecallDone:
                session.OnRecallDone(message.RecallDone);
                return true;
            case V1.ClientMessage.BodyOneofCase.Renew:
                session.Confirm(stream);
                return true;
            default:
                return false;
        }
    }

    /// <summary>Offers the client a quicker way; null: there is none.</summary>
    private V1.DirectOffer? Offer(RemoteSession session, SessionStream stream, ServerCall call)
    {
        if (call.Peer is null || remote.Direct is not { } listener) { return null; }
        return listener.Offer(way => Begin(way, session, stream, listener))?.ToWire();
    }

    private void Begin(DirectStream way, RemoteSession session, SessionStream stream, DirectListener listener)
    {
        if (!stream.TryTake(way)) { way.Dispose(); }
        way.Start(
            "kvfs-session",
            DriveMethods.Session.Requests,
            WireDirect.MaxWaitingBytes,
            (message, attached) =>
            {
                message.Attach(attached);
                session.Renew();
                try
                {
                    if (message.BodyCase == V1.ClientMessage.BodyOneofCase.Request) { session.Accept(message.Request, stream.Ended); }
                    else if (!TryTake(message, session, stream)) { stream.End(); }
                }
                catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
                {
                    way.Dispose();
                }
            },
            why =>
            {
                if (why is not null) { remote.NoteEnded(session, why); }
                listener.OnStreamEnded();
                stream.End();
            });
    }

    private static GrpcException WhyEnded(SessionStream stream, ServerCall call)
    {
        if (stream.IsReplaced) { return new(GrpcStatusCode.Aborted, "another stream has resumed the session"); }
        return call.Draining.IsCancellationRequested
            ? new(GrpcStatusCode.Unavailable, "the server is stopping")
            : new(GrpcStatusCode.Aborted, "the session has ended");
    }

    private async ValueTask<V1.Opened> OpenAsync(V1.OpenSession open, ServerCall call)
    {
        (Status status, RemoteSession? session) = await remote.OpenAsync(open);
        return session is null ? new() { Status = status.ToWire() } : remote.Describe(session);
    }

    private async ValueTask<V1.Answer> CallAsync(V1.CallRequest asked, ServerCall call)
    {
        V1.Request request = asked.Request ?? new();
        return remote.Find(asked.Key, out Status why) is { } session
            ? await session.AskAsync(request)
            : new() { Id = request.Id, Status = why.ToWire() };
    }

    private ValueTask<V1.Renewed> Renew(V1.SessionKey key, ServerCall call) => new(
        new V1.Renewed { Status = remote.Find(key, out Status why) is null ? why.ToWire() : V1.Status.Ok });

    private async ValueTask<V1.Closed> CloseAsync(V1.SessionKey key, ServerCall call)
    {
        if (remote.Find(key, out Status why) is not { } session) { return new() { Status = why.ToWire() }; }
        await remote.EndAsync(session, Status.Ok);
        return new();
    }
}
