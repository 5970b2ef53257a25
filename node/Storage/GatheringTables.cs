using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>Tables before which changes gather: many writes become one, and of what is written again and again only the last
/// reaches the tables.</summary>
/// <remarks>
/// Thread safe: one lock for writers, one at a time; another one for moments, while what gathered is changed or read. Why: what a write costs the tables is
/// mostly the way to the place of each key, and of a transaction's keys half are written by the next one, too (its directory,
/// the marks), or forgotten soon (its log entry).
/// <para>What the tables have is at every moment a prefix of the writes, with the last mark in it, as <see
/// cref="ITableStore"/> promises: all that gathered is written at once. It is as much in memory alone as what is in the tables'
/// own memory: the journal has it. Readers see every write at once.</para>
/// </remarks>
/// <param name="tables">The tables; end with this.</param>
/// <param name="capacity">Changes that gather at the most: a power of two.</param>
internal sealed class GatheringTables(ITableStore tables, int capacity) : ITableStore
{
    /// <summary>Bytes that gather at the most.</summary>
    private const int MaxBytes = 512 << 10;

    /// <summary>Held by who writes, also while the tables take what gathered, which may take long: readers go on.</summary>
    private readonly Lock writing = new();

    /// <summary>What gathered is changed with both locks held, so that either is enough to read it.</summary>
    private readonly Lock gate = new();
    private readonly PendingChanges pending = new(capacity);
    private readonly KeyValueBatch batch = new();
    private readonly List<int> selected = [];
    private JournalMark? pendingMark;

    public string Path => tables.Path;

    public bool TryReadMark(out JournalMark mark)
    {
        lock (gate)
        {
            if (pendingMark is not { } told) { return tables.TryReadMark(out mark); }
            mark = told;
            return true;
        }
    }

    public bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value)
    {
        CachedRecord found;
        lock (gate) { found = pending.Find(family, key, value); }
        return found == CachedRecord.Unknown ? tables.TryGet(family, key, value) : found == CachedRecord.Present;
    }

    public IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to)
    {
        lock (gate) { return Overlay(tables, pending, selected, family, from, to); }
    }

    public IKeyValueSnapshot CreateSnapshot()
    {
        lock (gate) { return new Snapshot(tables.CreateSnapshot(), pending.Clone()); }
    }

    /// <remarks>Room is made before anything is taken: NoSpace leaves all as it was.</remarks>
    public Status Write(KeyValueBatch changes, JournalMark? mark, out string? failure)
    {
        lock (writing)
        {
            bool fits = changes.Count <= pending.Room && changes.Bytes <= MaxBytes - pending.Bytes;
            Status status = Status.Ok;
            failure = null;
            if (!fits) { status = HandOver(out failure); }
            if (status != Status.Ok) { return status; }
            if (changes.Count > pending.Room || changes.Bytes > MaxBytes)
            {
                return tables.Write(changes, mark, out failure);
            }

            lock (gate)
            {
                pending.Add(changes);
                pendingMark = mark ?? pendingMark;
            }

            return Status.Ok;
        }
    }

    public Status Flush(out string? failure)
    {
        lock (writing)
        {
            Status status = HandOver(out failure);
            if (status != Status.Ok) { return status; }
        }

        return tables.Flush(out failure);
    }

    public KeyValueStatistics GetStatistics() => tables.GetStatistics();

    public void Dispose() => tables.Dispose();

    private static IRecordCursor Overlay(
        IKeyValueReader below, PendingChanges changes, List<int> selected,
        Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to)
    {
        IRecordCursor cursor = below.OpenCursor(family, from, to);
        return changes.Select(family, from, to, selected)
            ? new OverlaidCursor(cursor, changes.View(family, selected))
            : cursor;
    }

    /// <summary>Gives the tables what gathered; with the writers' lock held. Meanwhile readers find it in both places, which
    /// is the same. Else than Ok: it is kept, as far as anybody knows.</summary>
    private Status HandOver(out string? failure)
    {
        failure = null;
        if (pending.IsEmpty && pendingMark is null) { return Status.Ok; }
        batch.Clear();
        pending.CopyTo(batch);
        Status status = tables.Write(batch, pendingMark, out failure);
        batch.Clear();
        if (status != Status.Ok) { return status; }
        lock (gate)
        {
            pending.Clear();
            pendingMark = null;
        }

        return Status.Ok;
    }

    /// <summary>The tables and what had gathered, at one moment.</summary>
    private sealed class Snapshot(IKeyValueSnapshot below, PendingChanges changes) : IKeyValueSnapshot
    {
        public bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value)
        {
            CachedRecord found = changes.Find(family, key, value);
            return found == CachedRecord.Unknown ? below.TryGet(family, key, value) : found == CachedRecord.Present;
        }

        public IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
            Overlay(below, changes, [], family, from, to);

        public void Dispose() => below.Dispose();
    }
}
