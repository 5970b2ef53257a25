namespace KvFs.Core;

/// <summary>Checks each VNode against all records that begin with its id, and each directory against its entries.</summary>
/// <remarks>One walk over the VNodes, and beside it one over each other kind: each record is read once. What an entry leads
/// to, and a directory's way to the root, are looked up.</remarks>
internal sealed class NodeCheck : IDisposable
{
    private const VNodeFlags Checked = VNodeFlags.HasAccessAcl | VNodeFlags.HasDefaultAcl;

    private readonly DriveView view;
    private readonly IFindingSink findings;
    private readonly NodeRecords dentries;
    private readonly NodeRecords links;
    private readonly NodeRecords xattrs;
    private readonly NodeRecords targets;
    private readonly NodeRecords orphans;
    private readonly NodeRecords cuts;
    private readonly NodeRecords slices;
    private readonly SliceCheck sliceCheck;

    private NodeCheck(DriveView view, IFindingSink findings)
    {
        this.view = view;
        this.findings = findings;
        dentries = new(view, RecordKind.Dentry, findings);
        links = new(view, RecordKind.Link, findings);
        xattrs = new(view, RecordKind.Xattr, findings);
        targets = new(view, RecordKind.Symlink, findings);
        orphans = new(view, RecordKind.Orphan, findings);
        cuts = new(view, RecordKind.Cut, findings);
        slices = new(view, RecordKind.Slice, findings);
        sliceCheck = new(view, slices, findings);
    }

    private NodeRecords[] Others => [dentries, links, xattrs, targets, orphans, cuts, slices];

    /// <summary>Checks all VNodes; tells how many there are, and how many bytes they back.</summary>
    public static void Run(DriveView view, IFindingSink findings, out ulong inodes, out ulong bytes)
    {
        using NodeCheck check = new(view, findings);
        inodes = 0;
        bytes = 0;
        bool hasRoot = false;
        using DriveCursor cursor = view.WalkPrefix(RecordKey.Single(RecordKind.VNode));
        while (cursor.MoveNext())
        {
            RecordKey key = RecordKey.FromRelative(cursor.Key);
            if (!RecordKey.TrySplitNumbers(cursor.Key, out ulong id, out _)
                || !VNode.TryDecode(cursor.Payload, out VNode vnode))
            {
                view.ThrowCorrupt(ref key);
                return;
            }

            check.Check(new(id), vnode);
            hasRoot |= id == VNodeId.Root.Value && vnode.IsDirectory && vnode.Nlink > 0;
            inodes++;
            bytes += vnode.AllocatedBytes;
        }

        foreach (NodeRecords other in check.Others) { other.Finish(); }
        if (!hasRoot) { findings.Add(new(FindingKind.NoRoot, VNodeId.Root, VNodeId.None, 1, 0, "the root directory")); }
    }

    public void Dispose()
    {
        foreach (NodeRecords other in Others) { other.Dispose(); }
    }

    private void Check(VNodeId id, in VNode vnode)
    {
        if (vnode.IsDirectory) { CheckDirectory(id, vnode); }
        else { CheckOther(id, vnode); }

        if (vnode.Kind == VNodeKind.Symlink) { CheckTarget(id, vnode); }
        else { targets.ExpectNone(id); }

        if (vnode.Kind == VNodeKind.File)
        {
            sliceCheck.Check(id, vnode);
        }
        else
        {
            slices.ExpectNone(id);
            ulong backed = vnode.AllocatedBytes;
            if (backed != 0) { Report(FindingKind.WrongBackedBytes, id, 0, backed, "bytes"); }
        }

        CheckCut(id, vnode);
        CheckXattrs(id, vnode);
        CheckOrphan(id, vnode);
    }

    private void CheckDirectory(VNodeId id, in VNode vnode)
    {
        links.ExpectNone(id);
        ulong entries = 0;
        uint subdirectories = 0;
        for (; dentries.IsAt(id); dentries.Move())
        {
            entries++;
            if (CheckEntry(id).Kind == VNodeKind.Directory) { subdirectories++; }
        }

        if (entries != vnode.Size) { Report(FindingKind.WrongEntryCount, id, entries, vnode.Size, "entries"); }
        if (vnode.Nlink == 0) { return; }
        if (vnode.Nlink != 2 + subdirectories)
        {
            Report(FindingKind.WrongLinkCount, id, 2 + subdirectories, vnode.Nlink, "links of a directory");
        }

        if (Directories.WalkUp(view, id, VNodeId.None, out _) == WayUp.Broken)
        {
            Report(FindingKind.Unreachable, id, 0, vnode.Parent.Value, "the parents lead nowhere");
        }
    }

