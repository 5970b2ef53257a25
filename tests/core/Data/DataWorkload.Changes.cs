using System.Buffers.Binary;

namespace KvFs.Core.Tests;

/// <summary>Ranges that are backed, freed, moved and copied; folds; what never happened; and seeks.</summary>
internal sealed partial class DataWorkload
{
    /// <summary>4 KiB, the unit in which ranges are moved.</summary>
    private const int ShiftCells = 4;

    /// <summary>Changes that are given up: nothing may remember them.</summary>
    private void Abort(VNodeId id)
    {
        FileCommit commit = new() { Node = id, Session = data.Session, MinSize = Bytes(Cells) };
        DataDrive.AddInline(commit, Bytes(Spots[random.Next(Spots.Length)]), Tokens(3));
        ulong size = Bytes(Spots[random.Next(Spots.Length)] + random.Next(20));
        Assert.Equal(Status.Conflict, data.Run(transaction =>
        {
            Status status = CommitSlices.Apply(commit, transaction, out NodeInfo info);
            if (status != Status.Ok) { return Status.Conflict; }
            VNode vnode = info.VNode;
            Assert.Equal(Status.Ok, Core.Truncate.Apply(id, ref vnode, size, transaction));
            return Status.Conflict;
        }));
    }

    private void Back(VNodeId id, ModelFile file)
    {
        RangeOperation operation = (RangeOperation)random.Next(1, 4);
        int at = Spots[random.Next(Spots.Length)] + random.Next(20);
        int length = random.Next(4) == 0 ? Math.Min(Cells - at, DataDrive.ClusterCells + 50) : random.Next(1, 20);
        bool keepSize = operation == RangeOperation.PunchHole || random.Next(2) == 0;
        ModelFile after = file.Copy();
        switch (operation)
        {
            case RangeOperation.Allocate: after.Replace(at, length, DataDrive.Hole, DataDrive.Unwritten); break;
            case RangeOperation.PunchHole: after.Fill(at, length, DataDrive.Hole); break;
            default: after.Fill(at, length, DataDrive.Unwritten); break;
        }

        if (!keepSize) { after.Grow(at + length); }
        RangeRequest request = new(id, operation, Bytes(at), Bytes(length), keepSize);
        Accept(id, file, after, data.ChangeRange(request));
    }

    private void Shift(VNodeId id, ModelFile file)
    {
        RangeOperation operation = (RangeOperation)random.Next(4, 6);
        int at = Spots[random.Next(Spots.Length)] / ShiftCells * ShiftCells;
        int length = random.Next(3) == 0 ? DataDrive.ClusterCells : random.Next(1, 8) * ShiftCells;
        bool collapses = operation == RangeOperation.Collapse;
        RangeRequest request = new(id, operation, Bytes(at), Bytes(length), KeepSize: false);
        if (collapses ? at + length >= file.Size : at >= file.Size)
        {
            Assert.Equal(Status.Invalid, data.ChangeRange(request));
            return;
        }

        if (!collapses && file.Size + length > Cells) { return; }
        ModelFile after = file.Copy();
        if (collapses) { after.Collapse(at, length); }
        else { after.Insert(at, length); }
        Accept(id, file, after, data.ChangeRange(request));
    }

    private void Copy(VNodeId id, ModelFile file)
    {
        bool fromSnapshot = snapshots.Count > 0 && random.Next(2) == 0;
        (ulong at, SortedDictionary<ulong, ModelFile> seen) = fromSnapshot
            ? snapshots.ElementAt(random.Next(snapshots.Count))
            : new(CowNumber.Head.Value, files);
        if (seen.Count == 0) { return; }
        (ulong sourceId, ModelFile source) = seen.ElementAt(random.Next(seen.Count));
        int from = Spots[random.Next(Spots.Length)] + random.Next(20);
        int to = Spots[random.Next(Spots.Length)] + random.Next(20);
        int length = random.Next(4) == 0 ? DataDrive.ClusterCells : random.Next(1, 40);
        length = Math.Min(length, Cells - to);
        int copied = Math.Max(0, Math.Min(length, source.Size - from));
        CopyRangeRequest request = new(new(sourceId), new(at), Bytes(from), id, Bytes(to), Bytes(length));
        Status status = data.Copy(request, out ulong answered);
        if (!fromSnapshot && sourceId == id.Value && Math.Abs(from - to) < copied)
        {
            Assert.Equal(Status.Invalid, status);
            return;
        }

        ModelFile after = file.Copy();
        if (copied > 0) { after.Write(to, source.Span.Slice(from, copied)); }
        Accept(id, file, after, status);
        if (status == Status.Ok) { Assert.Equal(Bytes(copied), answered); }
    }

    private void Fold(VNodeId id)
    {
        uint cluster = (uint)random.Next(Cells / DataDrive.ClusterCells);
        data.Fold(id, cluster, (FoldCopies)random.Next(2));
    }

    private static void CheckSeeks(VNodeId id, ModelFile file, DriveView view)
    {
        foreach (int spot in Spots)
        {
            int at = spot + 7;
            Status status = SeekData.Apply(id, SeekKind.Data, Bytes(at), view, out ulong found);
            int data = file.Find(at, seeksData: true);
            Assert.Equal(data < file.Size ? Status.Ok : Status.NoData, status);
            if (status == Status.Ok) { Assert.Equal(Bytes(data), found); }
            status = SeekData.Apply(id, SeekKind.Hole, Bytes(at), view, out found);
            Assert.Equal(at < file.Size ? Status.Ok : Status.NoData, status);
            if (status == Status.Ok) { Assert.Equal(Bytes(file.Find(at, seeksData: false)), found); }
        }
    }
}
