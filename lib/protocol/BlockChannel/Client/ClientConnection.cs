using KvFs.Core;
using KvFs.Protocol.BlockChannel.Connection;
using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.BlockChannel.Client;

/// <summary>The client's end of a connection: sends requests, and gives their answers to who waits for them.</summary>
/// <remarks>
/// The gate owns the state of all requests. Nothing is sent with the gate held; results are given with it held, because their
/// continuations run elsewhere.
/// <para>A request counts against what may be in flight until it is answered and all of it was sent, or a cancel in place of
/// the rest. A caller that gives up has its memory back at once, unless a frame of it is under way just then: then
/// when that is through, or the connection closed.</para>
/// </remarks>
internal sealed partial class ClientConnection : FrameConnection
{
    /// <summary>Requests in flight, whatever the server allows: bounds the table.</summary>
    private const int MaxRequests = 4096;

    /// <summary>A request's number is a serial number above its place in the table.</summary>
    private const int SlotBits = 16;

    private readonly BlockChannelClientOptions options;
    private readonly Lock gate = new();
    private readonly ClientRequest?[] slots;
    private readonly Stack<int> freeSlots;
    private readonly Queue<ClientRequest> waitingReads = new();
    private readonly Queue<ClientRequest> waitingWrites = new();
    private readonly Stack<ClientRequest> idle = new();
    private readonly int chunkBytes;
    private readonly long windowBytes;
    private ulong serial;
    private long windowUsed;
    private long loadBytes;
    private bool isDraining;
    private bool writesFirst;
    private bool hasEnded;
    private ClientRequest? receiving;
    private bool receivesLast;

    public ClientConnection(Transport transport, FrameReceiver receiver, BlockChannelClientOptions options, in Hello server)
        : base(transport, receiver, options.Clock, options.ChunkBytes)
    {
        this.options = options;
        chunkBytes = Math.Min(options.ChunkBytes, server.PayloadBytes);
        windowBytes = server.WindowBytes;
        slots = new ClientRequest?[Math.Min(server.Requests, MaxRequests)];
        freeSlots = new(slots.Length);
        for (int slot = slots.Length - 1; slot >= 0; slot--) { freeSlots.Push(slot); }
        StartClock(server.SilenceMs);
    }

    public TimeProvider Time => Clock;

    /// <summary>Takes requests.</summary>
    public bool IsOpen => End is null && !Volatile.Read(ref isDraining);

    /// <summary>Bytes of the requests that are not over.</summary>
    public long LoadBytes => Volatile.Read(ref loadBytes);

    public ValueTask<BlockAnswer> WriteAsync(
        in BlockWrite write,
        ReadOnlyMemory<byte> content,
        ReadOnlyMemory<uint> checksums,
        Deadline deadline,
        CancellationToken token)
    {
        if (token.IsCancellationRequested) { return ValueTask.FromCanceled<BlockAnswer>(token); }
        ClientRequest request = Rent();
        request.BeginWrite(write, content, checksums, deadline);
        return Start(request, token);
    }

    public ValueTask<BlockAnswer> ReadAsync(
        in BlockRead read, Memory<byte> destination, Memory<uint> checksums, Deadline deadline, CancellationToken token)
    {
        if (token.IsCancellationRequested) { return ValueTask.FromCanceled<BlockAnswer>(token); }
        ClientRequest request = Rent();
        request.BeginRead(read, destination, checksums, deadline);
        return Start(request, token);
    }

    /// <summary>Says goodbye; requests that are not answered end now.</summary>
    public void Leave() => Leave(new(Status.Ok, "the client has no more use for it"));

    /// <summary>The caller, the deadline or the end of the connection gives a request up.</summary>
    public void Abandon(ClientRequest request, Abandonment why)
    {
        lock (gate) { request.Abandon(why, Clock.GetTimestamp()); }
        Settle(request);
    }

