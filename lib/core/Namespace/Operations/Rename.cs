namespace KvFs.Core;

/// <summary>Moves a name, replacing an existing target if the kinds allow it; or exchanges two names.</summary>
/// <remarks>Source: rename(2), renameat2(2).</remarks>
public static class Rename
{
    private const RenameFlags Known = RenameFlags.NoReplace | RenameFlags.Exchange | RenameFlags.Whiteout;

    /// <summary>In order: (1) check names, flags and directories; (2) find both VNodes, and stop if there is nothing to do;
    /// (3) check that they may change places; (4) take the target's name away; (5) move the source; (6) leave a whiteout,
    /// if asked for; (7) write the directories.</summary>
    /// <returns>Ok, Invalid (also: a directory into itself or below), NameTooLong, Stale, NotFound, NotDirectory,
    /// IsDirectory, NotEmpty, Exists, TooManyLinks, NoInodes; Busy: no id is reserved for the whiteout.</returns>
    public static Status Apply(in RenameRequest request, DriveTransaction transaction, out UnlinkResult result)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        result = default;

        // 1.
        Status status = Check(request);
        if (status != Status.Ok) { return status; }
        Ends ends = new() { IsOneDirectory = request.OldParent == request.NewParent };
        status = ends.Open(request, transaction);
        if (status != Status.Ok) { return status; }

        // 2.
        status = ends.Find(request, transaction);
        if (status != Status.Ok) { return status; }
        if (ends.HasTarget && ends.Source.Child == ends.Target.Child) { return Status.Ok; }

        // 3.
        bool exchange = (request.Flags & RenameFlags.Exchange) != 0;
        status = exchange ? CheckExchange(request, ends, transaction) : CheckMove(request, ends, transaction);
        if (status != Status.Ok) { return status; }
        if (exchange)
        {
            Swap(request, ref ends, transaction);
            return Status.Ok;
        }

        // 4.
        if (ends.HasTarget)
        {
            status = Orphans.LoseName(
                ends.Target.Child, ends.TargetNode, request.NewParent, request.NewName, request.Holders, transaction,
                out result);
            if (status != Status.Ok) { return status; }
        }

        // 5.
        Move(request, ref ends, transaction);

        // 6.
        if ((request.Flags & RenameFlags.Whiteout) != 0)
        {
            status = LeaveWhiteout(request, ref ends, transaction);
            if (status != Status.Ok) { return status; }
        }

