namespace KvFs.Core;

/// <summary>Reads a VNode by its id.</summary>
public static class GetNode
{
    /// <returns>Ok; Stale: it is gone, or never was.</returns>
    public static Status Apply(DriveView view, VNodeId id, out NodeInfo result)
    {
        ArgumentNullException.ThrowIfNull(view);
        bool found = view.TryGetVNode(id, out VNode vnode, out CowNumber version);
        result = found ? new(id, vnode, version) : default;
        return found ? Status.Ok : Status.Stale;
    }
}
