namespace KvFs.Core;

/// <summary>Copies what a version shows at a path into a tree that nobody sees, then puts that in its place.</summary>
/// <remarks>What is still to be filled has a work record each (a directory with the hash of its next entry, a file with its next
/// offset), so a tree of any size and depth needs no memory. A VNode with several names is copied once: its first name
/// notes the copy, the others find it.</remarks>
internal static class RestorePath
{
    /// <summary>In order: (1) find what the version shows; (2) see that there is a place for it; (3) make the VNode that will
    /// stand there, held by the restore alone.</summary>
    public static Status Begin(CowNumber at, ReadOnlySpan<byte> path, DriveTransaction transaction)
    {
        // 1.
        Status status = CheckPath(path);
        if (status != Status.Ok) { return status; }
        status = ResolvePath.Apply(transaction.ViewAt(at), path, out NodeInfo source);
        if (status != Status.Ok) { return status; }

        // 2.
        status = FindPlace(path, transaction, out VNodeId parent, out _);
        if (status != Status.Ok) { return status; }

        // 3.
        RestoreCopy copy = new(at, transaction);
        status = copy.Make(source.Id, source.VNode, parent, out VNodeId staged, out VNode vnode);
        if (status != Status.Ok) { return status; }
        vnode.Nlink = 0;
        transaction.PutVNode(staged, vnode);
        Orphans.Add(staged, Orphans.Restorer, transaction);
        RestoreWork.Add(source.Id, staged, transaction);
        RestoreJob job = new()
        {
            Phase = RestorePhase.Copy, At = at, Source = source.Id, Staged = staged, Path = path,
        };
        job.Write(transaction);
        return Status.Ok;
    }

    /// <summary>Fills VNodes until the step is full; once none is left, puts the copy in its place.</summary>
    /// <remarks>One pass in key order: what it adds before its place is for the next step.</remarks>
    public static Status Step(
        in RestoreJob job, INodeHolders holders, DriveTransaction transaction, out bool more)
    {
        more = true;
        RestoreCopy copy = new(job.At, transaction);
        uint subdirectories = job.Subdirectories;
        RestoreWork? last = null;
        while (!transaction.IsStepFull && RestoreWork.TryGetNext(last, transaction, out RestoreWork work))
        {
            last = work;
            Status status = copy.Fill(work, job.Staged, ref subdirectories);
            if (status != Status.Ok) { return status; }
        }

        if (last is null) { return Place(job, holders, transaction); }
        RestoreJob reached = new()
        {
            Phase = RestorePhase.Copy,
            At = job.At,
            Source = job.Source,
            Staged = job.Staged,
            Subdirectories = subdirectories,
            Path = job.Path,
        };
        reached.Write(transaction);
        return Status.Ok;
    }

    /// <summary>Forgets the notes, in steps; with the last one the job.</summary>
    public static Status Clean(DriveTransaction transaction, out bool more)
    {
        more = !RestoreWork.TryRemoveAll(RecordKind.RestoreWork, transaction)
            || !RestoreWork.TryRemoveAll(RecordKind.RestoreLink, transaction);
        if (!more) { RestoreJob.Delete(transaction); }
        return Status.Ok;
    }

    /// <summary>Lets go of the copy, which the reaper then removes.</summary>
    public static void GiveUp(in RestoreJob job, DriveTransaction transaction)
    {
        Orphans.RemoveAll(job.Staged, transaction);
        Orphans.Add(job.Staged, Orphans.Nobody, transaction);
        StartCleaning(job, transaction);
    }

    /// <summary>Whether a restore holds a VNode, and still works on it.</summary>
    public static bool IsStaging(VNodeId id, DriveView view) =>
        RestoreJob.TryRead(view, new ByteBuffer(), out RestoreJob job)
        && job.Phase == RestorePhase.Copy && job.Staged == id;

    /// <summary>In order: (1) find the place again; (2) take away what is there; (3) put the copy there.</summary>
    private static Status Place(in RestoreJob job, INodeHolders holders, DriveTransaction transaction)
    {
        // 1.
        Status status = FindPlace(job.Path, transaction, out VNodeId parentId, out ReadOnlySpan<byte> name);
        if (status == Status.Ok) { status = Directories.Open(transaction, parentId, out _); }
        if (status != Status.Ok) { return status; }
        VNode parent = Directories.Require(transaction, parentId);
        VNode copy = Directories.Require(transaction, job.Staged);
        bool replaces = transaction.TryGetDentry(parentId, name, out Dentry replaced);
        VNode target = replaces ? Directories.Require(transaction, replaced.Child) : default;
        int subdirectories = (copy.IsDirectory ? 1 : 0) - (replaces && target.IsDirectory ? 1 : 0);
        if (subdirectories > 0 && parent.Nlink >= Limits.Links) { return Status.TooManyLinks; }

        // 2.
        if (replaces)
        {
            ReadOnlySpan<SessionId> holding = holders.Holders(replaced.Child);
            status = Orphans.LoseName(replaced.Child, target, parentId, name, holding, transaction, out _);
            if (status != Status.Ok) { return status; }
        }

        // 3.
        Orphans.RemoveAll(job.Staged, transaction);
        copy.Nlink = copy.IsDirectory ? 2 + job.Subdirectories : 1;
        copy.Parent = parentId;
        copy.ChangeTime = transaction.Now;
        transaction.PutVNode(job.Staged, copy);
        transaction.PutDentry(parentId, name, new(job.Staged, copy.Kind));
        Directories.Change(ref parent, replaces ? 0 : 1, subdirectories, transaction);
        transaction.PutVNode(parentId, parent);
        StartCleaning(job, transaction);
        return Status.Ok;
    }

    private static void StartCleaning(in RestoreJob job, DriveTransaction transaction)
    {
        RestoreJob cleaning = new() { Phase = RestorePhase.Clean, At = job.At, Path = job.Path };
        cleaning.Write(transaction);
    }

    private static Status FindPlace(
        ReadOnlySpan<byte> path, DriveTransaction transaction, out VNodeId parent, out ReadOnlySpan<byte> name)
    {
        path = path.TrimEnd((byte)'/');
        int slash = path.LastIndexOf((byte)'/');
        name = path[(slash + 1)..];
        ReadOnlySpan<byte> above = slash < 0 ? default : path[..slash];
        Status status = ResolvePath.Apply(transaction, above, out NodeInfo directory);
        parent = directory.Id;
        return status == Status.Ok && !directory.VNode.IsDirectory ? Status.NotDirectory : status;
    }

    private static Status CheckPath(ReadOnlySpan<byte> path)
    {
        foreach (Range part in path.Split((byte)'/'))
        {
            ReadOnlySpan<byte> name = path[part];
            Status status = name.IsEmpty ? Status.Ok : NameRules.Check(name);
            if (status != Status.Ok) { return status; }
        }

        return Status.Ok;
    }
}
