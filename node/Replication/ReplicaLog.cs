using System.Collections.Immutable;
using KvFs.Core;
using KvFs.Node.Shards;
using KvFs.Node.Storage;

namespace KvFs.Node.Replication;

/// <summary>The log of one shard on this node's disk, as one of several replicas has it, and the records that it led to.</summary>
/// <remarks>
/// Not thread safe: the replication driver's lock is held; while a snapshot is installed, only who does that uses it. Unlike <see cref="Shards.ShardJournal"/>, entries stay for a while
/// after they were applied, because another replica may need them, and what is behind the applied ones may be cut. What is
/// durable when: entries, cuts and installed snapshots are in the store's journal when their call returns, and on disk after the
/// store's next SyncLog; applied records, the applied mark, and that entries were forgotten, with the store's next flush,
/// together. At least one entry stays for ever: it tells which reign wrote the last one that was forgotten.
/// </remarks>
/// <param name="store">Where it is kept.</param>
/// <param name="shard">Whose log it is.</param>
/// <param name="shardCount">Shards of the pool: tells which drives' records belong to it.</param>
internal sealed class ReplicaLog(IKeyValueStore store, ShardId shard, int shardCount)
{
    /// <summary>Bytes of log after which a step of it is forgotten.</summary>
    private const long StepBytes = 1 << 20;

    /// <summary>Steps that are kept for replicas that were away for a moment.</summary>
    private const int KeptSteps = 8;

    /// <summary>Entries that are kept in memory, for the replicas that have them next, and for the own apply.</summary>
    private const int RecentEntries = 1024;

    /// <summary>An entry above this is read from the store again.</summary>
    private const int RecentBytes = 64 << 10;

    /// <summary>Bytes of entries in memory, of one shard: then it begins anew.</summary>
    private const long AllRecentBytes = 1 << 20;

    private readonly KeyValueBatch batch = new();
    private readonly ByteBuffer value = new(4096);
    private readonly byte[] key = new byte[LogEntry.KeyBytes];
    private readonly byte[] otherKey = new byte[LogEntry.KeyBytes];
    private readonly byte[] markKey = new byte[AppliedMark.KeyBytes];
    private readonly byte[] endedKey = new byte[EndedReigns.KeyBytes];
    private readonly (LogIndex Index, byte[] Value)[] recent = new (LogIndex, byte[])[RecentEntries];
    private readonly Queue<LogIndex> steps = new();
    private LogIndex forgotten;
    private long bytesOfStep;
    private long recentBytes;

    public ShardId Shard => shard;

    /// <summary>The last entry whose records are applied.</summary>
    public LogIndex Applied { get; private set; }

    /// <summary>A snapshot that was to take the place of all that there was never became whole: until another one does, nothing here
    /// counts.</summary>
    public bool LacksSnapshot { get; private set; }

    /// <summary>Finds out what the disk has. What a snapshot left that never became whole is removed.</summary>
    /// <returns>Which reign wrote which entry.</returns>
    /// <exception cref="StorageException">The mark or an entry is damaged, missing, or of a newer version; or there is no space.
    /// </exception>
    public LogShape Open()
    {
        Applied = default;
        forgotten = default;
        steps.Clear();
        bytesOfStep = 0;
        Array.Clear(recent);
        LacksSnapshot = store.TryGet(Family.System, InstallingKey, value);
        if (LacksSnapshot && Remove(isInstalling: true, DrivesHere) is var removed && removed != Status.Ok)
        {
            throw new StorageException(removed, $"What a snapshot of shard {shard} left cannot be removed: {removed}.");
        }

        AppliedMark.WriteKey(shard, markKey);
        if (store.TryGet(Family.Namespace, markKey, value))
        {
            Status status = AppliedMark.ReadValue(value.Span, out LogIndex applied);
            if (status != Status.Ok) { throw Damaged(status, "the applied mark"); }
            Applied = applied;
        }

        LogShape shape = ReadShape();
        if (Applied > shape.Last.Index || Applied < shape.Start.Index) { throw Damaged(Status.Corrupt, $"entry {Applied}, which is missing"); }
        return shape;
    }

