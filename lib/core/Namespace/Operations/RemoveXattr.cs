namespace KvFs.Core;

/// <summary>Removes an extended attribute; of an ACL, what it said beyond the mode.</summary>
public static class RemoveXattr
{
    /// <returns>Ok; NoAttribute; Stale: the VNode is gone; Range, Invalid, NotPermitted, NotSupported: no VNode of its
    /// kind has an attribute of this name. Removing an ACL that is not there is Ok, as the kernel has it.</returns>
    public static Status Apply(in RemoveXattrRequest request, DriveTransaction transaction, out NodeInfo result)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        result = default;
        if (!transaction.TryGetVNode(request.Node, out VNode vnode)) { return Status.Stale; }
        Status status = Xattrs.CheckName(request.Name, vnode);
        if (status != Status.Ok) { return status; }
        RecordKey key = RecordKey.Xattr(request.Node, request.Name);
        bool exists = (vnode.Flags & VNodeFlags.HasXattrs) != 0 && transaction.TryGet(ref key, new ByteBuffer());
        if (!exists && !Xattrs.IsAcl(request.Name)) { return Status.NoAttribute; }
        if (exists)
        {
            transaction.Delete(ref key);
            if (Xattrs.IsAccessAcl(request.Name)) { vnode.Flags &= ~VNodeFlags.HasAccessAcl; }
            if (Xattrs.IsDefaultAcl(request.Name)) { vnode.Flags &= ~VNodeFlags.HasDefaultAcl; }
            vnode.ChangeTime = transaction.Now;
            transaction.PutVNode(request.Node, vnode);
        }

        result = new(request.Node, vnode, transaction.Cow);
        return Status.Ok;
    }
}
