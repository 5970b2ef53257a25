using System.Text;
using KvFs.Core;
using KvFs.Protocol;
using KvFs.Simulation.Storage;

namespace KvFs.Simulation.Nodes;

/// <summary>What a tree of a drive shows, as <see cref="ModelTree.Image"/> tells what it should show.</summary>
internal abstract class TreeImage
{
    private readonly DirectoryPage page = new();
    private readonly ByteBuffer buffer = new();
    private readonly byte[] cell = new byte[ModelFile.CellBytes];

    /// <summary>The tree below a directory.</summary>
    internal string Take(VNodeId root)
    {
        List<string> lines = [];
        List<(string Path, NodeInfo Info)> found = [("", Get(root))];
        for (int i = 0; i < found.Count; i++)
        {
            if (found[i].Info.VNode.IsDirectory) { AddEntries(found[i].Path, found[i].Info.Id, found); }
        }

        Dictionary<VNodeId, string> firstPaths = [];
        // As the model walks: each directory's names in order, with what is below each.
        foreach ((string path, NodeInfo info) in found.OrderBy(static entry => entry.Path.Split("/"), PathOrder.Instance))
        {
            firstPaths.TryAdd(info.Id, path);
            lines.Add(Line(path, firstPaths[info.Id], info));
        }

        lines.Sort(StringComparer.Ordinal);
        return string.Join('\n', lines);
    }

    protected abstract NodeInfo Get(VNodeId id);

    /// <summary>Fills a page with what comes behind a cookie.</summary>
    protected abstract Status ReadDirectory(VNodeId directory, ulong cookie, DirectoryPage filled);

    protected abstract Status ReadLink(VNodeId id, ByteBuffer target);

    protected abstract Status ListXattrs(VNodeId id, ByteBuffer names);

    protected abstract Status GetXattr(VNodeId id, ReadOnlySpan<byte> name, ByteBuffer value);

    protected abstract ClusterMap GetCluster(VNodeId id, uint cluster);

    protected abstract Status ReadBlock(BlockName block, uint offset, byte[] bytes);

    protected static void Require(Status status)
    {
        if (status != Status.Ok) { throw new BrokenPromiseException($"a read answers {status}"); }
    }

    /// <summary>What the cells of a file show, as <see cref="ModelFile.Text"/> tells what they should.</summary>
    protected string Cells(VNodeId id)
    {
        int[] cells = new int[ModelFile.CellCount];
        for (uint cluster = 0; cluster < 2; cluster++)
        {
            ClusterMap map = GetCluster(id, cluster);
            foreach (Slice run in map.Runs) { ReadRun(map, run, cluster, cells); }
        }

        return string.Join(',', cells);
    }

    private void AddEntries(string path, VNodeId directory, List<(string Path, NodeInfo Info)> found)
    {
        ulong cookie = 0;
        do
        {
            Require(ReadDirectory(directory, cookie, page));
            for (int i = 0; i < page.Count; i++)
            {
                cookie = page.Cookie(i);
                found.Add(($"{path}/{Encoding.UTF8.GetString(page.Name(i))}", page.Info(i)));
            }
        }
        while (!page.IsLast);
    }

    private string Line(string path, string first, NodeInfo info)
    {
        VNode node = info.VNode;
        bool isFile = node.Kind == VNodeKind.File;
        return TreeLine.Format(new(
            path, first, node.Kind, node.Mode, node.Uid, node.Gid, (int)node.Nlink, node.Rdev, node.Size)
        {
            Backed = isFile ? node.AllocatedBytes : 0,
            Xattrs = Xattrs(info.Id),
            Content = isFile ? Cells(info.Id)
                : node.Kind == VNodeKind.Symlink ? Target(info.Id)
                : "",
        });
    }

    private string Target(VNodeId id)
    {
        Require(ReadLink(id, buffer));
        return Encoding.UTF8.GetString(buffer.Span);
    }

    private string Xattrs(VNodeId id)
    {
        Status status = ListXattrs(id, buffer);
        if (status is Status.NotPermitted or Status.NotSupported) { return ""; }
        Require(status);
        if (buffer.Length == 0) { return ""; }
        StringBuilder text = new();
        string[] names = Encoding.UTF8.GetString(buffer.Span).Split('\0', StringSplitOptions.RemoveEmptyEntries);
        foreach (string name in names.Order(StringComparer.Ordinal))
        {
            Require(GetXattr(id, Encoding.UTF8.GetBytes(name), buffer));
            text.Append(name).Append('=').Append(Encoding.UTF8.GetString(buffer.Span)).Append(';');
        }

        return text.ToString();
    }

    private void ReadRun(ClusterMap map, Slice run, uint cluster, int[] cells)
    {
        for (uint done = 0; done < run.Length; done += ModelFile.CellBytes)
        {
            uint source = run.SourceOffset + done;
            int place = (int)((run.Offset + done) / ModelFile.CellBytes) + ((int)cluster * ModelFile.FirstClusterCells);
            bool isCell = run.Offset % ModelFile.CellBytes == 0 && run.Length % ModelFile.CellBytes == 0
                && place < (cluster == 0 ? ModelFile.FirstClusterCells : ModelFile.CellCount);
            if (!isCell) { throw new BrokenPromiseException($"a file shows {run}"); }
            switch (run.Kind)
            {
                case SliceKind.Inline:
                    cells[place] = ModelFile.TokenOf(map.Inline.Slice((int)source, ModelFile.CellBytes));
                    break;
                case SliceKind.Block:
                    Require(ReadBlock(run.Block, source, cell));
                    cells[place] = ModelFile.TokenOf(cell);
                    break;
                default:
                    cells[place] = ModelFile.Unwritten;
                    break;
            }
        }
    }

    private sealed class PathOrder : IComparer<string[]>
    {
        internal static readonly PathOrder Instance = new();

        public int Compare(string[]? x, string[]? y)
        {
            Invariant.Check(x is not null && y is not null);
            for (int i = 0; i < Math.Min(x.Length, y.Length); i++)
            {
                if (string.CompareOrdinal(x[i], y[i]) is var order and not 0) { return order; }
            }

            return x.Length.CompareTo(y.Length);
        }
    }
}
