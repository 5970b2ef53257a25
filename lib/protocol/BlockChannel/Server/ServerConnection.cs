using KvFs.Core;
using KvFs.Protocol.BlockChannel.Connection;
using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.BlockChannel.Server;

/// <summary>The server's end of a connection: takes requests, has them called, sends answers.</summary>
/// <remarks>The gate owns the table of requests and their state. Nothing is sent, called or cancelled with the gate held.
/// A request is in the table, and counts against what the client was told that it may have in flight, until its answer is
/// put into a frame and the last of its own bytes has come.</remarks>
internal sealed partial class ServerConnection : FrameConnection
{
    /// <summary>Objects of requests that are kept for the next ones.</summary>
    private const int KeptRequests = 128;

    private readonly ServerContext context;
    private readonly BlockChannelServerOptions options;
    private readonly Lock gate = new();
    private readonly Dictionary<ulong, ServerRequest> requests = [];
    private readonly Stack<ServerWrite> idleWrites = new();
    private readonly Stack<ServerRead> idleReads = new();
    private readonly Bare pong;
    private readonly int chunkBytes;
    private ServerWrite? incoming;
    private long windowUsed;
    private int calls;
    private bool isDraining;
    private TaskCompletionSource? callsEnded;

    public ServerConnection(Transport transport, FrameReceiver receiver, ServerContext context, int clientPayloadBytes)
        : base(transport, receiver, context.Options.Clock, context.Options.ChunkBytes)
    {
        this.context = context;
        options = context.Options;
        chunkBytes = Math.Min(clientPayloadBytes, options.ChunkBytes);
        pong = new(FrameKind.Pong);
    }

    public HandlerCalls Calls => context.Calls;

    /// <summary>Serves until the connection is closed, every call has ended, and all memory is back.</summary>
    public async Task ServeAsync()
    {
        await RunAsync().ConfigureAwait(false);
        Task ended = Task.CompletedTask;
        lock (gate)
        {
            foreach (ServerRequest request in requests.Values)
            {
                if (request is ServerWrite { IsCalled: false } write) { ReturnMemory(write); }
            }

            if (calls > 0)
            {
                callsEnded = new(TaskCreationOptions.RunContinuationsAsynchronously);
                ended = callsEnded.Task;
            }
        }

        await ended.ConfigureAwait(false);
    }

    /// <summary>Asks the client for no more, and ends the connection behind the requests that are in flight.</summary>
    public void Drain()
    {
        bool isIdle;
        lock (gate)
        {
            if (isDraining) { return; }
            isDraining = true;
            isIdle = requests.Count == 0;
        }

        Sender.Send(new Bare(FrameKind.Drain));
        if (isIdle) { LeaveDrained(); }
    }

    /// <summary>Looks whether somebody takes too long; to be called about once a second.</summary>
    public void Tick()
    {
        if (Silence > options.SilenceTime)
        {
            Leave(new(Status.Unavailable, $"nothing was heard for {options.SilenceTime}"));
        }

        if (Sender.Stalled > options.StallTime)
        {
            Cut(new(Status.Unavailable, $"the peer took nothing for {options.StallTime}"));
        }

        bool isLate = false;
        lock (gate)
        {
            foreach (ServerRequest request in requests.Values)
            {
                isLate |= request is ServerWrite { IsCalled: false, IsAnswered: false } write
                    && Clock.GetElapsedTime(write.Began) > options.WriteTime;
            }
        }

        if (isLate) { Leave(new(Status.Invalid, $"a write had not come in whole after {options.WriteTime}")); }
    }

    /// <summary>A block is stored, or not.</summary>
    public void OnStored(ServerWrite write, BlockAnswer answer)
    {
        lock (gate)
        {
            ReturnMemory(write);
            write.Close(answer);
        }

        Sender.Send(write);
        EndCall();
    }

    /// <summary>An answer is about to leave.</summary>
    public void OnAnswerLeaves(ServerRequest request)
    {
        bool isDrained;
        lock (gate)
        {
            request.HasAnswerLeft = true;
            isDrained = request is not ServerWrite { MissesBytes: true } && Remove(request);
        }

        if (isDrained) { LeaveDrained(); }
    }

