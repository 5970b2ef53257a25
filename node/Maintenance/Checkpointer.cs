using KvFs.Core;
using KvFs.Node.Shards;
using KvFs.Node.Storage;

namespace KvFs.Node.Maintenance;

/// <summary>Keeps the log short: makes applied records durable, then forgets the entries that they came from.</summary>
/// <remarks>Thread safe as the shards are; transactions go on while it flushes.</remarks>
public sealed class Checkpointer(IKeyValueStore store, IReadOnlyList<Shard> shards)
{
    /// <summary>Bytes of log after which a checkpoint is due: about what a restart then applies again in a second.</summary>
    public const long DueBytes = 48L << 20;

    public bool IsDue
    {
        get
        {
            long bytes = 0;
            foreach (Shard shard in shards) { bytes += shard.BytesSinceCheckpoint; }
            return bytes >= DueBytes;
        }
    }

    /// <summary>Flushes the records and trims every shard's log up to where it was applied before.</summary>
    public Status Run()
    {
        LogIndex[] applied = new LogIndex[shards.Count];
        for (int i = 0; i < applied.Length; i++) { applied[i] = shards[i].Applied; }
        Status status = store.Flush(Family.Namespace);
        for (int i = 0; i < applied.Length && status == Status.Ok; i++) { status = shards[i].Trim(applied[i]); }
        return status;
    }
}
