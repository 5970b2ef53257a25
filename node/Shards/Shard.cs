using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Shards;

/// <summary>One shard on its primary: orders the transactions of the drives that live on it.</summary>
/// <remarks>
/// Ownership: whoever holds the gate (<see cref="Enter"/>) owns the shard's state, and with it the state of its drives; a request
/// that finds it free runs on its own thread without a hand-over. Reads of committed records need no gate. A request's steps: (1)
/// take the gate; (2) let an operation of core write a transaction, on the records as they will be once the whole log is applied
/// (<see cref="HeadOf"/>); (3) put it into the log (<see cref="Begin"/>) and let go of the gate: the next one stands on it; (4) wait until
/// it is committed (<see cref="Await"/>), and answer. Who wrote nothing, and has seen what is not committed, waits for that, too
/// (<see cref="LastInFlight"/>). An entry that is in the log and for whose records there is no space is owed
/// (<see cref="Resume"/>): nothing is decided before it is applied.
/// </remarks>
public sealed class Shard
{
    /// <summary>Bytes of one batch: a transaction's bound, and as much again for history that it saves.</summary>
    private const int MaxBatchBytes = 4 * Limits.TransactionBytes;

    /// <summary>Bytes of batches that may be on their way to the copies while more is decided.</summary>
    private const int MaxInFlightBytes = 4 * Limits.TransactionBytes;

    /// <summary>Who waits longer for the gate waits for more than the disk.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(50);

    private readonly IShardLog log;
    private readonly InFlightBatches inFlight = new();
    private readonly Lock gate = new();
    private Action? whenApplied;

    /// <summary>A shard whose log is kept as <paramref name="log"/> says.</summary>
    public Shard(ShardId id, IShardLog log)
    {
        ArgumentNullException.ThrowIfNull(log);
        Id = id;
        this.log = log;
    }

    /// <summary>Opens a shard that this node has for itself, and applies what its log has beyond what is applied.</summary>
    /// <exception cref="StorageException">The log is damaged.</exception>
    public Shard(IKeyValueStore store, ShardId id, Epoch epoch, long logTrimBytes = ShardJournal.DefaultTrimBytes)
        : this(id, new LocalShardLog(store, id, epoch, logTrimBytes))
    {
    }

    public ShardId Id { get; }

    /// <summary>The reign under which this node answers, or answered last.</summary>
    public Epoch Epoch => log.Epoch;

    /// <summary>Whether the calling thread owns the shard's state.</summary>
    public bool IsOwned => gate.IsHeldByCurrentThread;

    /// <summary>Takes the gate until what is returned is disposed. Behind a commit that hangs, others take the thread's place.</summary>
    public Lock.Scope Enter()
    {
        if (gate.TryEnter(s_patience))
        {
            Lock.Scope scope = gate.EnterScope();
            gate.Exit();
            return scope;
        }

        using RequestThreads.Place place = RequestThreads.Leave();
        return gate.EnterScope();
    }

    /// <summary>An entry could not be applied: nothing is acknowledged any more until the node starts again.</summary>
    public bool IsBroken => log.IsBroken;

    /// <summary>An entry waits for space: nothing is acknowledged until there is some.</summary>
    public bool IsWaiting => log.IsOwed;

    /// <summary>Whether this node may answer for the shard at this moment. Look just before each answer.</summary>
    public bool CanServe => log.CanServe;

    /// <summary>The last entry that was committed. For any thread: who has the answer to a commit of its own sees that one, or a
    /// later one.</summary>
    public LogIndex Published => log.Published;

    /// <summary>The place of <see cref="Published"/>.</summary>
    public LogPosition Position => log.Position;

    /// <summary>Whether an entry that was answered is still in the log, or was until it was forgotten.</summary>
    public bool Has(LogPosition answered) => log.Has(answered);

    /// <summary>Applies what is in the log and could not be applied for want of space. Call with the gate held, before
    /// anything is decided.</summary>
    /// <returns>Ok: nothing is owed. NoSpace: there still is none. StaleEpoch, IoError: as <see cref="Commit"/>.</returns>
    public Status Resume()
    {
        Invariant.Check(IsOwned);
        Status status = log.Resume();
        ForgetApplied();
        if (status == Status.Ok && whenApplied is { } then)
        {
            whenApplied = null;
            then();
        }

        return status;
    }

