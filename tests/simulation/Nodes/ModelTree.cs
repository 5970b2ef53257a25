using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using KvFs.Core;

namespace KvFs.Simulation.Nodes;

/// <summary>A VNode as a plain object. Immutable.</summary>
internal sealed record ModelNode(VNodeKind Kind)
{
    private static readonly ImmutableSortedDictionary<string, ulong> NoChildren =
        ImmutableSortedDictionary.Create<string, ulong>(StringComparer.Ordinal);

    private static readonly ImmutableSortedDictionary<string, string> NoXattrs =
        ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal);

    internal int Mode { get; init; }

    internal uint Uid { get; init; }

    internal uint Gid { get; init; }

    internal uint Rdev { get; init; }

    internal string Target { get; init; } = "";

    internal ModelFile File { get; init; } = ModelFile.Empty;

    internal ImmutableSortedDictionary<string, string> Xattrs { get; init; } = NoXattrs;

    internal ImmutableSortedDictionary<string, ulong> Children { get; init; } = NoChildren;

    internal bool IsDirectory => Kind == VNodeKind.Directory;
}

/// <summary>A name of a tree: where it is and what it leads to.</summary>
internal readonly record struct ModelName(ulong Parent, string Name, ulong Node);

/// <summary>The names and files of a drive: what a naive file system would have. Immutable.</summary>
/// <remarks>Its ids are its own: the node's VNodes are found by their paths. What has no name is not in here.</remarks>
internal sealed class ModelTree
{
    internal const ulong Root = 1;

    private readonly ImmutableSortedDictionary<ulong, ModelNode> nodes;
    private string? image;

    private ModelTree(ImmutableSortedDictionary<ulong, ModelNode> nodes)
    {
        this.nodes = nodes;
    }

    internal static ModelTree New { get; } =
        new(ImmutableSortedDictionary<ulong, ModelNode>.Empty.Add(Root, new(VNodeKind.Directory) { Mode = 0x1ED }));

    internal ModelNode this[ulong id] => nodes[id];

    /// <summary>Everything that a user sees, as text.</summary>
    internal string Image => image ??= MakeImage();

    /// <summary>Bytes that a quota is charged.</summary>
    internal ulong Backed => nodes.Values.Aggregate(0UL, static (sum, node) => sum + node.File.Backed);

    internal ulong Inodes => (ulong)nodes.Count;

    /// <summary>The id of the next VNode that is added.</summary>
    internal ulong NextId => nodes.Keys.Last() + 1;

    internal ModelTree With(ulong id, ModelNode node) => new(nodes.SetItem(id, node));

    internal ModelTree WithName(ulong parent, string name, ulong node) => With(
        parent, nodes[parent] with { Children = nodes[parent].Children.SetItem(name, node) });

    /// <summary>The same with a new VNode under a name, in the place of what has that name.</summary>
    internal ModelTree WithNew(ulong parent, string name, ModelNode node) =>
        With(NextId, node).WithName(parent, name, NextId).Reachable();

    internal ModelTree WithoutName(ulong parent, string name) => With(
        parent, nodes[parent] with { Children = nodes[parent].Children.Remove(name) }).Reachable();

    /// <summary>The same after a name has moved, in the place of what has the new one.</summary>
    internal ModelTree Moved(ModelName from, ulong parent, string name)
    {
        ModelNode old = nodes[from.Parent];
        ModelTree without = With(from.Parent, old with { Children = old.Children.Remove(from.Name) });
        return without.WithName(parent, name, from.Node).Reachable();
    }

    /// <summary>The same without what has no name.</summary>
    internal ModelTree Reachable()
    {
        SortedSet<ulong> seen = [Root];
        foreach (ModelName name in Names()) { seen.Add(name.Node); }
        return seen.Count == nodes.Count ? this : new(nodes.RemoveRange(nodes.Keys.Where(id => !seen.Contains(id))));
    }

    /// <summary>All names, from the root down, in the order of their paths.</summary>
    internal List<ModelName> Names()
    {
        List<ModelName> names = [];
        AddNames(Root, names);
        return names;
    }

    internal List<ulong> Directories() =>
        [Root, .. Names().Where(name => nodes[name.Node].IsDirectory).Select(static name => name.Node)];

    internal List<ulong> Files() =>
        [.. Names().Select(static name => name.Node).Distinct().Where(id => nodes[id].Kind == VNodeKind.File)];

    /// <summary>Whether a directory is another one, or below it.</summary>
    internal bool IsWithin(ulong id, ulong above) =>
        id == above || nodes[above].Children.Values.Any(child => nodes[child].IsDirectory && IsWithin(id, child));

