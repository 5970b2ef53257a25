using KvFs.Core;

namespace KvFs.Mount;

/// <summary>The last attributes of VNodes that are gone, for as long as the kernel knows them: such a directory may be
/// somebody's working directory, or be open by its place only (O_PATH), and then nobody holds it.</summary>
/// <remarks>Thread safe. The kernel forgets most of them right after their removal.</remarks>
internal sealed class RemovedNodes
{
    /// <summary>VNodes kept at the most: those that the kernel forgets late. Others are stale at once.</summary>
    private const int MaxNodes = 64 << 10;

    private readonly Lock gate = new();
    private readonly Dictionary<ulong, NodeInfo> nodes = [];
    private int count;

    /// <summary>A VNode is gone; call before the kernel is told.</summary>
    public void Add(in NodeInfo info)
    {
        lock (gate)
        {
            if (nodes.Count < MaxNodes) { nodes[info.Id.Value] = info; }
            Volatile.Write(ref count, nodes.Count);
        }
    }

    public bool TryGet(ulong nodeId, out NodeInfo info)
    {
        lock (gate) { return nodes.TryGetValue(nodeId, out info); }
    }

    /// <summary>Changes what is known of a node.</summary>
    public bool TryChange(in SetAttributesRequest request, Timestamp now, out NodeInfo info)
    {
        lock (gate)
        {
            if (!nodes.TryGetValue(request.Node.Value, out info)) { return false; }
            VNode changed = info.VNode;
            SetAttributes.ApplyPlain(request, now, ref changed);
            nodes[request.Node.Value] = info = info with { VNode = changed };
            return true;
        }
    }

    /// <summary>The kernel forgets a node.</summary>
    public void Forget(ulong nodeId)
    {
        if (Volatile.Read(ref count) == 0) { return; }
        lock (gate)
        {
            nodes.Remove(nodeId);
            Volatile.Write(ref count, nodes.Count);
        }
    }
}
