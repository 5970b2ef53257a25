using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Drives;

/// <summary>A session of another primary that goes on here.</summary>
public readonly record struct AdoptedSession(SessionId Id, SessionAccess Access, SessionToken Token);

/// <summary>Opens and ends the sessions of a drive, and goes on with those of the primary before.</summary>
internal static class DriveSessions
{
    /// <summary>Opens a session. <see cref="Status.InUse"/>: see <see cref="SessionTable.CanAdmit"/>. One at a time.</summary>
    /// <remarks>Who is refused has written nothing: a record of it that outlived this primary would be the newest, and the next one would
    /// end the session that it was refused for.</remarks>
    /// <param name="drive">With which drive.</param>
    /// <param name="access">What it may do, and beside whom.</param>
    /// <param name="token">Of one that outlives this primary; default: it does not.</param>
    /// <param name="id">Its number.</param>
    public static Status OpenSession(this HostedDrive drive, SessionAccess access, SessionToken token, out SessionId id)
    {
        id = default;
        Status status = drive.Sessions.CanAdmit(access);
        if (status == Status.Ok && access.IsShared()) { status = drive.BeginKeeping(); }
        if (status != Status.Ok) { return status; }
        status = drive.Transact(
            default,
            static (in (SessionAccess Access, SessionToken Token) opened, DriveTransaction transaction, out SessionId taken) =>
                Core.OpenSession.Apply(opened.Access, opened.Token, transaction, out taken),
            (access, token),
            SpaceUse.Release,
            out id);
        if (status != Status.Ok) { return status; }
        Invariant.Check(drive.Sessions.Admit(id, access) == Status.Ok);
        return Status.Ok;
    }

    /// <summary>From here on changes are marked, and those before have ended.</summary>
    private static Status BeginKeeping(this HostedDrive drive)
    {
        using (drive.Shard.Enter())
        {
            drive.Kept.Use();
            return drive.Shard.Settle() is var settled && settled != Status.Ok ? drive.Shard.AsRefusal(settled) : Status.Ok;
        }
    }

    /// <summary>Ends a session: what it held is let go, what it was granted and never committed is dead.</summary>
    public static void CloseSession(this HostedDrive drive, SessionId id)
    {
        drive.Sessions.Remove(id);
        drive.Locks.Expire(id);
        using (drive.Shard.Enter())
        {
            drive.EndReservation(id);
            drive.Holds.RemoveSession(id, []);
        }

        drive.Expire(id);
        drive.Writes.End(id);
        drive.Reap();
    }

    /// <summary>Ends what sessions of an earlier run of the node left behind.</summary>
    public static void EndOldSessions(this HostedDrive drive)
    {
        foreach (SessionId session in drive.ListOldSessions()) { drive.Expire(session); }
        drive.Transact(default, RemoveLocks, drive.Sessions, SpaceUse.Release, out bool _);
        drive.Reap();
    }

    /// <summary>Goes on with the sessions of the primary before that are to outlive it, and ends the others. Before anybody else
    /// knows the drive.</summary>
    /// <remarks>What they were granted and have locked, and which files' writes are left with them, is in records. What they hold open is not: until a client says it, its session
    /// holds everything.</remarks>
    public static IReadOnlyList<AdoptedSession> AdoptSessions(this HostedDrive drive)
    {
        List<AdoptedSession> adopted = [];
        List<(SessionId Session, VNodeId Node)> left = [];

        // If nobody can tell which files are left with whom, those who may have some cannot go on.
        bool isKnown = drive.Read(CowNumber.Head, ListDelegations, left, out bool _) == Status.Ok;

        // The newest first: one that was let in beside another knows that the other one was ending.
        foreach (SessionId session in drive.ListOldSessions().Reverse())
        {
            Status status = drive.Read(CowNumber.Head, FindRecord, session, out SessionRecord record);
            bool goesOn = status == Status.Ok && record.Token != default && (isKnown || !record.Access.IsShared());
            if (goesOn && drive.Sessions.Admit(session, record.Access) == Status.Ok)
            {
                adopted.Add(new(session, record.Access, record.Token));
                using (drive.Shard.Enter())
                {
                    drive.Holds.AddAbsent(session);
                    drive.Quota.AddAbsent(session);
                }
            }
            else { drive.Expire(session); }
        }

        drive.Transact(default, RemoveLocks, drive.Sessions, SpaceUse.Release, out bool _);
        drive.Locks.TakeOver();
        foreach ((SessionId session, VNodeId node) in left)
        {
            if (drive.Sessions.IsLive(session)) { drive.Writes.Leave(node, session); }
        }

        using (drive.Shard.Enter()) { _ = drive.Read(CowNumber.Head, MarkOrphans, drive, out bool _); }
        drive.Reap();
        return adopted;
    }

    /// <summary>A client has said what its session holds and has reserved: what it does not hold, and has lost its last name meanwhile,
    /// goes.</summary>
    public static void TakeHoldings(
        this HostedDrive drive, SessionId id, IReadOnlyDictionary<VNodeId, uint> held, Reservation reserved)
    {
        using (drive.Shard.Enter())
        {
            drive.Holds.Settle(id, held);
            drive.AdoptReservation(id, reserved);
        }

        drive.Reap();
    }

    /// <remarks>A damaged record was told: it keeps nobody from the drive. What could not be listed waits for its repair.</remarks>
    private static SortedSet<SessionId> ListOldSessions(this HostedDrive drive)
    {
        SortedSet<SessionId> old = new(Comparer<SessionId>.Create(static (x, y) => x.Value.CompareTo(y.Value)));
        _ = drive.Read(CowNumber.Head, ListUnfinished, old, out bool _);
        return old;
    }

    private static Status FindRecord(DriveView view, SessionId session, out SessionRecord record) =>
        SessionRecord.TryGet(session, view, out record) ? Status.Ok : Status.NotFound;

    private static Status ListDelegations(DriveView view, List<(SessionId Session, VNodeId Node)> left, out bool done)
    {
        done = true;
        left.Clear();
        DelegateWrites.List(view, left);
        return Status.Ok;
    }

    private static Status MarkOrphans(DriveView view, HostedDrive drive, out bool done)
    {
        done = true;
        ReapOrphans.ListHeld(view, drive.Sessions, drive.Holds.MarkOrphan);
        return Status.Ok;
    }

    private static Status ListUnfinished(DriveView view, SortedSet<SessionId> sessions, out bool done)
    {
        ExpireSession.ListUnfinished(view, sessions);
        done = true;
        return Status.Ok;
    }

    private static void Expire(this HostedDrive drive, SessionId session) =>
        drive.TransactUntilDone(
            static (in SessionId id, DriveTransaction transaction, out bool done) =>
                ExpireSession.Apply(id, new LockEffects(), transaction, out done),
            session,
            SpaceUse.Release);

    private static Status RemoveLocks(in SessionTable sessions, DriveTransaction transaction, out bool done)
    {
        LockRecords.RemoveOfOthers(sessions, transaction);
        done = true;
        return Status.Ok;
    }
}
