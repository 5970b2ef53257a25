using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>A session that has its drive for itself, or with others that only read, and that does with names and attributes what the
/// primary would do: answers at once, and tells the primary behind that, many operations in one transaction.</summary>
/// <remarks>
/// Thread safe. Owns the session around which it is. What was asked is known (<see cref="DriveMirror"/>), because nobody else changes
/// the drive; on what is known the operations of <c>lib/core</c> run here, with VNode ids that the primary has granted. What they did
/// waits in <see cref="PendingOperations"/>, in order, for a second at the most, and is told again until it is answered; before
/// anything is asked of the primary that may depend on it, and before a sync, it is told. So an Ok promises here: every later
/// request of this session sees it; after <see cref="SyncAsync"/>, what that promises. It does not survive the death of this
/// process before it was told, as data that was written and is not committed does not. Source: docs/design.md, section 8.
/// <para>What cannot be decided here (what has several names, extended attributes, sizes, data; what is not known and not worth
/// asking for) goes through to the primary: one such change after the other, each behind everything that was done before
/// (<see cref="turn"/>), and nothing is done here meanwhile.</para>
/// Versions of VNodes are the client's own: the primary gives a whole transaction one number. They only order answers.
/// </remarks>
public sealed partial class BufferedDriveSession : IDriveSession, ISessionRecall
{
    /// <summary>Operations that wait, from which on they are told without waiting for their time.</summary>
    private const int TellCount = TransactRequest.MaxOperations / 2;

    /// <summary>How often what an operation reads is asked for, before the primary is asked to do it.</summary>
    private const int Attempts = 8;

    /// <summary>Above all numbers of a primary: a file's content has numbers of both.</summary>
    private const ulong FirstVersion = 1UL << 62;

    /// <summary>How long an operation waits at the most before the primary is told.</summary>
    private static readonly TimeSpan TellAge = TimeSpan.FromSeconds(1);

    /// <summary>How long nothing is done here after the primary asked for everything: a restore that follows says when it is done.
    /// </summary>
    private static readonly TimeSpan QuietTime = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan TickInterval = TimeSpan.FromMilliseconds(250);

    private readonly IDriveSession inner;
    private readonly Func<bool> holdsLease;
    private readonly TimeProvider clock;
    private readonly Lock gate = new();

    /// <summary>Whoever changes something at the primary has it: what is told stays in order.</summary>
    private readonly SemaphoreSlim turn = new(1);

    /// <summary>How many want to ask the primary for a change, and wait until others have.</summary>
    private int waitingForTurn;

    private readonly CommitQueue waitingCommits = new();
    private readonly SharedSync sync;
    private readonly DriveMirror mirror = new();
    private readonly DriveTransaction transaction = new();
    private readonly RecordBatch batch = new();
    private readonly DriveState state;
    private readonly StoredDriveView view;
    private readonly MirrorReads reads;
    private readonly PendingOperations pending;
    private readonly GrantedNodes granted;
    private readonly Dictionary<VNodeId, int> holds = [];
    private readonly HashSet<VNodeId> heldThere = [];
    private readonly ITimer timer;
    private readonly SessionId[] own;
    private ISessionRecall? recall;
    private ulong version = FirstVersion;

    /// <summary>VNodes that others than <see cref="granted"/> have set aside through this session.</summary>
    private ulong reservedInodes;

    private Task telling = Task.CompletedTask;
    private Task granting = Task.CompletedTask;
    private Task invalidating = Task.CompletedTask;

    /// <summary>Something is being changed at the primary, and it is not known yet what came of it.</summary>
    private bool isThrough;

    /// <summary>And it may take a VNode its last name.</summary>
    private bool isRemoving;

    /// <summary>Something was forgotten while operations up to this one were not told.</summary>
    private long forgottenAt;

    /// <summary>The disk is nearly full: the primary must say what there is room for.</summary>
    private bool isTight;

    /// <summary>When the primary last asked for everything, because it is about to see, or to change, the drive as a whole.</summary>
    private long? flushedAt;

    /// <summary>Why the primary could not be told what waits: nothing more is done here until it can.</summary>
    private Status refusal;

