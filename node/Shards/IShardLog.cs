using KvFs.Core;

namespace KvFs.Node.Shards;

/// <summary>Where a shard's transactions are put in order and kept: on this node alone, or on all of its replicas.</summary>
/// <remarks><see cref="Commit"/> and <see cref="Resume"/> are called by one thread at a time, which owns the shard
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

    /// <summary>Puts a batch into the log and applies it once every in-sync replica has it.</summary>
    /// <param name="drive">Whose batch it is.</param>
    /// <param name="changes">Lent for the call.</param>
    /// <param name="wantsDurable">A <see cref="Sync"/> will come behind it: disks may begin at once. This does not wait for them.</param>
    /// <returns>Ok: it is committed, and its records are to be seen. NoSpace: nothing was changed. StaleEpoch: nothing was
    /// changed, this node is not the primary. Unknown: it is in the log, see <see cref="IsOwed"/>; if nothing is owed, this
    /// node's reign has ended and nobody here can tell what becomes of it. IoError: unknown, and the store is latched.
    /// </returns>
    Status Commit(DriveId drive, RecordBatch changes, bool wantsDurable = false);

    /// <summary>Makes durable, on every in-sync replica, what was committed before the call.</summary>
    /// <returns>Ok; IoError; Unknown: this node's reign ended before all replicas had it on disk.</returns>
    Status Sync();
}
