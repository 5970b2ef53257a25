namespace KvFs.Core;

/// <summary>Batches of a shard that are in its log and not applied yet, in their order: what is decided next stands on them.</summary>
/// <remarks>Not thread safe. Few at a time, and most of them applied before anybody looks: a batch is copied when it is added, and sorted when
/// a key is first looked for in it.</remarks>
public sealed class InFlightBatches
{
    /// <summary>Empty ones that are kept, ...</summary>
    private const int MaxFree = 64;

    /// <summary>... and how large they are at the most.</summary>
    private const int MaxFreeBytes = 64 << 10;

    private readonly List<Batch> batches = [];
    private readonly Stack<Batch> free = [];

    public bool IsEmpty => batches.Count == 0;

    /// <summary>Bytes of all of them.</summary>
    public int ByteCount { get; private set; }

    /// <summary>The place of the newest; default: there is none.</summary>
    public LogIndex Last => batches.Count == 0 ? default : batches[^1].Index;

    /// <summary>A batch is in the log behind those that are here. It deletes no ranges.</summary>
    public void Add(LogIndex index, RecordBatch changes)
    {
        ArgumentNullException.ThrowIfNull(changes);
        Invariant.Check(index > Last && !changes.HasRanges);
        Batch batch = free.Count > 0 ? free.Pop() : new();
        batch.Set(index, changes.Bytes);
        batches.Add(batch);
        ByteCount += changes.ByteCount;
    }

    /// <summary>What is applied is to be read where it is applied.</summary>
    public void Forget(LogIndex applied)
    {
        int count = 0;
        while (count < batches.Count && batches[count].Index <= applied)
        {
            Batch batch = batches[count++];
            ByteCount -= batch.ByteCount;
            if (free.Count < MaxFree && batch.ByteCount <= MaxFreeBytes) { free.Push(batch); }
        }

        batches.RemoveRange(0, count);
    }

    /// <summary>What the newest batch that has a key says of it. False: none has it.</summary>
    /// <param name="key">The whole key.</param>
    /// <param name="value">Its value.</param>
    /// <param name="isDeleted">It has none.</param>
    internal bool TryFind(ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value, out bool isDeleted)
    {
        for (int at = batches.Count - 1; at >= 0; at--)
        {
            if (batches[at].TryFind(key, out value, out isDeleted)) { return true; }
        }

        value = default;
        isDeleted = false;
        return false;
    }

    /// <summary>What they change of a range of keys; null: nothing.</summary>
    internal PendingView? Select(ReadOnlySpan<byte> from, ReadOnlySpan<byte> to)
    {
        SortedDictionary<byte[], byte[]?>? found = null;
        foreach (Batch batch in batches) { batch.Select(from, to, ref found); }
        return found is null ? null : new([.. found.Select(static one => new PendingRecord(one.Key, one.Value))], []);
    }

    /// <summary>One of them, and where its records are.</summary>
    private sealed class Batch : IComparer<Record>
    {
        private readonly ByteBuffer bytes = new(1024);
        private readonly List<Record> records = [];
        private bool isSorted;

        public LogIndex Index { get; private set; }

        public int ByteCount => bytes.Length;

        public void Set(LogIndex index, ReadOnlySpan<byte> batch)
        {
            Index = index;
            bytes.Set(batch);
            records.Clear();
            isSorted = false;
        }

        public bool TryFind(ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value, out bool isDeleted)
        {
            int at = LowerBound(key);
            bool isThere = false;
            value = default;
            isDeleted = false;

            // The last change of a key counts.
            for (; at < records.Count && KeyOf(records[at]).SequenceEqual(key); at++)
            {
                isThere = true;
                value = ValueOf(records[at]);
                isDeleted = records[at].IsDeleted;
            }

            return isThere;
        }

        public void Select(ReadOnlySpan<byte> from, ReadOnlySpan<byte> to, ref SortedDictionary<byte[], byte[]?>? found)
        {
            for (int at = LowerBound(from); at < records.Count; at++)
            {
                ReadOnlySpan<byte> key = KeyOf(records[at]);
                if (!to.IsEmpty && key.SequenceCompareTo(to) >= 0) { return; }
                found ??= new(KeyOrder.Instance);
                found[key.ToArray()] = records[at].IsDeleted ? null : ValueOf(records[at]).ToArray();
            }
        }

        /// <summary>By key, and then in the order of the batch.</summary>
        public int Compare(Record x, Record y)
        {
            int order = KeyOf(x).SequenceCompareTo(KeyOf(y));
            return order != 0 ? order : x.KeyStart.CompareTo(y.KeyStart);
        }

        /// <summary>The first record whose key is not below a key.</summary>
        private int LowerBound(ReadOnlySpan<byte> key)
        {
            if (!isSorted) { Sort(); }
            int low = 0;
            int high = records.Count;
            while (low < high)
            {
                int middle = (low + high) >>> 1;
                if (KeyOf(records[middle]).SequenceCompareTo(key) < 0) { low = middle + 1; }
                else { high = middle; }
            }

            return low;
        }

        private void Sort()
        {
            ReadOnlySpan<byte> rest = bytes.Span;
            while (RecordBatch.TryReadNext(ref rest, out RecordOperation operation, out ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value))
            {
                int end = bytes.Length - rest.Length;
                records.Add(new(end - value.Length - key.Length, key.Length, value.Length, operation == RecordOperation.Delete));
            }

            Invariant.Check(rest.IsEmpty);
            records.Sort(this);
            isSorted = true;
        }

        private ReadOnlySpan<byte> KeyOf(Record record) => bytes.Span.Slice(record.KeyStart, record.KeyLength);

        private ReadOnlySpan<byte> ValueOf(Record record) => bytes.Span.Slice(record.KeyStart + record.KeyLength, record.ValueLength);
    }

    private readonly record struct Record(int KeyStart, int KeyLength, int ValueLength, bool IsDeleted);

    private sealed class KeyOrder : IComparer<byte[]>
    {
        public static readonly KeyOrder Instance = new();

        public int Compare(byte[]? x, byte[]? y) => x.AsSpan().SequenceCompareTo(y);
    }
}
