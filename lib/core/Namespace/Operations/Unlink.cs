namespace KvFs.Core;

/// <summary>Takes a name away: of a file, or of an empty directory.</summary>
/// <remarks>Source: unlink(2), rmdir(2).</remarks>
public static class Unlink
{
    /// <summary>In order: (1) check name and directory; (2) check what the name leads to; (3) take the name away; (4) take
    /// it off the VNode, which goes, or becomes an orphan, with its last one.</summary>
    /// <returns>Ok, Invalid, NameTooLong, Stale, NotFound, NotDirectory (rmdir of something else), IsDirectory (unlink of a
    /// directory), NotEmpty.</returns>
    public static Status Apply(in UnlinkRequest request, DriveTransaction transaction, out UnlinkResult result)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        result = default;

        // 1.
        Status status = NameRules.Check(request.Name);
        if (status != Status.Ok) { return status; }
        status = Directories.Open(transaction, request.Parent, out VNode parent);
        if (status != Status.Ok) { return status; }
        if (!transaction.TryGetDentry(request.Parent, request.Name, out Dentry dentry)) { return Status.NotFound; }

        // 2.
        VNode vnode = Directories.Require(transaction, dentry.Child);
        if (request.Directory && !vnode.IsDirectory) { return Status.NotDirectory; }
        if (!request.Directory && vnode.IsDirectory) { return Status.IsDirectory; }
        if (vnode.IsDirectory && vnode.Size > 0) { return Status.NotEmpty; }

        // 3.
        transaction.DeleteDentry(request.Parent, request.Name);
        Directories.Change(ref parent, entries: -1, subdirectories: vnode.IsDirectory ? -1 : 0, transaction);
        transaction.PutVNode(request.Parent, parent);

        // 4.
        return Orphans.LoseName(
            dentry.Child, vnode, request.Parent, request.Name, request.Holders, transaction, out result);
    }
}
