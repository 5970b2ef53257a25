namespace KvFs.Core;

/// <summary>Makes a VNode of any kind, and a name for it or, for O_TMPFILE, none.</summary>
/// <remarks>Source: open(2), mkdir(2), mknod(2), symlink(2); ACLs: acl(5), "Object creation and default ACLs".</remarks>
public static class Create
{
    private const ushort ModeBits = 0b111_111_111_111;
    private const ushort SetGid = 0b010_000_000_000;
    private const ushort SymlinkMode = 0b111_111_111;

    /// <summary>In order: (1) check the request; (2) check the directory; (3) take an id and charge the quota; (4) find
    /// owner, mode and ACLs; (5) write the name, or note who holds the nameless; (6) write the VNode.</summary>
    /// <returns>Ok, Invalid, NameTooLong, Stale, NotDirectory, NotFound (the directory was removed), Exists, TooManyLinks,
    /// NoInodes; Busy: no id is reserved. Invalid, too, for an id that the
    /// session was not granted, or has used.</returns>
    public static Status Apply(in CreateRequest request, DriveTransaction transaction, out NodeInfo result)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        result = default;

        // 1.
        Status status = Check(request);
        if (status != Status.Ok) { return status; }

        // 2.
        status = Directories.Open(transaction, request.Parent, out VNode parent);
        if (status != Status.Ok) { return status; }
        bool named = !request.Name.IsEmpty;
        if (named && transaction.TryGetDentry(request.Parent, request.Name, out _)) { return Status.Exists; }
        bool isDirectory = request.Kind == VNodeKind.Directory;
        if (isDirectory && parent.Nlink >= Limits.Links) { return Status.TooManyLinks; }

        // 3.
        status = transaction.ChargeInodes(1);
        if (status != Status.Ok) { return status; }
        status = TakeId(request, transaction, out VNodeId id);
        if (status != Status.Ok) { return status; }

        // 4.
        VNode vnode = NewNode(request, parent, transaction);
        Protect(id, ref vnode, request, parent, transaction);

        // 5.
        if (named)
        {
            int subdirectories = isDirectory ? 1 : 0;
            if (request.Times is { } times) { Directories.AddMadeAt(times.Change, ref parent, subdirectories, transaction); }
            else { Directories.Change(ref parent, entries: 1, subdirectories, transaction); }
            transaction.PutVNode(request.Parent, parent);
            transaction.PutDentry(request.Parent, request.Name, new(id, request.Kind));
        }
        else
        {
            Orphans.Add(id, request.OpenedBy, transaction);
        }

        // 6.
        if (request.Kind == VNodeKind.Symlink)
        {
            RecordKey target = RecordKey.Symlink(id);
            transaction.Put(ref target, request.SymlinkTarget);
        }

        transaction.PutVNode(id, vnode);
        if (request.Delegated) { DelegateWrites.Put(request.Session, id, transaction); }
        transaction.OnMade(id, request.Kind);
        result = new(id, vnode, transaction.Cow);
        return Status.Ok;
    }

    private static Status Check(in CreateRequest request)
    {
        if (request.Kind is < VNodeKind.File or > VNodeKind.Socket) { return Status.Invalid; }
        if (request.Delegated && request.Kind != VNodeKind.File) { return Status.Invalid; }
        if (request.Name.IsEmpty)
        {
            bool held = request.OpenedBy != Orphans.Nobody;
            return request.Kind == VNodeKind.File && held ? Status.Ok : Status.Invalid;
        }

        if (request.Kind == VNodeKind.Symlink)
        {
            if (request.SymlinkTarget.Length > Limits.SymlinkBytes) { return Status.NameTooLong; }
            if (request.SymlinkTarget.IsEmpty || request.SymlinkTarget.Contains((byte)0)) { return Status.Invalid; }
        }

        return NameRules.Check(request.Name);
    }

    private static Status TakeId(in CreateRequest request, DriveTransaction transaction, out VNodeId id)
    {
        id = request.Id;
        if (id == VNodeId.None) { return transaction.AllocateVNode(out id); }
        return GrantVNodes.TryTake(request.Session, id, transaction) ? Status.Ok : Status.Invalid;
    }

    private static VNode NewNode(in CreateRequest request, in VNode parent, DriveTransaction transaction)
    {
        bool named = !request.Name.IsEmpty;
        bool isDevice = request.Kind is VNodeKind.CharacterDevice or VNodeKind.BlockDevice;
        bool inheritsGroup = (parent.Mode & SetGid) != 0;
        int mode = request.Mode & ModeBits;
        NodeTimes times = request.Times ?? NodeTimes.Made(transaction.Now);
        if (inheritsGroup && request.Kind == VNodeKind.Directory) { mode |= SetGid; }
        return new()
        {
            Kind = request.Kind,
            Mode = (ushort)mode,
            Uid = request.Caller.Uid,
            Gid = inheritsGroup ? parent.Gid : request.Caller.Gid,
            Nlink = !named ? 0u : request.Kind == VNodeKind.Directory ? 2u : 1u,
            Rdev = isDevice ? request.Rdev : 0,
            Flags = !named && request.Nameless ? VNodeFlags.Linkable : VNodeFlags.None,
            Size = request.Kind == VNodeKind.Symlink ? (ulong)request.SymlinkTarget.Length : 0,
            AccessTime = times.Access,
            ModifyTime = times.Modify,
            ChangeTime = times.Change,
            BirthTime = times.Birth,
            Parent = request.Parent,
            DataVersion = transaction.Cow,
        };
    }

    /// <summary>Finishes the mode: by the directory's default ACL, or else by the umask.</summary>
    private static void Protect(
        VNodeId id, ref VNode vnode, in CreateRequest request, in VNode parent, DriveTransaction transaction)
    {
        if (vnode.Kind == VNodeKind.Symlink)
        {
            vnode.Mode = SymlinkMode;
            return;
        }

        if ((parent.Flags & VNodeFlags.HasDefaultAcl) == 0)
        {
            vnode.Mode &= (ushort)~request.Umask;
            return;
        }

        ByteBuffer acl = Xattrs.RequireAcl(request.Parent, PosixAcl.DefaultName, transaction);
        if (vnode.IsDirectory)
        {
            RecordKey key = RecordKey.Xattr(id, PosixAcl.DefaultName);
            transaction.Put(ref key, acl.Span);
            vnode.Flags |= VNodeFlags.HasXattrs | VNodeFlags.HasDefaultAcl;
        }

        ushort mode = vnode.Mode;
        if (PosixAcl.Inherit(acl.Writable(), ref mode))
        {
            RecordKey key = RecordKey.Xattr(id, PosixAcl.AccessName);
            transaction.Put(ref key, acl.Span);
            vnode.Flags |= VNodeFlags.HasXattrs | VNodeFlags.HasAccessAcl;
        }

        vnode.Mode = mode;
    }
}