    private Dentry CheckEntry(VNodeId directory)
    {
        if (!RecordKey.TrySplitDentry(dentries.Key, out _, out ulong hash, out ReadOnlySpan<byte> name)
            || !Dentry.TryDecode(dentries.Payload, out Dentry dentry)
            || NameRules.Check(name) != Status.Ok || hash != NameHash.Compute(name))
        {
            throw new RecordCorruptException(Status.Corrupt, dentries.Key);
        }

        if (!view.TryGetVNode(dentry.Child, out VNode child))
        {
            findings.Add(new(FindingKind.DanglingName, directory, dentry.Child, 0, 0, NameText.Of(name)));
        }
        else if (child.Kind != dentry.Kind)
        {
            ulong expected = (ulong)child.Kind;
            findings.Add(new(
                FindingKind.WrongKind, directory, dentry.Child, expected, (ulong)dentry.Kind, NameText.Of(name)));
        }

        return dentry;
    }

    private void CheckOther(VNodeId id, in VNode vnode)
    {
        dentries.ExpectNone(id);
        uint names = vnode.Nlink == 0 ? 0u : 1u;
        bool hasLinks = false;
        for (; links.IsAt(id); links.Move())
        {
            hasLinks = true;
            names++;
            if (!RecordKey.TrySplitLink(links.Key, out VNodeId parent, out ReadOnlySpan<byte> name))
            {
                throw new RecordCorruptException(Status.Corrupt, links.Key);
            }

            if (!view.TryGetDentry(parent, name, out Dentry dentry) || dentry.Child != id)
            {
                findings.Add(new(FindingKind.StrayRecord, id, parent, 1, 0, $"link {NameText.Of(name)}"));
            }
        }

        if (names != vnode.Nlink) { Report(FindingKind.WrongLinkCount, id, names, vnode.Nlink, "names"); }
        if (hasLinks && (vnode.Flags & VNodeFlags.HasLinks) == 0)
        {
            ulong expected = (ulong)(vnode.Flags | VNodeFlags.HasLinks);
            Report(FindingKind.WrongFlags, id, expected, (ulong)vnode.Flags, "HasLinks");
        }
    }

    private void CheckTarget(VNodeId id, in VNode vnode)
    {
        bool exists = targets.IsAt(id);
        ulong length = exists ? (ulong)targets.Payload.Length : 0;
        if (!exists || length != vnode.Size) { Report(FindingKind.WrongTarget, id, length, vnode.Size, "target"); }
        if (exists) { targets.Move(); }
    }

    private void CheckCut(VNodeId id, in VNode vnode)
    {
        if ((vnode.Flags & VNodeFlags.HasCut) == 0)
        {
            cuts.ExpectNone(id);
            return;
        }

        if (cuts.IsAt(id)) { cuts.Move(); }
        else { throw new RecordCorruptException($"VNode {id} is cut off, but nothing says where."); }
    }

    private void CheckXattrs(VNodeId id, in VNode vnode)
    {
        VNodeFlags needed = VNodeFlags.None;
        for (; xattrs.IsAt(id); xattrs.Move())
        {
            needed |= VNodeFlags.HasXattrs;
            if (!RecordKey.TrySplitXattr(xattrs.Key, out _, out ReadOnlySpan<byte> name))
            {
                throw new RecordCorruptException(Status.Corrupt, xattrs.Key);
            }

            bool isUsable = !PosixAcl.IsEmpty(xattrs.Payload) && PosixAcl.Validate(xattrs.Payload) == Status.Ok;
            if (Xattrs.IsAcl(name) && !isUsable)
            {
                throw new RecordCorruptException(Status.Corrupt, xattrs.Key);
            }

            if (Xattrs.IsAccessAcl(name)) { needed |= VNodeFlags.HasAccessAcl; }
            if (Xattrs.IsDefaultAcl(name)) { needed |= VNodeFlags.HasDefaultAcl; }
        }

        // HasXattrs may stay when the last one is gone; those about ACLs are exact.
        VNodeFlags expected = (vnode.Flags & ~Checked) | needed;
        if (expected == vnode.Flags) { return; }
        Report(FindingKind.WrongFlags, id, (ulong)expected, (ulong)vnode.Flags, "attributes");
    }

    private void CheckOrphan(VNodeId id, in VNode vnode)
    {
        ulong holders = 0;
        for (; orphans.IsAt(id); orphans.Move()) { holders++; }
        if (vnode.Nlink == 0 && holders == 0) { Report(FindingKind.UnlistedOrphan, id, 1, 0, "orphan"); }
        if (vnode.Nlink > 0 && holders > 0) { Report(FindingKind.FalseOrphan, id, 0, holders, "orphan"); }
    }

    private void Report(FindingKind kind, VNodeId id, ulong expected, ulong found, string detail) =>
        findings.Add(new(kind, id, VNodeId.None, expected, found, detail));
}
