using System.Collections.Immutable;
using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Protocol;

namespace KvFs.Simulation.Nodes;

internal sealed partial class NodeWorkload
{
    /// <summary>Up to three runs into one file or, in the same transaction, two.</summary>
    private void Write(string drive)
    {
        List<ulong> files = Tree(drive).Files();
        if (files.Count == 0) { return; }
        ModelTree after = Tree(drive);
        IDriveSession session = Session(drive);
        List<FileCommit> commits = [];
        Name = $"write {drive}";
        foreach (ulong id in files.OrderBy(_ => chance.Next()).Take(chance.Next(4) == 0 ? 2 : 1).ToArray())
        {
            FileCommit commit = new() { Node = Find(drive, id), ModifyTime = new(5) };
            ModelFile file = after[id].File;
            for (int runs = chance.Next(1, 4); runs > 0; runs--) { file = AddRun(session, commit, file); }
            commit.MinSize = file.Size;
            commits.Add(commit);
            after = after.With(id, after[id] with { File = file });
            Name += $" {id}: {file.Text}";
        }

        Answer(session.CommitAsync(commits, []).Now(), drive, World.With(drive, after));
    }

    private ModelFile AddRun(IDriveSession session, FileCommit commit, ModelFile file)
    {
        int at = chance.Next(ModelFile.CellCount);
        int length = Math.Min(chance.Next(1, 7), ModelFile.RoomFrom(at));
        SliceKind kind = chance.Next(10) switch
        {
            < 4 => SliceKind.Inline,
            < 8 => SliceKind.Block,
            8 => SliceKind.Hole,
            _ => SliceKind.Unwritten,
        };
        if (kind == SliceKind.Inline) { length = 1; }
        uint bytes = (uint)(length * ModelFile.CellBytes);
        int[] cells = new int[length];
        BlockName block = default;
        uint source = 0;
        switch (kind)
        {
            case SliceKind.Inline:
                cells[0] = NewToken();
                source = (uint)commit.Inline.Length;
                ModelFile.Fill(commit.Inline.Extend(ModelFile.CellBytes), cells[0]);
                break;
            case SliceKind.Block:
                for (int i = 0; i < length; i++) { cells[i] = NewToken(); }
                block = StoreBlock(session, cells);
                break;
            default:
                cells.AsSpan().Fill(kind == SliceKind.Hole ? ModelFile.Hole : ModelFile.Unwritten);
                break;
        }

        commit.Runs.Add(new(ModelFile.OffsetOf(at), bytes, kind, block, source));
        return file.With(at, cells, grows: true);
    }

    private BlockName StoreBlock(IDriveSession session, int[] cells)
    {
        Reply<BlockId> granted = session.GrantBlocksAsync((uint)chance.Next(1, 4)).Now();
        Require(granted.Status);
        byte[] content = new byte[cells.Length * ModelFile.CellBytes];
        for (int i = 0; i < cells.Length; i++)
        {
            ModelFile.Fill(content.AsSpan(i * ModelFile.CellBytes, ModelFile.CellBytes), cells[i]);
        }

        BlockName name = new(session.Drive, granted.Value);
        Require(session.Blocks.WriteBlockAsync(name, content).Now());
        return name;
    }

    private void Truncate(string drive)
    {
        if (!TryPickFile(drive, out ulong id, out ModelNode file)) { return; }
        int cells = chance.Next(3) == 0 ? 0 : chance.Next(ModelFile.CellCount + 1);
        Name = $"truncate {drive}/{id} to {cells}";
        SetAttributesRequest request = new()
        {
            Node = Find(drive, id), Mask = AttributeMask.Size, Size = ModelFile.EndOf(cells),
        };
        ModelNode after = file with { File = file.File.Truncated(cells) };
        Status status = Session(drive).SetAttributesAsync(in request).Now().Status;
        Answer(status, drive, World.With(drive, Tree(drive).With(id, after)));
    }

