using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Simulation.Nodes;

internal sealed partial class NodeWorkload
{
    private const int MaxOperations = 7;

    /// <summary>Some operations that all happen or do not, each on what those before it left; one time in six one of them
    /// fails.</summary>
    private void Transact(string drive)
    {
        IDriveSession session = Session(drive);
        Reply<VNodeId> granted = session.GrantVNodesAsync(MaxOperations).Now();
        Require(granted.Status);
        Plan plan = new(Tree(drive), granted.Value);
        Name = $"transact {drive}";
        int fails = chance.Next(6) == 0 ? chance.Next(MaxOperations) : -1;
        for (int i = chance.Next(2, MaxOperations + 1); i > 0; i--)
        {
            if (plan.Operations.Count == fails) { AddFailing(plan); }
            AddOperation(drive, plan);
        }

        if (plan.Operations.Count == 0) { return; }
        TransactResult result = new();
        Status status = node.SplitsTransactions
            ? SendInHalves(session, plan, result)
            : session.TransactAsync(new([], plan.Operations), result).Now();
        if (status == Status.NotFound && plan.FailsAt >= 0)
        {
            Invariant.Check(result.FailedAt == plan.FailsAt);
            return;
        }

        if (status == Status.Ok)
        {
            Invariant.Check(plan.FailsAt < 0 && result.Nodes.Count == plan.Operations.Count);
            foreach (VNodeId opened in result.Opened) { held.Add(new(drive, opened, null)); }
        }

        Answer(status, drive, World.With(drive, plan.Tree));
    }

    /// <summary>What a driver does that takes a request for a list: a planted bug.</summary>
    private static Status SendInHalves(IDriveSession session, Plan plan, TransactResult result)
    {
        int half = plan.Operations.Count / 2;
        TransactResult first = new();
        Status status = half == 0 ? Status.Ok : session.TransactAsync(new([], plan.Operations[..half]), first).Now();
        if (status == Status.Ok) { status = session.TransactAsync(new([], plan.Operations[half..]), result).Now(); }
        if (status == Status.Ok)
        {
            result.Nodes.InsertRange(0, first.Nodes);
            result.Opened.InsertRange(0, first.Opened);
        }

        result.FailedAt = plan.FailsAt;
        return status;
    }

    private void AddFailing(Plan plan)
    {
        plan.FailsAt = plan.Operations.Count;
        plan.Operations.Add(new UnlinkOperation(VNodeId.Root, Bytes("missing"), Directory: false));
        Name += $" {plan.FailsAt}: fails;";
    }

    private void AddOperation(string drive, Plan plan)
    {
        switch (chance.Next(10))
        {
            case < 4: AddCreate(drive, plan); break;
            case < 6: AddWrite(drive, plan); break;
            case 6: AddAttributes(drive, plan); break;
            case 7: AddUnlink(drive, plan); break;
            case 8: AddRename(drive, plan); break;
            default: AddLink(drive, plan); break;
        }
    }

    private void AddCreate(string drive, Plan plan)
    {
        ulong parent = Pick(plan.Tree.Directories());
        string name = FreshName();
        if (plan.Tree[parent].Children.ContainsKey(name) || plan.Tree.Inodes >= MaxNodes) { return; }
        VNodeKind kind = chance.Next(4) == 0 ? VNodeKind.Directory : VNodeKind.File;
        ModelNode made = NewNode(kind);
        NodeReference folder = Reference(drive, plan, parent);
        bool isNamed = chance.Next(3) > 0 || node.SplitsTransactions;
        ulong id = plan.Tree.NextId;
        plan.New[id] = isNamed ? plan.NextId() : NodeReference.ResultOf(plan.Operations.Count);
        plan.Tree = plan.Tree.WithNew(parent, name, made);
        plan.Operations.Add(new CreateOperation(folder, Bytes(name), kind)
        {
            Mode = (ushort)made.Mode,
            Caller = new(made.Uid, made.Gid),
            Id = plan.New[id].Id,
            Opened = kind == VNodeKind.File && chance.Next(4) == 0,
            Times = chance.Next(2) == 0 ? null : NodeTimes.Made(new(7)),
        });
        Name += $" create {parent}/{name} {kind};";
    }