    /// <summary>A request's turn to send a frame has come.</summary>
    /// <returns>False: it has nothing to send any more.</returns>
    public bool OnFrameLeaves(ClientRequest request)
    {
        lock (gate)
        {
            if (!request.IsAnswered && request.Abandoned == Abandonment.None)
            {
                request.TakeFrame(chunkBytes);
                return true;
            }

            request.IsQueued = false;
            Keep(request);
            return false;
        }
    }

    /// <summary>A frame is out of the sender's hands.</summary>
    /// <returns>Whether there is another one.</returns>
    public bool OnFrameSent(ClientRequest request)
    {
        lock (gate)
        {
            request.IsSending = false;
            if (request is { HasUnsent: true, IsAnswered: false, Abandoned: Abandonment.None })
            {
                request.IsQueued = true;
                return true;
            }
        }

        Settle(request);
        return false;
    }

    /// <summary>The connection is closed, and the sender has let go of a request.</summary>
    public void OnFrameDropped(ClientRequest request)
    {
        lock (gate)
        {
            request.IsSending = false;
            request.IsQueued = false;
        }

        Settle(request);
    }

    /// <summary>The caller has the result.</summary>
    public void OnConsumed(ClientRequest request, bool isUnwatched)
    {
        if (!isUnwatched) { return; }
        lock (gate)
        {
            request.IsConsumed = true;
            Keep(request);
        }
    }

    protected override void OnEnding(ChannelEnd reason)
    {
        List<ClientRequest> ended = [];
        lock (gate)
        {
            hasEnded = true;
            foreach (ClientRequest? request in slots)
            {
                if (request is not null) { ended.Add(request); }
            }

            ended.AddRange(waitingReads);
            ended.AddRange(waitingWrites);
            waitingReads.Clear();
            waitingWrites.Clear();
            AbandonAll(ended, Abandonment.ConnectionEnded);
        }

        foreach (ClientRequest request in ended) { Settle(request); }
        StopClock();
    }

    protected override void OnReceiverEnded()
    {
        ClientRequest? last = receiving;
        receiving = null;
        if (last is null) { return; }
        lock (gate) { last.IsReceiving = false; }
        Settle(last);
    }

    /// <summary>Gives requests up that were found under the gate, which is still held. <see cref="Settle"/> each behind it.</summary>
    /// <remarks>Not behind the gate: one that is answered meanwhile may be another caller's request by then.</remarks>
    private void AbandonAll(List<ClientRequest> requests, Abandonment why)
    {
        long now = Clock.GetTimestamp();
        foreach (ClientRequest request in requests) { request.Abandon(why, now); }
    }

    private ClientRequest Rent()
    {
        lock (gate) { return idle.TryPop(out ClientRequest? request) ? request : new(this); }
    }

    private ValueTask<BlockAnswer> Start(ClientRequest request, CancellationToken token)
    {
        short version = request.Version;
        if (token.CanBeCanceled) { request.Watch(token); }
        bool isAdmitted = false;
        lock (gate)
        {
            if (hasEnded || isDraining) { request.Abandon(Abandonment.ConnectionEnded, 0); }
            else if (request.Deadline.IsPast(Clock)) { request.Abandon(Abandonment.TimedOut, 0); }
            if (request.Abandoned == Abandonment.None)
            {
                Queue<ClientRequest> waiting = request.IsWrite ? waitingWrites : waitingReads;
                isAdmitted = waiting.Count == 0 && TryAdmit(request);
                request.IsQueued = isAdmitted || waiting.Count < options.MaxWaiting;
                if (!request.IsQueued) { request.Close(BlockAnswer.Of(Status.Busy)); }
                else if (!isAdmitted) { waiting.Enqueue(request); }
                if (request.IsQueued) { ArmFor(request.Deadline); }
            }
        }

        if (isAdmitted) { Sender.Send(request); }
        else { Settle(request); }
        return new(request, version);
    }

    /// <summary>Gives a request its place in the table, if it may be in flight.</summary>
    private bool TryAdmit(ClientRequest request)
    {
        if (request.IsWrite && windowUsed + request.Length > windowBytes) { return false; }
        if (!freeSlots.TryPop(out int slot)) { return false; }
        if (request.IsWrite) { windowUsed += request.Length; }
        loadBytes += request.Length;
        request.Id = (++serial << SlotBits) | (uint)slot;
        slots[slot] = request;
        return true;
    }

