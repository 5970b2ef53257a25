namespace KvFs.Core;

/// <summary>What each session of a drive has set aside for writes that it buffers: it counts as used until it is consumed or
/// returned, so that the quota is never exceeded and a write hears of it in time.</summary>
/// <remarks>Pure, in memory: it ends with the sessions. Not thread safe: the shard's owner has it.</remarks>
public sealed class QuotaLedger
{
    private readonly Dictionary<SessionId, Reservation> bySession = [];

    /// <summary>Sessions of another primary that have not said yet what it let them set aside.</summary>
    private readonly HashSet<SessionId> absent = [];
    private Reservation total;

    /// <summary>A session of another primary goes on here: until it has said what it has set aside (<see cref="Adopt"/>), or has ended, nobody
    /// else sets anything aside, because it might be the same room.</summary>
    public void AddAbsent(SessionId session) => absent.Add(session);

    /// <summary>What sessions other than the given one have set aside.</summary>
    public Reservation ReservedByOthers(SessionId session)
    {
        Reservation own = bySession.GetValueOrDefault(session);
        return new(total.Bytes - own.Bytes, total.Inodes - own.Inodes);
    }

    /// <summary>Sets bytes and VNodes aside. <see cref="Status.NoSpace"/>, <see cref="Status.NoInodes"/>: the quota (0: none)
    /// has no room beside what is used and set aside; <see cref="Status.Busy"/>: what others have set aside is not known yet. Nothing was
    /// changed then.</summary>
    public Status Reserve(SessionId session, Reservation wanted, Reservation used, Reservation quota)
    {
        bool areOthersKnown = absent.Count == 0 || (absent.Count == 1 && absent.Contains(session));
        if (quota != default && !areOthersKnown) { return Status.Busy; }
        if (quota.Bytes != 0 && (UInt128)used.Bytes + total.Bytes + wanted.Bytes > quota.Bytes) { return Status.NoSpace; }
        if (quota.Inodes != 0 && (UInt128)used.Inodes + total.Inodes + wanted.Inodes > quota.Inodes)
        {
            return Status.NoInodes;
        }

        Add(session, wanted);
        return Status.Ok;
    }

    /// <summary>Sets aside what another primary let a session set aside: whether there was room was asked there.</summary>
    public void Adopt(SessionId session, Reservation reserved)
    {
        absent.Remove(session);
        Add(session, reserved);
    }

    /// <summary>Gives back what a session does not need, or what its commit has used; more than there is gives back all.
    /// </summary>
    /// <returns>What was given back.</returns>
    public Reservation Return(SessionId session, Reservation returned)
    {
        if (!bySession.TryGetValue(session, out Reservation own)) { return default; }
        Reservation taken = new(Math.Min(own.Bytes, returned.Bytes), Math.Min(own.Inodes, returned.Inodes));
        total = new(total.Bytes - taken.Bytes, total.Inodes - taken.Inodes);
        bySession[session] = new(own.Bytes - taken.Bytes, own.Inodes - taken.Inodes);
        return taken;
    }

    /// <summary>The session has ended; tells what it had set aside.</summary>
    public Reservation Remove(SessionId session)
    {
        absent.Remove(session);
        if (!bySession.Remove(session, out Reservation own)) { return default; }
        total = new(total.Bytes - own.Bytes, total.Inodes - own.Inodes);
        return own;
    }

    /// <summary>All sessions have ended here; tells what they had set aside.</summary>
    public Reservation Clear()
    {
        Reservation all = total;
        absent.Clear();
        bySession.Clear();
        total = default;
        return all;
    }

    private void Add(SessionId session, Reservation reserved)
    {
        Reservation own = bySession.GetValueOrDefault(session);
        bySession[session] = new(checked(own.Bytes + reserved.Bytes), checked(own.Inodes + reserved.Inodes));
        total = new(checked(total.Bytes + reserved.Bytes), checked(total.Inodes + reserved.Inodes));
    }
}
