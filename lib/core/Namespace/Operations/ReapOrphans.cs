namespace KvFs.Core;

/// <summary>Removes VNodes without a name that no living session holds, step by step: after an unlink that was too much for
/// one transaction, when a session has expired, after a crash, what a clone inherited, and trees that a restore replaced.
/// </summary>
public static class ReapOrphans
{
    /// <summary>VNodes that one step looks at: bounds the time that it keeps the shard's loop.</summary>
    private const int NodesPerStep = 256;

    /// <param name="sessions">Who is still there. Sessions of an origin, which a clone inherits in its records, are not.
    /// </param>
    /// <param name="holders">Who holds what: the orphans, and what is in a removed directory.</param>
    /// <param name="next">Where to begin, <see cref="VNodeId.None"/> for the first; where the next step begins.</param>
    /// <param name="transaction">The transaction.</param>
    /// <param name="more">Call again, in a later transaction.</param>
    /// <returns>Ok.</returns>
    public static Status Apply(
        ISessionLiveness sessions,
        INodeHolders holders,
        ref VNodeId next,
        DriveTransaction transaction,
        out bool more)
    {
        ArgumentNullException.ThrowIfNull(sessions);
        ArgumentNullException.ThrowIfNull(holders);
        ArgumentNullException.ThrowIfNull(transaction);
        more = false;
        RecordKey end = RecordKey.Single(RecordKind.Orphan);
        end.ToPrefixEnd();
        int nodes = 0;
        using DriveCursor cursor = transaction.Walk(RecordKey.Numbered(RecordKind.Orphan, next.Value), end);
        while (cursor.MoveNext())
        {
            RecordKey key = RecordKey.FromRelative(cursor.Key);
            if (!RecordKey.TrySplitNumbers(key.Relative, out ulong node, out ulong session))
            {
                transaction.ThrowCorrupt(ref key);
            }

            if (node != next.Value)
            {
                next = new(node);
                more = ++nodes > NodesPerStep || transaction.IsStepFull;
                if (more) { return Status.Ok; }
            }

            if (IsHeld(next, new(session), sessions, holders, transaction)) { continue; }
            bool empties = transaction.TryGetVNode(next, out VNode vnode) && vnode.IsDirectory && vnode.Size > 0;
            Status status = ReleaseOrphan.Apply(next, new(session), holders, transaction, out more);

            // Directories that were in it are orphans now; their numbers may be smaller.
            if (empties) { (next, more) = (VNodeId.None, true); }
            if (status != Status.Ok || more) { return status; }
        }

        next = VNodeId.None;
        return Status.Ok;
    }

    /// <summary>Tells the orphans that living sessions are recorded to hold.</summary>
    public static void ListHeld(DriveView view, ISessionLiveness sessions, Action<VNodeId> found)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(sessions);
        ArgumentNullException.ThrowIfNull(found);
        using DriveCursor cursor = view.WalkPrefix(RecordKey.Single(RecordKind.Orphan));
        while (cursor.MoveNext())
        {
            RecordKey key = RecordKey.FromRelative(cursor.Key);
            if (!RecordKey.TrySplitNumbers(key.Relative, out ulong node, out ulong session)) { view.ThrowCorrupt(ref key); }
            if (sessions.IsLive(new(session))) { found(new(node)); }
        }
    }

    /// <remarks>A living session that holds it no more let go of it in a transaction that failed.</remarks>
    private static bool IsHeld(
        VNodeId node,
        SessionId session,
        ISessionLiveness sessions,
        INodeHolders holders,
        DriveTransaction transaction) => session == Orphans.Restorer
            ? RestorePath.IsStaging(node, transaction)
            : session != Orphans.Nobody && sessions.IsLive(session) && holders.Holders(node).Contains(session);
}