    /// <summary>An answer has left; nobody looks at the request again, unless its bytes still come.</summary>
    public void OnAnswerGone(ServerRequest request)
    {
        lock (gate)
        {
            if (request is ServerWrite { MissesBytes: false } write) { Keep(write); }
            else if (request is ServerRead read) { Keep(read); }
        }
    }

    protected override string? OnHead(
        in FrameHeader header, ReadOnlySpan<byte> head, Span<uint> expected, ref PayloadPlace payload)
    {
        switch (header.Kind)
        {
            case FrameKind.Write: return OnWrite(header, head, expected, ref payload);
            case FrameKind.WriteMore: return OnWriteMore(header, head, expected, ref payload);
            case FrameKind.Read: return OnReadFrame(header, head);
            case FrameKind.Cancel: return BareFrame.Check(header) ?? OnCancel(header.Request);
            case FrameKind.Ping: return BareFrame.Check(header) ?? OnPing(header.Request);
            case FrameKind.Bye:
                string? wrong = ByeFrame.Get(header, head, out Status status, out string reason);
                if (wrong is null) { Leave(new(status, $"the client left: {reason}")); }
                return wrong;
            case > 0 and <= FrameKind.LastRequest:
                return Refuse(header.Request, Status.NotSupported);
            default:
                return $"a client sends no frames of kind {(byte)header.Kind}";
        }
    }

    protected override string? OnPayload(bool isIntact)
    {
        incoming!.IsDamaged |= !isIntact;
        if (!incoming.MissesBytes) { OnWhole(incoming); }
        return null;
    }

    protected override void OnEnding(ChannelEnd reason)
    {
        List<CancellationTokenSource> cancelled = [];
        lock (gate)
        {
            foreach (ServerRequest request in requests.Values)
            {
                if (request.Cancel() is { } source) { cancelled.Add(source); }
            }
        }

        foreach (CancellationTokenSource source in cancelled) { Calls.Cancel(source); }
    }

    protected override void OnReceiverEnded()
    {
    }

    private string? OnWrite(in FrameHeader header, ReadOnlySpan<byte> head, Span<uint> expected, ref PayloadPlace payload)
    {
        string? wrong = WriteFrame.Get(header, head, expected, out WriteFrame frame);
        if (wrong is not null) { return wrong; }
        Status refused = Status.Ok;
        ServerWrite write;
        lock (gate)
        {
            wrong = Misfit(header.Request);
            if (wrong is not null) { return wrong; }
            if (frame.Length > options.WindowBytes - windowUsed)
            {
                return $"writes in flight exceed the window of {options.WindowBytes} bytes";
            }

            ChannelBuffer? memory = null;
            if (isDraining) { refused = Status.Unavailable; }
            else if ((memory = context.WriteMemory.TryRent(frame.Length)) is null) { refused = Status.Busy; }
            if (!idleWrites.TryPop(out write!)) { write = new(this); }
            write.Begin(header.Request, frame, memory, DeadlineOf(frame.TimeoutMs), Clock.GetTimestamp());
            requests.Add(header.Request, write);
            windowUsed += frame.Length;
            payload = new(write.Take(header.PayloadBytes, expected), 0);
            if (refused != Status.Ok) { write.Close(BlockAnswer.Of(refused)); }
        }

        incoming = write;
        if (refused != Status.Ok) { Sender.Send(write); }
        return null;
    }

    private string? OnWriteMore(in FrameHeader header, ReadOnlySpan<byte> head, Span<uint> expected, ref PayloadPlace payload)
    {
        string? wrong = ChunkFrame.Get(header, head, expected, out uint offset);
        if (wrong is not null) { return wrong; }
        bool isDrained = false;
        lock (gate)
        {
            if (requests.GetValueOrDefault(header.Request) is not ServerWrite { MissesBytes: true } write)
            {
                return $"there is no write {header.Request} that misses bytes";
            }

            if (offset != write.Received) { return $"a chunk at {offset} where {write.Received} is next"; }
            wrong = ChunkFrame.Misfit(offset, header.PayloadBytes, write.Length);
            if (wrong is not null) { return wrong; }
            incoming = write;
            payload = new(write.Take(header.PayloadBytes, expected), offset);
            // Answered early, and the answer has left: this was all that it was kept for.
            if (!write.MissesBytes && write.HasAnswerLeft) { isDrained = Remove(write); }
        }

        if (isDrained) { LeaveDrained(); }
        return null;
    }

