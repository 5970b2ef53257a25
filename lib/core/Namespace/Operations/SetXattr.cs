namespace KvFs.Core;

/// <summary>Sets an extended attribute. An access ACL also changes the mode, and is kept only for what the mode cannot say;
/// an empty ACL removes what is there.</summary>
/// <remarks>Source: setxattr(2), acl(5).</remarks>
public static class SetXattr
{
    private const ushort SetGid = 0b010_000_000_000;

    /// <summary>In order: (1) check the request; (2) check against what is there; (3) an access ACL changes the mode, and may
    /// thereby become needless; (4) write the attribute, or take it away; (5) write the VNode.</summary>
    /// <returns>Ok, Stale, Range, Invalid, NotPermitted, NotSupported, ValueTooLong, AccessDenied (a default ACL for what is
    /// no directory); Exists, NoAttribute: as the mode asks; NoSpace: the names would be longer than 64 KiB, or
    /// all of it than 512 KiB.</returns>
    public static Status Apply(in SetXattrRequest request, DriveTransaction transaction, out NodeInfo result)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        result = default;

        // 1.
        if (!transaction.TryGetVNode(request.Node, out VNode vnode)) { return Status.Stale; }
        Status status = Check(request, vnode);
        if (status != Status.Ok) { return status; }

        // 2.
        RecordKey key = RecordKey.Xattr(request.Node, request.Name);
        bool exists = (vnode.Flags & VNodeFlags.HasXattrs) != 0 && transaction.TryGet(ref key, new ByteBuffer());
        if (exists && request.Mode == XattrMode.CreateOnly) { return Status.Exists; }
        if (!exists && request.Mode == XattrMode.ReplaceOnly) { return Status.NoAttribute; }
        if ((vnode.Flags & VNodeFlags.HasXattrs) != 0
            && !Xattrs.Fits(request.Node, request.Name, request.Value.Length, transaction))
        {
            return Status.NoSpace;
        }

        // 3.
        bool kept = true;
        if (Xattrs.IsAcl(request.Name)) { kept = SetAcl(request, ref vnode); }

        // 4.
        if (kept)
        {
            transaction.Put(ref key, request.Value);
            vnode.Flags |= VNodeFlags.HasXattrs;
        }
        else if (exists)
        {
            transaction.Delete(ref key);
        }

        // 5.
        vnode.ChangeTime = transaction.Now;
        transaction.PutVNode(request.Node, vnode);
        result = new(request.Node, vnode, transaction.Cow);
        return Status.Ok;
    }

    private static Status Check(in SetXattrRequest request, in VNode vnode)
    {
        Status status = Xattrs.CheckName(request.Name, vnode);
        if (status != Status.Ok) { return status; }
        if (request.Mode is < XattrMode.Any or > XattrMode.ReplaceOnly) { return Status.Invalid; }
        if (request.Value.Length > Limits.XattrValueBytes) { return Status.ValueTooLong; }
        if (!Xattrs.IsAcl(request.Name)) { return Status.Ok; }
        status = PosixAcl.Validate(request.Value);
        if (status != Status.Ok) { return status; }
        bool misplaced = Xattrs.IsDefaultAcl(request.Name) && !vnode.IsDirectory && !PosixAcl.IsEmpty(request.Value);
        return misplaced ? Status.AccessDenied : Status.Ok;
    }

    /// <summary>Notes an ACL in mode and flags; false if no attribute is needed for it.</summary>
    private static bool SetAcl(in SetXattrRequest request, ref VNode vnode)
    {
        bool kept = !PosixAcl.IsEmpty(request.Value);
        VNodeFlags flag = VNodeFlags.HasDefaultAcl;
        if (Xattrs.IsAccessAcl(request.Name))
        {
            flag = VNodeFlags.HasAccessAcl;
            ushort mode = vnode.Mode;
            kept = kept && PosixAcl.ToMode(request.Value, ref mode);
            vnode.Mode = request.KillSetGid ? (ushort)(mode & ~SetGid) : mode;
        }

        vnode.Flags = kept ? vnode.Flags | flag : vnode.Flags & ~flag;
        return kept;
    }
}
