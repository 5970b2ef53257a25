using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Shards;

/// <summary>The log of one shard on this node's disk, and the records that it was applied to.</summary>
/// <remarks>
/// Not thread safe: the shard's owner uses it. What is durable when: an entry is in the store's journal, handed to the
/// operating system, when <see cref="Append"/> returns; on disk after the store's next SyncLog. Applied records are not
/// logged again: the store flushes them in its own time, together with the mark that says how far they go; what is behind
/// the mark is applied again by <see cref="Recover"/>. So the bytes of a transaction pass through the store's journal once.
/// That entries are forgotten is not logged either: it becomes durable by the same flush as the records that they led to,
/// which makes it right at every moment, and the flush leaves out the entries.
/// </remarks>
/// <param name="store">Where it is kept.</param>
/// <param name="shard">Whose log it is.</param>
/// <param name="trimBytes">Bytes of log after which what is applied of it is forgotten.</param>
public sealed class ShardJournal(IKeyValueStore store, ShardId shard, long trimBytes = ShardJournal.DefaultTrimBytes)
{
    /// <summary>Bytes of log after which what is applied of it is forgotten.</summary>
    public const long DefaultTrimBytes = 16L << 10;

    private readonly KeyValueBatch appendBatch = new();
    private readonly KeyValueBatch applyBatch = new();
    private readonly ByteBuffer value = new(4096);
    private readonly byte[] key = new byte[LogEntry.KeyBytes];
    private readonly byte[] markKey = new byte[AppliedMark.KeyBytes];
    private readonly byte[] trimFrom = new byte[LogEntry.KeyBytes];
    private readonly byte[] trimTo = new byte[LogEntry.KeyBytes];
    private LogIndex trimmed;
    private long bytesSinceTrim;

    /// <summary>The last entry whose records are applied.</summary>
    public LogIndex Applied { get; private set; }

    /// <summary>Writes an entry. Ok; NoSpace: not written; IoError: written or not, the store is latched.</summary>
    public Status Append(LogIndex index, Epoch epoch, DriveId drive, RecordBatch batch)
    {
        LogEntry.WriteKey(shard, index, key);
        LogEntry.WriteValue(key, epoch, drive, batch.Bytes, value);
        appendBatch.Clear();
        appendBatch.Put(Family.Log, key, value.Span);
        bytesSinceTrim += value.Length;
        return store.Write(appendBatch, logged: true);
    }

    /// <summary>Applies a committed entry's batch.</summary>
    public Status Apply(LogIndex index, ReadOnlySpan<byte> batch)
    {
        Invariant.Check(index == Applied.Next);
        applyBatch.Clear();
        if (!LogChanges.TryTranslate(batch, applyBatch)) { return Status.Corrupt; }
        AppliedMark.WriteKey(shard, markKey);
        AppliedMark.WriteValue(index, value);
        applyBatch.Put(Family.Namespace, markKey, value.Span);
        bool trims = bytesSinceTrim >= trimBytes;
        if (trims) { AddTrim(index); }
        Status status = store.Write(applyBatch, logged: false);
        if (status != Status.Ok) { return status; }
        Applied = index;
        if (trims)
        {
            trimmed = index;
            bytesSinceTrim = 0;
        }

        return Status.Ok;
    }

    /// <summary>Applies what the log has beyond the applied mark. Call once, before anything else.</summary>
    /// <returns>The last entry of the log.</returns>
    /// <exception cref="StorageException">The mark or an entry is damaged, missing, or of a newer version.</exception>
    public LogIndex Recover()
    {
        AppliedMark.WriteKey(shard, markKey);
        if (store.TryGet(Family.Namespace, markKey, value))
        {
            Status status = AppliedMark.ReadValue(value.Span, out LogIndex applied);
            if (status != Status.Ok) { throw Damaged(status, "the applied mark"); }
            Applied = applied;
        }

        byte[] end = new byte[LogEntry.KeyBytes];
        LogEntry.WriteKey(shard, Applied.Next, key);
        LogEntry.WriteKey(shard, new(ulong.MaxValue), end);
        using IRecordCursor cursor = store.OpenCursor(Family.Log, key, end);
        while (cursor.MoveNext()) { Replay(cursor.Key, cursor.Value); }
        return Applied;
    }

    /// <summary>Forgets the entries up to one, together with what its batch changes.</summary>
    private void AddTrim(LogIndex upTo)
    {
        LogEntry.WriteKey(shard, trimmed, trimFrom);
        LogEntry.WriteKey(shard, upTo.Next, trimTo);
        applyBatch.DeleteRange(Family.Log, trimFrom, trimTo);
    }

    private void Replay(ReadOnlySpan<byte> entryKey, ReadOnlySpan<byte> entry)
    {
        if (!LogEntry.TryReadKey(entryKey, out ShardId owner, out LogIndex index) || owner != shard
            || index != Applied.Next)
        {
            throw Damaged(Status.Corrupt, $"entry {Applied.Next}, which is missing");
        }

        Status status = LogEntry.ReadValue(entryKey, entry, out _, out _, out ReadOnlySpan<byte> batch);
        if (status == Status.Ok) { status = Apply(index, batch); }
        if (status == Status.NoSpace)
        {
            throw new StorageException(
                status, $"There is no space to apply the log of shard {shard}. Nothing was lost: make room, then start again.");
        }

        if (status != Status.Ok) { throw Damaged(status, $"entry {index}"); }
    }

    private StorageException Damaged(Status status, string what) => new(
        status,
        $"The log of shard {shard} cannot be read: {what} ({status}). {StorageException.AdviceFor(status)}");
}