    /// <summary>Writes an entry of this node's own reign. Ok; NoSpace: not written; IoError: the store is latched.</summary>
    public Status Append(LogIndex index, Epoch epoch, DriveId drive, ReadOnlySpan<byte> changes)
    {
        LogEntry.WriteKey(shard, index, key);
        LogEntry.WriteValue(key, epoch, drive, changes, value);
        batch.Clear();
        batch.Put(Family.Log, key, value.Span);
        Status status = store.Write(batch, logged: true);
        if (status == Status.Ok) { Note(index, value.Span); }
        return status;
    }

    /// <summary>Writes entries that a primary sent. Ok; NoSpace: none was written; IoError: the store is latched.</summary>
    public Status Store(LogIndex first, IEnumerable<ReadOnlyMemory<byte>> values)
    {
        batch.Clear();
        LogIndex index = first;
        foreach (ReadOnlyMemory<byte> entry in values)
        {
            LogEntry.WriteKey(shard, index, key);
            batch.Put(Family.Log, key, entry.Span);
            index = index.Next;
        }

        Status status = store.Write(batch, logged: true);
        if (status != Status.Ok) { return status; }
        index = first;
        foreach (ReadOnlyMemory<byte> entry in values)
        {
            Note(index, entry.Span);
            index = index.Next;
        }

        return Status.Ok;
    }

    /// <summary>An entry's value, for another replica.</summary>
    /// <exception cref="StorageException">It is not there, or cannot be read.</exception>
    public ReadOnlyMemory<byte> Read(LogIndex index)
    {
        (LogIndex found, byte[] kept) = recent[index.Value % RecentEntries];
        if (found == index) { return kept; }
        LogEntry.WriteKey(shard, index, key);
        if (!store.TryGet(Family.Log, key, value)) { throw Damaged(Status.Corrupt, $"entry {index}, which is missing"); }
        return value.Span.ToArray();
    }

    /// <summary>The place of an entry; of none: the default.</summary>
    /// <exception cref="StorageException">It is not there, or cannot be read.</exception>
    public LogPosition PositionOf(LogIndex index)
    {
        if (index.Value == 0) { return default; }
        ReadOnlySpan<byte> entry = Read(index).Span;
        LogEntry.WriteKey(shard, index, key);
        Status status = LogEntry.ReadValue(key, entry, out Epoch epoch, out _, out _);
        return status == Status.Ok ? new(epoch, index) : throw Damaged(status, $"entry {index}");
    }

    /// <summary>Applies the next entry, and forgets old ones with it now and then.</summary>
    /// <returns>Ok; NoSpace: not applied; Corrupt; IoError: the store is latched.</returns>
    public Status ApplyNext()
    {
        LogIndex index = Applied.Next;
        ReadOnlySpan<byte> entry = Read(index).Span;
        LogEntry.WriteKey(shard, index, key);
        Status status = LogEntry.ReadValue(key, entry, out _, out _, out ReadOnlySpan<byte> changes);
        if (status != Status.Ok) { return status; }
        batch.Clear();
        if (!LogChanges.TryTranslate(changes, batch)) { return Status.Corrupt; }
        AppliedMark.WriteKey(shard, markKey);
        AppliedMark.WriteValue(index, value);
        batch.Put(Family.Namespace, markKey, value.Span);
        status = store.Write(batch, logged: false);
        if (status == Status.Ok) { Applied = index; }
        return status;
    }

    /// <summary>Forgets entries that were applied long ago, and keeps which reigns ended there.</summary>
    /// <param name="endedBefore">Tells which reigns ended before an entry.</param>
    /// <returns>The last one that is forgotten, or none.</returns>
    /// <exception cref="StorageException">That one cannot be read.</exception>
    public LogIndex? ForgetOld(Func<LogIndex, ImmutableArray<LogRun>> endedBefore)
    {
        if (steps.Count <= KeptSteps || steps.Peek() > Applied) { return null; }
        LogIndex upTo = steps.Dequeue();
        LogPosition start = PositionOf(upTo);
        LogEntry.WriteKey(shard, forgotten, key);
        LogEntry.WriteKey(shard, upTo, otherKey);
        batch.Clear();
        batch.DeleteRange(Family.Log, key, otherKey);
        PutEnded(start, endedBefore(upTo));
        if (store.Write(batch, logged: false) != Status.Ok) { return null; }
        forgotten = upTo;
        return upTo;
    }