    private void OnWhole(ServerWrite write)
    {
        bool isCall;
        lock (gate)
        {
            if (write.IsDamaged)
            {
                ReturnMemory(write);
                write.Close(BlockAnswer.Of(Status.Corrupt));
            }
            else if (End is not null)
            {
                // Its last bytes were under way when the connection ended: nobody would tell the handler to give it up.
                ReturnMemory(write);
                write.Close(BlockAnswer.Of(Status.Unavailable));
            }

            isCall = !write.IsAnswered;
            if (isCall)
            {
                calls++;
                write.Arm();
            }
        }

        if (isCall) { context.Threads.Post(write); }
        else { Sender.Send(write); }
    }

    private string? OnCancel(ulong id)
    {
        CancellationTokenSource? cancelled = null;
        ServerRequest? answered = null;
        bool isDrained = false;
        lock (gate)
        {
            switch (requests.GetValueOrDefault(id))
            {
                case ServerWrite { MissesBytes: true } write:
                    // No more of it comes. If it was answered before that, it is over; else this is its answer.
                    write.CutOff();
                    ReturnMemory(write);
                    if (write.HasAnswerLeft) { isDrained = Remove(write); }
                    else if (!write.IsAnswered)
                    {
                        write.Close(BlockAnswer.Of(Status.Interrupted));
                        answered = write;
                    }

                    break;
                case ServerRead read:
                    cancelled = read.Cancel();
                    read.Fail(BlockAnswer.Of(Status.Interrupted));
                    answered = Settle(read);
                    break;
                case { } request:
                    cancelled = request.Cancel();
                    break;
                case null:
                    break;  // Answered already: the two crossed.
            }
        }

        if (cancelled is not null) { Calls.Cancel(cancelled); }
        if (answered is not null) { Sender.Send(answered); }
        if (isDrained) { LeaveDrained(); }
        return null;
    }

    private string? OnPing(ulong id)
    {
        if (!pong.TryBegin(id)) { return "a ping before the last one was answered"; }
        Sender.Send(pong);
        return null;
    }

    private string? Refuse(ulong id, Status status)
    {
        ServerRequest request = new(this);
        request.Begin(id);
        request.Close(BlockAnswer.Of(status));
        lock (gate)
        {
            string? wrong = Misfit(id);
            if (wrong is not null) { return wrong; }
            requests.Add(id, request);
        }

        Sender.Send(request);
        return null;
    }

    /// <summary>What is wrong with a new request of this id; null if nothing is. Under the gate.</summary>
    private string? Misfit(ulong id)
    {
        if (requests.Count >= options.MaxRequests) { return $"more than {options.MaxRequests} requests in flight"; }
        return requests.ContainsKey(id) ? $"request {id} is in flight already" : null;
    }

    private Deadline DeadlineOf(uint timeoutMs) =>
        timeoutMs == 0 ? Deadline.None : Deadline.After(Clock, TimeSpan.FromMilliseconds(timeoutMs));

    private void ReturnMemory(ServerWrite write)
    {
        if (write.Yield() is { } memory) { context.WriteMemory.Return(memory); }
    }

    /// <summary>Takes a request out of the table; answers whether it was the last that a drain waited for. Under the gate.
    /// </summary>
    private bool Remove(ServerRequest request)
    {
        if (!requests.Remove(request.Id)) { return false; }
        if (request is ServerWrite write) { windowUsed -= write.Length; }
        return isDraining && requests.Count == 0;
    }

    private void LeaveDrained() => Leave(new(Status.Unavailable, "the server is stopping"));

    private void EndCall()
    {
        TaskCompletionSource? ended = null;
        lock (gate)
        {
            if (--calls == 0) { ended = callsEnded; }
        }

        ended?.SetResult();
    }

    private void Keep(ServerWrite write)
    {
        if (write.Renew() && idleWrites.Count < KeptRequests) { idleWrites.Push(write); }
    }
}
