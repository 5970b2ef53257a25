namespace KvFs.Core;

/// <summary>Changes mode, owner, size and times of a VNode.</summary>
/// <remarks>Source: chmod(2), chown(2), truncate(2), utimensat(2). Permission is the mount's business.</remarks>
public static class SetAttributes
{
    private const ushort ModeBits = 0b111_111_111_111;

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

        // 3, 4.
        if (ClearsPrivilege(request) || resizes) { Xattrs.DropCapability(request.Node, vnode, transaction); }
        ChangeOwnerAndMode(request, ref vnode);
        if ((request.Mask & AttributeMask.Mode) != 0) { ChangeAcl(request.Node, vnode, transaction); }

        // 5.
        ChangeTimes(request, transaction.Now, ref vnode);

        // 6.
        transaction.PutVNode(request.Node, vnode);
        result = new(request.Node, vnode, transaction.Cow);
        return Status.Ok;
    }

    /// <summary>The same, of a file whose data is being committed: the caller drops a capability and writes the VNode. A change
    /// time that is given never goes back.</summary>
    internal static void ApplyWithData(
        in SetAttributesRequest request, DriveTransaction transaction, ref VNode vnode)
    {
        Timestamp before = vnode.ChangeTime;
        ApplyPlain(request, transaction.Now, ref vnode);
        if (before > vnode.ChangeTime) { vnode.ChangeTime = before; }
        if ((request.Mask & AttributeMask.Mode) != 0) { ChangeAcl(request.Node, vnode, transaction); }
    }

    /// <summary>The same for a VNode that has no extended attributes, outside of any transaction: one that is gone, and that
    /// somebody knows still, or one whose new attributes wait for its data.</summary>
    public static void ApplyPlain(in SetAttributesRequest request, Timestamp now, ref VNode vnode)
    {
        ChangeOwnerAndMode(request, ref vnode);
        ChangeTimes(request, now, ref vnode);
    }

    private static bool ClearsPrivilege(in SetAttributesRequest request) =>
        (request.Mask & (AttributeMask.Uid | AttributeMask.Gid | AttributeMask.KillSetId)) != 0;

    private static void ChangeOwnerAndMode(in SetAttributesRequest request, ref VNode vnode)
    {
        if (!vnode.IsDirectory && ClearsPrivilege(request))
        {
            vnode.Mode = WritePrivileges.WithoutSetId(vnode.Mode);
        }

        if ((request.Mask & AttributeMask.Uid) != 0) { vnode.Uid = request.Uid; }
        if ((request.Mask & AttributeMask.Gid) != 0) { vnode.Gid = request.Gid; }
        if ((request.Mask & AttributeMask.Mode) != 0) { vnode.Mode = (ushort)(request.Mode & ModeBits); }
    }

    private static void ChangeAcl(VNodeId id, in VNode vnode, DriveTransaction transaction)
    {
        if ((vnode.Flags & VNodeFlags.HasAccessAcl) == 0) { return; }
        ByteBuffer acl = Xattrs.RequireAcl(id, PosixAcl.AccessName, transaction);
        PosixAcl.Change(acl.Writable(), vnode.Mode);
        RecordKey key = RecordKey.Xattr(id, PosixAcl.AccessName);
        transaction.Put(ref key, acl.Span);
    }

    private static void ChangeTimes(in SetAttributesRequest request, Timestamp now, ref VNode vnode)
    {
        if ((request.Mask & AttributeMask.AccessTime) != 0) { vnode.AccessTime = request.AccessTime; }
        if ((request.Mask & AttributeMask.ModifyTime) != 0) { vnode.ModifyTime = request.ModifyTime; }
        if ((request.Mask & AttributeMask.AccessTimeNow) != 0) { vnode.AccessTime = now; }
        if ((request.Mask & AttributeMask.ModifyTimeNow) != 0) { vnode.ModifyTime = now; }
        if ((request.Mask & AttributeMask.KeepChangeTime) != 0) { return; }
        bool given = (request.Mask & AttributeMask.ChangeTime) != 0;
        vnode.ChangeTime = given ? request.ChangeTime : now;
    }
}
