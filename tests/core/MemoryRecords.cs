using KvFs.Core;

namespace KvFs.Core.Tests;

/// <summary>The records of a pool in memory: what RocksDB is for a node. Applies batches, all or nothing.</summary>
/// <remarks>A sorted list, so that a cursor finds its place by search. A cursor must not outlive a change. Not thread
/// safe.</remarks>
public sealed class MemoryRecords : IRecordReader
{
    private readonly List<KeyValuePair<byte[], byte[]>> records = [];
    private int changes;

    public MemoryRecords()
    {
    }

    private MemoryRecords(MemoryRecords other) => records = [.. other.records];

    /// <summary>All records, in key order.</summary>
    public IReadOnlyList<KeyValuePair<byte[], byte[]>> All => records;

    /// <summary>The same records, which later changes leave alone: a RocksDB snapshot, or a disk at a crash.</summary>
    public MemoryRecords Copy() => new(this);

    public bool TryGet(ReadOnlySpan<byte> key, ByteBuffer value)
    {
        value.Clear();
        int at = Find(key);
        if (at < 0) { return false; }
        value.Set(records[at].Value);
        return true;
    }

    public IRecordCursor OpenCursor(ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) => new Cursor(this, from, to);

    public void Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        changes++;
        int at = Find(key);
        if (at >= 0) { records[at] = new(records[at].Key, value.ToArray()); }
        else { records.Insert(~at, new(key.ToArray(), value.ToArray())); }
    }

    public void Delete(ReadOnlySpan<byte> key)
    {
        changes++;
        int at = Find(key);
        if (at >= 0) { records.RemoveAt(at); }
    }

    public void DeleteRange(ReadOnlySpan<byte> from, ReadOnlySpan<byte> to)
    {
        changes++;
        int first = Place(from);
        records.RemoveRange(first, Math.Max(0, Place(to) - first));
    }

    public void Apply(RecordBatch batch)
    {
        ReadOnlySpan<byte> rest = batch.Bytes;
        while (RecordBatch.TryReadNext(
            ref rest, out RecordOperation operation, out ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value))
        {
            switch (operation)
            {
                case RecordOperation.Put: Put(key, value); break;
                case RecordOperation.Delete: Delete(key); break;
                default: DeleteRange(key, value); break;
            }
        }

        Assert.True(rest.IsEmpty, "The batch has bytes that are none.");
    }

    private int Place(ReadOnlySpan<byte> key)
    {
        int at = Find(key);
        return at < 0 ? ~at : at;
    }

    private int Find(ReadOnlySpan<byte> key)
    {
        int low = 0;
        int high = records.Count - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            int order = records[middle].Key.AsSpan().SequenceCompareTo(key);
            if (order == 0) { return middle; }
            if (order < 0) { low = middle + 1; }
            else { high = middle - 1; }
        }

        return ~low;
    }

    private sealed class Cursor(MemoryRecords owner, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) : IRecordCursor
    {
        private readonly int openedAt = owner.changes;
        private readonly int end = to.IsEmpty ? owner.records.Count : owner.Place(to);
        private int at = owner.Place(from) - 1;

        public ReadOnlySpan<byte> Key => owner.records[at].Key;

        public ReadOnlySpan<byte> Value => owner.records[at].Value;

        public bool MoveNext()
        {
            Assert.Equal(openedAt, owner.changes);
            return ++at < end;
        }

        public void Dispose()
        {
        }
    }
}
