using System.Text;
using KvFs.Core;
using KvFs.Protocol;
using KvFs.Simulation.Storage;

namespace KvFs.Simulation.Nodes;

/// <summary>What a node shows its users, read through the session that a mount has, as <see cref="ModelWorld.Image"/> tells
/// what it should show.</summary>
internal sealed class NodeImage
{
    private readonly DirectoryPage page = new();
    private readonly ByteBuffer buffer = new();
    private readonly byte[] cell = new byte[ModelFile.CellBytes];

    internal string Take(IDriveAdmin admin)
    {
        StringBuilder text = new();
        foreach (DriveInfo drive in Ok(admin.ListDrivesAsync(default).Now()).OrderBy(
            static drive => drive.Name, StringComparer.Ordinal))
        {
            IDriveSession session = Ok(admin.OpenSessionAsync(drive.Name, SessionAccess.ReadOnly, default).Now());
            ModelWorld.AppendDrive(text, drive.Name, drive.QuotaBytes, drive.QuotaInodes, TreeAt(session, CowNumber.Head));
            foreach (SnapshotInfo snapshot in Ok(session.ListSnapshotsAsync().Now()).OrderBy(
                static snapshot => snapshot.Name, StringComparer.Ordinal))
            {
                ModelWorld.AppendSnapshot(text, snapshot.Name, TreeAt(session, snapshot.At));
            }

            session.DisposeAsync().Now();
        }

        return text.ToString();
    }

    private string TreeAt(IDriveSession session, CowNumber at)
    {
        List<string> lines = [];
        List<(string Path, NodeInfo Info)> found = [("", Ok(session.GetAsync(VNodeId.Root, at).Now()))];
        for (int i = 0; i < found.Count; i++)
        {
            if (found[i].Info.VNode.IsDirectory) { AddEntries(session, at, found[i].Path, found[i].Info.Id, found); }
        }

        Dictionary<VNodeId, string> firstPaths = [];
        // As the model walks: each directory's names in order, with what is below each.
        foreach ((string path, NodeInfo info) in found.OrderBy(static entry => entry.Path.Split("/"), PathOrder.Instance))
        {
            firstPaths.TryAdd(info.Id, path);
            lines.Add(Line(session, at, path, firstPaths[info.Id], info));
        }

        lines.Sort(StringComparer.Ordinal);
        return string.Join('\n', lines);
    }

    private void AddEntries(
        IDriveSession session, CowNumber at, string path, VNodeId directory, List<(string Path, NodeInfo Info)> found)
    {
        ulong cookie = 0;
        do
        {
            Require(session.ReadDirectoryAsync(directory, at, cookie, DirectoryPage.MaxEntries, true, page).Now());
            for (int i = 0; i < page.Count; i++)
            {
                cookie = page.Cookie(i);
                found.Add(($"{path}/{Encoding.UTF8.GetString(page.Name(i))}", page.Info(i)));
            }
        }
        while (!page.IsLast);
    }

    private string Line(IDriveSession session, CowNumber at, string path, string first, NodeInfo info)
    {
        VNode node = info.VNode;
        bool isFile = node.Kind == VNodeKind.File;
        return TreeLine.Format(new(
            path, first, node.Kind, node.Mode, node.Uid, node.Gid, (int)node.Nlink, node.Rdev, node.Size)
        {
            Backed = isFile ? node.AllocatedBytes : 0,
            Xattrs = Xattrs(session, at, info.Id),
            Content = isFile ? Cells(session, at, info.Id)
                : node.Kind == VNodeKind.Symlink ? Target(session, at, info.Id)
                : "",
        });
    }

    private string Target(IDriveSession session, CowNumber at, VNodeId id)
    {
        Require(session.ReadLinkAsync(id, at, buffer).Now());
        return Encoding.UTF8.GetString(buffer.Span);
    }

    private string Xattrs(IDriveSession session, CowNumber at, VNodeId id)
    {
        Status status = session.ListXattrsAsync(id, at, buffer).Now();
        if (status is Status.NotPermitted or Status.NotSupported) { return ""; }
        Require(status);
        if (buffer.Length == 0) { return ""; }
        StringBuilder text = new();
        string[] names = Encoding.UTF8.GetString(buffer.Span).Split('\0', StringSplitOptions.RemoveEmptyEntries);
        foreach (string name in names.Order(StringComparer.Ordinal))
        {
            Require(session.GetXattrAsync(id, at, Encoding.UTF8.GetBytes(name), buffer).Now());
            text.Append(name).Append('=').Append(Encoding.UTF8.GetString(buffer.Span)).Append(';');
        }

        return text.ToString();
    }

    private string Cells(IDriveSession session, CowNumber at, VNodeId id)
    {
        int[] cells = new int[ModelFile.CellCount];
        for (uint cluster = 0; cluster < 2; cluster++)
        {
            ClusterMap map = Ok(session.GetClusterAsync(id, cluster, at).Now());
            foreach (Slice run in map.Runs) { ReadRun(session, map, run, cluster, cells); }
        }

        return string.Join(',', cells);
    }

    private void ReadRun(IDriveSession session, ClusterMap map, Slice run, uint cluster, int[] cells)
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
                    Require(session.Blocks.ReadBlockAsync(run.Block, source, cell).Now());
                    cells[place] = ModelFile.TokenOf(cell);
                    break;
                default:
                    cells[place] = ModelFile.Unwritten;
                    break;
            }
        }
    }

    private static T Ok<T>(Reply<T> reply)
    {
        Require(reply.Status);
        return reply.Value;
    }

    private static void Require(Status status)
    {
        if (status != Status.Ok) { throw new BrokenPromiseException($"a read answers {status}"); }
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
