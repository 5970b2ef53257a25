using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>Walks the records of tables as they are with pending changes.</summary>
/// <param name="below">The tables' cursor; ends with this one.</param>
/// <param name="view">The changes in the range of the cursor.</param>
internal sealed class OverlaidCursor(IRecordCursor below, PendingView view) : IRecordCursor
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
            if (next == view.Records.Length) { return SkipDeleted(); }
            int order = isBelowAt ? below.Key.SequenceCompareTo(view.Records[next].Key) : 1;
            if (order < 0)
            {
                if (!IsDeleted(below.Key)) { return true; }
                isBelowAt = below.MoveNext();
                continue;
            }

            // The tables' record of the same key is out of date.
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
        foreach (PendingRange range in view.Ranges)
        {
            if (range.Has(key)) { return true; }
        }

        return false;
    }
}
