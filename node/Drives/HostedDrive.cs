using KvFs.Core;
using KvFs.Node.Shards;
using KvFs.Node.Storage;
using KvFs.Protocol;

namespace KvFs.Node.Drives;

/// <summary>One operation of core, as all of those that change something are shaped.</summary>
public delegate Status DriveOperation<TRequest, TResult>(
    in TRequest request, DriveTransaction transaction, out TResult result)
    where TRequest : allows ref struct;

/// <summary>What follows from a transaction in the memory of the drive's owner: with the gate held, before anybody can see what
/// it did, or decides on it. <typeparamref name="TRequest"/> is the operation's.</summary>
public delegate void DriveAftermath<TRequest, TResult>(in TRequest request, TResult result)
    where TRequest : allows ref struct;

/// <summary>One reading of committed records. It may be asked twice, and then starts anew.</summary>
public delegate Status DriveReading<TArgument, TResult>(DriveView view, TArgument argument, out TResult result)
    where TArgument : allows ref struct;

/// <summary>A drive on its collection primary: its state, and the one transaction that may be in the making.</summary>
/// <remarks>What changes is owned by whoever holds the shard's gate. <see cref="Transact"/>, <see cref="Views"/>,
/// <see cref="GetUsage"/> and the like are for any thread.</remarks>
public sealed partial class HostedDrive
{
    /// <summary>Ids of each sequence that one reservation covers: one synced write serves that many.</summary>
    private const ulong ReservedIds = 1 << 20;

    /// <summary>Ids left below which more are reserved.</summary>
    private const ulong LowIds = 1 << 16;

    /// <summary>How often an operation is tried again after what was in its way was cleared.</summary>
    private const int Attempts = 16;

    /// <summary>How often a batch is written: into the log, and into a table when it is flushed.</summary>
    private const int WritesOfBatch = 2;

    private readonly BlockStore blocks;
    private readonly IDriveWork work;
    private readonly HeadReader head;
    private readonly DriveViewPool headViews;
    private readonly TimeProvider clock;
    private readonly RecordBatch reservation = new();
    private readonly RecordBatch batch = new();
    private readonly Action adopt;
    private DriveState state;
    private DriveCounters counters;
    private long looseBytes;
    private long requests;
    private long committedBytes;
    private long commits;
    private long commitTicks;

    private bool isLetGo;

    /// <summary>Its records are gone: whoever still knows of it, in the background, writes none any more.</summary>
    private bool isForgotten;

    public HostedDrive(
        Shard shard,
        IKeyValueStore store,
        BlockStore blocks,
        IDriveWork work,
        TimeProvider clock,
        DriveState state,
        DriveCounters counters)
    {
        ArgumentNullException.ThrowIfNull(shard);
        ArgumentNullException.ThrowIfNull(state);
        Shard = shard;
        this.blocks = blocks;
        this.work = work;
        this.clock = clock;
        this.state = state;
        this.counters = counters;
        adopt = Adopt;
        FamilyReader reader = store.Reader(Family.Namespace);
        Views = new(reader, state);
        head = shard.HeadOf(reader);
        headViews = new(head, state);
        Locks = new(this);
        Transaction.Clusters = new ClusterCache(CachedRanges);
    }

    public DriveId Id => state.Drive;

    public Shard Shard { get; }

    /// <summary>Bytes of live blocks that nothing refers to any more, of all transactions since somebody last took the sum:
    /// what a repack may give back.</summary>
    public long LooseBytes => Interlocked.Read(ref looseBytes);

    /// <summary>Another node serves it, or this one does anew: nothing is done under this term any more.</summary>
    public bool IsLetGo => Volatile.Read(ref isLetGo);

    /// <summary>Requests of clients since the start.</summary>
    public long Requests => Interlocked.Read(ref requests);

    /// <summary>Immutable, replaced whole: any thread may read it.</summary>
    public DriveState State => Volatile.Read(ref state);

    /// <summary>Usage and ids. With the gate held.</summary>
    public DriveCounters Counters => counters;

    /// <summary>Views of what is committed, for reads of any thread.</summary>
    public DriveViewPool Views { get; }

    /// <summary>Who holds which VNodes open. With the gate held.</summary>
    public HoldTable Holds { get; } = new();

    /// <summary>Who set what aside. With the gate held.</summary>
    public QuotaLedger Quota { get; } = new();

    /// <summary>Who locked what.</summary>
    public DriveLocks Locks { get; }

    /// <summary>Who has a session.</summary>
    public SessionTable Sessions { get; } = new();

    /// <summary>What sessions that share it keep in their clients' memory.</summary>
    public KeptNodes Kept { get; } = new();

    /// <summary>Which files have their writes left with a session.</summary>
    public WriteDelegations Writes { get; } = new();