    private ClientRequest? Find(ulong id)
    {
        int slot = (int)(id & ((1 << SlotBits) - 1));
        ClientRequest? request = slot < slots.Length ? slots[slot] : null;
        return request?.Id == id ? request : null;
    }

    /// <summary>After anything happened to a request: gives its caller the result, tells the server that there is no use for
    /// it, lets others have its place, as it is time to.</summary>
    /// <remarks>Looks at the state as it is, so it does no harm to a request that has the object by now.</remarks>
    private void Settle(ClientRequest request)
    {
        bool mustCancel = false;
        bool mayAdmit;
        lock (gate)
        {
            bool isGivenUp = request.Abandoned != Abandonment.None;
            if ((request.IsAnswered || isGivenUp) && request is { IsFree: true, IsCompleted: false }) { request.Complete(); }
            if (request.HasLeft && !hasEnded && request is { IsFree: true, IsCancelQueued: false })
            {
                mustCancel = request.IsAnswered ? request.HasUnsent : isGivenUp;
                request.IsCancelQueued = mustCancel;
            }

            bool serverIsDone = request.HasLeft
                ? request.IsAnswered && (request.IsCancelQueued ? request.IsCancelSent : !request.HasUnsent)
                : request.IsCompleted;
            if (serverIsDone && request is { IsFree: true, IsOver: false }) { Release(request); }
            Keep(request);
            mayAdmit = waitingReads.Count + waitingWrites.Count > 0;
        }

        if (mustCancel) { Sender.Send(new Cancelling(this, request)); }
        if (mayAdmit) { AdmitWaiting(); }
    }

    private void Release(ClientRequest request)
    {
        request.IsOver = true;
        if (request.Id == 0) { return; }
        int slot = (int)(request.Id & ((1 << SlotBits) - 1));
        slots[slot] = null;
        freeSlots.Push(slot);
        if (request.IsWrite) { windowUsed -= request.Length; }
        loadBytes -= request.Length;
    }

    private void AdmitWaiting()
    {
        while (NextAdmitted() is { } request) { Sender.Send(request); }
    }

    private ClientRequest? NextAdmitted()
    {
        lock (gate)
        {
            writesFirst = !writesFirst;
            return writesFirst
                ? FirstOf(waitingWrites) ?? FirstOf(waitingReads)
                : FirstOf(waitingReads) ?? FirstOf(waitingWrites);
        }
    }

    private ClientRequest? FirstOf(Queue<ClientRequest> waiting)
    {
        while (waiting.TryPeek(out ClientRequest? request))
        {
            if (request is { IsCompleted: false, Abandoned: Abandonment.None })
            {
                if (!TryAdmit(request)) { return null; }
                return waiting.Dequeue();
            }

            waiting.Dequeue();
            request.IsQueued = false;
            Keep(request);
        }

        return null;
    }

    /// <summary>Keeps the object for another request, once nobody knows of it any more.</summary>
    private void Keep(ClientRequest request)
    {
        bool isForgotten = request is { IsConsumed: true, IsOver: true, IsQueued: false };
        if (hasEnded || !isForgotten || idle.Count == slots.Length) { return; }
        request.Reset();
        idle.Push(request);
    }

    /// <summary>Tells the server that a request is given up, or that the rest of its bytes will not come.</summary>
    private sealed class Cancelling(ClientConnection connection, ClientRequest request) : Outgoing
    {
        private readonly ulong id = request.Id;

        internal override bool IsUrgent => true;

        internal override int PutFrame(Span<byte> head, out ReadOnlyMemory<byte> payload)
        {
            payload = default;
            return BareFrame.Put(FrameKind.Cancel, id, head);
        }

        internal override bool OnSent()
        {
            lock (connection.gate) { request.IsCancelSent = true; }
            connection.Settle(request);
            return false;
        }

        internal override void OnDropped()
        {
        }
    }
}
