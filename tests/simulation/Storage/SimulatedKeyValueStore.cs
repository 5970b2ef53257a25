using System.Collections.Immutable;
using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Simulation.Storage;

/// <summary>A key-value store in memory that keeps exactly what <see cref="IKeyValueStore"/> promises, and no more.</summary>
/// <remarks>Not thread safe. A power cut leaves a prefix of the log that holds at least what was synced, and a prefix of all
/// writes, logged or not, that holds at least what was flushed; a flush that happened by itself synced the log up to where
/// it came. The end of the process leaves the whole log, and of unlogged writes what was flushed. An opening makes
/// durable what it finds, as RocksDB's does.</remarks>
internal sealed class SimulatedKeyValueStore : IKeyValueStore
{
    private const int FamilyCount = 4;

    private readonly ImmutableSortedSet<SimulatedRecord>[] current;

    /// <summary>The content of every family after so many writes.</summary>
    private readonly List<ImmutableSortedSet<SimulatedRecord>[]> moments = [];

    private readonly List<WrittenBatch> written = [];
    private int flushed;
    private int synced;
    private long syncs;

    internal SimulatedKeyValueStore()
        : this([.. Enumerable.Repeat(ImmutableSortedSet<SimulatedRecord>.Empty, FamilyCount)])
    {
    }

    private SimulatedKeyValueStore(ImmutableSortedSet<SimulatedRecord>[] content)
    {
        current = content;
        moments.Add([.. content]);
    }

    private sealed record WrittenBatch(bool Logged, ImmutableArray<WrittenChange> Changes)
    {
        private readonly int families = Changes.Aggregate(0, static (mask, change) => mask | (1 << (int)change.Family));

        internal bool Touches(Family family) => (families & (1 << (int)family)) != 0;
    }

    private sealed record WrittenChange(KeyValueOperation Operation, Family Family, byte[] Key, byte[] Value);

    /// <summary>Called after everything that changes what a crash would leave.</summary>
    internal Action OnPersistencePoint { get; set; } = static () => { };

    /// <summary>Asked before a write (false) or sync (true); anything but Ok is its outcome.</summary>
    internal Func<bool, Status> Ask { get; set; } = static _ => Status.Ok;

    public bool IsFailed { get; private set; }

    public string? Failure => IsFailed ? "The simulated log failed." : null;

    /// <summary>All records of a family, as they are now.</summary>
    internal ImmutableSortedSet<SimulatedRecord> Content(Family family) => current[(int)family];

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
        foreach (WrittenChange change in entry.Changes) { Apply(ref current[(int)change.Family], change); }
        moments.Add([.. current]);
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

    public KeyValueStatistics GetStatistics() => new(0, 0, 0, 0, current.Sum(static family => family.Count), syncs, LogBytes: 0);

    public void Dispose()
    {
    }

    /// <summary>A planted bug: each family is flushed for itself.</summary>
    internal bool FlushesApart { get; set; }

    /// <summary>The store that the next boot finds. This one stays as it is.</summary>
    internal SimulatedKeyValueStore AfterPowerCut(Random chance)
    {
        int log = chance.Next(2) == 0 ? synced : chance.Next(synced, written.Count + 1);
        int[] families = FlushSome(chance);
        return Reopen(Math.Max(log, families.Max()), families);
    }

    /// <summary>The store that the next process finds if nothing was flushed by itself. This one stays as it is.</summary>
    internal SimulatedKeyValueStore AfterKill() =>
        Reopen(written.Count, [.. Enumerable.Repeat(flushed, FamilyCount)]);

    /// <summary>The store that the next process finds. This one stays as it is.</summary>
    internal SimulatedKeyValueStore AfterKill(Random chance) => Reopen(written.Count, FlushSome(chance));

    /// <summary>How far each family was flushed, if the store did so by itself.</summary>
    private int[] FlushSome(Random chance)
    {
        int flush = chance.Next(4) == 0 ? chance.Next(flushed, written.Count + 1) : flushed;
        int[] families = [.. Enumerable.Repeat(flush, FamilyCount)];
        for (int family = 0; FlushesApart && family < FamilyCount; family++)
        {
            families[family] = chance.Next(flushed, written.Count + 1);
        }

        return families;
    }