    /// <summary>The transaction in the making. With the gate held.</summary>
    public DriveTransaction Transaction { get; } = new();

    public Timestamp Now => Timestamp.At(clock.GetUtcNow());

    /// <summary>Ranges of backed space that are remembered: what a commit needs to charge exactly.</summary>
    private const int CachedRanges = 64 << 10;

    /// <summary>Runs an operation as one transaction: all of it is committed, or nothing was changed.</summary>
    /// <remarks>With <paramref name="restores"/> it is a step of a restore: only these are let through while the whole drive
    /// is being restored. <paramref name="logged"/> is called once, when the transaction is in the log; <paramref name="kept"/> may add its
    /// answer to the transaction. Who comes with the gate has the transaction committed before this returns; or gives its
    /// <paramref name="change"/>, looks whether something is in its way, lets go of the gate, and asks <see cref="Confirm"/>.
    /// </remarks>
    /// <returns>What the operation or the commit answered, or what keeps from clearing its way; Corrupt or IoError if records
    /// cannot be read.</returns>
    public Status Transact<TRequest, TResult>(
        SessionId session,
        DriveOperation<TRequest, TResult> operation,
        in TRequest request,
        SpaceUse use,
        out TResult result,
        bool restores = false,
        DriveAftermath<TRequest, TResult>? logged = null,
        IKeptRequest? kept = null,
        KeptChange? change = null)
        where TRequest : allows ref struct
    {
        ArgumentNullException.ThrowIfNull(operation);
        using KeptChange? own = change is null ? BeginChange(session) : null;
        bool isOwned = Shard.IsOwned;
        bool waits = isOwned && change is null;
        change ??= own!;
        result = default!;
        Status status = CheckSpace(0, use);
        LogIndex upTo = default;
        for (int attempt = 0; attempt < Attempts && status is Status.Ok or Status.Busy; attempt++)
        {
            Obstacle? obstacle;
            using (Shard.Enter())
            {
                status = TransactOnce(session, operation, in request, use, restores, kept, change, waits, out result);
                obstacle = Transaction.Obstacle;
                if (status == Status.Ok) { logged?.Invoke(in request, result); }
                upTo = Shard.LastInFlight;
            }

            // Clearing may wait for the packer, and that for the gate: who came with the gate must try again without it.
            if (status == Status.Ok || isOwned) { break; }
            if (change.IsInTheWay)
            {
                if (change.WaitForOthers() is var cleared and not Status.Ok) { return cleared; }
                continue;
            }

            if (status != Status.Busy || obstacle is not { } found) { continue; }
            Status made = work.Clear(this, found);
            if (made is not (Status.Ok or Status.Busy)) { return made; }
        }

        return isOwned ? status : Confirm(status, upTo, change);
    }

    /// <summary>A request of a session is about to change something.</summary>
    public KeptChange BeginChange(SessionId by) => new(Kept, Writes, by);

    /// <summary>Waits until what was decided with the gate held is committed, with all that it rests on: nothing is told of what may not come
    /// to be. Without the gate.</summary>
    /// <param name="decided">What is to be answered.</param>
    /// <param name="upTo">The shard's <see cref="Shard.LastInFlight"/> behind the decision.</param>
    /// <param name="change">What the request changes, if it does.</param>
    /// <returns>The answer. If what it rests on is not committed: of what was written as <see cref="Shard.Await"/>, else StaleEpoch, NoSpace or
    /// IoError.</returns>
    public Status Confirm(Status decided, LogIndex upTo, KeptChange? change)
    {
        if (upTo == default || decided is Status.Unknown or Status.IoError) { return decided; }
        bool hasWritten = change is { IsLogged: true };
        long began = clock.GetTimestamp();
        Status there = Shard.Await(upTo);
        if (hasWritten) { Interlocked.Add(ref commitTicks, clock.GetElapsedTime(began).Ticks); }
        if (there == Status.Ok) { return decided; }
        if (!hasWritten) { return Shard.AsRefusal(there); }
        change!.Leave();
        return there;
    }

    /// <summary>Runs an operation that works in steps, a transaction each, until it is done or one fails.</summary>
    public Status TransactUntilDone<TRequest>(DriveOperation<TRequest, bool> step, in TRequest request, SpaceUse use)
    {
        bool done = false;
        Status status = Status.Ok;
        while (!done && status == Status.Ok) { status = Transact(default, step, in request, use, out done); }
        return status;
    }

