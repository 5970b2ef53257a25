using KvFs.Core;
using KvFs.Simulation.Nodes;

namespace KvFs.Simulation.Pool;

/// <summary>Draws operations on a tree: also ones that cannot be done.</summary>
/// <param name="random">What it draws from.</param>
/// <param name="start">The tree before the first of them: they are told of VNodes that were there then.</param>
internal sealed class TreeDraw(Random random, ModelTree start)
{
    /// <summary>VNodes of a tree, from which on none is made.</summary>
    private const ulong MostNodes = 10;

    private readonly HashSet<ulong> known = [ModelTree.Root, .. start.Names().Select(static name => name.Node)];

    /// <summary>The tree after those that were drawn.</summary>
    public ModelTree Tree { get; private set; } = start;

    /// <summary>Draws one more; what it answers is Ok, or why it, and with it all of them, is not done.</summary>
    public TreeOperation Next(int token, out Status status)
    {
        TreeOperation drawn = Draw(token);
        ulong made = Tree.NextId;
        ModelTree after = Tree;
        status = drawn.ApplyTo(ref after);
        Tree = after;

        // The model gives numbers anew.
        if (drawn is MakeNode) { known.Remove(made); }
        return drawn;
    }

    private TreeOperation Draw(int token)
    {
        List<ModelName> names = [.. Tree.Names().Where(name => known.Contains(name.Parent))];
        List<ulong> directories = [ModelTree.Root, .. names.Select(static name => name.Node).Where(node => known.Contains(node) && Tree[node].IsDirectory)];
        List<ulong> files = [.. names.Select(static name => name.Node).Where(node => known.Contains(node) && Tree[node].Kind == VNodeKind.File)];
        bool hasFiles = files.Count > 0;
        ulong parent = Pick(directories);
        switch (random.Next(12))
        {
            case 0 or 1 or 2 when names.Count > 0:
                ModelName from = Pick(names);
                return new MoveName(from.Parent, from.Name, parent, FreshName(), Pick([RenameFlags.None, RenameFlags.None, RenameFlags.NoReplace, RenameFlags.Exchange]));
            case 3:
                return new MoveName(Pick(directories), FreshName(), parent, FreshName(), RenameFlags.None);
            case 4 when hasFiles:
                return new AddLink(Pick(files), parent, FreshName());
            case 5 or 6 when names.Count > 0:
                ModelName victim = Pick(names);
                return new RemoveName(victim.Parent, victim.Name, Tree[victim.Node].IsDirectory != (random.Next(6) == 0));
            case 7 when hasFiles:
                return new WriteCell(Pick(files), Pick([0, 1, 2, ModelFile.FirstClusterCells]), token);
            case 8 when hasFiles:
                return new CutFile(Pick(files), random.Next(4));
            case 9 when hasFiles:
                return new PutXattr(Pick(files), "user.a", $"v{token}");
            default:
                return Tree.Inodes < MostNodes
                    ? new MakeNode(parent, FreshName(), NewNode())
                    : new ChangeMode(parent, random.Next(0x200));
        }
    }

    private ModelNode NewNode()
    {
        VNodeKind kind = Pick([VNodeKind.File, VNodeKind.File, VNodeKind.Directory, VNodeKind.Directory, VNodeKind.Symlink]);
        return new(kind)
        {
            Mode = kind == VNodeKind.Symlink ? 0x1FF : random.Next(0x200),
            Target = kind == VNodeKind.Symlink ? $"to/{random.Next(100)}" : "",
        };
    }

    private string FreshName() => Pick(["a", "b", "c", "d", "e"]);

    private T Pick<T>(IReadOnlyList<T> all) => all[random.Next(all.Count)];
}
