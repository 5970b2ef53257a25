using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Shards;

/// <summary>The log of a shard whose only replica this node is: an entry is committed once it is in the store's journal.</summary>
public sealed class LocalShardLog : IShardLog
{
    private static readonly NodeId Self = new(1);

    private readonly IKeyValueStore store;
    private readonly ShardJournal journal;
    private readonly PrimaryLog log;
    private byte[]? owed;
    private bool isBroken;
    private ulong published;

    /// <summary>Opens the log and applies what it has beyond what is applied.</summary>
    /// <exception cref="StorageException">The log is damaged.</exception>
    public LocalShardLog(IKeyValueStore store, ShardId id, Epoch epoch, long trimBytes = ShardJournal.DefaultTrimBytes)
    {
        ArgumentNullException.ThrowIfNull(store);
        this.store = store;
        journal = new(store, id, trimBytes);
        LogIndex last = journal.Recover();
        log = new(epoch, [Self], last);
        published = last.Value;
    }

    public Epoch Epoch => log.Epoch;

    public bool IsBroken => isBroken;

    public LogIndex Published => new(Volatile.Read(ref published));

    public LogPosition Position => new(log.Epoch, Published);

    public bool IsOwed => Volatile.Read(ref owed) is not null;

    /// <summary>There is no other node that could.</summary>
    public bool CanServe => true;

    public bool Has(LogPosition answered) => answered.Epoch == log.Epoch && answered.Index <= Published;

    public Status Resume()
    {
        if (isBroken) { return Status.IoError; }
        if (owed is null) { return Status.Ok; }
        Status status = journal.Apply(log.Last, owed);
        if (status == Status.NoSpace) { return status; }
        Volatile.Write(ref owed, null);
        if (status == Status.Ok) { return status; }
        isBroken = true;
        return Status.IoError;
    }

    public Status Begin(DriveId drive, RecordBatch changes, bool wantsDurable, out LogIndex index)
    {
        ArgumentNullException.ThrowIfNull(changes);
        index = default;
        if (isBroken) { return Status.IoError; }
        if (owed is not null) { return Status.NoSpace; }
        LogIndex place = log.Last.Next;
        Status status = journal.Append(place, log.Epoch, drive, changes);
        if (status != Status.Ok) { return status; }
        Invariant.Check(log.Append() == place);
        log.OnStored(Self, log.Epoch, place);
        Invariant.Check(log.Committed == place);
        Volatile.Write(ref published, place.Value);
        status = journal.Apply(place, changes.Bytes);
        if (status == Status.Ok) { return Status.Ok; }

        // The entry is in the log, its records are not: whatever is decided on them now would contradict it.
        if (status == Status.NoSpace)
        {
            Volatile.Write(ref owed, changes.Bytes.ToArray());
            return Status.Unknown;
        }

        // The next start applies it.
        isBroken = true;
        return Status.IoError;
    }

    /// <summary>What <see cref="Begin"/> answered is all there is to say.</summary>
    public Status Await(LogIndex index) => Status.Ok;

    public Status Sync(LogIndex upTo) => store.SyncLog();
}
