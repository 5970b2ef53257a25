using KvFs.Core;

namespace KvFs.Node.Shards;

/// <summary>Where a shard's transactions are put in order and kept: on this node alone, or on all of its replicas.</summary>
/// <remarks><see cref="Begin"/> and <see cref="Resume"/> are called by one thread at a time, which owns the shard
/// (<see cref="Shard.Enter"/>); the rest is for any thread.</remarks>
public interface IShardLog
{
    /// <summary>The reign under which this node answers, or answered last.</summary>
    Epoch Epoch { get; }

    /// <summary>An entry could not be applied: nothing is acknowledged any more until the node starts again.</summary>
    bool IsBroken { get; }

    /// <summary>The last entry whose records are to be seen here.</summary>
    LogIndex Published { get; }

    /// <summary>The place in the log of <see cref="Published"/>: no other entry is ever there in a log that has it.</summary>
    LogPosition Position { get; }

    /// <summary>Whether an entry that was answered is still in the log: after a power cut of all copies it may not be.</summary>
    bool Has(LogPosition answered);

    /// <summary>An entry is in the log, and there is no space for its records: until there is some nothing is decided.</summary>
    bool IsOwed { get; }

    /// <summary>Whether this node may answer for the shard at this moment. Looked at just before each answer.</summary>
    bool CanServe { get; }

    /// <summary>Applies what is owed.</summary>
    /// <returns>Ok: nothing is owed; NoSpace: there is still no space; StaleEpoch: this node is not the primary; IoError.
    /// </returns>
    Status Resume();

    /// <summary>Puts a batch into the log and has it sent to every in-sync replica: behind what is there, applied or not.</summary>
    /// <param name="drive">Whose batch it is.</param>
    /// <param name="changes">Lent for the call.</param>
    /// <param name="wantsDurable">A <see cref="Sync"/> will come behind it: disks may begin at once. This does not wait for them.</param>
    /// <param name="index">Its place; default: there is nothing to wait for.</param>
    /// <returns>Ok: it is in the log, and <see cref="Await"/> tells what becomes of it. NoSpace: nothing was changed. StaleEpoch: nothing was
    /// changed, this node is not the primary. Unknown: it is in the log, and owed (<see cref="IsOwed"/>). IoError: unknown, and the store
    /// is latched.</returns>
    Status Begin(DriveId drive, RecordBatch changes, bool wantsDurable, out LogIndex index);

    /// <summary>Waits until an entry that was put into the log in this term is applied, and so all before it are. For any thread.</summary>
    /// <returns>Ok: every in-sync replica has it, and its records are to be seen. Unknown: see <see cref="IsOwed"/>; if nothing is owed, this
    /// node's reign has ended and nobody here can tell what becomes of it. IoError: unknown, and the store is latched.</returns>
    Status Await(LogIndex index);

    /// <summary>Both: puts a batch into the log, and waits until it is applied.</summary>
    /// <returns>As the two of them.</returns>
    Status Commit(DriveId drive, RecordBatch changes, bool wantsDurable = false)
    {
        Status status = Begin(drive, changes, wantsDurable, out LogIndex index);
        return status == Status.Ok && index != default ? Await(index) : status;
    }

    /// <summary>Makes durable, on every in-sync replica, what was committed before the call.</summary>
    /// <param name="upTo">Enough: a committed entry, with all before it; default: all.</param>
    /// <returns>Ok; IoError; Unknown: this node's reign ended before all replicas had it on disk.</returns>
    Status Sync(LogIndex upTo = default);
}