    private Status Begin(bool isSync)
    {
        if (IsFailed) { return Status.IoError; }
        Status status = Ask(isSync);
        if (status is Status.Ok or Status.NoSpace) { return status; }
        IsFailed = true;
        return Status.IoError;
    }

    /// <summary>Each family as it was when it was flushed, and above it what the log has.</summary>
    private SimulatedKeyValueStore Reopen(int log, int[] families)
    {
        ImmutableSortedSet<SimulatedRecord>[] content = new ImmutableSortedSet<SimulatedRecord>[FamilyCount];
        for (int family = 0; family < FamilyCount; family++)
        {
            content[family] = Replay((Family)family, families[family], log);
        }

        return new SimulatedKeyValueStore(content) { FlushesApart = FlushesApart };
    }

    private ImmutableSortedSet<SimulatedRecord> Replay(Family family, int flushedTo, int log)
    {
        ImmutableSortedSet<SimulatedRecord> content = moments[flushedTo][(int)family];
        IEnumerable<WrittenBatch> later = written.Take(log).Skip(flushedTo).Where(batch => batch.Touches(family));
        if (later.All(static batch => batch.Logged)) { return moments[Math.Max(log, flushedTo)][(int)family]; }
        foreach (WrittenBatch batch in later.Where(static batch => batch.Logged))
        {
            foreach (WrittenChange change in batch.Changes.Where(change => change.Family == family))
            {
                Apply(ref content, change);
            }
        }

        return content;
    }

    private static void Apply(ref ImmutableSortedSet<SimulatedRecord> family, WrittenChange change)
    {
        SimulatedRecord record = new(change.Key, change.Value);
        switch (change.Operation)
        {
            case KeyValueOperation.Put:
                family = family.Remove(record).Add(record);
                break;
            case KeyValueOperation.Delete:
                family = family.Remove(record);
                break;
            default:
                int first = FirstFrom(family, change.Key);
                for (int left = FirstFrom(family, change.Value) - first; left > 0; left--)
                {
                    family = family.Remove(family[first]);
                }

                break;
        }
    }

    /// <summary>The place of the first record that is not below a key.</summary>
    private static int FirstFrom(ImmutableSortedSet<SimulatedRecord> records, byte[] key)
    {
        int place = records.IndexOf(new(key, []));
        return place < 0 ? ~place : place;
    }

    private static bool TryGet(
        ImmutableSortedSet<SimulatedRecord>[] families, Family family, ReadOnlySpan<byte> key, ByteBuffer value)
    {
        value.Clear();
        if (!families[(int)family].TryGetValue(new(key.ToArray(), []), out SimulatedRecord found)) { return false; }
        value.Set(found.Value);
        return true;
    }

    private sealed class Snapshot(ImmutableSortedSet<SimulatedRecord>[] families) : IKeyValueSnapshot
    {
        public bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value) =>
            SimulatedKeyValueStore.TryGet(families, family, key, value);

        public IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
            new Cursor(families[(int)family], from.ToArray(), to.ToArray());

        public void Dispose()
        {
        }
    }

    private sealed class Cursor(ImmutableSortedSet<SimulatedRecord> records, byte[] from, byte[] to) : IRecordCursor
    {
        private readonly int end = to.Length == 0 ? records.Count : FirstFrom(records, to);
        private int at = FirstFrom(records, from) - 1;

        public ReadOnlySpan<byte> Key => records[at].Key;

        public ReadOnlySpan<byte> Value => records[at].Value;

        public bool MoveNext() => ++at < end;

        public void Dispose()
        {
        }
    }
}

/// <summary>A record; compared by its key alone.</summary>
internal readonly record struct SimulatedRecord(byte[] Key, byte[] Value) : IComparable<SimulatedRecord>
{
    public int CompareTo(SimulatedRecord other) => Key.AsSpan().SequenceCompareTo(other.Key);
}
