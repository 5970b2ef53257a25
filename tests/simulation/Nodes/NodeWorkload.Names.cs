using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Simulation.Nodes;

internal sealed partial class NodeWorkload
{
    private void Create(string drive)
    {
        ModelTree tree = Tree(drive);
        ulong parent = Pick(tree.Directories());
        string name = FreshName();
        if (tree[parent].Children.ContainsKey(name) || tree.Inodes >= MaxNodes) { return; }
        VNodeKind kind = chance.Next(10) switch
        {
            < 6 => VNodeKind.File,
            < 8 when tree.Files().Count > 0 => VNodeKind.Directory,
            < 8 => VNodeKind.File,
            8 => VNodeKind.Symlink,
            _ => Pick<VNodeKind>([VNodeKind.Fifo, VNodeKind.CharacterDevice, VNodeKind.BlockDevice, VNodeKind.Socket]),
        };
        ModelNode made = NewNode(kind);
        Name = $"create {drive}/{parent}/{name} {kind}";
        bool holds = chance.Next(8) == 0;
        IDriveSession session = Session(drive);
        CreateRequest request = new()
        {
            Parent = Find(drive, parent),
            Name = Bytes(name),
            Kind = kind,
            Mode = (ushort)made.Mode,
            Rdev = made.Rdev,
            SymlinkTarget = Bytes(made.Target),
            Caller = new(made.Uid, made.Gid),
            OpenedBy = holds ? session.Id : default,
        };
        Reply<NodeInfo> reply = session.CreateAsync(in request).Now();
        if (holds && reply.IsOk) { held.Add(new(drive, reply.Value.Id, null)); }
        Answer(reply.Status, drive, World.With(drive, tree.WithNew(parent, name, made)));
    }

    private ModelNode NewNode(VNodeKind kind) => new(kind)
    {
        Mode = kind == VNodeKind.Symlink ? 0x1FF : chance.Next(0x200),
        Uid = (uint)chance.Next(3),
        Gid = (uint)chance.Next(3),
        Rdev = kind is VNodeKind.CharacterDevice or VNodeKind.BlockDevice ? (uint)chance.Next(1, 100) : 0,
        Target = kind == VNodeKind.Symlink ? $"to/{chance.Next(100)}" : "",
    };

    /// <summary>A file without a name (O_TMPFILE).</summary>
    private void CreateNameless(string drive)
    {
        ModelTree tree = Tree(drive);
        ModelNode made = NewNode(VNodeKind.File);
        Name = $"create nameless {drive}";
        IDriveSession session = Session(drive);
        CreateRequest request = new()
        {
            Parent = Find(drive, Pick(tree.Directories())),
            Kind = VNodeKind.File,
            Mode = (ushort)made.Mode,
            Caller = new(made.Uid, made.Gid),
            OpenedBy = session.Id,
            Nameless = true,
        };
        Reply<NodeInfo> reply = session.CreateAsync(in request).Now();
        if (reply.IsOk) { held.Add(new(drive, reply.Value.Id, made)); }
        Answer(reply.Status, drive, World);
    }

    private void Link(string drive)
    {
        ModelTree tree = Tree(drive);
        ulong parent = Pick(tree.Directories());
        string name = FreshName();
        if (tree[parent].Children.ContainsKey(name) || tree.Inodes >= MaxNodes) { return; }
        int nameless = held.FindIndex(holding => holding.Drive == drive && holding.Linkable is not null);
        List<ModelName> names = [.. tree.Names().Where(found => !tree[found.Node].IsDirectory)];
        if (nameless < 0 && names.Count == 0) { return; }
        bool isNameless = nameless >= 0 && (names.Count == 0 || chance.Next(2) == 0);
        ulong source = isNameless ? 0 : Pick(names).Node;
        Name = $"link {drive}/{source} as {parent}/{name}";
        LinkRequest request = new()
        {
            Node = isNameless ? held[nameless].Id : Find(drive, source),
            NewParent = Find(drive, parent),
            NewName = Bytes(name),
        };
        ModelTree after = isNameless
            ? tree.WithNew(parent, name, held[nameless].Linkable!)
            : tree.WithName(parent, name, source);
        Reply<NodeInfo> reply = Session(drive).LinkAsync(in request).Now();
        if (isNameless && reply.IsOk) { held[nameless] = held[nameless] with { Linkable = null }; }
        Answer(reply.Status, drive, World.With(drive, after));
    }

    private void Rename(string drive)
    {
        ModelTree tree = Tree(drive);
        List<ModelName> names = tree.Names();
        if (names.Count == 0) { return; }
        ModelName from = Pick(names);
        ulong parent = Pick(tree.Directories());
        string name = FreshName();
        if (tree[from.Node].IsDirectory && tree.IsWithin(parent, from.Node)) { return; }
        bool exists = tree[parent].Children.TryGetValue(name, out ulong target);
        bool exchanges = exists && chance.Next(2) == 0;
        if (exists && !MayTake(tree, from, target, exchanges)) { return; }
        Name = $"rename {drive}/{from.Parent}/{from.Name} to {parent}/{name}{(exchanges ? " and back" : "")}";
        RenameRequest request = new()
        {
            OldParent = Find(drive, from.Parent),
            OldName = Bytes(from.Name),
            NewParent = Find(drive, parent),
            NewName = Bytes(name),
            Flags = exchanges ? RenameFlags.Exchange : exists ? RenameFlags.None : Pick([RenameFlags.None, RenameFlags.NoReplace]),
        };
        bool isSame = exists && target == from.Node;
        ModelTree after = isSame ? tree
            : exchanges ? tree.WithName(from.Parent, from.Name, target).WithName(parent, name, from.Node)
            : tree.Moved(from, parent, name);
        Reply<UnlinkResult> reply = Session(drive).RenameAsync(in request).Now();
        Answer(reply.Status, drive, World.With(drive, after));
    }

