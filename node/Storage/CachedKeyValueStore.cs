using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>A store whose hot namespace records are kept in a <see cref="RecordCache"/>.</summary>
/// <remarks>Thread safe as the store is. Point reads of the <c>ns</c> family go through the cache, and writes through it to
/// the store: who writes a record and reads it then sees what was written. Until <see cref="Write"/> has returned another
/// thread may see some of a batch's records and not yet others. Cursors and snapshots ask the store itself.</remarks>
public sealed class CachedKeyValueStore(IKeyValueStore store, int capacity = CachedKeyValueStore.DefaultCapacity)
    : IKeyValueStore
{
    /// <summary>Records: 16 MiB of them.</summary>
    public const int DefaultCapacity = 64 << 10;

    private readonly RecordCache cache = new(capacity);

    public bool IsFailed => store.IsFailed;

    public string? Failure => store.Failure;

    public bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value)
    {
        if (family != Family.Namespace) { return store.TryGet(family, key, value); }
        CachedRecord cached = cache.Find(key, value, out long ticket);
        if (cached != CachedRecord.Unknown) { return cached == CachedRecord.Present; }
        bool present = store.TryGet(family, key, value);
        cache.Offer(key, present, value.Span, ticket);
        return present;
    }

    public IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
        store.OpenCursor(family, from, to);

    public IKeyValueSnapshot CreateSnapshot() => store.CreateSnapshot();

    public Status Write(KeyValueBatch batch, bool logged)
    {
        ArgumentNullException.ThrowIfNull(batch);
        Status status = store.Write(batch, logged);
        if (status == Status.Ok) { Adopt(batch); }

        // Nobody knows what of it was applied.
        else if (status != Status.NoSpace) { cache.Clear(); }
        return status;
    }

    public Status SyncLog() => store.SyncLog();

    public KeyValueStatistics GetStatistics() => store.GetStatistics();

    public void Dispose() => store.Dispose();

    private void Adopt(KeyValueBatch batch)
    {
        foreach (KeyValueBatch.Change change in batch)
        {
            if (change.Family != Family.Namespace) { continue; }
            if (change.Operation == KeyValueOperation.DeleteRange) { cache.Clear(); }
            else { cache.OnWritten(change.Key, change.Operation == KeyValueOperation.Put, change.Value); }
        }
    }
}
