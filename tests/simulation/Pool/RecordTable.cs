using System.Runtime.InteropServices;
using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>The records of a shard's drives at one moment, in the order of their keys. Immutable.</summary>
internal sealed class RecordTable : IRecordReader
{
    private readonly KeyValuePair<byte[], byte[]>[] records;

    private RecordTable(KeyValuePair<byte[], byte[]>[] records)
    {
        this.records = records;
    }

    public static RecordTable Empty { get; } = new([]);

    public bool TryGet(ReadOnlySpan<byte> key, ByteBuffer value)
    {
        int at = Find(records, key);
        if (at < 0) { value.Clear(); }
        else { value.Set(records[at].Value); }
        return at >= 0;
    }

    public IRecordCursor OpenCursor(ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
        new Cursor(records, PlaceOf(records, from), to.IsEmpty ? records.Length : PlaceOf(records, to));

    /// <summary>The same after a log entry's batch.</summary>
    public RecordTable With(ReadOnlySpan<byte> batch)
    {
        List<KeyValuePair<byte[], byte[]>> next = [.. records];
        while (RecordBatch.TryReadNext(ref batch, out RecordOperation operation, out ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value))
        {
            Span<KeyValuePair<byte[], byte[]>> sorted = CollectionsMarshal.AsSpan(next);
            int at = Find(sorted, key);
            switch (operation)
            {
                case RecordOperation.Put when at >= 0:
                    sorted[at] = new(sorted[at].Key, value.ToArray());
                    break;
                case RecordOperation.Put:
                    next.Insert(~at, new(key.ToArray(), value.ToArray()));
                    break;
                case RecordOperation.Delete when at >= 0:
                    next.RemoveAt(at);
                    break;
                case RecordOperation.DeleteRange:
                    int first = PlaceOf(sorted, key);
                    next.RemoveRange(first, Math.Max(0, PlaceOf(sorted, value) - first));
                    break;
                default:
                    break;
            }
        }

        return batch.IsEmpty ? new([.. next]) : throw new PoolFailedException("a log entry is no batch");
    }

    public bool IsSameAs(RecordTable other) =>
        ReferenceEquals(this, other)
        || (records.Length == other.records.Length && records.Zip(other.records).All(static pair =>
            pair.First.Key.AsSpan().SequenceEqual(pair.Second.Key) && pair.First.Value.AsSpan().SequenceEqual(pair.Second.Value)));

    private static int PlaceOf(ReadOnlySpan<KeyValuePair<byte[], byte[]>> sorted, ReadOnlySpan<byte> key) =>
        Find(sorted, key) is var at && at < 0 ? ~at : at;

    /// <summary>Where a key is, or the complement of where it would be.</summary>
    private static int Find(ReadOnlySpan<KeyValuePair<byte[], byte[]>> sorted, ReadOnlySpan<byte> key)
    {
        int low = 0;
        int high = sorted.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            int order = sorted[middle].Key.AsSpan().SequenceCompareTo(key);
            if (order == 0) { return middle; }
            if (order < 0) { low = middle + 1; }
            else { high = middle - 1; }
        }

        return ~low;
    }

    private sealed class Cursor(KeyValuePair<byte[], byte[]>[] records, int first, int end) : IRecordCursor
    {
        private int at = first - 1;

        public ReadOnlySpan<byte> Key => records[at].Key;

        public ReadOnlySpan<byte> Value => records[at].Value;

        public bool MoveNext() => ++at < end;

        public void Dispose()
        {
        }
    }
}
