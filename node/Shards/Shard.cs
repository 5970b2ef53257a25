using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Shards;

/// <summary>One shard on its primary: orders the transactions of the drives that live on it.</summary>
/// <remarks>
/// Ownership: whoever holds <see cref="Gate"/> owns the shard's state, and with it the state of its drives; a request that
/// finds it free runs on its own thread without a hand-over. Reads of committed records need no gate. A request's steps: (1)
/// take the gate; (2) let an operation of core write a transaction; (3) commit; (4) answer. An entry that is in the log and
/// for whose records there is no space is owed (<see cref="Resume"/>): nothing is decided before it is applied.
/// </remarks>
public sealed class Shard
{
    private static readonly NodeId Self = new(1);

    private readonly ShardJournal journal;
    private readonly PrimaryLog log;
    private byte[]? owed;
    private Action? whenApplied;
    private ulong published;

    /// <summary>Opens the shard and applies what its log has beyond what is applied.</summary>
    /// <exception cref="StorageException">The log is damaged.</exception>
    public Shard(
        IKeyValueStore store, ShardId id, Epoch epoch, long logTrimBytes = ShardJournal.DefaultTrimBytes)
    {
        ArgumentNullException.ThrowIfNull(store);
        Id = id;
        Epoch = epoch;
        journal = new(store, id, logTrimBytes);
        LogIndex last = journal.Recover();
        log = new(epoch, [Self], last);
        published = last.Value;
    }

    public ShardId Id { get; }

    public Epoch Epoch { get; }

    /// <summary>Whoever holds it owns the shard's state.</summary>
    public Lock Gate { get; } = new();

    /// <summary>An entry could not be applied: nothing is acknowledged any more until the node starts again.</summary>
    public bool IsBroken { get; private set; }

    /// <summary>An entry waits for space: nothing is acknowledged until there is some.</summary>
    public bool IsWaiting => Volatile.Read(ref owed) is not null;

    /// <summary>The last entry of the log. Call with the gate held.</summary>
    public LogIndex Last => log.Last;

    /// <summary>The last entry that was committed. For any thread: who has the answer to a commit of its own sees that one, or a
    /// later one.</summary>
    public LogIndex Published => new(Volatile.Read(ref published));

    /// <summary>Applies what is in the log and could not be applied for want of space. Call with the gate held, before
    /// anything is decided.</summary>
    /// <returns>Ok: nothing is owed. NoSpace: there still is none. IoError: as <see cref="Commit"/>.</returns>
    public Status Resume()
    {
        Invariant.Check(Gate.IsHeldByCurrentThread);
        if (IsBroken) { return Status.IoError; }
        if (owed is null) { return Status.Ok; }
        Status status = journal.Apply(log.Last, owed);
        if (status == Status.NoSpace) { return status; }
        Action? then = whenApplied;
        whenApplied = null;
        Volatile.Write(ref owed, null);
        if (status != Status.Ok)
        {
            IsBroken = true;
            return Status.IoError;
        }

        then?.Invoke();
        return Status.Ok;
    }

    /// <summary>Puts a batch into the log and applies it. Call with the gate held, after <see cref="Resume"/>.</summary>
    /// <param name="drive">Whose batch it is.</param>
    /// <param name="changes">Lent for the call.</param>
    /// <param name="applied">Is called, with the gate held, when a batch is applied for which Unknown was answered: what its
    /// caller would have done after Ok.</param>
    /// <returns>Ok: it is committed and visible. NoSpace: nothing was changed. Unknown: it is in the log, and will be visible
    /// when there is space to apply it. IoError: unknown, and the store is latched.</returns>
    public Status Commit(DriveId drive, RecordBatch changes, Action? applied = null)
    {
        ArgumentNullException.ThrowIfNull(changes);
        Invariant.Check(Gate.IsHeldByCurrentThread);
        if (IsBroken) { return Status.IoError; }
        if (owed is not null) { return Status.NoSpace; }
        if (changes.ByteCount > MaxBatchBytes) { return Status.TooLarge; }
        LogIndex index = log.Last.Next;
        Status status = journal.Append(index, Epoch, drive, changes);
        if (status != Status.Ok) { return status; }
        Invariant.Check(log.Append() == index);
        log.OnStored(Self, Epoch, index);
        Invariant.Check(log.Committed == index);
        Volatile.Write(ref published, index.Value);
        status = journal.Apply(index, changes.Bytes);
        if (status == Status.Ok) { return Status.Ok; }

        // The entry is in the log, its records are not: whatever is decided on them now would contradict it.
        if (status == Status.NoSpace)
        {
            whenApplied = applied;
            Volatile.Write(ref owed, changes.Bytes.ToArray());
            return Status.Unknown;
        }

        // The next start applies it.
        IsBroken = true;
        return Status.IoError;
    }

    /// <summary>Bytes of one batch: a transaction's bound, and as much again for history that it saves.</summary>
    private const int MaxBatchBytes = 4 * Limits.TransactionBytes;
}
