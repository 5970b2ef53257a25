namespace KvFs.Core.Tests;

/// <summary>Locks byte by byte and waiters in one list: slow, short, and nothing like the table's way of doing it.</summary>
internal sealed class NaiveLocks
{
    /// <summary>The last one stands for all that follow.</summary>
    public const int Bytes = 12;

    private readonly SortedDictionary<(int File, LockSpace Space), Dictionary<ulong, LockType[]>> held = [];

    private sealed record Waiter(ulong Id, int File, LockSpace Space, FileLock Wanted);

    private readonly List<Waiter> waiters = [];

    public List<ulong> Granted { get; } = [];

    public IEnumerable<ulong> Waiting => waiters.Select(waiter => waiter.Id);

    public Status Set(int file, LockSpace space, FileLock wanted)
    {
        GiveUpForConversion(file, space, wanted);
        bool locked = wanted.Type != LockType.Unlock && Blockers(file, space, wanted).Count > 0;
        if (!locked) { Put(file, space, wanted); }
        Settle(file, space);
        return locked ? Status.Locked : Status.Ok;
    }

    public Status Wait(int file, LockSpace space, FileLock wanted, ulong id)
    {
        GiveUpForConversion(file, space, wanted);
        Waiter waiter = new(id, file, space, wanted);
        Status status = Status.Locked;
        if (CanGrant(waiter, waiters))
        {
            Put(file, space, wanted);
            status = Status.Ok;
        }
        else if (space == LockSpace.Range && WouldDeadlock(waiter)) { status = Status.Deadlock; }
        else { waiters.Add(waiter); }
        Settle(file, space);
        return status;
    }

    public void Cancel(ulong id)
    {
        Waiter waiter = waiters.Single(waiting => waiting.Id == id);
        waiters.Remove(waiter);
        Settle(waiter.File, waiter.Space);
    }

    public LockType At(int file, LockSpace space, ulong owner, int at) => Of(file, space, owner)[at];

    /// <summary>Owners whose locks are in the way.</summary>
    public SortedSet<ulong> Blockers(int file, LockSpace space, FileLock wanted)
    {
        SortedSet<ulong> blockers = [];
        if (!held.TryGetValue((file, space), out Dictionary<ulong, LockType[]>? owners)) { return blockers; }
        foreach ((ulong owner, LockType[] types) in owners.Where(entry => entry.Key != wanted.Owner.Owner))
        {
            for (int at = (int)wanted.Start; at < Bytes && at <= (int)Math.Min(wanted.End, Bytes); at++)
            {
                bool excludes = types[at] == LockType.Write
                    || (types[at] == LockType.Read && wanted.Type == LockType.Write);
                if (excludes) { blockers.Add(owner); }
            }
        }

        return blockers;
    }

    private void GiveUpForConversion(int file, LockSpace space, FileLock wanted)
    {
        if (space == LockSpace.Whole && Of(file, space, wanted.Owner.Owner)[0] != wanted.Type)
        {
            Put(file, space, wanted with { Type = LockType.Unlock });
        }
    }

    private bool CanGrant(Waiter waiter, IEnumerable<Waiter> earlier)
    {
        if (Blockers(waiter.File, waiter.Space, waiter.Wanted).Count > 0) { return false; }
        ulong owner = waiter.Wanted.Owner.Owner;
        bool hasLocks = held.Any(entry => entry.Key.Space == waiter.Space
            && entry.Value.TryGetValue(owner, out LockType[]? types) && types.Any(type => type != LockType.Unlock));
        return hasLocks || !earlier.Any(other => other.File == waiter.File && other.Space == waiter.Space
            && other.Wanted.Owner != waiter.Wanted.Owner
            && (other.Wanted.Type == LockType.Write || waiter.Wanted.Type == LockType.Write)
            && other.Wanted.Start <= waiter.Wanted.End && waiter.Wanted.Start <= other.Wanted.End);
    }

    private bool WouldDeadlock(Waiter waiter)
    {
        HashSet<ulong> reached = [.. Blockers(waiter.File, waiter.Space, waiter.Wanted)];
        bool grows = true;
        while (grows)
        {
            grows = false;
            foreach (Waiter other in waiters.Where(other => other.Space == LockSpace.Range))
            {
                if (!reached.Contains(other.Wanted.Owner.Owner)) { continue; }
                foreach (ulong blocker in Blockers(other.File, other.Space, other.Wanted)) { grows |= reached.Add(blocker); }
            }
        }

        return reached.Contains(waiter.Wanted.Owner.Owner);
    }

    private void Settle(int file, LockSpace space)
    {
        while (GrantOne(file, space)) { }
        bool changed = true;
        while (changed)
        {
            changed = false;
            foreach ((int File, LockSpace Space) place in waiters.Select(waiter => (waiter.File, waiter.Space)).Distinct().Order())
            {
                if (!GrantOne(place.File, place.Space)) { continue; }
                while (GrantOne(place.File, place.Space)) { }
                changed = true;
                break;
            }
        }
    }

    private bool GrantOne(int file, LockSpace space)
    {
        for (int at = 0; at < waiters.Count; at++)
        {
            Waiter waiter = waiters[at];
            if (waiter.File != file || waiter.Space != space || !CanGrant(waiter, waiters.Take(at))) { continue; }
            waiters.RemoveAt(at);
            Put(file, space, waiter.Wanted);
            Granted.Add(waiter.Id);
            return true;
        }

        return false;
    }

    private void Put(int file, LockSpace space, FileLock wanted)
    {
        LockType[] types = Of(file, space, wanted.Owner.Owner);
        for (int at = (int)wanted.Start; at < Bytes && at <= (int)Math.Min(wanted.End, Bytes); at++) { types[at] = wanted.Type; }
    }

    private LockType[] Of(int file, LockSpace space, ulong owner)
    {
        held.TryAdd((file, space), []);
        held[(file, space)].TryAdd(owner, new LockType[Bytes]);
        return held[(file, space)][owner];
    }
}
