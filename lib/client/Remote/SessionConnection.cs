using KvFs.Core;
using KvFs.Grpc;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Client.Remote;

/// <summary>A session's way to its primary: one stream after the other, and what waits for answers meanwhile.</summary>
/// <remarks>
/// Thread safe. When a stream breaks, the next one resumes the session, and everything that was not answered is sent again: reads
/// are read again, changes have names. It is lost when the primary says so, or when nobody was reached for two leases: by then
/// the session has expired. In a pool of several nodes the next stream goes to whoever serves the drive then, and is tried for much
/// longer: a session does not expire as long as nobody serves it. After that every request is answered SessionExpired, but for changes that may have been applied
/// (Unknown), and whoever is recalled is told to drop what it keeps.
/// </remarks>
internal sealed class SessionConnection : IAsyncDisposable
{
    /// <summary>Requests with which what was answered from memory is committed, and given back: others may be waiting for that, and it must not
    /// wait for what waits for them.</summary>
    private const int MaxOwed = 128;

    /// <summary>Other requests that are on their way, beside waits for locks: with those half of the slots, so that waits cannot keep others away.
    /// </summary>
    private const int MaxRequests = (RequestLedger.Slots / 2) - MaxOwed;

    private const int MaxWaits = RequestLedger.Slots / 2;

    /// <summary>Less than a message may have: it also has the name of the request.</summary>
    private const int MaxRequestBytes = WireLimits.RequestBytes - 256;

    /// <summary>The id of messages that tell what the session holds: no request's.</summary>
    private const ulong HoldingsId = ulong.MaxValue;

    private readonly SemaphoreSlim room = new(MaxRequests);
    private readonly SemaphoreSlim owedRoom = new(MaxOwed);
    private readonly RequestBook book = new();
    private readonly SessionHoldings holdings = new();
    private readonly RecallQueue recalls;
    private readonly SessionDialler dialler;
    private readonly RemoteClientOptions options;
    private readonly Lock gate = new();
    private readonly Task run;
    private readonly TaskCompletionSource expired = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Action<IReadOnlyList<ulong>>? forgetting;
    private ClientStream? stream;
    private int waits;

    /// <summary>Changes that were given up, and of which it is not known yet what became of them.</summary>
    private int givenUp;

    private bool isOver;
    private bool isClosing;
    private bool isRefused;
    private SessionLink link;

    private SessionConnection(SessionDialler dialler, ClientStream first, RemoteClientOptions options)
    {
        this.dialler = dialler;
        this.options = options;
        Key = dialler.Key!;
        Spread = dialler.Spread;
        Id = new(Key.Session);
        link = new(first.Via, first.Ended);
        recalls = new(OnRecalled);
        run = RunAsync(first);
    }

    public V1.SessionKey Key { get; }

    /// <summary>Percent of the pool's shards over which blocks of the drive, and of those that it is a clone of, are spread.</summary>
    public int Spread { get; }

    public SessionId Id { get; }

    /// <summary>As <see cref="RemoteDriveSession.RequestTime"/>.</summary>
    public TimeSpan? RequestTime { get; set; }

    /// <summary>A change that was given up may be applied at any moment: what its session is told of the drive cannot be kept.</summary>
    public bool IsInDoubt => Volatile.Read(ref givenUp) > 0;

    /// <summary>Where the session is served, as far as is known.</summary>
    public SessionLink Link
    {
        get
        {
            lock (gate) { return link; }
        }
    }

    /// <summary>As <see cref="IDriveSession.Expired"/>.</summary>
    public Task Expired => expired.Task;

    /// <summary>What the client knows still holds: the session is alive for certain.</summary>
    public bool HoldsLease => !IsOver && dialler.HoldsLease;

    /// <summary>No request is carried out any more.</summary>
    public bool IsOver
    {
        get
        {
            lock (gate) { return isOver; }
        }
    }

