using KvFs.Core;

namespace KvFs.Mount;

/// <summary>A VNode at a version: what a node id of the kernel stands for.</summary>
/// <param name="Id">The VNode.</param>
/// <param name="At">The version; <see cref="CowNumber.Head"/> for the present.</param>
internal readonly record struct NodeRef(VNodeId Id, CowNumber At)
{
    public bool IsHead => At == CowNumber.Head;
}
