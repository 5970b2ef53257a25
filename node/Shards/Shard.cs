using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Shards;

/// <summary>One shard on its primary: orders the transactions of the drives that live on it.</summary>
/// <remarks>
/// Ownership: whoever holds the gate (<see cref="Enter"/>) owns the shard's state, and with it the state of its drives; a request
/// that finds it free runs on its own thread without a hand-over. Reads of committed records need no gate. A request's steps: (1)
/// take the gate; (2) let an operation of core write a transaction; (3) commit; (4) answer. An entry that is in the log and
/// for whose records there is no space is owed (<see cref="Resume"/>): nothing is decided before it is applied.
/// </remarks>
public sealed class Shard
{
    /// <summary>Bytes of one batch: a transaction's bound, and as much again for history that it saves.</summary>
    private const int MaxBatchBytes = 4 * Limits.TransactionBytes;

    /// <summary>Who waits longer for the gate waits for more than the disk.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(50);

    private readonly IShardLog log;
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
        if (status == Status.Ok && whenApplied is { } then)
        {
            whenApplied = null;
            then();
        }

        return status;
    }

    /// <summary>Puts a batch into the log and applies it. Call with the gate held, after <see cref="Resume"/>.</summary>
    /// <param name="drive">Whose batch it is.</param>
    /// <param name="changes">Lent for the call.</param>
    /// <param name="applied">Is called, with the gate held, when a batch is applied for which Unknown was answered: what its
    /// caller would have done after Ok.</param>
    /// <param name="wantsDurable">As <see cref="IShardLog.Commit"/>.</param>
    /// <returns>Ok: it is committed and visible. NoSpace: nothing was changed. StaleEpoch: nothing was changed, and this node is
    /// not the primary. Unknown: it is in the log, and will be visible when there is space to apply it, or the reign ended
    /// meanwhile. IoError: unknown, and the store is latched.</returns>
    public Status Commit(DriveId drive, RecordBatch changes, Action? applied = null, bool wantsDurable = false)
    {
        ArgumentNullException.ThrowIfNull(changes);
        Invariant.Check(IsOwned);
        if (changes.ByteCount > MaxBatchBytes) { return Status.TooLarge; }
        Status status = log.Commit(drive, changes, wantsDurable);
        if (status == Status.Unknown && log.IsOwed) { whenApplied = applied; }
        return status;
    }

    /// <summary>Makes durable, on every in-sync replica, what was committed before the call.</summary>
    /// <returns>As <see cref="IShardLog.Sync"/>.</returns>
    public Status Sync() => log.Sync();
}
