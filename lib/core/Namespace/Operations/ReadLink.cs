namespace KvFs.Core;

/// <summary>Reads the target of a symbolic link.</summary>
public static class ReadLink
{
    /// <returns>Ok; Invalid: it is no symlink; Stale: it is gone.</returns>
    public static Status Apply(DriveView view, VNodeId id, ByteBuffer target)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(target);
        if (!view.TryGetVNode(id, out VNode vnode)) { return Status.Stale; }
        if (vnode.Kind != VNodeKind.Symlink) { return Status.Invalid; }
        RecordKey key = RecordKey.Symlink(id);
        if (!view.TryGet(ref key, target)) { view.ThrowCorrupt(ref key); }
        return Status.Ok;
    }
}
