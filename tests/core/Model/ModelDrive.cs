namespace KvFs.Core.Tests.Model;

/// <summary>A drive beside its model: does everything twice, and compares.</summary>
internal sealed class ModelDrive
{
    private readonly SortedDictionary<string, ModelSnapshot> snapshots = new(StringComparer.Ordinal);
    private TestDrive drive;
    private VNodeId lastId = VNodeId.Root;

    private ModelDrive(TestDrive drive, ModelTree tree)
    {
        this.drive = drive;
        Tree = tree;
    }

    public ModelTree Tree { get; private set; }

    public static ModelDrive New(ulong quotaInodes, Action<RecordBatch>? tamper)
    {
        ModelTree tree = new() { QuotaInodes = quotaInodes };
        tree.Nodes.Add(1, new() { Id = VNodeId.Root, Kind = VNodeKind.Directory, Mode = 0x1ED, Names = 1 });
        return new(new TestDrive(quotaInodes: quotaInodes) { Tamper = tamper }, tree);
    }

    public bool IsOriginOf(ModelDrive clone) =>
        clone.State.Policy.Origins is [DriveLayer origin, ..] && origin.Drive == State.Drive;

    private DriveState State => drive.State;

    public Status Create(VNodeId parent, string name, VNodeKind kind, Random random)
    {
        Status expected = name.Length == 0 ? Status.Invalid : Tree.CheckCreate(parent, name);
        ushort mode = (ushort)random.Next(0x1000);
        Status status = drive.Make(parent, name, kind, out NodeInfo made, mode);
        Assert.Equal(expected, status);
        if (status == Status.Ok) { Tree.Create(parent, name, NewNode(made, kind, parent, mode), drive.Now); }
        return status;
    }

    public Status CreateNameless(VNodeId parent, ulong session, bool linkable)
    {
        Status status = drive.MakeNameless(parent, new(session), linkable, out NodeInfo made);
        Assert.Equal(Tree.CheckNameless(parent), status);
        if (status != Status.Ok) { return status; }
        ModelNode node = NewNode(made, VNodeKind.File, parent, 0x1A4);
        node.Linkable = linkable;
        node.Holders.Add(session);
        Tree.Nodes.Add(made.Id.Value, node);
        return status;
    }

    public Status Link(VNodeId node, VNodeId parent, string name)
    {
        Status status = drive.Link(node, parent, name);
        Assert.Equal(Tree.Link(node, parent, name, drive.Now), status);
        return status;
    }

    public Status Unlink(VNodeId parent, string name, bool directory)
    {
        SessionId[] holders = HoldersOf(parent, name);
        Status status = directory
            ? drive.RemoveDirectory(parent, name, holders)
            : drive.Unlink(parent, name, out _, holders);
        Assert.Equal(Tree.Unlink(parent, name, directory, drive.Now), status);
        return status;
    }

    public Status Rename(VNodeId oldParent, string oldName, VNodeId newParent, string newName, RenameFlags flags)
    {
        SessionId[] holders = HoldersOf(newParent, newName);
        Status expected = Tree.CheckRename(oldParent, oldName, newParent, newName, flags);
        Status status = drive.Rename(oldParent, oldName, newParent, newName, flags, holders);
        Assert.Equal(expected, status);
        if (status != Status.Ok) { return status; }
        Tree.Rename(oldParent, oldName, newParent, newName, flags, drive.Now);
        bool gone = !Tree.Nodes[oldParent.Value].Children.ContainsKey(oldName);
        if ((flags & RenameFlags.Whiteout) != 0 && gone)
        {
            Assert.Equal(Status.Ok, drive.Head.Find(oldParent, oldName, out NodeInfo whiteout));
            Tree.Create(oldParent, oldName, Whiteout(whiteout.Id), drive.Now);
        }

        return status;
    }

    public Status SetAttributes(VNodeId id, Random random)
    {
        SetAttributesRequest request = new()
        {
            Node = id,
            Mask = (AttributeMask)random.Next(512) & ~AttributeMask.ChangeTime,
            Mode = (ushort)random.Next(0x1000),
            Uid = (uint)random.Next(5),
            Gid = (uint)random.Next(5),
            Size = (ulong)random.Next(6000),
            AccessTime = new(random.Next()),
            ModifyTime = new(random.Next()),
        };
        Status status = drive.Set(request);
        Assert.Equal(CheckAttributes(id, request), status);
        if (status == Status.Ok) { Change(Tree.Nodes[id.Value], request); }
        return status;
    }

