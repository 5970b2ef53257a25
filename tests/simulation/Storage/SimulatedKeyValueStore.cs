using System.Collections.Immutable;
using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Simulation.Storage;

/// <summary>A key-value store in memory that keeps exactly what <see cref="IKeyValueStore"/> promises, and no more.</summary>
/// <remarks>Not thread safe. A power cut leaves a prefix of the log that holds at least what was synced, and a prefix of all
/// writes, logged or not, that holds at least what was flushed; a flush that happened by itself synced the log up to where
/// it came.</remarks>
internal sealed class SimulatedKeyValueStore : IKeyValueStore
{
    private const int FamilyCount = 4;

    private static readonly ImmutableSortedDictionary<byte[], byte[]> Empty =
        ImmutableSortedDictionary.Create<byte[], byte[]>(ByteOrder.Instance);

    private readonly ImmutableSortedDictionary<byte[], byte[]>[] start;
    private readonly ImmutableSortedDictionary<byte[], byte[]>[] current;
    private readonly List<WrittenBatch> written = [];
    private int flushed;
    private int synced;
    private long syncs;

    internal SimulatedKeyValueStore()
        : this([.. Enumerable.Repeat(Empty, FamilyCount)])
    {
    }

    private SimulatedKeyValueStore(ImmutableSortedDictionary<byte[], byte[]>[] content)
    {
        start = content;
        current = [.. content];
    }

    private sealed record WrittenBatch(bool Logged, ImmutableArray<WrittenChange> Changes);

    private sealed record WrittenChange(KeyValueOperation Operation, Family Family, byte[] Key, byte[] Value);

    /// <summary>Called after everything that changes what a crash would leave.</summary>
    internal Action OnPersistencePoint { get; set; } = static () => { };

    /// <summary>Asked before a write (false) or sync (true); anything but Ok is its outcome.</summary>
    internal Func<bool, Status> Ask { get; set; } = static _ => Status.Ok;

    public bool IsFailed { get; private set; }

    public string? Failure => IsFailed ? "The simulated log failed." : null;

    public bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value) => TryGet(current, family, key, value);

    public IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
        new Cursor(current[(int)family], from.ToArray(), to.ToArray());

    public IKeyValueSnapshot CreateSnapshot() => new Snapshot([.. current]);

    public Status Write(KeyValueBatch batch, bool logged)
    {
        Status status = Begin(isSync: false);
        if (status != Status.Ok) { return status; }
        ImmutableArray<WrittenChange>.Builder changes = ImmutableArray.CreateBuilder<WrittenChange>();
        foreach (KeyValueBatch.Change change in batch)
        {
            changes.Add(new(change.Operation, change.Family, change.Key.ToArray(), change.Value.ToArray()));
        }

        WrittenBatch entry = new(logged, changes.ToImmutable());
        written.Add(entry);
        foreach (WrittenChange change in entry.Changes) { Apply(current, change); }
        OnPersistencePoint();
        return Status.Ok;
    }

    public Status SyncLog()
    {
        Status status = Begin(isSync: true);
        if (status != Status.Ok) { return status; }
        synced = written.Count;
        syncs++;
        OnPersistencePoint();
        return Status.Ok;
    }

    /// <summary>All families are flushed, as a store does now and then.</summary>
    internal Status Flush()
    {
        Status status = Begin(isSync: true);
        if (status != Status.Ok) { return status; }
        synced = written.Count;
        flushed = written.Count;
        OnPersistencePoint();
        return Status.Ok;
    }

    public Status Checkpoint(string path) => Status.NotSupported;

    public KeyValueStatistics GetStatistics() => new(0, 0, 0, 0, current.Sum(static family => family.Count), syncs, LogBytes: 0);

    public void Dispose()
    {
    }

    /// <summary>The store that the next boot finds. This one stays as it is.</summary>
    internal SimulatedKeyValueStore AfterPowerCut(Random chance)
    {
        int log = chance.Next(2) == 0 ? synced : chance.Next(synced, written.Count + 1);
        int flush = chance.Next(4) == 0 ? chance.Next(flushed, written.Count + 1) : flushed;
        return Replay(Math.Max(log, flush), flush);
    }

    /// <summary>The store that the next process finds. This one stays as it is.</summary>
    internal SimulatedKeyValueStore AfterKill() => Replay(written.Count, flushed);

    private Status Begin(bool isSync)
    {
        if (IsFailed) { return Status.IoError; }
        Status status = Ask(isSync);
        if (status is Status.Ok or Status.NoSpace) { return status; }
        IsFailed = true;
        return Status.IoError;
    }

    private SimulatedKeyValueStore Replay(int log, int flush)
    {
        ImmutableSortedDictionary<byte[], byte[]>[] content = [.. start];
        for (int i = 0; i < written.Count; i++)
        {
            foreach (WrittenChange change in written[i].Changes)
            {
                if (i < flush || (written[i].Logged && i < log)) { Apply(content, change); }
            }
        }

        return new SimulatedKeyValueStore(content);
    }

    private static void Apply(ImmutableSortedDictionary<byte[], byte[]>[] families, WrittenChange change)
    {
        ref ImmutableSortedDictionary<byte[], byte[]> family = ref families[(int)change.Family];
        family = change.Operation switch
        {
            KeyValueOperation.Put => family.SetItem(change.Key, change.Value),
            KeyValueOperation.Delete => family.Remove(change.Key),
            _ => family.RemoveRange(family.Keys.Where(key =>
                ByteOrder.Instance.Compare(key, change.Key) >= 0 && ByteOrder.Instance.Compare(key, change.Value) < 0)),
        };
    }

    private static bool TryGet(
        ImmutableSortedDictionary<byte[], byte[]>[] families, Family family, ReadOnlySpan<byte> key, ByteBuffer value)
    {
        value.Clear();
        if (!families[(int)family].TryGetValue(key.ToArray(), out byte[]? found)) { return false; }
        value.Set(found);
        return true;
    }

    private sealed class ByteOrder : IComparer<byte[]>
    {
        internal static readonly ByteOrder Instance = new();

        public int Compare(byte[]? x, byte[]? y) => x.AsSpan().SequenceCompareTo(y);
    }

    private sealed class Snapshot(ImmutableSortedDictionary<byte[], byte[]>[] families) : IKeyValueSnapshot
    {
        public bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value) =>
            SimulatedKeyValueStore.TryGet(families, family, key, value);

        public IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
            new Cursor(families[(int)family], from.ToArray(), to.ToArray());

        public void Dispose()
        {
        }
    }

    private sealed class Cursor(ImmutableSortedDictionary<byte[], byte[]> records, byte[] from, byte[] to) : IRecordCursor
    {
        private readonly IEnumerator<KeyValuePair<byte[], byte[]>> walk = records
            .Where(record => ByteOrder.Instance.Compare(record.Key, from) >= 0
                && (to.Length == 0 || ByteOrder.Instance.Compare(record.Key, to) < 0))
            .GetEnumerator();

        public ReadOnlySpan<byte> Key => walk.Current.Key;

        public ReadOnlySpan<byte> Value => walk.Current.Value;

        public bool MoveNext() => walk.MoveNext();

        public void Dispose() => walk.Dispose();
    }
}
