namespace KvFs.Core;

/// <summary>Gives a VNode that is no directory one more name; a nameless one (O_TMPFILE) its first.</summary>
/// <remarks>Source: link(2), open(2) on O_TMPFILE.</remarks>
public static class Link
{
    /// <summary>In order: (1) check name and directory; (2) check the VNode; (3) write the name, the directory and the
    /// VNode.</summary>
    /// <returns>Ok, Invalid, NameTooLong, NotDirectory, Exists, Stale, NotPermitted (a directory), TooManyLinks; NotFound:
    /// the directory was removed, or the VNode has lost its last name.</returns>
    public static Status Apply(in LinkRequest request, DriveTransaction transaction, out NodeInfo result)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        result = default;

        // 1.
        Status status = NameRules.Check(request.NewName);
        if (status != Status.Ok) { return status; }
        status = Directories.Open(transaction, request.NewParent, out VNode parent);
        if (status != Status.Ok) { return status; }
        if (transaction.TryGetDentry(request.NewParent, request.NewName, out _)) { return Status.Exists; }

        // 2.
        if (!transaction.TryGetVNode(request.Node, out VNode vnode)) { return Status.Stale; }
        if (vnode.IsDirectory) { return Status.NotPermitted; }
        if (vnode.Nlink >= Limits.Links) { return Status.TooManyLinks; }
        if (vnode.Nlink == 0)
        {
            if ((vnode.Flags & VNodeFlags.Linkable) == 0) { return Status.NotFound; }
            vnode.Flags &= ~VNodeFlags.Linkable;
            Orphans.RemoveAll(request.Node, transaction);
        }

        // 3.
        transaction.PutDentry(request.NewParent, request.NewName, new(request.Node, vnode.Kind));
        Directories.Change(ref parent, entries: 1, subdirectories: 0, transaction);
        transaction.PutVNode(request.NewParent, parent);
        HardLinks.Add(request.Node, ref vnode, request.NewParent, request.NewName, transaction);
        vnode.ChangeTime = transaction.Now;
        transaction.PutVNode(request.Node, vnode);
        result = new(request.Node, vnode, transaction.Cow);
        return Status.Ok;
    }
}
