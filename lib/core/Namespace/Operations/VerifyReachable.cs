namespace KvFs.Core;

/// <summary>Decides whether an id that comes without a session is valid: walking up from it reaches the root.</summary>
/// <remarks>Of a file with several names, one that is reached is enough: others may be in a tree that was removed and is still
/// held open. An orphan is valid only for the sessions that hold it. Source: docs/design.md, section 5.</remarks>
public static class VerifyReachable
{
    /// <returns>Ok; Stale: it is gone, has no name, or lies in a directory that has none; Corrupt: its parents lead nowhere, or
    /// in a circle.</returns>
    public static Status Apply(DriveView view, VNodeId id)
    {
        ArgumentNullException.ThrowIfNull(view);
        if (!view.TryGetVNode(id, out VNode vnode) || vnode.Nlink == 0) { return Status.Stale; }
        WayUp way = WalkUp(view, vnode.IsDirectory ? id : vnode.Parent);
        if (way == WayUp.ToRemoved && (vnode.Flags & VNodeFlags.HasLinks) != 0) { way = WalkUpFromLinks(view, id); }
        return way switch
        {
            WayUp.ToRoot => Status.Ok,
            WayUp.ToRemoved => Status.Stale,
            _ => Status.Corrupt,
        };
    }

    private static WayUp WalkUpFromLinks(DriveView view, VNodeId id)
    {
        WayUp way = WayUp.ToRemoved;
        using DriveCursor cursor = view.WalkPrefix(RecordKey.LinksOf(id));
        while (way == WayUp.ToRemoved && cursor.MoveNext())
        {
            if (!RecordKey.TrySplitLink(cursor.Key, out VNodeId parent, out _))
            {
                throw new RecordCorruptException(Status.Corrupt, cursor.Key);
            }

            way = WalkUp(view, parent);
        }

        return way;
    }

    private static WayUp WalkUp(DriveView view, VNodeId directory) =>
        Directories.WalkUp(view, directory, VNodeId.None, out _);
}
