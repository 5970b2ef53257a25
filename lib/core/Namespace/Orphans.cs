namespace KvFs.Core;

/// <summary>Keeps VNodes that lost their last name for as long as somebody holds them, and marks what is left to remove.
/// </summary>
/// <remarks>An orphan has nlink 0 and one record per session that holds it; session 0 stands for "nobody: remove it". A
/// VNode goes at once if nobody holds it and there is little to remove; else the reaper takes it away in steps.</remarks>
internal static class Orphans
{
    /// <summary>The holder of what nobody holds: the reaper removes it.</summary>
    public static SessionId Nobody => default;

    /// <summary>The holder of a tree that a restore is building: no session has this number.</summary>
    public static SessionId Restorer => new(ulong.MaxValue);

    public static void Add(VNodeId id, SessionId holder, DriveTransaction transaction)
    {
        RecordKey key = RecordKey.Numbered(RecordKind.Orphan, id.Value, holder.Value);
        transaction.Put(ref key, default);
    }

    /// <summary>Whether somebody, or the reaper, has the VNode on its list.</summary>
    public static bool HasAny(VNodeId id, DriveView view)
    {
        using DriveCursor cursor = view.WalkPrefix(RecordKey.Numbered(RecordKind.Orphan, id.Value));
        return cursor.MoveNext();
    }

    /// <summary>Forgets all holders: the VNode has a name again, or is gone.</summary>
    public static void RemoveAll(VNodeId id, DriveTransaction transaction)
    {
        using DriveCursor cursor = transaction.WalkPrefix(RecordKey.Numbered(RecordKind.Orphan, id.Value));
        while (cursor.MoveNext())
        {
            RecordKey key = RecordKey.FromRelative(cursor.Key);
            transaction.Delete(ref key);
        }
    }

    /// <summary>Takes one name away from a VNode, whose dentry the caller deletes, and decides what becomes of it.</summary>
    public static Status LoseName(
        VNodeId id,
        VNode vnode,
        VNodeId parent,
        ReadOnlySpan<byte> name,
        ReadOnlySpan<SessionId> holders,
        DriveTransaction transaction,
        out UnlinkResult result)
    {
        vnode.ChangeTime = transaction.Now;
        if (vnode.IsDirectory) { vnode.Nlink = 0; }
        else { HardLinks.Remove(id, ref vnode, parent, name, transaction); }

        bool last = vnode.Nlink == 0;
        Status status = Status.Ok;
        bool gone = false;
        if (last && holders.IsEmpty && !(vnode.IsDirectory && vnode.Size > 0))
        {
            status = NodeRemoval.Apply(id, ref vnode, NoHolders.Instance, transaction, out gone);
        }

        if (!gone) { transaction.PutVNode(id, vnode); }
        if (last && !gone)
        {
            foreach (SessionId holder in holders) { Add(id, holder, transaction); }
            if (holders.IsEmpty) { Add(id, Nobody, transaction); }
            else { transaction.OnOrphaned(id); }
        }

        result = new(
            new(id, vnode, transaction.Cow), Removed: last && holders.IsEmpty, Orphaned: last && !holders.IsEmpty)
        {
            NeedsReaping = last && !gone && holders.IsEmpty,
        };
        return status;
    }
}

/// <summary>For a VNode with nothing below it: nobody is asked for.</summary>
internal sealed class NoHolders : INodeHolders
{
    public static readonly NoHolders Instance = new();

    public ReadOnlySpan<SessionId> Holders(VNodeId id) => default;
}