    private void AddWrite(string drive, Plan plan)
    {
        List<ulong> files = plan.Tree.Files();
        if (files.Count == 0) { return; }
        ulong id = Pick(files);
        int at = Place();
        int token = NewToken();
        FileCommit commit = new() { ModifyTime = new(5) };
        ModelFile.Fill(commit.Inline.Extend(ModelFile.CellBytes), token);
        commit.Runs.Add(new(ModelFile.OffsetOf(at), ModelFile.CellBytes, SliceKind.Inline, default, 0));
        ModelFile file = plan.Tree[id].File.With(at, [token], grows: true);
        commit.MinSize = file.Size;
        plan.Operations.Add(new CommitOperation(Reference(drive, plan, id), commit));
        plan.Tree = plan.Tree.With(id, plan.Tree[id] with { File = file });
        Name += $" write {id} {at};";
    }

    private void AddAttributes(string drive, Plan plan)
    {
        List<ulong> files = plan.Tree.Files();
        if (files.Count == 0) { return; }
        ulong id = Pick(files);
        ModelNode after = plan.Tree[id] with { Mode = chance.Next(0x200) };
        AttributeMask mask = AttributeMask.Mode;
        ulong size = 0;
        if (chance.Next(2) == 0)
        {
            int cells = chance.Next(ModelFile.CellCount + 1);
            mask |= AttributeMask.Size;
            size = ModelFile.EndOf(cells);
            after = after with { File = after.File.Truncated(cells) };
        }

        SetAttributesRequest request = new() { Mask = mask, Mode = (ushort)after.Mode, Size = size };
        plan.Operations.Add(new SetAttributesOperation(Reference(drive, plan, id), request));
        plan.Tree = plan.Tree.With(id, after);
        Name += $" chmod {id} {mask} {size};";
    }

    private void AddUnlink(string drive, Plan plan)
    {
        List<ModelName> names = [.. plan.Tree.Names().Where(name => plan.Tree[name.Node].Children.IsEmpty)];
        if (names.Count == 0) { return; }
        ModelName victim = Pick(names);
        plan.Operations.Add(new UnlinkOperation(
            Reference(drive, plan, victim.Parent), Bytes(victim.Name), plan.Tree[victim.Node].IsDirectory));
        plan.Tree = plan.Tree.WithoutName(victim.Parent, victim.Name);
        Name += $" unlink {victim.Parent}/{victim.Name};";
    }

    private void AddRename(string drive, Plan plan)
    {
        List<ModelName> names = plan.Tree.Names();
        if (names.Count == 0) { return; }
        ModelName from = Pick(names);
        ulong parent = Pick(plan.Tree.Directories());
        string name = FreshName();
        if (plan.Tree[from.Node].IsDirectory && plan.Tree.IsWithin(parent, from.Node)) { return; }
        bool exists = plan.Tree[parent].Children.TryGetValue(name, out ulong target);
        if (exists && (target == from.Node || !MayTake(plan.Tree, from, target, exchanges: false))) { return; }
        plan.Operations.Add(new RenameOperation(
            Reference(drive, plan, from.Parent), Bytes(from.Name), Reference(drive, plan, parent), Bytes(name)));
        plan.Tree = plan.Tree.Moved(from, parent, name);
        Name += $" rename {from.Parent}/{from.Name} to {parent}/{name};";
    }

    private void AddLink(string drive, Plan plan)
    {
        List<ulong> files = plan.Tree.Files();
        ulong parent = Pick(plan.Tree.Directories());
        string name = FreshName();
        if (files.Count == 0 || plan.Tree[parent].Children.ContainsKey(name) || plan.Tree.Inodes >= MaxNodes) { return; }
        ulong id = Pick(files);
        plan.Operations.Add(new LinkOperation(
            Reference(drive, plan, id), Reference(drive, plan, parent), Bytes(name)));
        plan.Tree = plan.Tree.WithName(parent, name, id);
        Name += $" link {id} as {parent}/{name};";
    }

    private NodeReference Reference(string drive, Plan plan, ulong id) =>
        plan.New.TryGetValue(id, out NodeReference made) ? made : Find(drive, id);

    /// <summary>A transaction in the making, and the tree that it makes.</summary>
    private sealed class Plan(ModelTree tree, VNodeId firstId)
    {
        private ulong nextId = firstId.Value;

        internal List<TransactOperation> Operations { get; } = [];

        /// <summary>What the VNodes that it made are named by.</summary>
        internal SortedDictionary<ulong, NodeReference> New { get; } = [];

        internal ModelTree Tree { get; set; } = tree;

        internal int FailsAt { get; set; } = -1;

        internal VNodeId NextId() => new(nextId++);
    }
}