    /// <summary>The place of the newest entry that may not be committed yet; default: all are. What is decided with the gate held may rest on
    /// it: it is answered once <see cref="Await"/> says Ok of it.</summary>
    public LogIndex LastInFlight
    {
        get
        {
            Invariant.Check(IsOwned);
            return inFlight.Last;
        }
    }

    /// <summary>The records as they will be once the whole log is applied, for whoever holds the gate: nothing in it changes meanwhile.</summary>
    /// <param name="applied">The store's.</param>
    public HeadReader HeadOf(IRecordReader applied) => new(applied, inFlight);

    /// <summary>Puts a batch into the log, behind what is on its way. Call with the gate held, after <see cref="Resume"/>. It is not committed
    /// before <see cref="Await"/> says so of <see cref="LastInFlight"/>.</summary>
    /// <param name="drive">Whose batch it is.</param>
    /// <param name="changes">Lent for the call; deletes no ranges.</param>
    /// <param name="applied">As <see cref="Commit"/>.</param>
    /// <param name="wantsDurable">As <see cref="IShardLog.Begin"/>.</param>
    /// <returns>As <see cref="IShardLog.Begin"/>, or TooLarge.</returns>
    public Status Begin(DriveId drive, RecordBatch changes, Action? applied = null, bool wantsDurable = false)
    {
        if (!IsInBounds(changes)) { return Status.TooLarge; }
        if (inFlight.ByteCount + changes.ByteCount > MaxInFlightBytes)
        {
            Status settled = Settle();
            if (settled != Status.Ok) { return AsRefusal(settled); }
        }

        Status status = log.Begin(drive, changes, wantsDurable, out LogIndex index);
        if (status == Status.Unknown) { whenApplied = applied; }
        if (status == Status.Ok && index != default) { inFlight.Add(index, changes); }
        else { ForgetApplied(); }
        return status;
    }

    /// <summary>Waits until an entry that was begun in this term is applied. For any thread; without the gate, others go on meanwhile.</summary>
    /// <returns>As <see cref="IShardLog.Await"/>; Ok of the default index.</returns>
    public Status Await(LogIndex index) => index == default ? Status.Ok : log.Await(index);

    /// <summary>What is answered to a request that wrote nothing, and rests on an entry of which <see cref="Await"/> did not say Ok.</summary>
    public Status AsRefusal(Status awaited) => awaited == Status.IoError ? awaited : IsWaiting ? Status.NoSpace : Status.StaleEpoch;

    /// <summary>Waits with the gate held until all that is in the log is applied: then the store's records are the newest.</summary>
    /// <returns>As <see cref="IShardLog.Await"/>.</returns>
    public Status Settle()
    {
        Status status = Await(LastInFlight);
        ForgetApplied();
        return status;
    }

    private bool IsInBounds(RecordBatch changes)
    {
        ArgumentNullException.ThrowIfNull(changes);
        Invariant.Check(IsOwned);
        return changes.ByteCount <= MaxBatchBytes;
    }

    private void ForgetApplied()
    {
        if (!inFlight.IsEmpty) { inFlight.Forget(log.Published); }
    }

    /// <summary>Puts a batch into the log and waits until it is applied. Call with the gate held, after <see cref="Resume"/>.</summary>
    /// <param name="drive">Whose batch it is.</param>
    /// <param name="changes">Lent for the call.</param>
    /// <param name="applied">Is called, with the gate held, when a batch is applied for which Unknown was answered: what its
    /// caller would have done after Ok.</param>
    /// <param name="wantsDurable">As <see cref="IShardLog.Begin"/>.</param>
    /// <returns>Ok: it is committed and visible. NoSpace: nothing was changed. StaleEpoch: nothing was changed, and this node is
    /// not the primary. Unknown: it is in the log, and will be visible when there is space to apply it, or the reign ended
    /// meanwhile. IoError: unknown, and the store is latched.</returns>
    public Status Commit(DriveId drive, RecordBatch changes, Action? applied = null, bool wantsDurable = false)
    {
        if (!IsInBounds(changes)) { return Status.TooLarge; }
        Status status = log.Commit(drive, changes, wantsDurable);
        ForgetApplied();

        // Should the reign be over, nothing is resumed.
        if (status == Status.Unknown) { whenApplied = applied; }
        return status;
    }

    /// <summary>Makes durable, on every in-sync replica, what was committed before the call.</summary>
    /// <param name="upTo">Enough: a committed entry, with all before it.</param>
    /// <returns>As <see cref="IShardLog.Sync"/>.</returns>
    public Status Sync(LogIndex upTo = default) => log.Sync(upTo);
}
