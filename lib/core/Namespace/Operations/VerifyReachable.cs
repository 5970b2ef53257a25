namespace KvFs.Core;

/// <summary>Decides whether an id that comes without a session is valid: walking up from it reaches the root.</summary>
/// <remarks>An orphan is valid only for the sessions that hold it. Source: docs/design.md, section 5.</remarks>
public static class VerifyReachable
{
    /// <returns>Ok; Stale: it is gone, has no name, or lies in a directory that has none; Corrupt: its
    /// parents lead nowhere, or in a circle.</returns>
    public static Status Apply(DriveView view, VNodeId id)
    {
        ArgumentNullException.ThrowIfNull(view);
        if (!view.TryGetVNode(id, out VNode vnode) || vnode.Nlink == 0) { return Status.Stale; }
        WayUp way = Directories.WalkUp(view, vnode.IsDirectory ? id : vnode.Parent, VNodeId.None, out _);
        return way switch
        {
            WayUp.ToRoot => Status.Ok,
            WayUp.ToRemoved => Status.Stale,
            _ => Status.Corrupt,
        };
    }
}
