namespace KvFs.Core;

/// <summary>Walks records as they are with changes that they do not have yet.</summary>
/// <param name="below">Their cursor; ends with this one.</param>
/// <param name="view">The changes in the range of the cursor.</param>
public sealed class OverlaidCursor(IRecordCursor below, PendingView view) : IRecordCursor
{
    private bool isBelowAt;
    private bool isBegun;
    private bool isPending;
    private int next;

    public ReadOnlySpan<byte> Key => isPending ? view.Records[next].Key : below.Key;

    public ReadOnlySpan<byte> Value => isPending ? view.Records[next].Value : below.Value;

    public bool MoveNext()
    {
        if (!isBegun)
        {
            isBegun = true;
            isBelowAt = below.MoveNext();
        }
        else if (isPending) { next++; }
        else { isBelowAt = isBelowAt && below.MoveNext(); }

        for (; ; )
        {
            isPending = false;
            if (next == view.Records.Count) { return SkipDeleted(); }
            int order = isBelowAt ? below.Key.SequenceCompareTo(view.Records[next].Key) : 1;
            if (order < 0)
            {
                if (!IsDeleted(below.Key)) { return true; }
                isBelowAt = below.MoveNext();
                continue;
            }

            // The record of the same key below is out of date.
            if (order == 0) { isBelowAt = below.MoveNext(); }
            isPending = view.Records[next].Value is not null;
            if (isPending) { return true; }
            next++;
        }
    }

    public void Dispose() => below.Dispose();

    private bool SkipDeleted()
    {
        while (isBelowAt && IsDeleted(below.Key)) { isBelowAt = below.MoveNext(); }
        return isBelowAt;
    }

    private bool IsDeleted(ReadOnlySpan<byte> key)
    {
        foreach (KeyRange range in view.Ranges)
        {
            if (range.Has(key)) { return true; }
        }

        return false;
    }
}

/// <summary>A key that is not as it is below; no value: it is deleted.</summary>
public readonly record struct PendingRecord(byte[] Key, byte[]? Value);

/// <summary>Keys that are deleted: [<paramref name="From"/>, <paramref name="To"/>).</summary>
public readonly record struct KeyRange(byte[] From, byte[] To)
{
    public bool Has(ReadOnlySpan<byte> key) => key.SequenceCompareTo(From) >= 0 && key.SequenceCompareTo(To) < 0;
}

/// <summary>Some changes as they are at one moment: ranges that are deleted, then of each key its last change.</summary>
/// <param name="Records">Sorted by key.</param>
/// <param name="Ranges">In any order.</param>
public sealed record PendingView(IReadOnlyList<PendingRecord> Records, IReadOnlyList<KeyRange> Ranges);
