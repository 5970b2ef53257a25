using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Drives;

/// <summary>Opens and ends the sessions of a drive.</summary>
internal static class DriveSessions
{
    /// <summary>Opens a session. <see cref="Status.InUse"/>: see <see cref="SessionTable.Admit"/>.</summary>
    public static Status OpenSession(this HostedDrive drive, bool readOnly, out SessionId id)
    {
        Status status = drive.Transact(
            default,
            static (in bool reads, DriveTransaction transaction, out SessionId taken) =>
                Core.OpenSession.Apply(reads, transaction, out taken),
            readOnly,
            SpaceUse.Release,
            out id);
        if (status == Status.Ok) { status = drive.Sessions.Admit(id, readOnly); }
        if (status == Status.InUse) { drive.Expire(id); }
        return status;
    }

    /// <summary>Ends a session: what it held is let go, what it was granted and never committed is dead.</summary>
    public static void CloseSession(this HostedDrive drive, SessionId id)
    {
        drive.Sessions.Remove(id);
        drive.Locks.Expire(id);
        lock (drive.Shard.Gate)
        {
            drive.EndReservation(id);
            drive.Holds.RemoveSession(id, []);
        }

        drive.Expire(id);
        drive.Reap();
    }

    /// <summary>Ends what sessions of an earlier run of the node left behind.</summary>
    public static void EndOldSessions(this HostedDrive drive)
    {
        SortedSet<SessionId> old = new(Comparer<SessionId>.Create(static (x, y) => x.Value.CompareTo(y.Value)));

        // A damaged record was told: it keeps nobody from the drive. What could not be listed waits for its repair.
        _ = drive.Read(CowNumber.Head, ListUnfinished, old, out bool _);
        foreach (SessionId session in old) { drive.Expire(session); }
        drive.Transact(default, RemoveLocks, false, SpaceUse.Release, out bool _);
        drive.Reap();
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

    private static Status RemoveLocks(in bool argument, DriveTransaction transaction, out bool done)
    {
        using DriveCursor cursor = transaction.WalkPrefix(RecordKey.Single(RecordKind.Lock));
        while (cursor.MoveNext())
        {
            RecordKey key = RecordKey.FromRelative(cursor.Key);
            transaction.Delete(ref key);
        }

        done = true;
        return Status.Ok;
    }
}