    /// <summary>Opens a session at a node, and keeps it wherever the route says.</summary>
    public static async ValueTask<Reply<SessionConnection>> OpenAsync(
        GrpcChannel channel,
        ISessionRoute route,
        V1.OpenSession open,
        RemoteClientOptions options,
        CancellationToken cancellation)
    {
        SessionDialler dialler = new(route, options);
        (Status status, ClientStream? first) = await dialler.OpenAsync(channel, open, cancellation);
        return first is null ? Reply.Failed<SessionConnection>(status) : Reply.Ok(new SessionConnection(dialler, first, options));
    }

    public void OnRecall(ISessionRecall recall) => recalls.Handler = recall;

    /// <summary>Names who keeps VNodes, and forgets those that the primary names, or all (none named). Called on a stream's thread: it does
    /// not wait. Set it before anything is kept.</summary>
    public void OnForget(Action<IReadOnlyList<ulong>> forget) => Volatile.Write(ref forgetting, forget);

    /// <summary>The deadline of a request that is asked for now.</summary>
    public Deadline NewDeadline() => Deadline.After(RequestTime, options.AwakeClock);

    /// <summary>Pauses between attempts of somebody who asks for the same again.</summary>
    public Pauses NewPauses() => new(options);

    public ValueTask<V1.Answer> AskAsync(V1.Request request) => AskAsync(request, NewDeadline());

    /// <summary>Asks, and waits for the answer across streams. TooLarge: no message can carry the request. When the deadline has passed, Unavailable:
    /// nothing was changed; Unknown or TimedOut: something may have been, or may be yet.</summary>
    public async ValueTask<V1.Answer> AskAsync(V1.Request request, Deadline deadline)
    {
        if (request.CalculateSize() > MaxRequestBytes) { return new() { Status = V1.Status.TooLarge }; }
        if (deadline.Left is { } time) { return await AskInTimeAsync(request, time, deadline); }
        SemaphoreSlim places = PlacesOf(request);
        Task entering = places.WaitAsync();
        if (!entering.IsCompletedSuccessfully) { await entering; }
        try
        {
            return await Begin(request).Answer;
        }
        finally
        {
            places.Release();
        }
    }

    private async ValueTask<V1.Answer> AskInTimeAsync(V1.Request request, TimeSpan time, Deadline deadline)
    {
        if (!await PlacesOf(request).WaitAsync(time)) { return new() { Status = V1.Status.Unavailable }; }
        WaitingRequest waiting = Begin(request);
        try
        {
            await waiting.Answer.WaitAsync(deadline.Within(time), options.AwakeClock);
        }
        catch (TimeoutException)
        {
            if (GiveUp(waiting) is { } answer) { return answer; }
        }

        // It is there, or is about to be.
        V1.Answer told = await waiting.Answer;
        PlacesOf(waiting.Request).Release();
        return told;
    }

    /// <summary>Who asked waits no more. A change that was sent is waited for all the same: nothing else can have its name, nor be changed, before it is known what
    /// became of it. Null: it was answered at this moment.</summary>
    private V1.Answer? GiveUp(WaitingRequest waiting)
    {
        lock (gate)
        {
            if (!book.Has(waiting)) { return null; }
            if (!waiting.WasSent || !waiting.Request.IsChange())
            {
                book.Remove(waiting.Request.Id);
                PlacesOf(waiting.Request).Release();
                return new() { Status = V1.Status.Unavailable };
            }

            Volatile.Write(ref givenUp, givenUp + 1);
        }

        _ = OutliveAsync(waiting);
        return new() { Status = waiting.Request.ChangesDrive() ? V1.Status.Unknown : V1.Status.TimedOut };
    }

    /// <summary>Waits for what became of a change that was given up; then what was held back may go.</summary>
    private async Task OutliveAsync(WaitingRequest waiting)
    {
        V1.Answer answer = await waiting.Answer;
        PlacesOf(waiting.Request).Release();
        Volatile.Read(ref forgetting)?.Invoke([]);
        lock (gate)
        {
            Volatile.Write(ref givenUp, givenUp - 1);
            if (stream is not null) { SendAll(stream, onlyNew: true); }
        }

        if (LateAnswers.GiveBack(waiting.Request, answer) is { } back) { await AskAsync(back, Deadline.None); }
    }