    /// <summary>Removes all entries behind one; none of them was applied.</summary>
    public Status Cut(LogIndex after)
    {
        Invariant.Check(after >= Applied);
        Array.Clear(recent);
        LogIndex[] ends = [.. steps.TakeWhile(end => end <= after)];
        steps.Clear();
        foreach (LogIndex end in ends) { steps.Enqueue(end); }
        bytesOfStep = 0;
        LogEntry.WriteKey(shard, after.Next, key);
        LogEntry.WriteKey(shard, new(ulong.MaxValue), otherKey);
        batch.Clear();
        batch.DeleteRange(Family.Log, key, otherKey);
        return store.Write(batch, logged: true);
    }

    /// <summary>Puts a snapshot in the place of all that there is.</summary>
    /// <param name="at">The entry that it shows.</param>
    /// <param name="endedBefore">The reigns that ended before it.</param>
    /// <param name="parts">Record batches of puts.</param>
    /// <param name="cancellation">Ends it between two parts, as a crash would.</param>
    public Status Install(
        LogPosition at, ImmutableArray<LogRun> endedBefore, IEnumerable<ReadOnlyMemory<byte>> parts, CancellationToken cancellation)
    {
        Array.Clear(recent);
        steps.Clear();
        bytesOfStep = 0;

        // From here on until the end a crash leaves a shard that says so: the next start removes what it finds.
        Status status = Remove(isInstalling: true, DrivesHere);
        foreach (ReadOnlyMemory<byte> part in parts)
        {
            if (status != Status.Ok) { return status; }
            cancellation.ThrowIfCancellationRequested();
            batch.Clear();
            if (!LogChanges.TryTranslate(part.Span, batch)) { return Status.Corrupt; }
            status = store.Write(batch, logged: true);
        }

        if (status != Status.Ok) { return status; }
        LogEntry.WriteKey(shard, at.Index, key);
        LogEntry.WriteValue(key, at.Epoch, default, [], value);
        batch.Clear();
        batch.Put(Family.Log, key, value.Span);
        AppliedMark.WriteKey(shard, markKey);
        AppliedMark.WriteValue(at.Index, value);
        batch.Put(Family.Namespace, markKey, value.Span);
        PutEnded(at, endedBefore);
        batch.Delete(Family.System, InstallingKey);
        status = store.Write(batch, logged: true);
        if (status == Status.Ok) { status = store.SyncLog(); }
        if (status != Status.Ok) { return status; }
        Applied = forgotten = at.Index;
        LacksSnapshot = false;
        return Status.Ok;
    }

    /// <summary>Whether the disk has anything of the shard, but for blocks and for records of its drives.</summary>
    public bool IsThere()
    {
        LogEntry.WriteKey(shard, default, key);
        LogEntry.WriteKey(shard, new(ulong.MaxValue), otherKey);
        using IRecordCursor cursor = store.OpenCursor(Family.Log, key, otherKey);
        return cursor.MoveNext();
    }

    /// <summary>Removes the log and the records of the shard's drives; on disk after the store's next SyncLog.</summary>
    /// <param name="drives">All drives of the shard that have records.</param>
    /// <returns>Ok; NoSpace: nothing was removed; IoError: the store is latched.</returns>
    public Status Forget(IEnumerable<DriveId> drives)
    {
        Status status = Remove(isInstalling: false, drives);
        if (status != Status.Ok) { return status; }
        Array.Clear(recent);
        steps.Clear();
        bytesOfStep = recentBytes = 0;
        Applied = forgotten = default;
        LacksSnapshot = false;
        return status;
    }

    private void PutEnded(LogPosition start, ImmutableArray<LogRun> endedBefore)
    {
        EndedReigns.WriteKey(shard, endedKey);
        EndedReigns.WriteValue(endedKey, start, endedBefore, value);
        batch.Put(Family.System, endedKey, value.Span);
    }

