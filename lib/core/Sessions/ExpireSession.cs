namespace KvFs.Core;

/// <summary>Ends a session, because its client closed it or its lease has run out.</summary>
/// <remarks>
/// In steps, again until <c>done</c>: (1) the session's own record, so that nothing of it is applied any more; (2) its locks,
/// which the lock table gave up (<see cref="LockTable.Expire"/>); these two with the first step; (3) its kept results, its write
/// delegations, and the VNode ids that it has not used: nobody ever will; (4) its grants of blocks (<see cref="CloseGrants"/>). VNodes that it held are <see cref="ReapOrphans"/>' business, which asks who lives. After
/// a crash between steps, a session that has results or grants but no record is ended again: <see cref="ListUnfinished"/>.
/// </remarks>
public static class ExpireSession
{
    /// <summary>Kinds of records of which each is one session's, whose number comes first in the key.</summary>
    private static readonly RecordKind[] s_kinds =
        [RecordKind.Session, RecordKind.RequestResult, RecordKind.Grant, RecordKind.VNodeGrant, RecordKind.Delegation];

    public static Status Apply(SessionId session, LockEffects locks, DriveTransaction transaction, out bool done)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        RecordKey key = RecordKey.Numbered(RecordKind.Session, session.Value);
        transaction.Delete(ref key);
        LockRecords.Write(locks.Changes, transaction);
        done = Remove(RecordKind.RequestResult, session, transaction)
            && Remove(RecordKind.Delegation, session, transaction)
            && Remove(RecordKind.VNodeGrant, session, transaction);
        return done ? CloseGrants.Apply(session, transaction, out done) : Status.Ok;
    }

    /// <summary>Adds the sessions that have a record, kept results or grants: at a start, all of them have ended.</summary>
    public static void ListUnfinished(DriveView view, ISet<SessionId> sessions)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(sessions);
        foreach (RecordKind kind in s_kinds)
        {
            RecordKey from = RecordKey.Single(kind);
            RecordKey end = from;
            end.ToPrefixEnd();
            while (TryFindSession(view, from, end, out ulong session))
            {
                sessions.Add(new(session));
                from = RecordKey.Numbered(kind, session);
                from.ToPrefixEnd();
            }
        }
    }

    private static bool TryFindSession(DriveView view, RecordKey from, RecordKey end, out ulong session)
    {
        using DriveCursor cursor = view.Walk(from, end);
        session = 0;
        return cursor.MoveNext() && RecordKey.TryReadFirstNumber(cursor.Key, out session);
    }

    private static bool Remove(RecordKind kind, SessionId session, DriveTransaction transaction)
    {
        using DriveCursor cursor = transaction.WalkPrefix(RecordKey.Numbered(kind, session.Value));
        while (cursor.MoveNext())
        {
            if (transaction.IsStepFull) { return false; }
            RecordKey key = RecordKey.FromRelative(cursor.Key);
            transaction.Delete(ref key);
        }

        return true;
    }
}
