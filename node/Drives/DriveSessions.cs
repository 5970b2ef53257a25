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
            static (in bool _, DriveTransaction transaction, out SessionId taken) =>
                transaction.AllocateSession(out taken),
            false,
            SpaceUse.Release,
            out id);
        return status == Status.Ok ? drive.Sessions.Admit(id, readOnly) : status;
    }

    /// <summary>Ends a session: what it held is let go, what it was granted and never committed is dead.</summary>
    public static void CloseSession(this HostedDrive drive, SessionId id)
    {
        drive.Sessions.Remove(id);
        drive.Locks.Expire(id);
        lock (drive.Shard.Gate)
        {
            drive.Quota.Remove(id);
            drive.Holds.RemoveSession(id, []);
        }

        drive.CloseGrants(id);
        drive.Reap();
    }

    /// <summary>Ends what sessions of an earlier run of the node left behind.</summary>
    public static void EndOldSessions(this HostedDrive drive)
    {
        foreach (SessionId session in GrantHolders(drive)) { drive.CloseGrants(session); }
        drive.Transact(default, RemoveLocks, false, SpaceUse.Release, out bool _);
        drive.Reap();
    }

    /// <summary>What a session was granted and never committed is dead.</summary>
    public static void CloseGrants(this HostedDrive drive, SessionId session)
    {
        bool done = false;
        Status status = Status.Ok;
        while (!done && status == Status.Ok)
        {
            status = drive.Transact(
                default,
                static (in SessionId id, DriveTransaction transaction, out bool finished) =>
                    Core.CloseGrants.Apply(id, transaction, out finished),
                session,
                SpaceUse.Release,
                out done);
        }
    }

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

    private static List<SessionId> GrantHolders(HostedDrive drive)
    {
        List<SessionId> holders = [];
        StoredDriveView view = drive.Views.Rent(CowNumber.Head);
        using (DriveCursor cursor = view.WalkPrefix(RecordKey.Single(RecordKind.Grant)))
        {
            while (cursor.MoveNext())
            {
                if (RecordKey.TrySplitNumbers(cursor.Key, out ulong session, out _)
                    && (holders.Count == 0 || holders[^1].Value != session))
                {
                    holders.Add(new(session));
                }
            }
        }

        drive.Views.Return(view);
        return holders;
    }
}