    /// <summary>The same for a lock, until the token is cancelled (Interrupted).</summary>
    public async ValueTask<V1.Answer> AskAndWaitAsync(V1.Request request, CancellationToken cancellation)
    {
        if (Interlocked.Increment(ref waits) > MaxWaits)
        {
            Interlocked.Decrement(ref waits);
            return new() { Status = V1.Status.NoLocks };
        }

        try
        {
            WaitingRequest waiting = Begin(request);
            await using CancellationTokenRegistration registration = cancellation.UnsafeRegister(
                static state =>
                {
                    (SessionConnection connection, WaitingRequest given) = ((SessionConnection, WaitingRequest))state!;
                    connection.Cancel(given);
                },
                (this, waiting));
            return await waiting.Answer;
        }
        finally
        {
            Interlocked.Decrement(ref waits);
        }
    }

    /// <summary>Ends the session, and waits until the primary has ended it, or two leases.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (gate)
        {
            if (!isClosing && !isOver) { stream?.Send(new() { Close = new() }); }
            isClosing = true;
        }

        await run;
    }

    private SemaphoreSlim PlacesOf(V1.Request request) => request.IsOwed() ? owedRoom : room;

    private bool IsClosing
    {
        get
        {
            lock (gate) { return isClosing; }
        }
    }

    /// <summary>Somebody waits for an answer.</summary>
    private bool IsWaiting
    {
        get
        {
            lock (gate) { return isClosing || !book.IsEmpty; }
        }
    }

    /// <summary>A new primary does not have what the one before answered: the session is over.</summary>
    private bool IsRefused
    {
        get
        {
            lock (gate) { return isRefused; }
        }
    }

    private WaitingRequest Begin(V1.Request request)
    {
        lock (gate)
        {
            if (isOver || isClosing)
            {
                WaitingRequest late = new(request);
                late.Lose();
                return late;
            }

            WaitingRequest waiting = book.Add(request, Id);
            if (stream is not null && !IsHeldBack(waiting)) { Send(stream, waiting); }
            return waiting;
        }
    }

    private void Cancel(WaitingRequest waiting)
    {
        lock (gate)
        {
            if (waiting.WasSent || !book.Has(waiting))
            {
                waiting.IsCancelled = true;
                stream?.Send(new() { Cancel = new() { Id = waiting.Request.Id } });
                return;
            }

            book.Remove(waiting.Request.Id);
        }

        // Nobody has it: nobody needs to be asked whether it was granted at the last moment.
        waiting.Complete(new() { Id = waiting.Request.Id, Status = V1.Status.Interrupted });
    }

    /// <summary>Whether a change waits for others that were given up: it is to come after them. Under the gate.</summary>
    private bool IsHeldBack(WaitingRequest waiting) => givenUp > 0 && !waiting.WasSent && waiting.Request.IsChange();

    /// <summary>Sends what waits, in the order in which it was asked. Under the gate.</summary>
    private void SendAll(ClientStream to, bool onlyNew)
    {
        foreach (WaitingRequest waiting in book.All())
        {
            if (IsHeldBack(waiting) || (onlyNew && waiting.WasSent)) { continue; }
            Send(to, waiting);
            if (waiting.IsCancelled) { to.Send(new() { Cancel = new() { Id = waiting.Request.Id } }); }
        }
    }

    private static void Send(ClientStream stream, WaitingRequest waiting)
    {
        waiting.NoteSent();
        stream.Send(new() { Request = waiting.Request });
    }

    private async Task RunAsync(ClientStream first)
    {
        ClientStream? next = first;
        bool closed = false;
        Pauses pauses = new(options);
        try
        {
            while (next is not null)
            {
                using ClientStream current = next;
                Begin(current);
                closed = await RunAsync(current, dialler.CanMove);
                lock (gate) { stream = null; }

                if (closed) { break; }

                // A primary that hands over takes the session back, and answers nothing.
                if (current.HasAnswered) { pauses = new(options); }
                else { await pauses.NextAsync(CancellationToken.None); }
                next = IsRefused ? null : await dialler.ResumeAsync(() => IsClosing);
            }
        }
        finally
        {
            await EndAsync(isLost: !closed);
        }
    }

    /// <summary>Runs a stream to its end, which comes when another node serves the session and this one says nothing any more.</summary>
    private async Task<bool> RunAsync(ClientStream current, bool canMove)
    {
        using CancellationTokenSource ended = new();
        Task watching = canMove ? WatchAsync(current, ended.Token) : Task.CompletedTask;
        try
        {
            return await current.RunAsync(OnAnswer, OnRecall);
        }
        finally
        {
            await ended.CancelAsync();
            await watching;
        }
    }

    /// <summary>Ends a stream whose node stands still, or is cut off, once another one has been found to have taken its place.</summary>
    private async Task WatchAsync(ClientStream current, CancellationToken ended)
    {
        try
        {
            using PeriodicTimer timer = new(options.LookPause, options.Clock);
            while (await timer.WaitForNextTickAsync(ended))
            {
                if (!IsWaiting || !current.IsSilent(options.Patience) || !current.OwesWord(options.LookPause)) { continue; }
                if (!await dialler.HasMovedAsync(current.Via, ended)) { continue; }
                await current.EndAsync();
                return;
            }
        }
        catch (OperationCanceledException)
        {
            // The stream has ended.
        }
    }

    /// <remarks>What is to be forgotten is at once: others wait for it, and one of them may be what another recall waits for.</remarks>
    private void OnRecall(V1.Recall recall)
    {
        if (recall.Kind != V1.RecallKind.Forget)
        {
            recalls.Add(recall);
            return;
        }

        Volatile.Read(ref forgetting)?.Invoke(recall.Nodes);
        OnRecalled(recall.Id, Status.Ok);
    }

    /// <summary>The stream is the session's: what waits goes over it, in the order in which it was asked.</summary>
    private void Begin(ClientStream next)
    {
        // What the primary before let it keep, this one does not know.
        if (next.WantsHoldings) { Volatile.Read(ref forgetting)?.Invoke([]); }
        lock (gate)
        {
            stream = next;
            link = new(next.Via, next.Ended);
            if (next.WantsHoldings)
            {
                foreach (V1.Holdings part in holdings.Tell(book.All()))
                {
                    next.Send(new() { Request = new() { Session = Id.Value, Id = HoldingsId, TellHoldings = part } });
                }
            }

            SendAll(next, onlyNew: false);
            if (isClosing) { next.Send(new() { Close = new() }); }
        }
    }

    private void OnAnswer(V1.Answer answer, bool isOwnThread)
    {
        WaitingRequest? waiting;
        lock (gate)
        {
            waiting = book.Remove(answer.Id);
            if (waiting is not null) { holdings.Note(waiting.Request, answer); }
            isRefused |= answer.Id == HoldingsId && answer.Status != V1.Status.Ok;
            if (isRefused) { _ = stream?.EndAsync(); }
        }

        if (waiting is null)
        {
            answer.Lent?.Dispose();
            return;
        }

        answer = waiting.Judge(answer);
        if (isOwnThread) { waiting.CompleteHere(answer); }
        else { waiting.Complete(answer); }
    }

    private void OnRecalled(ulong id, Status status)
    {
        lock (gate) { stream?.Send(new() { RecallDone = new() { Id = id, Status = status.ToWire() } }); }
    }

    private async Task EndAsync(bool isLost)
    {
        IReadOnlyList<WaitingRequest> left;
        bool asked;
        lock (gate)
        {
            isOver = true;
            asked = isClosing;
            left = book.All();
            foreach (WaitingRequest waiting in left) { book.Remove(waiting.Request.Id); }
        }

        foreach (WaitingRequest waiting in left) { waiting.Lose(); }
        bool hasExpired = isLost && !asked;
        if (hasExpired) { recalls.Add(new() { Id = 0, Kind = V1.RecallKind.Invalidate }); }
        await recalls.EndAsync();
        if (hasExpired) { expired.SetResult(); }
    }
}

/// <summary>Where a session is served.</summary>
/// <param name="Channel">To that node.</param>
/// <param name="Broken">Is cancelled when the session's stream to it has ended: it may be served elsewhere.</param>
internal readonly record struct SessionLink(GrpcChannel Channel, CancellationToken Broken);
