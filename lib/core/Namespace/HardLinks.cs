namespace KvFs.Core;

/// <summary>Keeps track of where the names of a VNode are that may have several.</summary>
/// <remarks>One name, the first one, has no record: <see cref="VNode.Parent"/> says in which directory it is. Each further
/// name has a link record. When the first name goes, one of the others takes its place. So nlink is 1 plus the number of
/// link records, and a file with one name, as most have, costs nothing.</remarks>
internal static class HardLinks
{
    /// <summary>Notes one more name; the dentry is the caller's.</summary>
    public static void Add(
        VNodeId id, ref VNode vnode, VNodeId parent, ReadOnlySpan<byte> name, DriveTransaction transaction)
    {
        vnode.Nlink++;
        if (vnode.Nlink == 1)
        {
            vnode.Parent = parent;
            return;
        }

        vnode.Flags |= VNodeFlags.HasLinks;
        RecordKey key = RecordKey.Link(id, parent, name);
        transaction.Put(ref key, default);
    }

    /// <summary>Notes that a name is gone; the dentry is the caller's.</summary>
    public static void Remove(
        VNodeId id, ref VNode vnode, VNodeId parent, ReadOnlySpan<byte> name, DriveTransaction transaction)
    {
        vnode.Nlink--;
        if ((vnode.Flags & VNodeFlags.HasLinks) == 0) { return; }
        RecordKey key = RecordKey.Link(id, parent, name);
        if (Exists(ref key, transaction)) { transaction.Delete(ref key); }
        else if (vnode.Nlink > 0) { Promote(id, ref vnode, transaction); }

        if (vnode.Nlink <= 1) { vnode.Flags &= ~VNodeFlags.HasLinks; }
    }

    /// <summary>Notes that a name moved; the dentries are the caller's.</summary>
    public static void Move(
        VNodeId id,
        ref VNode vnode,
        VNodeId oldParent,
        ReadOnlySpan<byte> oldName,
        VNodeId newParent,
        ReadOnlySpan<byte> newName,
        DriveTransaction transaction)
    {
        RecordKey key = RecordKey.Link(id, oldParent, oldName);
        if ((vnode.Flags & VNodeFlags.HasLinks) == 0 || !Exists(ref key, transaction))
        {
            vnode.Parent = newParent;
            return;
        }

        transaction.Delete(ref key);
        key = RecordKey.Link(id, newParent, newName);
        transaction.Put(ref key, default);
    }

    private static bool Exists(ref RecordKey key, DriveTransaction transaction) =>
        transaction.TryGet(ref key, new ByteBuffer(0));

    private static void Promote(VNodeId id, ref VNode vnode, DriveTransaction transaction)
    {
        RecordKey first;
        using (DriveCursor cursor = transaction.WalkPrefix(RecordKey.LinksOf(id)))
        {
            if (!cursor.MoveNext())
            {
                RecordKey key = RecordKey.VNode(id);
                transaction.ThrowCorrupt(ref key);
            }

            first = RecordKey.FromRelative(cursor.Key);
        }

        if (!RecordKey.TrySplitLink(first.Relative, out VNodeId parent, out _)) { transaction.ThrowCorrupt(ref first); }
        vnode.Parent = parent;
        transaction.Delete(ref first);
    }
}
