namespace KvFs.Core;

/// <summary>Removes a VNode that nobody can reach any more, with all that belongs to it, in bounded steps.</summary>
internal static class NodeRemoval
{
    /// <summary>Does one step. <paramref name="done"/>: all is gone, the VNode's record, too; else the caller stores the
    /// changed <paramref name="vnode"/> and calls again in a later transaction.</summary>
    /// <remarks>In order: (1) its data, as far as one step goes; (2) its entries, as far: each loses this name, and directories
    /// among them become orphans themselves; (3) its attributes, which are bounded; (4) the target of a symlink; (5) the
    /// VNode and what it counts for.</remarks>
    public static Status Apply(
        VNodeId id, ref VNode vnode, INodeHolders holders, DriveTransaction transaction, out bool done)
    {
        // 1.
        Status status = RemoveData.Apply(id, ref vnode, transaction, out done);
        if (status != Status.Ok || !done) { return status; }

        // 2.
        status = RemoveEntries(id, ref vnode, holders, transaction, out done);
        if (status != Status.Ok || !done) { return status; }

        // 3.
        if ((vnode.Flags & VNodeFlags.HasXattrs) != 0) { RemoveXattrs(id, transaction); }

        // 4.
        if (vnode.Kind == VNodeKind.Symlink)
        {
            RecordKey target = RecordKey.Symlink(id);
            transaction.Delete(ref target);
        }

        // 5.
        RecordKey key = RecordKey.VNode(id);
        transaction.Delete(ref key);
        return transaction.ChargeInodes(-1);
    }

    private static Status RemoveEntries(
        VNodeId id, ref VNode vnode, INodeHolders holders, DriveTransaction transaction, out bool done)
    {
        done = true;
        if (!vnode.IsDirectory || vnode.Size == 0) { return Status.Ok; }
        using DriveCursor cursor = transaction.WalkPrefix(RecordKey.DentriesOf(id));
        while (cursor.MoveNext())
        {
            done = !transaction.IsStepFull;
            if (!done) { return Status.Ok; }
            RecordKey key = RecordKey.FromRelative(cursor.Key);
            if (!RecordKey.TrySplitDentry(cursor.Key, out _, out _, out ReadOnlySpan<byte> name)
                || !Dentry.TryDecode(cursor.Payload, out Dentry dentry))
            {
                transaction.ThrowCorrupt(ref key);
                return Status.Corrupt;
            }

            VNode child = Directories.Require(transaction, dentry.Child);
            transaction.Delete(ref key);
            vnode.Size--;
            Status status = Orphans.LoseName(
                dentry.Child, child, id, name, holders.Holders(dentry.Child), transaction, out _);
            if (status != Status.Ok) { return status; }
        }

        return Status.Ok;
    }

    private static void RemoveXattrs(VNodeId id, DriveTransaction transaction)
    {
        using DriveCursor cursor = transaction.WalkPrefix(RecordKey.XattrsOf(id));
        while (cursor.MoveNext())
        {
            RecordKey key = RecordKey.FromRelative(cursor.Key);
            transaction.Delete(ref key);
        }
    }
}
