namespace KvFs.Core;

/// <summary>Finds the files that data operations work on.</summary>
internal static class FileNodes
{
    /// <summary><see cref="Status.Stale"/>: it is gone. <see cref="Status.IsDirectory"/>, <see cref="Status.Invalid"/>: it is
    /// no file.</summary>
    public static Status Find(VNodeId id, DriveView view, out VNode vnode)
    {
        if (!view.TryGetVNode(id, out vnode)) { return Status.Stale; }
        if (vnode.IsDirectory) { return Status.IsDirectory; }
        return vnode.Kind == VNodeKind.File ? Status.Ok : Status.Invalid;
    }

    /// <summary>Writes a file whose content changed.</summary>
    public static NodeInfo PutChanged(VNodeId id, ref VNode vnode, DriveTransaction transaction)
    {
        vnode.DataVersion = transaction.Cow;
        transaction.PutVNode(id, vnode);
        return new(id, vnode, transaction.Cow);
    }
}