        // 7.
        ends.WriteDirectories(request, transaction);
        return Status.Ok;
    }

    private static Status Check(in RenameRequest request)
    {
        bool exclusive = (request.Flags & RenameFlags.Exchange) == 0
            || (request.Flags & (RenameFlags.NoReplace | RenameFlags.Whiteout)) == 0;
        if ((request.Flags & ~Known) != 0 || !exclusive) { return Status.Invalid; }
        Status status = NameRules.Check(request.OldName);
        return status == Status.Ok ? NameRules.Check(request.NewName) : status;
    }

    private static Status CheckMove(in RenameRequest request, in Ends ends, DriveTransaction transaction)
    {
        bool isDirectory = ends.SourceNode.IsDirectory;
        if (IsIntoItself(isDirectory, ends.Source.Child, request.NewParent, ends, transaction)) { return Status.Invalid; }
        if (ends.HasTarget)
        {
            if (ends.TargetNode.IsDirectory && !isDirectory) { return Status.IsDirectory; }
            if (!ends.TargetNode.IsDirectory && isDirectory) { return Status.NotDirectory; }
            if (ends.TargetNode.IsDirectory && ends.TargetNode.Size > 0) { return Status.NotEmpty; }
        }
        else if (isDirectory && !ends.IsOneDirectory && ends.NewDirectory.Nlink >= Limits.Links)
        {
            return Status.TooManyLinks;
        }

        return Status.Ok;
    }

    private static Status CheckExchange(in RenameRequest request, in Ends ends, DriveTransaction transaction)
    {
        bool sourceIsDirectory = ends.SourceNode.IsDirectory;
        bool targetIsDirectory = ends.TargetNode.IsDirectory;
        if (IsIntoItself(sourceIsDirectory, ends.Source.Child, request.NewParent, ends, transaction)
            || IsIntoItself(targetIsDirectory, ends.Target.Child, request.OldParent, ends, transaction))
        {
            return Status.Invalid;
        }

        if (ends.IsOneDirectory || sourceIsDirectory == targetIsDirectory) { return Status.Ok; }
        uint nlink = sourceIsDirectory ? ends.NewDirectory.Nlink : ends.OldDirectory.Nlink;
        return nlink >= Limits.Links ? Status.TooManyLinks : Status.Ok;
    }

    private static bool IsIntoItself(
        bool isDirectory, VNodeId moved, VNodeId into, in Ends ends, DriveTransaction transaction) =>
        isDirectory && !ends.IsOneDirectory && Directories.IsWithin(transaction, into, moved);

    private static void Move(in RenameRequest request, ref Ends ends, DriveTransaction transaction)
    {
        int directories = ends.SourceNode.IsDirectory ? 1 : 0;
        int replacedDirectories = ends.HasTarget && ends.TargetNode.IsDirectory ? 1 : 0;
        transaction.DeleteDentry(request.OldParent, request.OldName);
        transaction.PutDentry(request.NewParent, request.NewName, ends.Source);
        Directories.Change(ref ends.OldDirectory, entries: -1, subdirectories: -directories, transaction);
        ref VNode newDirectory = ref ends.IsOneDirectory ? ref ends.OldDirectory : ref ends.NewDirectory;
        Directories.Change(
            ref newDirectory, ends.HasTarget ? 0 : 1, directories - replacedDirectories, transaction);
        MoveNode(
            ends.Source, ref ends.SourceNode, request.OldParent, request.OldName, request.NewParent, request.NewName,
            transaction);
    }

    private static void Swap(in RenameRequest request, ref Ends ends, DriveTransaction transaction)
    {
        int difference = (ends.TargetNode.IsDirectory ? 1 : 0) - (ends.SourceNode.IsDirectory ? 1 : 0);
        transaction.PutDentry(request.OldParent, request.OldName, ends.Target);
        transaction.PutDentry(request.NewParent, request.NewName, ends.Source);
        Directories.Change(ref ends.OldDirectory, 0, ends.IsOneDirectory ? 0 : difference, transaction);
        Directories.Change(ref ends.NewDirectory, 0, ends.IsOneDirectory ? 0 : -difference, transaction);
        MoveNode(
            ends.Source, ref ends.SourceNode, request.OldParent, request.OldName, request.NewParent, request.NewName,
            transaction);
        MoveNode(
            ends.Target, ref ends.TargetNode, request.NewParent, request.NewName, request.OldParent, request.OldName,
            transaction);
        ends.WriteDirectories(request, transaction);
    }

    private static void MoveNode(
        in Dentry dentry,
        ref VNode vnode,
        VNodeId oldParent,
        ReadOnlySpan<byte> oldName,
        VNodeId newParent,
        ReadOnlySpan<byte> newName,
        DriveTransaction transaction)
    {
        if (vnode.IsDirectory) { vnode.Parent = newParent; }
        else { HardLinks.Move(dentry.Child, ref vnode, oldParent, oldName, newParent, newName, transaction); }

        vnode.ChangeTime = transaction.Now;
        transaction.PutVNode(dentry.Child, vnode);
    }

    /// <summary>Puts a character device 0:0 where the source was: what an overlay reads as "deleted".</summary>
    private static Status LeaveWhiteout(in RenameRequest request, ref Ends ends, DriveTransaction transaction)
    {
        Status status = transaction.ChargeInodes(1);
        if (status != Status.Ok) { return status; }
        status = transaction.AllocateVNode(out VNodeId id);
        if (status != Status.Ok) { return status; }
        VNode whiteout = new()
        {
            Kind = VNodeKind.CharacterDevice,
            Uid = request.Caller.Uid,
            Gid = request.Caller.Gid,
            Nlink = 1,
            AccessTime = transaction.Now,
            ModifyTime = transaction.Now,
            ChangeTime = transaction.Now,
            BirthTime = transaction.Now,
            Parent = request.OldParent,
            DataVersion = transaction.Cow,
        };
        transaction.PutVNode(id, whiteout);
        transaction.PutDentry(request.OldParent, request.OldName, new(id, whiteout.Kind));
        ends.OldDirectory.Size++;
        return Status.Ok;
    }

    /// <summary>Both directories, and what the two names lead to.</summary>
    /// <remarks>Of one directory, only <see cref="OldDirectory"/> counts.</remarks>
    private struct Ends
    {
        public bool IsOneDirectory;
        public bool HasTarget;
        public VNode OldDirectory;
        public VNode NewDirectory;
        public Dentry Source;
        public Dentry Target;
        public VNode SourceNode;
        public VNode TargetNode;

        public Status Open(in RenameRequest request, DriveTransaction transaction)
        {
            Status status = Directories.Open(transaction, request.OldParent, out OldDirectory);
            if (status != Status.Ok || IsOneDirectory) { return status; }
            return Directories.Open(transaction, request.NewParent, out NewDirectory);
        }

        public Status Find(in RenameRequest request, DriveTransaction transaction)
        {
            if (!transaction.TryGetDentry(request.OldParent, request.OldName, out Source)) { return Status.NotFound; }
            HasTarget = transaction.TryGetDentry(request.NewParent, request.NewName, out Target);
            if (HasTarget && (request.Flags & RenameFlags.NoReplace) != 0) { return Status.Exists; }
            if (!HasTarget && (request.Flags & RenameFlags.Exchange) != 0) { return Status.NotFound; }
            SourceNode = Directories.Require(transaction, Source.Child);
            if (HasTarget) { TargetNode = Directories.Require(transaction, Target.Child); }
            return Status.Ok;
        }

        public readonly void WriteDirectories(in RenameRequest request, DriveTransaction transaction)
        {
            transaction.PutVNode(request.OldParent, OldDirectory);
            if (!IsOneDirectory) { transaction.PutVNode(request.NewParent, NewDirectory); }
        }
    }
}
