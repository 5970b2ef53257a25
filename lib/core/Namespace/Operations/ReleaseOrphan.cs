namespace KvFs.Core;

/// <summary>A session lets go of a VNode that has lost its last name: with the last holder it goes.</summary>
public static class ReleaseOrphan
{
    /// <summary>In order: (1) forget this holder; (2) if nobody else holds it, remove a bounded part; (3) if more is left,
    /// mark it as held by nobody, for the next step.</summary>
    /// <param name="id">The VNode.</param>
    /// <param name="holder">Who lets go; none to go on with the removal of what nobody holds.</param>
    /// <param name="holders">Who holds what is in it, if it is a directory that a restore replaced.</param>
    /// <param name="transaction">The transaction.</param>
    /// <param name="more">Call again, with no holder, in a later transaction.</param>
    /// <returns>Ok, also if the VNode is gone already, or has a name (again).</returns>
    public static Status Apply(
        VNodeId id, SessionId holder, INodeHolders holders, DriveTransaction transaction, out bool more)
    {
        ArgumentNullException.ThrowIfNull(holders);
        ArgumentNullException.ThrowIfNull(transaction);
        more = false;

        // 1.
        RecordKey key = RecordKey.Numbered(RecordKind.Orphan, id.Value, holder.Value);
        transaction.Delete(ref key);
        bool isOrphan = transaction.TryGetVNode(id, out VNode vnode) && vnode.Nlink == 0;
        if (!isOrphan || Orphans.HasAny(id, transaction)) { return Status.Ok; }

        // 2.
        Status status = NodeRemoval.Apply(id, ref vnode, holders, transaction, out bool done);
        if (status != Status.Ok || done) { return status; }

        // 3.
        transaction.PutVNode(id, vnode);
        Orphans.Add(id, Orphans.Nobody, transaction);
        more = true;
        return Status.Ok;
    }
}
