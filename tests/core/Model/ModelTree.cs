using System.Text;

namespace KvFs.Core.Tests.Model;

/// <summary>The namespace of a drive as naive objects: says what each operation must answer, and does it.</summary>
internal sealed class ModelTree
{
    private const RenameFlags AllFlags = RenameFlags.NoReplace | RenameFlags.Exchange | RenameFlags.Whiteout;

    public SortedDictionary<ulong, ModelNode> Nodes { get; } = [];

    public ulong QuotaInodes { get; set; }

    public ModelNode Root => Nodes[VNodeId.Root.Value];

    public ulong UsedBytes => Nodes.Values.Aggregate(0ul, (sum, node) => sum + BackedBytes(node));

    /// <summary>All of it anew: for a snapshot or a clone. Nobody holds anything in a copy.</summary>
    public ModelTree Copy()
    {
        ModelTree copy = new() { QuotaInodes = QuotaInodes };
        foreach ((ulong id, ModelNode node) in Nodes) { copy.Nodes.Add(id, node.CopyAlone()); }
        foreach ((ulong id, ModelNode node) in Nodes)
        {
            ModelNode mine = copy.Nodes[id];
            mine.Parent = node.Parent is null ? null : copy.Nodes.GetValueOrDefault(node.Parent.Id.Value);
            foreach ((string name, ModelNode child) in node.Children)
            {
                mine.Children.Add(name, copy.Nodes[child.Id.Value]);
            }
        }

        return copy;
    }

    public Status CheckCreate(VNodeId parent, string name)
    {
        Status status = CheckName(name);
        if (status != Status.Ok) { return status; }
        status = Open(parent, out ModelNode? directory);
        if (status != Status.Ok) { return status; }
        if (directory!.Children.ContainsKey(name)) { return Status.Exists; }
        return HasInodes(1) ? Status.Ok : Status.NoInodes;
    }

    /// <summary>Adds what a Create made; the id is the drive's choice.</summary>
    public void Create(VNodeId parent, string name, ModelNode node, Timestamp now)
    {
        ModelNode directory = Nodes[parent.Value];
        directory.Children.Add(name, node);
        directory.Touch(now);
        node.Parent = directory;
        node.Names = 1;
        Nodes.Add(node.Id.Value, node);
    }

    public Status CheckNameless(VNodeId parent)
    {
        Status status = Open(parent, out _);
        return status != Status.Ok ? status : HasInodes(1) ? Status.Ok : Status.NoInodes;
    }

    public Status Link(VNodeId id, VNodeId parent, string name, Timestamp now)
    {
        Status status = CheckName(name);
        if (status != Status.Ok) { return status; }
        status = Open(parent, out ModelNode? directory);
        if (status != Status.Ok) { return status; }
        if (directory!.Children.ContainsKey(name)) { return Status.Exists; }
        if (!Nodes.TryGetValue(id.Value, out ModelNode? node)) { return Status.Stale; }
        if (node.IsDirectory) { return Status.NotPermitted; }
        if (node.Names == 0 && !node.Linkable) { return Status.NotFound; }
        node.Linkable = false;
        node.Names++;
        node.ChangeTime = now;
        directory.Children.Add(name, node);
        directory.Touch(now);
        return Status.Ok;
    }

    public Status Unlink(VNodeId parent, string name, bool directory, Timestamp now)
    {
        Status status = CheckName(name);
        if (status != Status.Ok) { return status; }
        status = Open(parent, out ModelNode? from);
        if (status != Status.Ok) { return status; }
        if (!from!.Children.TryGetValue(name, out ModelNode? node)) { return Status.NotFound; }
        if (directory && !node.IsDirectory) { return Status.NotDirectory; }
        if (!directory && node.IsDirectory) { return Status.IsDirectory; }
        if (node.Children.Count > 0) { return Status.NotEmpty; }
        from.Children.Remove(name);
        from.Touch(now);
        LoseName(node, now);
        return Status.Ok;
    }