    public Status Write(VNodeId id, Random random)
    {
        if (!Tree.Nodes.TryGetValue(id.Value, out ModelNode? node) || node.Kind != VNodeKind.File) { return Status.Ok; }

        // From the end, so that what is backed is simply the length.
        byte[] bytes = new byte[random.Next(1, 500)];
        random.NextBytes(bytes);
        int offset = random.Next(node.Content.Length + 1);
        int end = offset + bytes.Length;
        Status status = drive.Run(transaction =>
        {
            FileCommit commit = new() { Node = id, MinSize = (ulong)end, ModifyTime = drive.Now };
            commit.Inline.Append(bytes);
            commit.Runs.Add(new((ulong)offset, (uint)bytes.Length, SliceKind.Inline, default, 0));
            return CommitSlices.Apply(commit, transaction, out _);
        });
        Assert.Equal(Status.Ok, status);
        if (end > node.Content.Length) { node.Content = [.. node.Content, .. new byte[end - node.Content.Length]]; }
        bytes.CopyTo(node.Content, offset);
        node.Touch(drive.Now);
        return status;
    }

    public Status SetXattr(VNodeId id, string name, Random random)
    {
        byte[] value = new byte[random.Next(20)];
        random.NextBytes(value);
        XattrMode mode = (XattrMode)random.Next(3);
        Status status = drive.SetXattr(id, name, value, mode);
        Assert.Equal(CheckSetXattr(id, name, mode), status);
        if (status != Status.Ok) { return status; }
        Tree.Nodes[id.Value].Xattrs[name] = value;
        Tree.Nodes[id.Value].ChangeTime = drive.Now;
        return status;
    }

    public Status RemoveXattr(VNodeId id, string name)
    {
        Status status = drive.RemoveXattr(id, name);
        Assert.Equal(CheckSetXattr(id, name, XattrMode.ReplaceOnly), status);
        if (status != Status.Ok) { return status; }
        Tree.Nodes[id.Value].Xattrs.Remove(name);
        Tree.Nodes[id.Value].ChangeTime = drive.Now;
        return status;
    }

    public Status Hold(VNodeId id, ulong session)
    {
        if (!Tree.Nodes.TryGetValue(id.Value, out ModelNode? node) || node.Names == 0) { return Status.Ok; }
        node.Holders.Add(session);
        return Status.Ok;
    }

    public Status ReleaseOne(Random random)
    {
        List<ModelNode> held = [.. Tree.Nodes.Values.Where(node => node.Holders.Count > 0)];
        if (held.Count == 0) { return Status.Ok; }
        ModelNode node = held[random.Next(held.Count)];
        ulong session = node.Holders.First();
        if (node.Names == 0)
        {
            Assert.Equal(Status.Ok, drive.Run(t => ReleaseOrphan.Apply(node.Id, new(session), Holders(), t, out _)));
        }

        Tree.Release(node, session);
        if (node.IsDirectory) { ReapTrees(); }
        Assert.Equal(Tree.Nodes.ContainsKey(node.Id.Value), drive.Head.Exists(node.Id));
        return Status.Ok;
    }

    public Status Snapshot(string name, int max)
    {
        if (snapshots.Count >= max) { return Status.Ok; }
        RetainedVersion version = default;
        Assert.Equal(Status.Ok, drive.Run(t => CreateSnapshot.Apply(name, t, out version)));
        snapshots.Add(name, new(version, Tree.Copy()));
        return Status.Ok;
    }

    public Status DeleteSnapshot(Random random)
    {
        if (snapshots.Count == 0) { return Status.Ok; }
        string name = snapshots.Keys.ElementAt(random.Next(snapshots.Count));
        Assert.Equal(Status.Ok, drive.Run(t => Core.DeleteSnapshot.Apply(name, t)));
        snapshots.Remove(name);
        return Status.Ok;
    }

    public Status ReapStep() => drive.Run(t => ReapHistory.Apply(t, out _));

