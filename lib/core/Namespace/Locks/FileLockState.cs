namespace KvFs.Core;

/// <summary>A request that waits for a lock.</summary>
/// <param name="Id">The driver's name for it.</param>
/// <param name="Wanted">The lock.</param>
internal readonly record struct LockWaiter(ulong Id, FileLock Wanted);

/// <summary>The locks of one kind on one file, and who waits for one.</summary>
internal sealed class FileLockState
{
    private readonly List<OwnerRanges> owners = [];

    /// <summary>In the order in which they came.</summary>
    public List<LockWaiter> Waiters { get; } = [];

    public bool IsEmpty => owners.Count == 0 && Waiters.Count == 0;

    public IReadOnlyList<OwnerRanges> Owners => owners;

    /// <summary>The lock of somebody else with the least first byte that is in the way; of several, the least owner's.</summary>
    public bool TryFindConflict(in FileLock wanted, out FileLock conflict)
    {
        conflict = default;
        bool found = false;
        foreach (OwnerRanges held in owners)
        {
            if (held.Owner == wanted.Owner || !held.TryFindConflict(wanted, out FileLock candidate)) { continue; }
            if (!found || candidate.Start < conflict.Start) { conflict = candidate; }
            found = true;
        }

        return found;
    }

    /// <summary>Adds everybody who is in the way.</summary>
    public void AddBlockers(in FileLock wanted, List<LockOwner> blockers)
    {
        foreach (OwnerRanges held in owners)
        {
            if (held.Owner != wanted.Owner && held.TryFindConflict(wanted, out _)) { blockers.Add(held.Owner); }
        }
    }

    /// <summary>Whether an earlier waiter of somebody else wants what this one would keep from it, or it from this one.
    /// </summary>
    public bool IsBehindWaiter(in FileLock wanted, int place)
    {
        for (int at = 0; at < place; at++)
        {
            FileLock earlier = Waiters[at].Wanted;
            bool excludes = earlier.Type == LockType.Write || wanted.Type == LockType.Write;
            if (excludes && earlier.Owner != wanted.Owner
                && earlier.Start <= wanted.End && wanted.Start <= earlier.End)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The locks of an owner, or null.</summary>
    public OwnerRanges? Find(LockOwner owner)
    {
        int at = Place(owner);
        return at < owners.Count && owners[at].Owner == owner ? owners[at] : null;
    }

    public OwnerRanges FindOrAdd(LockOwner owner)
    {
        int at = Place(owner);
        if (at == owners.Count || owners[at].Owner != owner) { owners.Insert(at, new(owner)); }
        return owners[at];
    }

    public void Remove(LockOwner owner) => owners.RemoveAt(Place(owner));

    private int Place(LockOwner owner)
    {
        int low = 0;
        int high = owners.Count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (IsBefore(owners[middle].Owner, owner)) { low = middle + 1; }
            else { high = middle; }
        }

        return low;
    }

    private static bool IsBefore(LockOwner left, LockOwner right) =>
        left.Session.Value < right.Session.Value
        || (left.Session == right.Session && left.Owner < right.Owner);
}