    /// <summary>Reads committed records without the gate; or with it, what will be once the whole log is applied.</summary>
    /// <remarks>Records that are read without the gate one after the other may belong to different moments: a name can lead to a VNode that
    /// a rename has just removed, which looks like damage. So what looks damaged is read again with the gate held, when
    /// nothing moves; what still looks so is.</remarks>
    public Status Read<TArgument, TResult>(
        CowNumber at, DriveReading<TArgument, TResult> reading, TArgument argument, out TResult result)
        where TArgument : allows ref struct
    {
        ArgumentNullException.ThrowIfNull(reading);
        result = default!;
        try
        {
            return ReadOnce(at, reading, argument, out result);
        }
        catch (RecordCorruptException)
        {
            Status status;
            LogIndex upTo;
            using (Shard.Enter())
            {
                status = ReadStill(at, reading, argument, out result);
                upTo = Shard.LastInFlight;
            }

            return Shard.IsOwned ? status : Confirm(status, upTo, null);
        }
        catch (StorageException failed)
        {
            return failed.Status;
        }
    }

    /// <summary>Whether the disk has room for so many bytes more, for this use.</summary>
    public Status CheckSpace(long bytes, SpaceUse use) => blocks.Space.Check(bytes, use);

    /// <summary>A damaged record was met: counts and tells it, and answers its status.</summary>
    public Status OnCorrupt(RecordCorruptException corrupt)
    {
        ArgumentNullException.ThrowIfNull(corrupt);
        work.OnCorrupt(this, corrupt);
        return corrupt.Status;
    }

    /// <summary>Bytes of data that clients have committed, however often they overwrote one another, since the start.</summary>
    public long CommittedBytes => Interlocked.Read(ref committedBytes);

    /// <summary>Clients' data was committed.</summary>
    public void OnCommitted(IReadOnlyList<FileCommit> commits)
    {
        ArgumentNullException.ThrowIfNull(commits);
        for (int at = 0; at < commits.Count; at++) { OnCommitted(commits[at]); }
    }

    /// <summary>A client's data was committed.</summary>
    public void OnCommitted(FileCommit commit)
    {
        ArgumentNullException.ThrowIfNull(commit);
        long bytes = 0;
        foreach (FileRun run in commit.Runs)
        {
            if (run.Kind is SliceKind.Inline or SliceKind.Block) { bytes += run.Length; }
        }

        Interlocked.Add(ref committedBytes, bytes);
    }

    /// <summary>Transactions that were sent to the log, and how long their answers took together, since the start.</summary>
    public (long Commits, TimeSpan Time) GetCommits() =>
        (Interlocked.Read(ref commits), TimeSpan.FromTicks(Interlocked.Read(ref commitTicks)));

    /// <summary>Takes what <see cref="LooseBytes"/> has come to: who takes it looks for the blocks.</summary>
    public void TakeLooseBytes() => Interlocked.Exchange(ref looseBytes, 0);

    /// <summary>A client asks for something.</summary>
    public void CountRequest() => Interlocked.Increment(ref requests);

    /// <summary>Something was left for the reaper.</summary>
    public void Reap() => work.Reap(this);

    /// <summary>The same, for what failed just now: it has time.</summary>
    public void Keep() => work.Keep(this);

    /// <summary>A session let go of an orphan.</summary>
    public Status ReleaseOrphan(VNodeId id, SessionId session)
    {
        Status status = Transact(
            session,
            static (
                in (VNodeId Id, SessionId Session, HoldTable Holds) orphan,
                DriveTransaction transaction,
                out bool more) =>
                Core.ReleaseOrphan.Apply(orphan.Id, orphan.Session, orphan.Holds, transaction, out more),
            (id, session, Holds),
            SpaceUse.Release,
            out bool left);
        if (left) { Reap(); }

        // Its record is still there, and the session holds it no more: the reaper lets go in its stead.
        if (status != Status.Ok) { Keep(); }
        return status;
    }

    /// <summary>The drive's snapshots, by name.</summary>
    /// <returns>Ok; Corrupt or IoError if their records cannot be read.</returns>
    public Status ListSnapshots(out IReadOnlyList<SnapshotInfo> snapshots)
    {
        Status status = Read(CowNumber.Head, FillSnapshots, false, out List<SnapshotInfo> found);
        snapshots = found ?? [];
        return status;
    }

    private Status ReadStill<TArgument, TResult>(
        CowNumber at, DriveReading<TArgument, TResult> reading, TArgument argument, out TResult result)
        where TArgument : allows ref struct
    {
        result = default!;
        try
        {
            return ReadOnce(at, reading, argument, out result);
        }
        catch (RecordCorruptException corrupt)
        {
            return OnCorrupt(corrupt);
        }
        catch (StorageException failed)
        {
            return failed.Status;
        }
    }

    private Status ReadOnce<TArgument, TResult>(
        CowNumber at, DriveReading<TArgument, TResult> reading, TArgument argument, out TResult result)
        where TArgument : allows ref struct
    {
        DriveViewPool views = Shard.IsOwned ? headViews : Views;
        StoredDriveView view = views.Rent(at);
        Status status = reading(view, argument, out result);
        views.Return(view);
        return status;
    }