    private void ChangeRange(string drive)
    {
        if (!TryPickFile(drive, out ulong id, out ModelNode file)) { return; }
        RangeOperation operation = Pick([RangeOperation.Allocate, RangeOperation.PunchHole, RangeOperation.Zero]);
        int at = chance.Next(ModelFile.CellCount);
        int length = Math.Min(chance.Next(1, 9), ModelFile.RoomFrom(at));
        bool keepsSize = operation == RangeOperation.PunchHole || chance.Next(2) == 0;
        Name = $"{operation} {drive}/{id} {at} {length}";
        RangeRequest request = new(
            Find(drive, id), operation, ModelFile.OffsetOf(at), (ulong)length * ModelFile.CellBytes, keepsSize);
        ModelFile after = file.File.WithFilled(at, length, cell => operation switch
        {
            RangeOperation.Allocate => cell == ModelFile.Hole ? ModelFile.Unwritten : cell,
            RangeOperation.PunchHole => ModelFile.Hole,
            _ => ModelFile.Unwritten,
        });
        if (!keepsSize) { after = after with { SizeCells = Math.Max(after.SizeCells, at + length) }; }
        Status status = Session(drive).ChangeRangeAsync(in request).Now().Status;
        Answer(status, drive, World.With(drive, Tree(drive).With(id, file with { File = after })));
    }

    private void CopyRange(string drive)
    {
        List<ulong> files = Tree(drive).Files();
        if (files.Count < 2) { return; }
        ulong from = Pick(files);
        ulong to = Pick(files);
        if (from == to) { return; }
        ModelFile source = Tree(drive)[from].File;
        ModelNode target = Tree(drive)[to];
        int at = chance.Next(ModelFile.CellCount);
        int place = chance.Next(ModelFile.CellCount);
        int length = Math.Min(chance.Next(1, 9), Math.Min(ModelFile.RoomFrom(at), ModelFile.RoomFrom(place)));
        Name = $"copy {drive}/{from} {at} to {to} {place} {length}";
        CopyRangeRequest request = new(
            Find(drive, from),
            CowNumber.Head,
            ModelFile.OffsetOf(at),
            Find(drive, to),
            ModelFile.OffsetOf(place),
            (ulong)length * ModelFile.CellBytes);
        int copied = Math.Clamp(source.SizeCells - at, 0, length);
        ModelFile after = copied == 0 ? target.File : target.File.With(place, source.Cells.AsSpan(at, copied), grows: true);
        Status status = Session(drive).CopyRangeAsync(in request).Now().Status;
        Answer(status, drive, World.With(drive, Tree(drive).With(to, target with { File = after })));
    }

    private void Sync(string drive)
    {
        Name = "sync";
        Status status = Session(drive).SyncAsync().Now();
        Answer(status, drive, World);
        IsDurable = status == Status.Ok;
    }

    /// <summary>Folds a cluster, perhaps with all that its blocks have moved out of them.</summary>
    private void Fold(string drive)
    {
        if (!TryPickFile(drive, out ulong id, out _)) { return; }
        Name = $"fold {drive}/{id}";
        VNodeId file = Find(drive, id);
        uint cluster = (uint)chance.Next(2);
        HostedDrive hosted = Hosted(drive);
        Reply<ClusterMap> map = Session(drive).GetClusterAsync(file, cluster, CowNumber.Head).Now();
        Require(map.Status);
        ImmutableHashSet<BlockName> evacuated =
            [.. map.Value.Runs.Where(static run => run.Kind == SliceKind.Block).Select(static run => run.Block)];
        node.Node.Packer.Fold(hosted, file, cluster, chance.Next(2) == 0 ? evacuated : null);
    }

    private void Checkpoint()
    {
        Name = "checkpoint";
        node.Node.Checkpoint();
    }

    private void Reap()
    {
        Name = "reap";
        node.Reap();
    }

    private int NewToken() => chance.Next(ModelFile.FirstToken, int.MaxValue);

    private bool TryPickFile(string drive, out ulong id, out ModelNode file)
    {
        List<ulong> files = Tree(drive).Files();
        id = files.Count == 0 ? 0 : Pick(files);
        file = files.Count == 0 ? new(VNodeKind.File) : Tree(drive)[id];
        return files.Count > 0;
    }
}