    /// <summary>Reaps to the end: then no record of history is left that nobody sees.</summary>
    public Status ReapAll()
    {
        drive.RunSteps(t =>
        {
            Assert.Equal(Status.Ok, ReapHistory.Apply(t, out bool more));
            return more;
        });
        foreach ((byte[] rawKey, byte[] value) in drive.Records.All)
        {
            ReadOnlySpan<byte> relative = rawKey.AsSpan(DriveId.Size);
            if (DriveId.Read(rawKey) != State.Drive
                || !RecordKey.TrySplitHistory(relative, out _, out CowNumber superseded))
            {
                continue;
            }

            Assert.Equal(Status.Ok, RecordEnvelope.Read(value, out RecordHeader header, out _));
            Assert.Contains(State.Retained, at => header.Written <= at && at < superseded);
        }

        return Status.Ok;
    }

    /// <summary>The node stops and starts: only the records are left, and no session.</summary>
    public Status Restart()
    {
        drive = new(drive.Records, State.Drive) { Now = drive.Now, Tamper = drive.Tamper };
        Tree.ReleaseAll();
        ReapTrees();
        return Status.Ok;
    }

    /// <summary>A clone of the present or of a snapshot; its first act is to reap what it inherited without a name.</summary>
    public ModelDrive Clone(DriveId id, Random random)
    {
        ModelTree start = Tree;
        string? snapshot = null;
        if (snapshots.Count > 0 && random.Next(2) == 0)
        {
            snapshot = snapshots.Keys.ElementAt(random.Next(snapshots.Count));
            start = snapshots[snapshot].Tree;
        }

        Assert.Equal(Status.Ok, drive.Clone(id, $"clone{id.Value}", snapshot, out TestDrive? clone));
        ModelDrive made = new(clone!, start.Copy()) { lastId = lastId };
        Assert.Equal((ulong)made.Tree.Nodes.Count, clone!.Counters.UsedInodes);
        made.Restart();
        made.Check();
        return made;
    }

    /// <summary>Restores a path that some snapshot has, or once had.</summary>
    public Status RestorePath(Random random)
    {
        if (snapshots.Count == 0) { return Status.Ok; }
        (string name, ModelSnapshot snapshot) = snapshots.ElementAt(random.Next(snapshots.Count));
        List<string> path = [];
        ModelNode source = snapshot.Tree.Root;
        while (source.Children.Count > 0 && (path.Count == 0 || random.Next(2) == 0))
        {
            (string step, source) = source.Children.ElementAt(random.Next(source.Children.Count));
            path.Add(step);
        }

        if (path.Count == 0) { return Status.Ok; }
        ModelNode? parent = Tree.Find(path[..^1]);
        Status expected = parent is null ? PathStatus(path[..^1]) : parent.IsDirectory ? Status.Ok : Status.NotDirectory;
        bool fits = Tree.HasInodes(Count(source, []));
        Status status = RunRestore(name, string.Join('/', path));
        if (expected == Status.Ok && !fits) { expected = Status.NoInodes; }
        Assert.Equal(expected, status);
        if (status == Status.Ok)
        {
            Assert.Equal(Status.Ok, drive.Head.Find(parent!.Id, path[^1], out NodeInfo copy));
            Timestamp placed = drive.Head.Get(parent.Id).ModifyTime;
            Tree.Replace(parent, path[^1], Copied(source, copy.Id, []), placed);
        }

        ReapTrees();
        return status;
    }

    /// <summary>Makes the drive what some snapshot is; no session is there.</summary>
    public Status RestoreDrive(Random random)
    {
        if (snapshots.Count == 0) { return Status.Ok; }
        (string name, ModelSnapshot snapshot) = snapshots.ElementAt(random.Next(snapshots.Count));
        Restart();
        Assert.Equal(Status.Ok, RunRestore(name, "/"));
        Assert.Equal(snapshot.Version.UsedBytes, drive.Counters.UsedBytes);
        Assert.Equal(snapshot.Version.UsedInodes, drive.Counters.UsedInodes);
        ulong quota = Tree.QuotaInodes;
        Tree = snapshot.Tree.Copy();
        Tree.QuotaInodes = quota;
        return Restart();
    }

    /// <summary>Flattens a clone a little, or wholly, or cuts its chain: nothing that can be seen changes.</summary>
    public Status Flatten(Random random)
    {
        if (random.Next(2) == 0) { drive.TrimOrigins(); }
        drive.Flatten(random.Next(1, 30), recordsPerStep: 7);
        return Status.Ok;
    }