    /// <summary>Begins a transaction that is not one of a session's operations.</summary>
    private Status Begin()
    {
        Status status = Shard.Resume();
        if (status == Status.Ok && counters.AreIdsBelow(LowIds)) { status = ReserveIds(); }
        return status == Status.Ok ? Transaction.Begin(state, counters, head, Now) : status;
    }

    private static Status FillSnapshots(DriveView view, bool argument, out List<SnapshotInfo> snapshots)
    {
        snapshots = [];
        foreach ((string name, RetainedVersion version) in DriveRecords.Snapshots(view))
        {
            snapshots.Add(new(name, version.At, version.Created));
        }

        return Status.Ok;
    }

    private Status TransactOnce<TRequest, TResult>(
        SessionId session,
        DriveOperation<TRequest, TResult> operation,
        in TRequest request,
        SpaceUse use,
        bool restores,
        IKeptRequest? kept,
        KeptChange change,
        bool waits,
        out TResult result)
        where TRequest : allows ref struct
    {
        result = default!;
        kept?.Begin();
        try
        {
            Status status = Shard.Resume();
            if (status == Status.Ok && isForgotten) { return Status.NotFound; }
            if (status == Status.Ok && counters.AreIdsBelow(LowIds)) { status = ReserveIds(); }
            if (status == Status.Ok)
            {
                status = Transaction.Begin(
                    state, counters, head, Now, Quota.ReservedByOthers(session), restores);
            }

            if (status == Status.Ok) { status = operation(in request, Transaction, out result); }
            if (status != Status.Ok || !Transaction.HasWrites) { return status; }
            kept?.Keep(in result, Transaction);
            return Commit(use, kept, change, waits);
        }
        catch (RecordCorruptException corrupt)
        {
            Transaction.Clusters?.Clear();
            return OnCorrupt(corrupt);
        }
        catch (StorageException failed)
        {
            Transaction.Clusters?.Clear();
            return failed.Status;
        }
    }

    /// <summary>Puts the transaction into the log, and adopts what it changed of the drive's state: what is decided next stands on it. Commits
    /// it, if the caller <paramref name="waits"/>, or the drive's policy or versions change, which readers see without their record.</summary>
    /// <returns>Busy, with <see cref="KeptChange.IsInTheWay"/>: others are to forget something first.</returns>
    private Status Commit(SpaceUse use, IKeptRequest? kept, KeptChange change, bool waits)
    {
        bool wantsDurable = kept is { WantsDurable: true };
        batch.Clear();
        Transaction.Build(batch);
        Status status = CheckSpace(WritesOfBatch * (long)batch.ByteCount, use);
        if (status == Status.Ok && Kept.IsUsed && !change.TryBegin(batch)) { status = Status.Busy; }
        if (status == Status.Ok)
        {
            long began = clock.GetTimestamp();
            status = waits || batch.HasRanges || Transaction.ChangesState
                ? Shard.Commit(Id, batch, adopt, wantsDurable)
                : Shard.Begin(Id, batch, adopt, wantsDurable);
            if (status is Status.Unknown or Status.IoError) { change.Leave(); }
            Interlocked.Add(ref commitTicks, clock.GetElapsedTime(began).Ticks);
            Interlocked.Increment(ref commits);
        }

        if (status != Status.Ok)
        {
            Transaction.Clusters?.Clear();
            return status;
        }

        change.IsLogged = true;
        if (kept is not null) { kept.Place = Shard.LastInFlight; }
        Adopt();
        return Status.Ok;
    }

    private void Adopt()
    {
        counters = Transaction.Counters;
        bool hasNewPolicy = !ReferenceEquals(state.Policy, Transaction.State.Policy);
        Volatile.Write(ref state, Transaction.State);
        if (hasNewPolicy)
        {
            Views.Change(state);
            headViews.Change(state);
        }

        foreach (CrowdedCluster crowded in Transaction.Crowded) { work.Fold(this, crowded); }
        foreach (VNodeId orphan in Transaction.Orphaned) { Holds.MarkOrphan(orphan); }
        if (Transaction.FreedBlocks) { work.Keep(this); }
        if (Transaction.LooseBytes > 0) { Interlocked.Add(ref looseBytes, (long)Transaction.LooseBytes); }
    }

    /// <summary>Reserves ids on disk before any of them is handed out: a start after a crash goes on above them.</summary>
    private Status ReserveIds()
    {
        IdMarks marks = counters.Next.Plus(ReservedIds);
        reservation.Clear();
        DriveRecords.Reserve(Id, marks, reservation);
        Status status = Shard.Commit(Id, reservation);
        if (status == Status.Ok) { status = Shard.Sync(); }
        if (status == Status.Ok) { counters.Reserved = marks; }

        // What asks for ids has written nothing itself.
        return status is Status.Unknown ? Shard.AsRefusal(status) : status;
    }
}
