using KvFs.Core;
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
            if (chance.Next(4) == 0) { file = AddHalfDead(session, commit, file); }
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
        int at = Place();
        int length = Length(at);
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

    /// <summary>Adds a block most of which a hole hides: once that is folded, it is worth repacking.</summary>
    private ModelFile AddHalfDead(IDriveSession session, FileCommit commit, ModelFile file)
    {
        const int Live = 16;
        const int Dead = 32;
        int[] cells = new int[Live + Dead];
        for (int i = 0; i < cells.Length; i++) { cells[i] = NewToken(); }
        BlockName block = StoreBlock(session, cells);
        commit.Runs.Add(new(0, (uint)(cells.Length * ModelFile.CellBytes), SliceKind.Block, block, 0));
        cells.AsSpan(Live).Clear();
        commit.Runs.Add(new(ModelFile.OffsetOf(Live), Dead * ModelFile.CellBytes, SliceKind.Hole, default, 0));
        return file.With(0, cells, grows: true);
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
        int at = Place();
        int length = Length(at);
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
        int at = Place();
        int place = Place();
        int length = Math.Min(Length(at), Length(place));
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

    private void Fold(string drive)
    {
        if (!TryPickFile(drive, out ulong id, out _)) { return; }
        Name = $"fold {drive}/{id}";
        VNodeId file = Find(drive, id);
        node.Node.Packer.Fold(Hosted(drive), file, chance.Next(4) == 0 ? 1u : 0u);
    }

    /// <summary>The store flushes by itself.</summary>
    private void Flush()
    {
        Name = "flush";
        Answer(node.KeyValues.Flush(), "", World);
    }

    private void Reap()
    {
        Name = "reap";
        node.Reap();
    }

    /// <summary>Empties half-dead blocks.</summary>
    private void Repack()
    {
        Name = "repack";
        node.Repack();
    }

    /// <summary>A cell; those at the start more often, so that changes meet.</summary>
    private int Place() => chance.Next(3) == 0 ? chance.Next(ModelFile.CellCount) : chance.Next(8);

    /// <summary>Cells side by side from one on; a few, but sometimes so many that a block is worth repacking.</summary>
    private int Length(int at) => Math.Min(chance.Next(1, chance.Next(5) == 0 ? 50 : 7), ModelFile.RoomFrom(at));

    private int NewToken() => chance.Next(ModelFile.FirstToken, int.MaxValue);

    private bool TryPickFile(string drive, out ulong id, out ModelNode file)
    {
        List<ulong> files = Tree(drive).Files();
        id = files.Count == 0 ? 0 : Pick(files);
        file = files.Count == 0 ? new(VNodeKind.File) : Tree(drive)[id];
        return files.Count > 0;
    }
}
