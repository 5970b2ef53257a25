namespace KvFs.Core;

/// <summary>Puts runs of bytes into a file: what a write ends in.</summary>
/// <remarks>
/// In order: (1) everything is checked; (2) each run becomes one slice record above all others of its cluster; (3) the growth
/// of backed bytes is charged; (4) size, attributes, times and set-id bits follow. Cost: no record of the cluster is read if its coverage
/// is known (<see cref="ClusterCache"/>). Answers beside Ok: Stale, IsDirectory, Invalid, TooLarge, NoSpace, Conflict (a
/// block that is not the session's to name, or another size than <see cref="FileCommit.SizeBefore"/>), NotFound (a block that is not in
/// <see cref="FileCommit.Stored"/>), Busy (<see cref="DriveTransaction.Obstacle"/>).
/// </remarks>
public static class CommitSlices
{
    public static Status Apply(FileCommit commit, DriveTransaction transaction, out NodeInfo info)
    {
        ArgumentNullException.ThrowIfNull(commit);
        ArgumentNullException.ThrowIfNull(transaction);
        info = default;
        Status status = FileNodes.Find(commit.Node, transaction, out VNode vnode);
        if (status != Status.Ok) { return status; }
        if (commit.SizeBefore is { } before && before != vnode.Size) { return Status.Conflict; }
        ulong size = Math.Max(vnode.Size, commit.MinSize);
        status = Check(commit, size, transaction);
        if (status != Status.Ok) { return status; }

        DataExtent extent = DataExtent.Read(commit.Node, vnode, transaction);
        long growth = 0;
        foreach (FileRun run in commit.Runs)
        {
            status = Put(commit, run, extent, transaction, ref growth);
            if (status != Status.Ok) { return status; }
        }

        status = BackedBytes.Charge(ref vnode, growth, transaction);
        if (status != Status.Ok) { return status; }
        vnode.Size = size;
        if (commit.Attributes is { } attributes) { SetAttributes.ApplyWithData(attributes, transaction, ref vnode); }
        if (!commit.KeepTimes)
        {
            vnode.ModifyTime = commit.ModifyTime;
            if (commit.ModifyTime > vnode.ChangeTime) { vnode.ChangeTime = commit.ModifyTime; }
        }

        if (commit.KillSetId) { vnode.Mode = WritePrivileges.WithoutSetId(vnode.Mode); }
        Xattrs.DropCapability(commit.Node, vnode, transaction);
        info = FileNodes.PutChanged(commit.Node, ref vnode, transaction);
        return Status.Ok;
    }

    private static Status Put(
        FileCommit commit, FileRun run, in DataExtent extent, DriveTransaction transaction, ref long growth)
    {
        uint cluster = (uint)(run.FileOffset / Limits.ClusterBytes);
        bool isBlock = run.Kind == SliceKind.Block;
        Slice slice = new(
            (uint)(run.FileOffset % Limits.ClusterBytes),
            run.Length,
            run.Kind,
            isBlock ? run.Block : default,
            isBlock ? run.SourceOffset : 0);
        ReadOnlySpan<byte> inline = run.Kind == SliceKind.Inline
            ? commit.Inline.Span.Slice((int)run.SourceOffset, (int)run.Length)
            : default;
        Status status = SliceWriter.Put(commit.Node, extent, cluster, slice, inline, commit.Session, transaction, ref growth);
        bool isLost = status == Status.Ok && isBlock && commit.Stored is { } stored && transaction.Blocks.IsNew(run.Block.Id) && !stored.Has(run.Block.Id);
        return isLost ? Status.NotFound : status;
    }

    private static Status Check(FileCommit commit, ulong size, DriveTransaction transaction)
    {
        if (size > Limits.FileBytes) { return Status.TooLarge; }
        if (commit.Attributes is { } attributes
            && (attributes.Node != commit.Node || (attributes.Mask & AttributeMask.Size) != 0))
        {
            return Status.Invalid;
        }

        foreach (FileRun run in commit.Runs)
        {
            if (run.Length is 0 or > Limits.ClusterBytes) { return Status.Invalid; }
            if (run.FileOffset > Limits.FileBytes - run.Length) { return Status.TooLarge; }
            if ((run.FileOffset % Limits.ClusterBytes) + run.Length > Limits.ClusterBytes) { return Status.Invalid; }
            bool valid = run.Kind switch
            {
                SliceKind.Inline => run.Length <= Limits.InlineSliceBytes
                    && (ulong)run.SourceOffset + run.Length <= (ulong)commit.Inline.Length,
                SliceKind.Block => run.Block.Owner == transaction.Drive && run.Block.Id.Value != 0
                    && (ulong)run.SourceOffset + run.Length <= Limits.BlockBytes,
                SliceKind.Hole or SliceKind.Unwritten => true,
                _ => false,
            };
            bool isData = run.Kind is SliceKind.Inline or SliceKind.Block;
            if (!valid || (isData && run.FileOffset + run.Length > size)) { return Status.Invalid; }
        }

        return Status.Ok;
    }
}
