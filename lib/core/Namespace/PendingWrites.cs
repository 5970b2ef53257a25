namespace KvFs.Core;

/// <summary>The records that a transaction has written so far, in key order: its own later reads see them.</summary>
/// <remarks>Keys and payloads lie one after the other in one buffer; a record written twice keeps its last payload.</remarks>
internal sealed class PendingWrites
{
    private readonly ByteBuffer bytes = new(4096);
    private readonly List<Entry> entries = new(16);

    public int Count => entries.Count;

    /// <summary>Bytes of keys and payloads, those of overwritten ones included.</summary>
    public int ByteCount => bytes.Length;

    public void Clear()
    {
        bytes.Clear();
        entries.Clear();
    }

    public void Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> payload) => Set(key, payload, deleted: false);

    public void Delete(ReadOnlySpan<byte> key) => Set(key, default, deleted: true);

    /// <summary>Where a key is, or else the complement of where it would be.</summary>
    public int Find(ReadOnlySpan<byte> key)
    {
        int low = 0;
        int high = entries.Count - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            int order = Key(middle).SequenceCompareTo(key);
            if (order == 0) { return middle; }
            if (order < 0) { low = middle + 1; }
            else { high = middle - 1; }
        }

        return ~low;
    }

    public ReadOnlySpan<byte> Key(int at) => bytes.Span.Slice(entries[at].Start, entries[at].KeyLength);

    public ReadOnlySpan<byte> Payload(int at) =>
        bytes.Span.Slice(entries[at].PayloadStart, entries[at].PayloadLength);

    public bool IsDelete(int at) => entries[at].Deleted;

    private void Set(ReadOnlySpan<byte> key, ReadOnlySpan<byte> payload, bool deleted)
    {
        int at = Find(key);
        int start = bytes.Length;
        if (at >= 0)
        {
            bytes.Append(payload);
            entries[at] = entries[at] with { PayloadStart = start, PayloadLength = payload.Length, Deleted = deleted };
            return;
        }

        bytes.Append(key);
        bytes.Append(payload);
        entries.Insert(~at, new(start, key.Length, start + key.Length, payload.Length, deleted));
    }

    private readonly record struct Entry(int Start, int KeyLength, int PayloadStart, int PayloadLength, bool Deleted);
}

/// <summary>Walks a transaction's own writes; deletes show as whiteouts, so that they hide what is stored.</summary>
/// <remarks>The transaction may write while it walks: each step looks its place up by the last key.</remarks>
internal sealed class PendingCursor(PendingWrites writes, CowNumber cow, RecordKey from, RecordKey to) : DriveCursor
{
    private readonly ByteBuffer last = new(64);
    private readonly ByteBuffer payload = new(256);
    private bool started;
    private bool deleted;

    public override ReadOnlySpan<byte> Key => last.Span;

    public override ReadOnlySpan<byte> Payload => payload.Span;

    public override RecordHeader Header => new(cow, deleted);

    public override bool MoveNext()
    {
        int at = writes.Find(started ? last.Span : from.Relative);
        at = at < 0 ? ~at : started ? at + 1 : at;
        started = true;
        if (at >= writes.Count || writes.Key(at).SequenceCompareTo(to.Relative) >= 0) { return false; }
        last.Set(writes.Key(at));
        payload.Set(writes.Payload(at));
        deleted = writes.IsDelete(at);
        return true;
    }

    protected override void Dispose(bool disposing)
    {
    }
}