    public void DropClone(ModelDrive clone)
    {
        Assert.Equal(Status.Ok, clone.drive.Run(DeleteDrive.Apply));
        Assert.Equal(Status.Ok, drive.Forget(clone.drive));
    }

    public void Check()
    {
        TreeComparison.Equal(Tree, drive.Head);
        Assert.Equal((ulong)Tree.Nodes.Count, drive.Counters.UsedInodes);
        foreach (ModelSnapshot snapshot in snapshots.Values)
        {
            DriveView view = drive.ViewAt(snapshot.Version.At);
            TreeComparison.Equal(snapshot.Tree, view);
            FindingList atSnapshot = [];
            DriveCounters counted = new()
            {
                UsedBytes = snapshot.Version.UsedBytes, UsedInodes = snapshot.Version.UsedInodes,
            };
            DriveChecker.Check(view, counted, atSnapshot);
            Assert.True(atSnapshot.Count == 0, string.Join('\n', atSnapshot));
        }

        FindingList.Nothing(drive);
    }

    private Status RunRestore(string snapshot, string path)
    {
        byte[] bytes = System.Text.Encoding.UTF8.GetBytes(path);
        Status status = Status.Ok;
        for (bool more = true; more && status == Status.Ok;)
        {
            bool left = false;
            status = drive.Run(t => RestoreTree.Apply(snapshot, bytes, Holders(), t, out left), restores: true);
            more = left;
        }

        if (status == Status.Ok) { return status; }
        Assert.Equal(Status.Ok, drive.Run(RestoreTree.Cancel));
        drive.RunSteps(t =>
        {
            Assert.Equal(Status.Ok, RestoreTree.Resume(Holders(), t, out bool more));
            return more;
        });
        return status;
    }

    /// <summary>Removes what nobody holds, after the model has; when exactly is the reaper's choice, and so are the times that
    /// it leaves on files that have other names.</summary>
    private void ReapTrees()
    {
        VNodeId next = VNodeId.None;
        ulong[] live = [.. Tree.Nodes.Values.SelectMany(node => node.Holders)];
        drive.RunSteps(t =>
        {
            Assert.Equal(Status.Ok, ReapOrphans.Apply(new LiveSessions(live), Holders(), ref next, t, out bool more));
            return more;
        });
        foreach (ModelNode node in Tree.Nodes.Values) { node.ChangeTime = drive.Head.Get(node.Id).ChangeTime; }
    }

    private OpenNodes Holders()
    {
        OpenNodes holders = new();
        foreach (ModelNode node in Tree.Nodes.Values.Where(node => node.Holders.Count > 0))
        {
            holders.With(node.Id, [.. node.Holders.Select(session => new SessionId(session))]);
        }

        return holders;
    }

    private Status PathStatus(IEnumerable<string> path)
    {
        ModelNode at = Tree.Root;
        foreach (string name in path)
        {
            if (!at.IsDirectory) { return Status.NotDirectory; }
            if (!at.Children.TryGetValue(name, out ModelNode? child)) { return Status.NotFound; }
            at = child;
        }

        return Status.Ok;
    }

    private static int Count(ModelNode node, HashSet<ModelNode> seen) =>
        seen.Add(node) ? 1 + node.Children.Values.Sum(child => Count(child, seen)) : 0;

    /// <summary>The copies that a restore made, found where they are.</summary>
    private ModelNode Copied(ModelNode source, VNodeId id, Dictionary<ModelNode, ModelNode> copies)
    {
        if (copies.TryGetValue(source, out ModelNode? copy))
        {
            Assert.Equal(copy.Id, id);
            copy.Names++;
            return copy;
        }

        Assert.False(Tree.Nodes.ContainsKey(id.Value));
        copy = source.CopyAs(id);
        copy.Names = 1;
        copies.Add(source, copy);
        Tree.Nodes.Add(id.Value, copy);
        lastId = id > lastId ? id : lastId;
        foreach ((string name, ModelNode child) in source.Children)
        {
            Assert.Equal(Status.Ok, drive.Head.Find(id, name, out NodeInfo found));
            ModelNode below = Copied(child, found.Id, copies);
            copy.Children.Add(name, below);
            if (below.IsDirectory) { below.Parent = copy; }
        }

        return copy;
    }