    /// <summary>Why the primary did not do what was done here, until a sync has told so.</summary>
    private Status lost;

    /// <param name="inner">The session with the primary; nobody else writes beside it.</param>
    /// <param name="holdsLease">Whether that is so for certain at this moment; while it is not, everything is asked of the primary.
    /// </param>
    /// <param name="clock">The clock.</param>
    public BufferedDriveSession(IDriveSession inner, Func<bool> holdsLease, TimeProvider clock)
    {
        this.inner = inner;
        sync = new(inner.SyncAsync);
        this.holdsLease = holdsLease;
        this.clock = clock;
        own = [inner.Id];
        state = DriveMirror.StateOf(inner.Drive);
        view = new(mirror, state, CowNumber.Head);
        reads = new(mirror, view);
        pending = new(clock);
        granted = new(inner, gate, clock);
        timer = clock.CreateTimer(static self => ((BufferedDriveSession)self!).Tick(), this, TickInterval, TickInterval);
    }

    /// <summary>Called when operations that programs were answered are lost, with why: for a log.</summary>
    public Action<Status, IReadOnlyList<TransactOperation>>? Lost { get; set; }

    public SessionId Id => inner.Id;

    public DriveId Drive => inner.Drive;

    public SessionAccess Access => inner.Access;

    public IBlockService Blocks => inner.Blocks;

    public Task Expired => inner.Expired;

    /// <summary>Operations that wait to be told, for gauges.</summary>
    public int Waiting
    {
        get
        {
            lock (gate) { return pending.Count; }
        }
    }

    /// <summary>Why an operation that a program was answered was lost first, or Ok: also if a sync has told it already.</summary>
    public Status FirstLost { get; private set; }

    /// <summary>Whether the primary is about to see or to change the drive as a whole. Under the gate.</summary>
    private bool IsQuiet => flushedAt is { } at && clock.GetElapsedTime(at) < QuietTime;

    public void OnRecall(ISessionRecall recall)
    {
        this.recall = recall;
        inner.OnRecall(this);
    }

    /// <remarks>A restore may take away what programs have open: the primary must know of it.</remarks>
    async ValueTask<Status> ISessionRecall.FlushAsync()
    {
        lock (gate) { flushedAt = clock.GetTimestamp(); }
        Status flushed = recall is null ? Status.Ok : await recall.FlushAsync();
        Status told = await TellAllAsync();
        Status held = await HoldThereAsync();
        if (flushed != Status.Ok) { return flushed; }
        return told != Status.Ok ? told : held;
    }

    /// <remarks>What was done to the drive as it was before must not be done to what it is now.</remarks>
    async ValueTask ISessionRecall.InvalidateAsync()
    {
        await turn.WaitAsync();
        try
        {
            lock (gate)
            {
                flushedAt = null;
                if (pending.Count > 0) { Lose(Status.Stale, pending.Peek(int.MaxValue)); }
                Forget();
            }
        }
        finally
        {
            turn.Release();
        }

        if (recall is not null) { await recall.InvalidateAsync(); }
    }

    public async ValueTask<Status> SyncAsync()
    {
        Status told = await TellAllAsync();
        Status synced = await sync.SyncAsync();
        Status earlier;
        lock (gate)
        {
            earlier = lost;
            lost = Status.Ok;
        }

        if (earlier != Status.Ok) { return Status.IoError; }
        return told != Status.Ok ? told : synced;
    }

    public async ValueTask DisposeAsync()
    {
        await timer.DisposeAsync();
        try
        {
            await TellAllAsync();
            await telling;
            await granting;
            await invalidating;
            granted.Return();
        }
        finally
        {
            await inner.DisposeAsync();
            granted.Dispose();
            turn.Dispose();
        }
    }

    /// <summary>Tells the primary what has waited for long.</summary>
    private void Tick()
    {
        lock (gate)
        {
            if (pending.Age >= TellAge) { TellBehind(); }
        }
    }

