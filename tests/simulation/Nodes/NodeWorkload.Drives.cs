using KvFs.Core;
using KvFs.Node.Maintenance;
using KvFs.Protocol;

namespace KvFs.Simulation.Nodes;

internal sealed partial class NodeWorkload
{
    private bool hasRestored = true;
    private long flattened;

    /// <summary>Clones that were flattened.</summary>
    internal long Flattened => flattened;

    private void CreateDrive()
    {
        string name = $"d{chance.Next(6)}";
        if (World.Drives.Count >= MaxDrives || World.Drives.ContainsKey(name)) { return; }
        ulong bytes = chance.Next(3) == 0 ? (ulong)chance.Next(40, 200) * ModelFile.CellBytes : 0;
        ulong inodes = chance.Next(3) == 0 ? (ulong)chance.Next(5, 15) : 0;
        Name = $"create drive {name} {bytes} {inodes}";
        Reply<DriveInfo> made = node.Node.Admin.CreateDriveAsync(new(name, DriveKind.FileSystem, bytes, inodes), default).Now();
        ModelDrive drive = new(made.IsOk ? made.Value.Id : default, ModelTree.New) { QuotaBytes = bytes, QuotaInodes = inodes };
        AnswerDurable(made.Status, name, World.With(name, drive));
    }

    private void DeleteDrive(string drive)
    {
        CloseSession(drive);
        Name = $"delete drive {drive}";
        AnswerDurable(node.Node.Admin.DeleteDriveAsync(drive, default).Now(), drive, World.Without(drive));
    }

    private void Resize(string drive)
    {
        ModelDrive after = World.Drives[drive] with
        {
            QuotaBytes = chance.Next(2) == 0 ? 0 : (ulong)chance.Next(40, 200) * ModelFile.CellBytes,
            QuotaInodes = chance.Next(2) == 0 ? 0 : (ulong)chance.Next(5, 20),
        };
        Name = $"resize drive {drive}";
        Reply<DriveInfo> reply = node.Node.Admin.ResizeDriveAsync(drive, after.QuotaBytes, after.QuotaInodes, default).Now();
        AnswerDurable(reply.Status, drive, World.With(drive, after));
    }

    private void CreateSnapshot(string drive)
    {
        ModelDrive before = World.Drives[drive];
        string name = $"s{chance.Next(9)}";
        if (before.Snapshots.Count >= MaxSnapshots || before.Snapshots.ContainsKey(name)) { return; }
        Name = $"snapshot {drive}@{name}";

        // A snapshot would show for ever how many links a file has that a restore has just taken names from.
        if (hasRestored) { node.Settle(); }
        hasRestored = false;
        ModelDrive after = before with { Snapshots = before.Snapshots.Add(name, before.Tree) };
        Status status = node.Node.Admin.CreateSnapshotAsync(drive, name, default).Now().Status;
        AnswerDurable(status, drive, World.With(drive, after));
    }

    private void DeleteSnapshot(string drive)
    {
        ModelDrive before = World.Drives[drive];
        if (before.Snapshots.IsEmpty) { return; }
        string name = Pick([.. before.Snapshots.Keys]);
        Name = $"delete snapshot {drive}@{name}";
        ModelDrive after = before with { Snapshots = before.Snapshots.Remove(name) };
        AnswerDurable(node.Node.Admin.DeleteSnapshotAsync(drive, name, default).Now(), drive, World.With(drive, after));
    }

    private void Clone(string drive)
    {
        ModelDrive origin = World.Drives[drive];
        string name = $"c{chance.Next(6)}";
        if (World.Drives.Count >= MaxDrives || World.Drives.ContainsKey(name) || origin.Origins.Length >= MaxDepth) { return; }
        string? snapshot = origin.Snapshots.IsEmpty || chance.Next(2) == 0 ? null : Pick([.. origin.Snapshots.Keys]);
        Name = $"clone {drive}@{snapshot} as {name}";
        Reply<DriveInfo> made = node.Node.Admin.CloneAsync(drive, snapshot, name, default).Now();
        ModelTree tree = snapshot is null ? origin.Tree : origin.Snapshots[snapshot];
        ModelDrive clone = new(made.IsOk ? made.Value.Id : default, tree)
        {
            QuotaBytes = origin.QuotaBytes, QuotaInodes = origin.QuotaInodes, Origins = origin.Origins.Insert(0, origin.Id),
        };
        AnswerDurable(made.Status, drive, World.With(name, clone));
    }

    /// <summary>Gives the clones records of their own for what they inherited: all of them, or some.</summary>
    private void Flatten()
    {
        const int RecordsPerStep = 5;
        Name = "flatten";
        Flattener flattener = node.Node.NewFlattener(RecordsPerStep);
        for (int calls = chance.Next(1, 4); calls > 0 && flattener.Run(CancellationToken.None); calls--) { }
        flattened += flattener.Flattened;
    }

    /// <summary>Restores what some snapshot has at a path whose place is still there.</summary>
    private void RestorePath(string drive)
    {
        ModelDrive before = World.Drives[drive];
        if (before.Snapshots.IsEmpty) { return; }
        string snapshot = Pick([.. before.Snapshots.Keys]);
        ModelTree source = before.Snapshots[snapshot];
        List<ModelName> names = source.Names();
        if (names.Count == 0) { return; }
        ModelName picked = Pick(names);
        string path = source.PathOf(picked);
        ulong? parent = before.Tree.Find(path[..path.LastIndexOf('/')]);
        if (parent is not { } place || !before.Tree[place].IsDirectory) { return; }
        if (before.Tree.Inodes + source.Inodes > 3 * MaxNodes) { return; }
        Name = $"restore {drive}@{snapshot}{path}";
        hasRestored = true;
        ModelTree after = before.Tree.WithCopy(place, picked.Name, source, picked.Node);
        Status status = node.Node.Admin.RestoreAsync(drive, snapshot, path, default).Now();
        AnswerDurable(status, drive, World.With(drive, after));
    }

    private void RestoreDrive(string drive)
    {
        ModelDrive before = World.Drives[drive];
        if (before.Snapshots.IsEmpty) { return; }
        string snapshot = Pick([.. before.Snapshots.Keys]);
        CloseSession(drive);
        Name = $"restore {drive}@{snapshot}/";
        Status status = node.Node.Admin.RestoreAsync(drive, snapshot, "/", default).Now();
        AnswerDurable(status, drive, World.With(drive, before.Snapshots[snapshot]));
    }

    /// <summary>What an administrator is answered is durable.</summary>
    private void AnswerDurable(Status status, string drive, ModelWorld after)
    {
        Answer(status, drive, after);
        IsDurable = status == Status.Ok;
    }
}
