namespace KvFs.Core;

/// <summary>Who has which lock on a drive's files, and who waits: fcntl(2), OFD and flock(2) locks.</summary>
/// <remarks>
/// Pure and not thread safe: the owner of the drive's shard has one, filled from records at its start; waiters are not
/// recorded, their clients ask again. The two kinds of lock know nothing of one another.
/// <para>Order: a request that can be granted is; but one that waits, of an owner who has no lock of this kind yet, also waits
/// for earlier requests that it excludes: so a stream of readers does not starve a writer. An owner who has locks never
/// waits for a mere waiter: somebody may wait for him. A try asks only what is held, as on Linux.</para>
/// <para>Deadlocks are looked for among owners of ranges, over all files: an owner waits for whoever holds what is in the way
/// of any request of his. flock(2) knows no deadlocks.</para>
/// </remarks>
public sealed class LockTable
{
    /// <summary>The last byte that a lock may have: the kernel's OFFSET_MAX.</summary>
    public const ulong LastByte = ulong.MaxValue / 2;

    /// <summary>Locks of one owner on one file: bounds memory, and the log on a takeover.</summary>
    public const int MaxRanges = 65_536;

    /// <summary>Requests that wait for one file: each looks at all before it.</summary>
    public const int MaxWaiters = 4096;

    private readonly SortedDictionary<Place, FileLockState> files = new(PlaceOrder.Instance);
    private readonly Dictionary<ulong, Place> placeOfWaiter = [];
    private readonly Dictionary<OwnerInSpace, OwnerCount> counts = [];
    private readonly List<OwnerInSpace> newHolders = [];

    /// <summary>No lock, no waiter.</summary>
    public bool IsEmpty => files.Count == 0;

    /// <summary>The first lock of somebody else that is in the way; its type is Unlock if there is none (F_GETLK).</summary>
    public FileLock Test(VNodeId node, LockSpace space, FileLock wanted)
    {
        wanted = Normalize(space, wanted);
        return files.TryGetValue(new(node, space), out FileLockState? file)
            && file.TryFindConflict(wanted, out FileLock conflict)
            ? conflict
            : wanted with { Type = LockType.Unlock };
    }

    /// <summary>Sets, changes or removes a lock now, or not at all.</summary>
    /// <returns>Ok; Locked; Invalid; NoLocks.</returns>
    public Status Set(VNodeId node, LockSpace space, FileLock wanted, LockEffects effects)
    {
        ArgumentNullException.ThrowIfNull(effects);
        wanted = Normalize(space, wanted);
        if (!IsValid(wanted)) { return Status.Invalid; }
        Place place = new(node, space);
        FileLockState file = Open(place);
        Status status = Check(file, wanted);
        if (status == Status.Ok)
        {
            LoseForConversion(place, file, wanted, effects);
            status = wanted.Type != LockType.Unlock && file.TryFindConflict(wanted, out _) ? Status.Locked : Status.Ok;
        }

        if (status == Status.Ok) { Hold(place, file, wanted, effects); }
        Settle(place, effects);
        return status;
    }

    /// <summary>The same, but waits.</summary>
    /// <returns>Ok: it has the lock; Locked: it waits, until <see cref="LockEffects.Granted"/> or
    /// <see cref="LockEffects.Dropped"/> names it, or <see cref="Cancel"/>; Deadlock; Invalid; NoLocks.</returns>
    public Status Wait(VNodeId node, LockSpace space, FileLock wanted, ulong waiter, LockEffects effects)
    {
        ArgumentNullException.ThrowIfNull(effects);
        wanted = Normalize(space, wanted);
        if (!IsValid(wanted) || wanted.Type == LockType.Unlock || placeOfWaiter.ContainsKey(waiter))
        {
            return Status.Invalid;
        }

        Place place = new(node, space);
        FileLockState file = Open(place);
        Status status = file.Waiters.Count >= MaxWaiters ? Status.NoLocks : Check(file, wanted);
        if (status == Status.Ok)
        {
            LoseForConversion(place, file, wanted, effects);
            status = TryWait(place, file, new(waiter, wanted), effects);
        }

        Settle(place, effects);
        return status;
    }

    /// <summary>Takes a waiter back; false if it does not wait (any more).</summary>
    public bool Cancel(ulong waiter, LockEffects effects)
    {
        ArgumentNullException.ThrowIfNull(effects);
        if (!placeOfWaiter.TryGetValue(waiter, out Place place)) { return false; }
        FileLockState file = files[place];
        RemoveWaiter(place, file, file.Waiters.FindIndex(waiting => waiting.Id == waiter));
        Settle(place, effects);
        return true;
    }