    /// <summary>The path of a name.</summary>
    internal string PathOf(ModelName name)
    {
        string path = "/" + name.Name;
        for (ulong at = name.Parent; at != Root;)
        {
            ModelName above = Names().First(found => found.Node == at);
            path = $"/{above.Name}{path}";
            at = above.Parent;
        }

        return path;
    }

    /// <summary>What a path leads to; null if nothing does.</summary>
    internal ulong? Find(string path)
    {
        ulong at = Root;
        foreach (string name in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (!nodes[at].Children.TryGetValue(name, out at)) { return null; }
        }

        return at;
    }

    /// <summary>The same with a copy of a part of a tree under a name, in the place of what has that name.</summary>
    internal ModelTree WithCopy(ulong parent, string name, ModelTree source, ulong id)
    {
        SortedDictionary<ulong, ulong> copies = [];
        ModelTree tree = CopyFrom(source, id, copies);
        return tree.WithName(parent, name, copies[id]).Reachable();
    }

    private ModelTree CopyFrom(ModelTree source, ulong id, SortedDictionary<ulong, ulong> copies)
    {
        if (copies.ContainsKey(id)) { return this; }
        ulong copy = NextId;
        copies.Add(id, copy);
        ModelNode original = source[id];
        ModelFile file = original.File.Truncated(original.File.SizeCells);
        ModelTree tree = With(copy, original with { Children = original.Children.Clear(), File = file });
        foreach ((string name, ulong child) in original.Children)
        {
            tree = tree.CopyFrom(source, child, copies);
            tree = tree.WithName(copy, name, copies[child]);
        }

        return tree;
    }

    private void AddNames(ulong directory, List<ModelName> names)
    {
        foreach ((string name, ulong child) in nodes[directory].Children)
        {
            names.Add(new(directory, name, child));
            if (nodes[child].IsDirectory) { AddNames(child, names); }
        }
    }

    private string MakeImage()
    {
        Dictionary<ulong, string> firstPaths = new() { [Root] = "" };
        Dictionary<ulong, int> links = [];
        List<ModelName> names = Names();
        foreach (ModelName name in names) { links[name.Node] = links.GetValueOrDefault(name.Node) + 1; }
        List<string> lines = [Line("", Root, "", 1)];
        AddLines(Root, "", firstPaths, links, lines);
        lines.Sort(StringComparer.Ordinal);
        return string.Join('\n', lines);
    }

    private void AddLines(
        ulong directory, string path, Dictionary<ulong, string> firstPaths, Dictionary<ulong, int> links, List<string> lines)
    {
        foreach ((string name, ulong child) in nodes[directory].Children)
        {
            string childPath = $"{path}/{name}";
            firstPaths.TryAdd(child, childPath);
            lines.Add(Line(childPath, child, firstPaths[child], links[child]));
            if (nodes[child].IsDirectory) { AddLines(child, childPath, firstPaths, links, lines); }
        }
    }

    private string Line(string path, ulong id, string first, int links)
    {
        ModelNode node = nodes[id];
        int nlink = node.IsDirectory ? 2 + node.Children.Values.Count(child => nodes[child].IsDirectory) : links;
        ulong size = node.Kind switch
        {
            VNodeKind.Directory => (ulong)node.Children.Count,
            VNodeKind.Symlink => (ulong)node.Target.Length,
            _ => node.File.Size,
        };
        string xattrs = string.Concat(node.Xattrs.Select(static pair => $"{pair.Key}={pair.Value};"));
        return TreeLine.Format(new(path, first, node.Kind, node.Mode, node.Uid, node.Gid, nlink, node.Rdev, size)
        {
            Backed = node.File.Backed,
            Xattrs = xattrs,
            Content = node.Kind == VNodeKind.File ? node.File.Text : node.Target,
        });
    }
}

/// <summary>What is told of one name of a tree.</summary>
internal readonly partial record struct TreeLine(
    string Path, string FirstPath, VNodeKind Kind, int Mode, uint Uid, uint Gid, int Nlink, uint Rdev, ulong Size)
{
    internal ulong Backed { get; init; }

    internal required string Xattrs { get; init; }

    internal required string Content { get; init; }

    /// <summary>A text of lines, without how many names each file has.</summary>
    internal static string WithoutLinks(string lines) => LinkCounts().Replace(lines, "");

    internal static string Format(in TreeLine line) => string.Create(
        CultureInfo.InvariantCulture,
        $"{line.Path}|is {line.FirstPath}|{line.Kind} {line.Mode:x} {line.Uid}:{line.Gid} links {line.Nlink} "
        + $"dev {line.Rdev} size {line.Size} backed {line.Backed} [{line.Xattrs}] {line.Content}");

    [GeneratedRegex(" links [0-9]+ ")]
    private static partial Regex LinkCounts();
}