    public Status CheckRename(VNodeId oldParent, string oldName, VNodeId newParent, string newName, RenameFlags flags)
    {
        bool exchange = (flags & RenameFlags.Exchange) != 0;
        if ((flags & ~AllFlags) != 0 || (exchange && flags != RenameFlags.Exchange)) { return Status.Invalid; }
        Status status = CheckName(oldName);
        if (status == Status.Ok) { status = CheckName(newName); }
        if (status != Status.Ok) { return status; }
        status = Open(oldParent, out ModelNode? from);
        if (status != Status.Ok) { return status; }
        status = Open(newParent, out ModelNode? to);
        if (status != Status.Ok) { return status; }
        if (!from!.Children.TryGetValue(oldName, out ModelNode? source)) { return Status.NotFound; }
        bool replaces = to!.Children.TryGetValue(newName, out ModelNode? target);
        if (replaces && (flags & RenameFlags.NoReplace) != 0) { return Status.Exists; }
        if (!replaces && exchange) { return Status.NotFound; }
        if (source == target) { return Status.Ok; }
        if (IsWithin(to, source)) { return Status.Invalid; }
        if (exchange) { return IsWithin(from, target!) ? Status.Invalid : Status.Ok; }
        if (replaces && target!.IsDirectory && !source.IsDirectory) { return Status.IsDirectory; }
        if (replaces && !target!.IsDirectory && source.IsDirectory) { return Status.NotDirectory; }
        if (replaces && target!.Children.Count > 0) { return Status.NotEmpty; }
        bool freesOne = replaces && target!.Names == 1 && target.Holders.Count == 0;
        bool needsOne = (flags & RenameFlags.Whiteout) != 0;
        return !needsOne || freesOne || HasInodes(1) ? Status.Ok : Status.NoInodes;
    }

    /// <summary>Does what <see cref="CheckRename"/> allowed. A whiteout is the caller's.</summary>
    public void Rename(
        VNodeId oldParent, string oldName, VNodeId newParent, string newName, RenameFlags flags, Timestamp now)
    {
        ModelNode from = Nodes[oldParent.Value];
        ModelNode to = Nodes[newParent.Value];
        ModelNode source = from.Children[oldName];
        ModelNode? target = to.Children.GetValueOrDefault(newName);
        if (source == target) { return; }
        from.Children.Remove(oldName);
        to.Children.Remove(newName);
        to.Children.Add(newName, source);
        if (source.IsDirectory) { source.Parent = to; }
        source.ChangeTime = now;
        if ((flags & RenameFlags.Exchange) != 0)
        {
            from.Children.Add(oldName, target!);
            if (target!.IsDirectory) { target.Parent = from; }
            target.ChangeTime = now;
        }
        else if (target is not null)
        {
            LoseName(target, now);
        }

        from.Touch(now);
        to.Touch(now);
    }

    /// <summary>A session lets go of a VNode.</summary>
    public void Release(ModelNode node, ulong session)
    {
        node.Holders.Remove(session);
        DropIfUnheld(node);
    }

    /// <summary>All sessions are gone, and what only they kept.</summary>
    public void ReleaseAll()
    {
        foreach (ModelNode node in Nodes.Values) { node.Holders.Clear(); }
        foreach (ModelNode node in Nodes.Values.ToList()) { DropIfUnheld(node); }
    }

    /// <summary>What a path leads to; null if nothing.</summary>
    public ModelNode? Find(IEnumerable<string> path)
    {
        ModelNode? at = Root;
        foreach (string name in path) { at = at?.Children.GetValueOrDefault(name); }
        return at;
    }

    /// <summary>Puts a node where a name is, whatever it led to.</summary>
    public void Replace(ModelNode directory, string name, ModelNode node, Timestamp now)
    {
        ModelNode? replaced = directory.Children.GetValueOrDefault(name);
        directory.Children[name] = node;
        directory.Touch(now);
        node.Parent = directory;
        if (replaced is not null) { LoseName(replaced, now); }
    }

    private static ulong BackedBytes(ModelNode node) => node.Kind == VNodeKind.File ? (ulong)node.Content.Length : 0;

    private void LoseName(ModelNode node, Timestamp now)
    {
        node.Names--;
        node.ChangeTime = now;
        DropIfUnheld(node);
    }

    /// <summary>A node without names and holders goes, and all below it loses the name there.</summary>
    private void DropIfUnheld(ModelNode node)
    {
        if (node.Names > 0 || node.Holders.Count > 0 || !Nodes.Remove(node.Id.Value)) { return; }
        foreach (ModelNode child in node.Children.Values) { LoseName(child, child.ChangeTime); }
    }

    public bool HasInodes(int more) => QuotaInodes == 0 || (ulong)(Nodes.Count + more) <= QuotaInodes;

    private Status Open(VNodeId id, out ModelNode? directory)
    {
        if (!Nodes.TryGetValue(id.Value, out directory)) { return Status.Stale; }
        if (!directory.IsDirectory) { return Status.NotDirectory; }
        return directory.Names == 0 ? Status.NotFound : Status.Ok;
    }

    private static bool IsWithin(ModelNode directory, ModelNode ancestor)
    {
        for (ModelNode? at = directory; at is not null; at = at.Parent)
        {
            if (at == ancestor) { return true; }
        }

        return false;
    }

    private static Status CheckName(string name)
    {
        if (Encoding.UTF8.GetByteCount(name) > 255) { return Status.NameTooLong; }
        return name is "" or "." or ".." || name.Contains('/', StringComparison.Ordinal) ? Status.Invalid : Status.Ok;
    }
}