    /// <summary>Removes all range locks of an owner on a file: what a close does.</summary>
    public void UnlockAll(VNodeId node, LockOwner owner, LockEffects effects) =>
        Set(node, LockSpace.Range, new(0, LastByte, LockType.Unlock, owner, 0), effects);

    /// <summary>Ends a session: its waiters are dropped, its locks removed.</summary>
    public void Expire(SessionId session, LockEffects effects)
    {
        ArgumentNullException.ThrowIfNull(effects);
        foreach (Place place in (Place[])[.. files.Keys])
        {
            if (!files.TryGetValue(place, out FileLockState? file)) { continue; }
            for (int at = file.Waiters.Count - 1; at >= 0; at--)
            {
                if (file.Waiters[at].Wanted.Owner.Session != session) { continue; }
                effects.Drop(file.Waiters[at].Id);
                RemoveWaiter(place, file, at);
            }

            LockOwner[] owners = [.. file.Owners.Select(held => held.Owner).Where(owner => owner.Session == session)];
            foreach (LockOwner owner in owners)
            {
                Hold(place, file, new(0, LastByte, LockType.Unlock, owner, 0), effects);
            }

            Settle(place, effects);
        }
    }

    /// <summary>Takes a lock from its record.</summary>
    internal void Restore(VNodeId node, LockSpace space, in FileLock held)
    {
        Place place = new(node, space);
        Hold(place, Open(place), held, new());
    }

    private static FileLock Normalize(LockSpace space, FileLock wanted) =>
        space == LockSpace.Whole ? wanted with { Start = 0, End = LastByte } : wanted;

    private static bool IsValid(in FileLock wanted) =>
        wanted.Start <= wanted.End && wanted.End <= LastByte && wanted.Type <= LockType.Write;

    private static Status Check(FileLockState file, in FileLock wanted) =>
        wanted.Type != LockType.Unlock && file.Find(wanted.Owner) is { } held && held.Ranges.Length >= MaxRanges
            ? Status.NoLocks
            : Status.Ok;

    /// <summary>flock(2) gives the old lock up before it asks for one of the other type, and does not take it back.</summary>
    private void LoseForConversion(Place place, FileLockState file, in FileLock wanted, LockEffects effects)
    {
        if (place.Space != LockSpace.Whole || file.Find(wanted.Owner) is not { } held) { return; }
        if (held.Ranges[0].Type == wanted.Type) { return; }
        Hold(place, file, wanted with { Type = LockType.Unlock }, effects);
    }

    private Status TryWait(Place place, FileLockState file, in LockWaiter waiter, LockEffects effects)
    {
        if (CanGrant(place, file, waiter.Wanted, file.Waiters.Count))
        {
            Hold(place, file, waiter.Wanted, effects);
            return Status.Ok;
        }

        if (place.Space == LockSpace.Range && WouldDeadlock(file, waiter.Wanted)) { return Status.Deadlock; }
        file.Waiters.Add(waiter);
        placeOfWaiter.Add(waiter.Id, place);
        OwnerInSpace owner = new(place.Space, waiter.Wanted.Owner);
        OwnerCount count = counts.GetValueOrDefault(owner);
        counts[owner] = count with { Waits = count.Waits + 1 };
        return Status.Locked;
    }

    private bool CanGrant(Place place, FileLockState file, in FileLock wanted, int queuePlace) =>
        !file.TryFindConflict(wanted, out _)
        && (counts.GetValueOrDefault(new(place.Space, wanted.Owner)).Files > 0
            || !file.IsBehindWaiter(wanted, queuePlace));

    /// <summary>Whether the owner would wait, over others, for himself.</summary>
    private bool WouldDeadlock(FileLockState file, in FileLock wanted)
    {
        List<LockOwner> reached = [];
        file.AddBlockers(wanted, reached);
        HashSet<LockOwner> seen = [];
        for (int at = 0; at < reached.Count; at++)
        {
            LockOwner owner = reached[at];
            if (owner == wanted.Owner) { return true; }
            if (!seen.Add(owner) || counts.GetValueOrDefault(new(LockSpace.Range, owner)).Waits == 0) { continue; }
            foreach ((Place place, FileLockState other) in files)
            {
                if (place.Space == LockSpace.Range) { AddBlockersOf(owner, other, reached); }
            }
        }

        return false;
    }