    private ModelNode NewNode(NodeInfo made, VNodeKind kind, VNodeId parent, ushort mode)
    {
        Assert.True(made.Id > lastId);
        lastId = made.Id;
        ModelNode directory = Tree.Nodes[parent.Value];
        bool setGid = (directory.Mode & 0x400) != 0;
        if (kind == VNodeKind.Symlink) { mode = 0x1FF; }
        else if (setGid && kind == VNodeKind.Directory) { mode |= 0x400; }
        return new()
        {
            Id = made.Id,
            Kind = kind,
            Mode = mode,
            Uid = DriveActions.Alice.Uid,
            Gid = setGid ? directory.Gid : DriveActions.Alice.Gid,
            Target = kind == VNodeKind.Symlink ? "target" : "",
            AccessTime = drive.Now,
            ModifyTime = drive.Now,
            ChangeTime = drive.Now,
            BirthTime = drive.Now,
        };
    }

    private ModelNode Whiteout(VNodeId id)
    {
        Assert.True(id > lastId);
        lastId = id;
        return new()
        {
            Id = id,
            Kind = VNodeKind.CharacterDevice,
            Uid = DriveActions.Alice.Uid,
            Gid = DriveActions.Alice.Gid,
            AccessTime = drive.Now,
            ModifyTime = drive.Now,
            ChangeTime = drive.Now,
            BirthTime = drive.Now,
        };
    }

    private SessionId[] HoldersOf(VNodeId parent, string name)
    {
        ModelNode? node = Tree.Nodes.GetValueOrDefault(parent.Value)?.Children.GetValueOrDefault(name);
        return node is null ? [] : [.. node.Holders.Select(session => new SessionId(session))];
    }

    private Status CheckAttributes(VNodeId id, SetAttributesRequest request)
    {
        if (!Tree.Nodes.TryGetValue(id.Value, out ModelNode? node)) { return Status.Stale; }
        if ((request.Mask & AttributeMask.Size) == 0 || node.Kind == VNodeKind.File) { return Status.Ok; }
        return node.IsDirectory ? Status.IsDirectory : Status.Invalid;
    }

    private void Change(ModelNode node, SetAttributesRequest request)
    {
        AttributeMask mask = request.Mask;
        if (mask.HasFlag(AttributeMask.Size))
        {
            byte[] content = new byte[request.Size];
            node.Content.AsSpan(0, Math.Min(node.Content.Length, content.Length)).CopyTo(content);
            node.Content = content;
        }

        bool kills = mask.HasFlag(AttributeMask.Uid) || mask.HasFlag(AttributeMask.Gid)
            || mask.HasFlag(AttributeMask.KillSetId);
        if (kills && !node.IsDirectory)
        {
            node.Mode = (ushort)(node.Mode & ~((node.Mode & 8) != 0 ? 0xC00 : 0x800));
        }

        if (mask.HasFlag(AttributeMask.Mode)) { node.Mode = request.Mode; }
        if (mask.HasFlag(AttributeMask.Uid)) { node.Uid = request.Uid; }
        if (mask.HasFlag(AttributeMask.Gid)) { node.Gid = request.Gid; }
        if (mask.HasFlag(AttributeMask.AccessTime)) { node.AccessTime = request.AccessTime; }
        if (mask.HasFlag(AttributeMask.ModifyTime)) { node.ModifyTime = request.ModifyTime; }
        if (mask.HasFlag(AttributeMask.AccessTimeNow)) { node.AccessTime = drive.Now; }
        if (mask.HasFlag(AttributeMask.ModifyTimeNow)) { node.ModifyTime = drive.Now; }
        node.ChangeTime = drive.Now;
    }

    private Status CheckSetXattr(VNodeId id, string name, XattrMode mode)
    {
        if (!Tree.Nodes.TryGetValue(id.Value, out ModelNode? node)) { return Status.Stale; }
        if (node.Kind is not (VNodeKind.File or VNodeKind.Directory)) { return Status.NotPermitted; }
        bool exists = node.Xattrs.ContainsKey(name);
        if (exists && mode == XattrMode.CreateOnly) { return Status.Exists; }
        return !exists && mode == XattrMode.ReplaceOnly ? Status.NoAttribute : Status.Ok;
    }

    private sealed record ModelSnapshot(RetainedVersion Version, ModelTree Tree);
}