    /// <summary>Tells what waits on another thread. Under the gate.</summary>
    private void TellBehind()
    {
        if (telling.IsCompleted) { telling = Task.Run(async () => await TellAllAsync()); }
    }

    /// <summary>Asks for ids on another thread. Under the gate.</summary>
    private void GrantBehind()
    {
        if (granting.IsCompleted) { granting = Task.Run(async () => await granted.EnsureAsync()); }
    }

    /// <summary>Tells the primary everything that was done before this call.</summary>
    private async ValueTask<Status> TellAllAsync()
    {
        long target;
        lock (gate)
        {
            if (pending.Count == 0) { return Status.Ok; }
            target = pending.Added;
        }

        await turn.WaitAsync();
        try
        {
            return await TellAsync(target);
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>Tells the primary everything up to an operation, which it then has done or refused. The turn is the caller's.</summary>
    /// <returns>Ok; else why something waits still.</returns>
    private async ValueTask<Status> TellAsync(long target)
    {
        TransactResult result = new();
        int most = TransactRequest.MaxOperations;
        bool isOwed = false;
        while (true)
        {
            List<TransactOperation> first;
            lock (gate)
            {
                if (pending.Done >= target || pending.Count == 0)
                {
                    refusal = Status.Ok;
                    return Status.Ok;
                }

                first = pending.Peek(most);
            }

            Status status = await TransactAsync(first, isOwed, result);
            lock (gate)
            {
                if (status == Status.NoSpace && !isOwed)
                {
                    isOwed = isTight = true;
                    continue;
                }

                if (status != Status.Unknown && (FlushRetry.MayRetry(status) || status is Status.Unavailable or Status.IoError))
                {
                    refusal = status;
                    return status;
                }

                most = status == Status.Ok ? TransactRequest.MaxOperations : TakeRefusal(status, first, result.FailedAt);
                if (status == Status.Ok) { Done(first, first.Count, result.Grown.Inodes); }
            }
        }
    }

    /// <summary>The primary did nothing of what it was told: what comes before the operation that is to blame goes again without
    /// it, and that one is lost. Under the gate.</summary>
    /// <returns>Operations that the next request may have.</returns>
    private int TakeRefusal(Status status, List<TransactOperation> told, int failedAt)
    {
        if (failedAt > 0) { return failedAt; }
        bool isAll = status is Status.Unknown or Status.SessionExpired or Status.Lost;
        if (failedAt < 0 && !isAll && told.Count > 1) { return told.Count / 2; }
        Lose(status, failedAt == 0 ? told[..1] : told);
        return isAll ? TransactRequest.MaxOperations : 1;
    }

    /// <summary>The oldest operations will not be done: programs must hear of it, and see what is there instead. Under the gate.
    /// </summary>
    private void Lose(Status status, List<TransactOperation> operations)
    {
        Done(operations, operations.Count, grownInodes: 0);
        lost = status;
        if (FirstLost == Status.Ok) { FirstLost = status; }
        Forget();
        Lost?.Invoke(status, operations);
        if (invalidating.IsCompleted && recall is { } user) { invalidating = Task.Run(async () => await user.InvalidateAsync()); }
    }

    /// <summary>The primary has answered for the oldest operations. Under the gate.</summary>
    private void Done(List<TransactOperation> told, int count, ulong grownInodes)
    {
        ulong made = 0;
        for (int at = 0; at < count; at++)
        {
            if (told[at] is CreateOperation) { made++; }
        }

        pending.RemoveFirst(count);
        granted.Told(made, grownInodes);
    }

    private async ValueTask<Status> TransactAsync(List<TransactOperation> operations, bool isOwed, TransactResult result)
    {
        Status status = Status.Busy;
        for (int attempt = 0; status == Status.Busy && attempt < FlushRetry.BusyAttempts; attempt++)
        {
            status = await inner.TransactAsync(new([], operations) { Owed = isOwed }, result);
        }

        return status;
    }

    /// <summary>Nothing is known any more. Under the gate.</summary>
    private void Forget()
    {
        mirror.Clear();
        version++;
        forgottenAt = pending.Added;
    }

    private Timestamp Now() =>
        new((clock.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick);
}