    private static void AddBlockersOf(LockOwner owner, FileLockState file, List<LockOwner> blockers)
    {
        foreach (LockWaiter waiter in file.Waiters)
        {
            if (waiter.Wanted.Owner == owner) { file.AddBlockers(waiter.Wanted, blockers); }
        }
    }

    /// <summary>Changes what an owner has; nothing is in the way.</summary>
    private void Hold(Place place, FileLockState file, in FileLock wanted, LockEffects effects)
    {
        OwnerRanges? before = file.Find(wanted.Owner);
        if (before is null && wanted.Type == LockType.Unlock) { return; }
        OwnerRanges held = before ?? file.FindOrAdd(wanted.Owner);
        held.Set(wanted, place.Node, place.Space, effects);
        OwnerInSpace owner = new(place.Space, wanted.Owner);
        OwnerCount count = counts.GetValueOrDefault(owner);
        if (before is null)
        {
            Count(owner, count with { Files = count.Files + 1 });
            if (count is { Files: 0, Waits: > 0 }) { newHolders.Add(owner); }
        }

        if (held.Ranges.IsEmpty)
        {
            file.Remove(wanted.Owner);
            Count(owner, counts[owner] with { Files = counts[owner].Files - 1 });
        }
    }

    private void Count(OwnerInSpace owner, OwnerCount count)
    {
        if (count == default) { counts.Remove(owner); }
        else { counts[owner] = count; }
    }

    private void RemoveWaiter(Place place, FileLockState file, int at)
    {
        LockWaiter waiter = file.Waiters[at];
        file.Waiters.RemoveAt(at);
        placeOfWaiter.Remove(waiter.Id);
        OwnerInSpace owner = new(place.Space, waiter.Wanted.Owner);
        Count(owner, counts[owner] with { Waits = counts[owner].Waits - 1 });
    }

    /// <summary>Grants what can be granted on a file; and where somebody waits who has his first lock now: he need not wait
    /// for waiters any more.</summary>
    private void Settle(Place start, LockEffects effects)
    {
        SortedSet<Place> unsettled = new(PlaceOrder.Instance) { start };
        while (unsettled.Count > 0)
        {
            Place place = unsettled.Min;
            unsettled.Remove(place);
            if (files.TryGetValue(place, out FileLockState? file))
            {
                GrantWaiters(place, file, effects);
                if (file.IsEmpty) { files.Remove(place); }
            }

            foreach (OwnerInSpace holder in newHolders) { AddWaitingPlaces(holder, unsettled); }
            newHolders.Clear();
        }
    }

    private void GrantWaiters(Place place, FileLockState file, LockEffects effects)
    {
        int at = 0;
        while (at < file.Waiters.Count)
        {
            LockWaiter waiter = file.Waiters[at];
            if (!CanGrant(place, file, waiter.Wanted, at))
            {
                at++;
                continue;
            }

            // From the start again: a lock that turns into a weaker one may let an earlier waiter in.
            RemoveWaiter(place, file, at);
            Hold(place, file, waiter.Wanted, effects);
            effects.Grant(waiter.Id);
            at = 0;
        }
    }

    private void AddWaitingPlaces(OwnerInSpace owner, SortedSet<Place> places)
    {
        foreach ((Place place, FileLockState file) in files)
        {
            bool waits = place.Space == owner.Space
                && file.Waiters.Exists(waiter => waiter.Wanted.Owner == owner.Owner);
            if (waits) { places.Add(place); }
        }
    }

    private FileLockState Open(Place place)
    {
        if (!files.TryGetValue(place, out FileLockState? file))
        {
            file = new();
            files.Add(place, file);
        }

        return file;
    }

    private readonly record struct Place(VNodeId Node, LockSpace Space);

    private readonly record struct OwnerInSpace(LockSpace Space, LockOwner Owner);

    /// <summary>On how many files an owner has locks, and how many requests of his wait.</summary>
    private readonly record struct OwnerCount(int Files, int Waits);

    private sealed class PlaceOrder : IComparer<Place>
    {
        public static readonly PlaceOrder Instance = new();

        public int Compare(Place x, Place y)
        {
            int order = x.Node.CompareTo(y.Node);
            return order != 0 ? order : x.Space.CompareTo(y.Space);
        }
    }
}
