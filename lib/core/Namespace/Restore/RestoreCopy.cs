namespace KvFs.Core;

/// <summary>Copies VNodes from a version of a drive into its present.</summary>
internal sealed class RestoreCopy(CowNumber at, DriveTransaction transaction)
{
    private readonly DriveView view = transaction.ViewAt(at);

    /// <summary>Makes a VNode like another one, but empty, and with no name yet. The caller writes it.</summary>
    public Status Make(VNodeId source, in VNode original, VNodeId parent, out VNodeId id, out VNode copy)
    {
        id = default;
        copy = original with
        {
            Nlink = original.IsDirectory ? 2u : 0u,
            Flags = VNodeFlags.None,
            Size = original.Kind == VNodeKind.Symlink ? original.Size : 0,
            AllocatedBytes = 0,
            ChangeTime = transaction.Now,
            Parent = parent,
            DataVersion = transaction.Cow,
        };
        Status status = transaction.ChargeInodes(1);
        if (status == Status.Ok) { status = transaction.AllocateVNode(out id); }
        if (status != Status.Ok) { return status; }
        if (original.Kind == VNodeKind.Symlink) { CopyTarget(source, id); }
        return Status.Ok;
    }

    /// <summary>Goes on with one VNode, as far as the step goes.</summary>
    public Status Fill(RestoreWork work, VNodeId staged, ref uint stagedSubdirectories)
    {
        if (!view.TryGetVNode(work.Source, out VNode source))
        {
            RecordKey key = RecordKey.VNode(work.Source);
            view.ThrowCorrupt(ref key);
        }

        VNode target = Directories.Require(transaction, work.Target);
        Status status = Status.Ok;
        bool done = true;
        switch (source.Kind)
        {
            case VNodeKind.Directory:
                status = FillDirectory(ref work, ref target, out uint subdirectories, out done);
                if (work.Target == staged) { stagedSubdirectories += subdirectories; }
                else { target.Nlink += subdirectories; }
                break;
            case VNodeKind.File:
                status = FillFile(ref work, source, ref target, out done);
                break;
            default:
                break;
        }

        if (status != Status.Ok) { return status; }
        if (done)
        {
            Finish(work, source, ref target);
            work.Delete(transaction);
        }
        else
        {
            work.Write(transaction);
        }

        transaction.PutVNode(work.Target, target);
        return Status.Ok;
    }

    private Status FillDirectory(ref RestoreWork work, ref VNode target, out uint subdirectories, out bool done)
    {
        subdirectories = 0;
        done = true;
        ulong start = work.Position;
        RecordKey end = RecordKey.DentriesOf(work.Source);
        end.ToPrefixEnd();
        using DriveCursor cursor = view.Walk(RecordKey.DentryFrom(work.Source, work.Position), end);
        while (cursor.MoveNext())
        {
            if (!RecordKey.TrySplitDentry(cursor.Key, out _, out ulong hash, out ReadOnlySpan<byte> name)
                || !Dentry.TryDecode(cursor.Payload, out Dentry dentry))
            {
                throw new RecordCorruptException(Status.Corrupt, cursor.Key);
            }

            done = !transaction.IsStepFull;
            work = work with { Position = hash };
            if (!done) { return Status.Ok; }

            // Where the last step ended, names that share a hash may be there already.
            if (hash == start && transaction.TryGetDentry(work.Target, name, out _)) { continue; }
            Status status = AddEntry(work.Target, name, dentry);
            if (status != Status.Ok) { return status; }
            target.Size++;
            if (dentry.Kind == VNodeKind.Directory) { subdirectories++; }
        }

        return Status.Ok;
    }

    private Status AddEntry(VNodeId directory, ReadOnlySpan<byte> name, in Dentry dentry)
    {
        if (!view.TryGetVNode(dentry.Child, out VNode original))
        {
            RecordKey key = RecordKey.VNode(dentry.Child);
            view.ThrowCorrupt(ref key);
        }

        bool several = !original.IsDirectory && original.Nlink > 1;
        VNode copy;
        if (several && RestoreWork.TryGetLink(dentry.Child, transaction, out VNodeId id))
        {
            copy = Directories.Require(transaction, id);
        }
        else
        {
            Status status = Make(dentry.Child, original, directory, out id, out copy);
            if (status != Status.Ok) { return status; }
            if (several) { RestoreWork.PutLink(dentry.Child, id, transaction); }
            RestoreWork.Add(dentry.Child, id, transaction);
        }

        if (!copy.IsDirectory) { HardLinks.Add(id, ref copy, directory, name, transaction); }
        transaction.PutVNode(id, copy);
        transaction.PutDentry(directory, name, new(id, copy.Kind));
        return Status.Ok;
    }

    private Status FillFile(ref RestoreWork work, in VNode source, ref VNode target, out bool done)
    {
        done = work.Position >= source.Size;
        if (done) { return Status.Ok; }
        CopyRangeRequest request = new(
            work.Source, at, work.Position, work.Target, work.Position, source.Size - work.Position);
        Status status = CopyRange.Apply(request, transaction, out ulong copied, out NodeInfo info);
        if (status != Status.Ok) { return status; }
        target = info.VNode;
        work = work with { Position = work.Position + copied };
        done = copied == 0 || work.Position >= source.Size;
        return Status.Ok;
    }

    /// <summary>What comes last, because filling changes it: attributes, size and times.</summary>
    private void Finish(in RestoreWork work, in VNode source, ref VNode target)
    {
        if (source.Kind == VNodeKind.File) { target.Size = source.Size; }
        target.AccessTime = source.AccessTime;
        target.ModifyTime = source.ModifyTime;
        if ((source.Flags & VNodeFlags.HasXattrs) == 0) { return; }
        using DriveCursor cursor = view.WalkPrefix(RecordKey.XattrsOf(work.Source));
        while (cursor.MoveNext())
        {
            if (!RecordKey.TrySplitXattr(cursor.Key, out _, out ReadOnlySpan<byte> name))
            {
                throw new RecordCorruptException(Status.Corrupt, cursor.Key);
            }

            RecordKey key = RecordKey.Xattr(work.Target, name);
            transaction.Put(ref key, cursor.Payload);
        }

        target.Flags |= source.Flags
            & (VNodeFlags.HasXattrs | VNodeFlags.HasAccessAcl | VNodeFlags.HasDefaultAcl);
    }

    private void CopyTarget(VNodeId source, VNodeId id)
    {
        ByteBuffer target = new();
        RecordKey key = RecordKey.Symlink(source);
        if (!view.TryGet(ref key, target)) { view.ThrowCorrupt(ref key); }
        key = RecordKey.Symlink(id);
        transaction.Put(ref key, target.Span);
    }
}
