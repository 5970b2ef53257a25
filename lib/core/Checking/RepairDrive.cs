using System.Globalization;
using System.Text;

namespace KvFs.Core;

/// <summary>Mends what <see cref="DriveChecker"/> found, where other records prove what is right.</summary>
/// <remarks>
/// Discards nothing: counts and flags are set to what the records say; a VNode that no name leads to, or that should be on the
/// list of orphans, gets a name in the root. What would lose something (a name that leads nowhere, data behind an end,
/// records of a VNode that is gone, damaged bytes) is left as it is, for people to decide.
/// One finding is one transaction, and mending one may uncover or end another: check again after it, until nothing is left
/// that can be mended. The drive must not change meanwhile.
/// </remarks>
public static class RepairDrive
{
    /// <returns>Ok; NotSupported: it is not <see cref="DriveFinding.IsRepairable"/>; Stale: the VNode is gone; Exists: the
    /// name in the root is taken; else what the transaction answers.</returns>
    public static Status Apply(DriveFinding finding, DriveTransaction transaction)
    {
        ArgumentNullException.ThrowIfNull(finding);
        ArgumentNullException.ThrowIfNull(transaction);
        if (!finding.IsRepairable) { return Status.NotSupported; }
        DriveCounters counters = transaction.Counters;
        switch (finding.Kind)
        {
            case FindingKind.WrongUsedInodes:
                transaction.AdjustUsage(0, (long)finding.Expected - (long)counters.UsedInodes);
                return Status.Ok;
            case FindingKind.WrongUsedBytes:
                transaction.AdjustUsage((long)finding.Expected - (long)counters.UsedBytes, 0);
                return Status.Ok;
            case FindingKind.FalseOrphan:
                Orphans.RemoveAll(finding.Node, transaction);
                return Status.Ok;
            default:
                return RepairNode(finding, transaction);
        }
    }

    /// <summary>The name that a VNode without one gets in the root.</summary>
    public static string LostName(VNodeId id) => string.Create(CultureInfo.InvariantCulture, $"lost+found.{id.Value}");

    private static Status RepairNode(DriveFinding finding, DriveTransaction transaction)
    {
        if (!transaction.TryGetVNode(finding.Node, out VNode vnode)) { return Status.Stale; }
        switch (finding.Kind)
        {
            case FindingKind.WrongEntryCount: vnode.Size = finding.Expected; break;
            case FindingKind.WrongLinkCount: vnode.Nlink = (uint)finding.Expected; break;
            case FindingKind.WrongFlags: vnode.Flags = (VNodeFlags)finding.Expected; break;
            case FindingKind.WrongBackedBytes: vnode.AllocatedBytes = finding.Expected; break;
            default:
                Status status = GiveName(finding.Node, ref vnode, transaction);
                if (status != Status.Ok) { return status; }
                break;
        }

        transaction.PutVNode(finding.Node, vnode);
        return Status.Ok;
    }

    private static Status GiveName(VNodeId id, ref VNode vnode, DriveTransaction transaction)
    {
        byte[] name = Encoding.ASCII.GetBytes(LostName(id));
        Status status = Directories.Open(transaction, VNodeId.Root, out VNode root);
        if (status != Status.Ok) { return status; }
        if (transaction.TryGetDentry(VNodeId.Root, name, out _)) { return Status.Exists; }
        transaction.PutDentry(VNodeId.Root, name, new(id, vnode.Kind));
        Directories.Change(ref root, entries: 1, subdirectories: vnode.IsDirectory ? 1 : 0, transaction);
        transaction.PutVNode(VNodeId.Root, root);
        if (vnode.Nlink == 0) { vnode.Nlink = vnode.IsDirectory ? 2u : 1u; }
        vnode.Parent = VNodeId.Root;
        Orphans.RemoveAll(id, transaction);
        return Status.Ok;
    }
}
