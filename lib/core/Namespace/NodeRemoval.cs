namespace KvFs.Core;

/// <summary>Removes a VNode that nobody can reach any more, with all that belongs to it, in bounded steps.</summary>
internal static class NodeRemoval
{
    /// <summary>Attributes that one step deletes: bounds the transaction, as their values may be 64 KiB in history.</summary>
    private const int XattrsPerStep = 64;

    /// <summary>Does one step. <paramref name="done"/>: all is gone, the VNode's record, too; else the caller stores the
    /// changed <paramref name="vnode"/> and calls again in a later transaction.</summary>
    /// <remarks>In order: (1) its data, as far as one step goes; (2) its attributes; (3) the target of a symlink; (4) the
    /// VNode and what it counts for.</remarks>
    public static Status Apply(VNodeId id, ref VNode vnode, DriveTransaction transaction, out bool done)
    {
        // 1.
        Status status = RemoveData.Apply(id, ref vnode, transaction, out done);
        if (status != Status.Ok || !done) { return status; }

        // 2.
        done = (vnode.Flags & VNodeFlags.HasXattrs) == 0 || RemoveXattrs(id, transaction);
        if (!done) { return Status.Ok; }

        // 3.
        if (vnode.Kind == VNodeKind.Symlink)
        {
            RecordKey target = RecordKey.Symlink(id);
            transaction.Delete(ref target);
        }

        // 4.
        RecordKey key = RecordKey.VNode(id);
        transaction.Delete(ref key);
        return transaction.ChargeInodes(-1);
    }

    private static bool RemoveXattrs(VNodeId id, DriveTransaction transaction)
    {
        using DriveCursor cursor = transaction.WalkPrefix(RecordKey.XattrsOf(id));
        for (int removed = 0; cursor.MoveNext(); removed++)
        {
            if (removed == XattrsPerStep) { return false; }
            RecordKey key = RecordKey.FromRelative(cursor.Key);
            transaction.Delete(ref key);
        }

        return true;
    }
}