    /// <summary>Whether a name may go where another one is.</summary>
    private static bool MayTake(ModelTree tree, ModelName from, ulong target, bool exchanges)
    {
        bool isAbove = tree[target].IsDirectory && tree.IsWithin(from.Parent, target);
        bool fits = tree[target].IsDirectory == tree[from.Node].IsDirectory && tree[target].Children.IsEmpty;
        return !isAbove && (exchanges || fits);
    }

    private void Unlink(string drive)
    {
        ModelTree tree = Tree(drive);
        List<ModelName> names = [.. tree.Names().Where(name => tree[name.Node].Children.IsEmpty)];
        if (names.Count == 0) { return; }
        ModelName victim = Pick(names);
        Name = $"unlink {drive}/{victim.Parent}/{victim.Name}";
        IDriveSession session = Session(drive);
        if (chance.Next(3) == 0)
        {
            VNodeId id = Find(drive, victim.Node);
            Require(session.HoldAsync(id).Now().Status);
            held.Add(new(drive, id, null));
        }

        UnlinkRequest request = new()
        {
            Parent = Find(drive, victim.Parent),
            Name = Bytes(victim.Name),
            Directory = tree[victim.Node].IsDirectory,
        };
        Reply<UnlinkResult> reply = session.UnlinkAsync(in request).Now();
        Answer(reply.Status, drive, World.With(drive, tree.WithoutName(victim.Parent, victim.Name)));
    }

    private void ReleaseHeld()
    {
        if (held.Count == 0) { return; }
        HeldNode holding = Pick(held);
        Name = $"release {holding.Drive}";
        held.Remove(holding);
        Answer(Session(holding.Drive).ReleaseAsync(holding.Id).Now(), holding.Drive, World);
    }

    private void SetAttributes(string drive)
    {
        ModelTree tree = Tree(drive);
        ulong id = chance.Next(5) == 0 || tree.Names().Count == 0 ? ModelTree.Root : Pick(tree.Names()).Node;
        if (tree[id].Kind == VNodeKind.Symlink) { return; }
        ModelNode after = tree[id] with { Mode = chance.Next(0x200), Uid = (uint)chance.Next(3), Gid = (uint)chance.Next(3) };
        Name = $"chmod, chown {drive}/{id}";
        SetAttributesRequest request = new()
        {
            Node = Find(drive, id),
            Mask = AttributeMask.Mode | AttributeMask.Uid | AttributeMask.Gid,
            Mode = (ushort)after.Mode,
            Uid = after.Uid,
            Gid = after.Gid,
        };
        Answer(Session(drive).SetAttributesAsync(in request).Now().Status, drive, World.With(drive, tree.With(id, after)));
    }

    private void ChangeXattr(string drive)
    {
        ModelTree tree = Tree(drive);
        List<ulong> nodes = [.. tree.Files(), .. tree.Directories()];
        ulong id = Pick(nodes);
        string name = Pick(["user.a", "user.b"]);
        ModelNode target = tree[id];
        if (target.Xattrs.ContainsKey(name) && chance.Next(2) == 0)
        {
            Name = $"remove xattr {drive}/{id} {name}";
            RemoveXattrRequest remove = new() { Node = Find(drive, id), Name = Bytes(name) };
            ModelNode without = target with { Xattrs = target.Xattrs.Remove(name) };
            Answer(Session(drive).RemoveXattrAsync(in remove).Now(), drive, World.With(drive, tree.With(id, without)));
            return;
        }

        string value = $"v{chance.Next(1000)}";
        Name = $"set xattr {drive}/{id} {name}";
        SetXattrRequest request = new() { Node = Find(drive, id), Name = Bytes(name), Value = Bytes(value) };
        ModelNode with = target with { Xattrs = target.Xattrs.SetItem(name, value) };
        Answer(Session(drive).SetXattrAsync(in request).Now(), drive, World.With(drive, tree.With(id, with)));
    }

    private void Lock(string drive)
    {
        List<ulong> files = Tree(drive).Files();
        if (files.Count == 0) { return; }
        Name = $"lock {drive}";
        ulong start = (ulong)chance.Next(100);
        FileLock wanted = new(start, start + 10, Pick([LockType.Read, LockType.Write, LockType.Unlock]), new(default, 1), 1);
        VNodeId file = Find(drive, Pick(files));
        Answer(Session(drive).SetLockAsync(file, LockSpace.Range, wanted, wait: false, default).Now(), drive, World);
    }
}
