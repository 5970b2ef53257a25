using System.Text;
using KvFs.Core;
using KvFs.Simulation.Nodes;

namespace KvFs.Simulation.Pool;

/// <summary>One operation on a client's tree: what it does to the model, and what it is for core.</summary>
internal abstract record TreeOperation
{
    /// <summary>Does it to the model, or says why it cannot be done.</summary>
    public abstract Status ApplyTo(ref ModelTree tree);

    /// <param name="find">The VNode of what the model knows by a number.</param>
    public abstract TransactOperation ForCore(Func<ulong, VNodeId> find);

    protected static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}

internal sealed record MakeNode(ulong Parent, string Name, ModelNode Node) : TreeOperation
{
    public override Status ApplyTo(ref ModelTree tree)
    {
        if (tree[Parent].Children.ContainsKey(Name)) { return Status.Exists; }
        tree = tree.WithNew(Parent, Name, Node);
        return Status.Ok;
    }

    public override TransactOperation ForCore(Func<ulong, VNodeId> find) => new CreateOperation(find(Parent), Bytes(Name), Node.Kind)
    {
        Mode = (ushort)Node.Mode,
        SymlinkTarget = Bytes(Node.Target),
        Caller = new(Node.Uid, Node.Gid),
    };
}

internal sealed record MoveName(ulong OldParent, string OldName, ulong NewParent, string NewName, RenameFlags Flags) : TreeOperation
{
    public override Status ApplyTo(ref ModelTree tree)
    {
        bool exchanges = Flags == RenameFlags.Exchange;
        if (!tree[OldParent].Children.TryGetValue(OldName, out ulong source)) { return Status.NotFound; }
        bool replaces = tree[NewParent].Children.TryGetValue(NewName, out ulong target);
        if (replaces && Flags == RenameFlags.NoReplace) { return Status.Exists; }
        if (!replaces && exchanges) { return Status.NotFound; }
        if (replaces && source == target) { return Status.Ok; }
        bool isDirectory = tree[source].IsDirectory;
        if (isDirectory && tree.IsWithin(NewParent, source)) { return Status.Invalid; }
        if (exchanges)
        {
            if (tree[target].IsDirectory && tree.IsWithin(OldParent, target)) { return Status.Invalid; }
            tree = tree.WithName(OldParent, OldName, target).WithName(NewParent, NewName, source);
            return Status.Ok;
        }

        if (replaces && tree[target].IsDirectory != isDirectory) { return isDirectory ? Status.NotDirectory : Status.IsDirectory; }
        if (replaces && !tree[target].Children.IsEmpty) { return Status.NotEmpty; }
        tree = tree.Moved(new(OldParent, OldName, source), NewParent, NewName);
        return Status.Ok;
    }

    public override TransactOperation ForCore(Func<ulong, VNodeId> find) =>
        new RenameOperation(find(OldParent), Bytes(OldName), find(NewParent), Bytes(NewName)) { Flags = Flags };
}

internal sealed record AddLink(ulong Node, ulong Parent, string Name) : TreeOperation
{
    public override Status ApplyTo(ref ModelTree tree)
    {
        if (tree[Parent].Children.ContainsKey(Name)) { return Status.Exists; }
        if (tree[Node].IsDirectory) { return Status.NotPermitted; }
        tree = tree.WithName(Parent, Name, Node);
        return Status.Ok;
    }

    public override TransactOperation ForCore(Func<ulong, VNodeId> find) => new LinkOperation(find(Node), find(Parent), Bytes(Name));
}

internal sealed record RemoveName(ulong Parent, string Name, bool Directory) : TreeOperation
{
    public override Status ApplyTo(ref ModelTree tree)
    {
        if (!tree[Parent].Children.TryGetValue(Name, out ulong node)) { return Status.NotFound; }
        if (Directory != tree[node].IsDirectory) { return Directory ? Status.NotDirectory : Status.IsDirectory; }
        if (!tree[node].Children.IsEmpty) { return Status.NotEmpty; }
        tree = tree.WithoutName(Parent, Name);
        return Status.Ok;
    }

    public override TransactOperation ForCore(Func<ulong, VNodeId> find) => new UnlinkOperation(find(Parent), Bytes(Name), Directory);
}

internal sealed record WriteCell(ulong File, int Cell, int Token) : TreeOperation
{
    /// <summary>Where the bytes are; none: they go along.</summary>
    public BlockName Block { get; init; }

    public override Status ApplyTo(ref ModelTree tree)
    {
        tree = tree.With(File, tree[File] with { File = tree[File].File.With(Cell, [Token], grows: true) });
        return Status.Ok;
    }

    public override TransactOperation ForCore(Func<ulong, VNodeId> find) => new CommitOperation(find(File), ToCommit());

    public FileCommit ToCommit()
    {
        FileCommit commit = new() { MinSize = ModelFile.EndOf(Cell + 1) };
        bool isInline = Block == default;
        if (isInline) { ModelFile.Fill(commit.Inline.Extend(ModelFile.CellBytes), Token); }
        commit.Runs.Add(new(ModelFile.OffsetOf(Cell), ModelFile.CellBytes, isInline ? SliceKind.Inline : SliceKind.Block, Block, 0));
        return commit;
    }
}

internal sealed record CutFile(ulong File, int Cells) : TreeOperation
{
    public override Status ApplyTo(ref ModelTree tree)
    {
        tree = tree.With(File, tree[File] with { File = tree[File].File.Truncated(Cells) });
        return Status.Ok;
    }

    public override TransactOperation ForCore(Func<ulong, VNodeId> find) =>
        new SetAttributesOperation(find(File), new() { Mask = AttributeMask.Size, Size = ModelFile.EndOf(Cells) });
}

internal sealed record ChangeMode(ulong Node, int Mode) : TreeOperation
{
    public override Status ApplyTo(ref ModelTree tree)
    {
        tree = tree.With(Node, tree[Node] with { Mode = Mode });
        return Status.Ok;
    }

    public override TransactOperation ForCore(Func<ulong, VNodeId> find) =>
        new SetAttributesOperation(find(Node), new() { Mask = AttributeMask.Mode, Mode = (ushort)Mode });
}

internal sealed record PutXattr(ulong Node, string Name, string Value) : TreeOperation
{
    public override Status ApplyTo(ref ModelTree tree)
    {
        tree = tree.With(Node, tree[Node] with { Xattrs = tree[Node].Xattrs.SetItem(Name, Value) });
        return Status.Ok;
    }

    public override TransactOperation ForCore(Func<ulong, VNodeId> find) => new SetXattrOperation(find(Node), Bytes(Name), Bytes(Value));
}
