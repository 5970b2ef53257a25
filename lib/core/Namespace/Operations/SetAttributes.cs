namespace KvFs.Core;

/// <summary>Changes mode, owner, size and times of a VNode.</summary>
/// <remarks>Source: chmod(2), chown(2), truncate(2), utimensat(2). Permission is the mount's business.</remarks>
public static class SetAttributes
{
    private const ushort ModeBits = 0b111_111_111_111;
    private const ushort SetUid = 0b100_000_000_000;
    private const ushort SetGid = 0b010_000_000_000;
    private const ushort GroupExecute = 0b001_000;

    /// <summary>In order: (1) check; (2) change the size; (3) clear what a change of content or owner clears; (4) change
    /// owner and mode, and the access ACL with it; (5) change the times; (6) write the VNode.</summary>
    /// <returns>Ok, Stale, IsDirectory and Invalid (a size for what is no file), TooLarge, and what
    /// <see cref="Truncate"/> answers.</returns>
    public static Status Apply(in SetAttributesRequest request, DriveTransaction transaction, out NodeInfo result)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        result = default;

        // 1.
        if (!transaction.TryGetVNode(request.Node, out VNode vnode)) { return Status.Stale; }
        bool resizes = (request.Mask & AttributeMask.Size) != 0;
        if (resizes && vnode.Kind != VNodeKind.File)
        {
            return vnode.IsDirectory ? Status.IsDirectory : Status.Invalid;
        }

        // 2.
        if (resizes)
        {
            Status status = Truncate.Apply(request.Node, ref vnode, request.Size, transaction);
            if (status != Status.Ok) { return status; }
        }

        // 3.
        bool chowns = (request.Mask & (AttributeMask.Uid | AttributeMask.Gid)) != 0;
        bool kills = (request.Mask & AttributeMask.KillSetId) != 0;
        if (!vnode.IsDirectory && (chowns || kills)) { ClearSetId(ref vnode); }
        if (chowns || kills || resizes) { Xattrs.DropCapability(request.Node, vnode, transaction); }

        // 4.
        if ((request.Mask & AttributeMask.Uid) != 0) { vnode.Uid = request.Uid; }
        if ((request.Mask & AttributeMask.Gid) != 0) { vnode.Gid = request.Gid; }
        if ((request.Mask & AttributeMask.Mode) != 0) { ChangeMode(request, ref vnode, transaction); }

        // 5.
        ChangeTimes(request, ref vnode, transaction);

        // 6.
        transaction.PutVNode(request.Node, vnode);
        result = new(request.Node, vnode, transaction.Cow);
        return Status.Ok;
    }

    private static void ClearSetId(ref VNode vnode)
    {
        int cleared = (vnode.Mode & GroupExecute) != 0 ? SetUid | SetGid : SetUid;
        vnode.Mode = (ushort)(vnode.Mode & ~cleared);
    }

    private static void ChangeMode(in SetAttributesRequest request, ref VNode vnode, DriveTransaction transaction)
    {
        vnode.Mode = (ushort)(request.Mode & ModeBits);
        if ((vnode.Flags & VNodeFlags.HasAccessAcl) == 0) { return; }
        ByteBuffer acl = Xattrs.RequireAcl(request.Node, PosixAcl.AccessName, transaction);
        PosixAcl.Change(acl.Writable(), vnode.Mode);
        RecordKey key = RecordKey.Xattr(request.Node, PosixAcl.AccessName);
        transaction.Put(ref key, acl.Span);
    }

    private static void ChangeTimes(in SetAttributesRequest request, ref VNode vnode, DriveTransaction transaction)
    {
        if ((request.Mask & AttributeMask.AccessTime) != 0) { vnode.AccessTime = request.AccessTime; }
        if ((request.Mask & AttributeMask.ModifyTime) != 0) { vnode.ModifyTime = request.ModifyTime; }
        if ((request.Mask & AttributeMask.AccessTimeNow) != 0) { vnode.AccessTime = transaction.Now; }
        if ((request.Mask & AttributeMask.ModifyTimeNow) != 0) { vnode.ModifyTime = transaction.Now; }
        if ((request.Mask & AttributeMask.KeepChangeTime) != 0) { return; }
        bool given = (request.Mask & AttributeMask.ChangeTime) != 0;
        vnode.ChangeTime = given ? request.ChangeTime : transaction.Now;
    }
}
