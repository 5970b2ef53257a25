namespace KvFs.Core;

/// <summary>Reads an extended attribute; ACLs in the kernel's binary form.</summary>
public static class GetXattr
{
    /// <returns>Ok; NoAttribute; Stale: the VNode is gone; Range, Invalid, NotPermitted, NotSupported: no VNode of its
    /// kind has an attribute of this name.</returns>
    public static Status Apply(DriveView view, VNodeId id, ReadOnlySpan<byte> name, ByteBuffer value)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(value);
        value.Clear();
        if (!view.TryGetVNode(id, out VNode vnode)) { return Status.Stale; }
        Status status = Xattrs.CheckName(name, vnode);
        if (status != Status.Ok) { return status; }
        if ((vnode.Flags & VNodeFlags.HasXattrs) == 0) { return Status.NoAttribute; }
        RecordKey key = RecordKey.Xattr(id, name);
        return view.TryGet(ref key, value) ? Status.Ok : Status.NoAttribute;
    }
}
