using System.Runtime.InteropServices;

namespace KvFs.Core;

/// <summary>The locks of one owner on one file: sorted, without overlap; neighbours of one type are one lock.</summary>
internal sealed class OwnerRanges(LockOwner owner)
{
    private readonly List<FileLock> ranges = [];

    public LockOwner Owner { get; } = owner;

    public ReadOnlySpan<FileLock> Ranges => CollectionsMarshal.AsSpan(ranges);

    /// <summary>The first lock that keeps somebody else from a wanted one.</summary>
    public bool TryFindConflict(in FileLock wanted, out FileLock conflict)
    {
        for (int at = FirstEndingFrom(wanted.Start); at < ranges.Count && ranges[at].Start <= wanted.End; at++)
        {
            if (wanted.Type == LockType.Write || ranges[at].Type == LockType.Write)
            {
                conflict = ranges[at];
                return true;
            }
        }

        conflict = default;
        return false;
    }

    /// <summary>Makes a range of one type (or of none), as fcntl(2) does: splits, shrinks and joins what is there.</summary>
    public void Set(in FileLock wanted, VNodeId node, LockSpace space, LockEffects effects)
    {
        int first = FirstEndingFrom(wanted.Start == 0 ? 0 : wanted.Start - 1);
        if (first < ranges.Count && ranges[first].End < wanted.Start && ranges[first].Type != wanted.Type) { first++; }
        FileLock whole = wanted;
        FileLock left = default;
        FileLock right = default;
        int at = first;
        for (; at < ranges.Count && IsTouched(ranges[at], wanted); at++)
        {
            FileLock old = ranges[at];
            if (old.Type == wanted.Type)
            {
                whole = whole with { Start = Math.Min(whole.Start, old.Start), End = Math.Max(whole.End, old.End) };
                continue;
            }

            if (old.Start < wanted.Start) { left = old with { End = wanted.Start - 1 }; }
            if (old.End > wanted.End) { right = old with { Start = wanted.End + 1 }; }
        }

        if (at == first + 1 && ranges[first] == whole) { return; }
        for (int removed = first; removed < at; removed++) { effects.Remove(node, space, ranges[removed]); }
        ranges.RemoveRange(first, at - first);
        if (right.Type != LockType.Unlock) { Insert(first, right, node, space, effects); }
        if (whole.Type != LockType.Unlock) { Insert(first, whole, node, space, effects); }
        if (left.Type != LockType.Unlock) { Insert(first, left, node, space, effects); }
    }

    /// <summary>Whether an old lock is changed by, or joins, a wanted one; asked in order from the first that may.</summary>
    private static bool IsTouched(in FileLock old, in FileLock wanted) =>
        old.Start <= wanted.End || (old.Start == wanted.End + 1 && old.Type == wanted.Type);

    private void Insert(int at, in FileLock added, VNodeId node, LockSpace space, LockEffects effects)
    {
        ranges.Insert(at, added);
        effects.Put(node, space, added);
    }

    private int FirstEndingFrom(ulong offset)
    {
        int low = 0;
        int high = ranges.Count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (ranges[middle].End >= offset) { high = middle; }
            else { low = middle + 1; }
        }

        return low;
    }
}
