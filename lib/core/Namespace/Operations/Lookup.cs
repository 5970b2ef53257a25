namespace KvFs.Core;

/// <summary>Finds a VNode by its name in a directory; "." and ".." are the directory and its parent.</summary>
public static class Lookup
{
    /// <returns>Ok; NotFound; NotDirectory; NameTooLong; Stale: the directory is gone.</returns>
    public static Status Apply(DriveView view, VNodeId parent, ReadOnlySpan<byte> name, out NodeInfo result)
    {
        ArgumentNullException.ThrowIfNull(view);
        result = default;
        if (!view.TryGetVNode(parent, out VNode directory)) { return Status.Stale; }
        if (!directory.IsDirectory) { return Status.NotDirectory; }
        if (name.Length > Limits.NameBytes) { return Status.NameTooLong; }
        VNodeId id;
        if (NameRules.IsDot(name)) { id = parent; }
        else if (NameRules.IsDotDot(name)) { id = directory.Parent; }
        else if (view.TryGetDentry(parent, name, out Dentry dentry)) { id = dentry.Child; }
        else { return Status.NotFound; }

        if (!view.TryGetVNode(id, out VNode vnode, out CowNumber version))
        {
            RecordKey key = RecordKey.VNode(id);
            view.ThrowCorrupt(ref key);
        }

        result = new(id, vnode, version);
        return Status.Ok;
    }
}