    /// <summary>Removes the shard's log, its mark and the records of its drives.</summary>
    /// <param name="isInstalling">A snapshot comes in their place: until it is whole, the next start is to remove what it finds.</param>
    /// <param name="drives">Those drives.</param>
    private Status Remove(bool isInstalling, IEnumerable<DriveId> drives)
    {
        batch.Clear();
        if (isInstalling) { batch.Put(Family.System, InstallingKey, [1]); }
        else { batch.Delete(Family.System, InstallingKey); }
        LogEntry.WriteKey(shard, default, key);
        LogEntry.WriteKey(shard, new(ulong.MaxValue), otherKey);
        batch.DeleteRange(Family.Log, key, otherKey);
        AppliedMark.WriteKey(shard, markKey);
        batch.Delete(Family.Namespace, markKey);
        EndedReigns.WriteKey(shard, endedKey);
        batch.Delete(Family.System, endedKey);
        foreach (DriveId drive in drives)
        {
            (byte[] from, byte[] to) = ShardRecords.RangeOf(drive);
            batch.DeleteRange(Family.Namespace, from, to);
        }

        return store.Write(batch, logged: true);
    }

    private List<DriveId> DrivesHere => ShardRecords.DrivesOf(store, shard, shardCount);

    private LogShape ReadShape()
    {
        LogEntry.WriteKey(shard, default, key);
        LogEntry.WriteKey(shard, new(ulong.MaxValue), otherKey);
        using IRecordCursor cursor = store.OpenCursor(Family.Log, key, otherKey);
        LogShape? shape = null;
        LogIndex expected = default;
        while (cursor.MoveNext())
        {
            if (!LogEntry.TryReadKey(cursor.Key, out ShardId owner, out LogIndex index) || owner != shard
                || (shape is not null && index != expected))
            {
                throw Damaged(Status.Corrupt, $"entry {expected}, which is missing");
            }

            Status status = LogEntry.ReadValue(cursor.Key, cursor.Value, out Epoch epoch, out _, out _);
            if (status != Status.Ok) { throw Damaged(status, $"entry {index}"); }
            if (shape is not null && epoch < shape.Last.Epoch)
            {
                throw Damaged(Status.Corrupt, $"entry {index}, which is of an earlier reign than the one before it");
            }

            // What begins with another entry than the first one begins with what was forgotten, or what a snapshot shows.
            if (shape is null && index.Value != 1)
            {
                LogPosition start = new(epoch, index);
                shape = new(start, ReadEnded(start));
                forgotten = index;
            }
            else
            {
                shape ??= new();
                Invariant.Check(shape.Append(epoch) == index);
            }

            expected = index.Next;
        }

        return shape ?? new();
    }

    /// <summary>The reigns that ended before the entry that the log begins with; none, if nobody wrote down which: a version that did not
    /// know of it made the log begin there.</summary>
    private ImmutableArray<LogRun> ReadEnded(LogPosition start)
    {
        EndedReigns.WriteKey(shard, endedKey);
        if (!store.TryGet(Family.System, endedKey, value)) { return []; }
        Status status = EndedReigns.ReadValue(endedKey, value.Span, out LogPosition spokenOf, out ImmutableArray<LogRun> endedBefore);
        if (status != Status.Ok) { throw Damaged(status, "which reigns have ended"); }
        return spokenOf == start ? endedBefore : [];
    }

    /// <summary>Key, 4 bytes: 'S'; key version 1; shard, big-endian. There while a snapshot is being installed. Source:
    /// docs/format.md#log.</summary>
    private byte[] InstallingKey => [(byte)'S', 1, (byte)(shard.Value >> 8), (byte)shard.Value];

    private void Note(LogIndex index, ReadOnlySpan<byte> entry)
    {
        recentBytes += entry.Length;
        if (recentBytes > AllRecentBytes)
        {
            Array.Clear(recent);
            recentBytes = entry.Length;
        }

        recent[index.Value % RecentEntries] = entry.Length <= RecentBytes ? (index, entry.ToArray()) : default;
        bytesOfStep += entry.Length;
        if (bytesOfStep < StepBytes) { return; }
        bytesOfStep = 0;
        steps.Enqueue(index);
    }

    private StorageException Damaged(Status status, string what) => new(
        status,
        $"The log of shard {shard} cannot be read: {what} ({status}). Nothing was changed. The other replicas have it: remove this "
        + "node's data folder and let it join anew, or restore the folder from a copy.");
}
