namespace KvFs.Core.Tests.Model;

/// <summary>A random life of a drive with snapshots and clones, run on the operations and on naive trees; every answer is
/// compared, and from time to time all that can be seen.</summary>
internal sealed class NamespaceWorkload
{
    private const int MaxClones = 3;
    private const int MaxSnapshots = 4;

    private static readonly string[] Names =
        ["a", "b", "c", "d", "e", "f", "g", "name with blanks", "ünïcödé", "\u0001", new('x', 255)];

    private static readonly string[] WrongNames = ["", ".", "..", "a/b", new('x', 256)];

    private readonly Random random;
    private readonly List<ModelDrive> drives = [];
    private ulong lastDrive = 1;
    private int lastSnapshot;

    public NamespaceWorkload(int seed, ulong quotaInodes, Action<RecordBatch>? tamper = null)
    {
        random = new(seed);
        drives.Add(ModelDrive.New(quotaInodes, tamper));
    }

    /// <summary>How many operations answered what.</summary>
    public SortedDictionary<Status, int> Answers { get; } = [];

    public void Run(int steps)
    {
        for (int step = 0; step < steps; step++)
        {
            Step(drives[random.Next(drives.Count)]);
            if (step % 200 == 199) { CheckAll(); }
        }

        CheckAll();
    }

    private void Step(ModelDrive drive)
    {
        int choice = random.Next(1000);
        Status status = choice switch
        {
            < 260 => drive.Create(Node(drive), Name(), Kind(), random),
            < 330 => drive.Link(Node(drive), Node(drive), Name()),
            < 470 => drive.Unlink(Node(drive), Name(), directory: random.Next(3) == 0),
            < 660 => drive.Rename(Node(drive), Name(), Node(drive), Name(), Flags()),
            < 720 => drive.SetAttributes(Node(drive), random),
            < 800 => drive.Write(Node(drive), random),
            < 830 => drive.SetXattr(Node(drive), $"user.{Name(wrong: false)}"[..6], random),
            < 850 => drive.RemoveXattr(Node(drive), $"user.{Name(wrong: false)}"[..6]),
            < 880 => drive.Hold(Node(drive), (ulong)random.Next(1, 4)),
            < 910 => drive.CreateNameless(Node(drive), (ulong)random.Next(1, 4), linkable: random.Next(2) == 0),
            < 945 => drive.ReleaseOne(random),
            < 960 => drive.Snapshot($"s{++lastSnapshot}", MaxSnapshots),
            < 972 => drive.DeleteSnapshot(random),
            < 982 => drive.ReapStep(),
            < 986 => Clone(drive),
            < 988 => drive.Flatten(random),
            < 990 => DropClone(drive),
            < 993 => drive.Restart(),
            < 996 => drive.RestorePath(random),
            < 998 => drive.RestoreDrive(random),
            _ => drive.ReapAll(),
        };
        Answers[status] = Answers.GetValueOrDefault(status) + 1;
    }

    private void CheckAll()
    {
        foreach (ModelDrive drive in drives) { drive.Check(); }
    }

    private Status Clone(ModelDrive origin)
    {
        if (drives.Count > MaxClones) { return Status.Ok; }
        drives.Add(origin.Clone(new(++lastDrive), random));
        return Status.Ok;
    }

    /// <summary>Deletes a clone that has no clones of its own.</summary>
    private Status DropClone(ModelDrive clone)
    {
        ModelDrive? origin = drives.Find(drive => drive.IsOriginOf(clone));
        if (origin is null || drives.Exists(clone.IsOriginOf)) { return Status.Ok; }
        drives.Remove(clone);
        origin.DropClone(clone);
        return Status.Ok;
    }

    /// <summary>Mostly a directory, now and then anything, or what is gone, or never was.</summary>
    private VNodeId Node(ModelDrive drive)
    {
        int choice = random.Next(20);
        if (choice == 0) { return new((ulong)random.Next(1, 2000)); }
        List<ModelNode> nodes = [.. drive.Tree.Nodes.Values.Where(node => choice < 8 || node.IsDirectory)];
        return nodes[random.Next(nodes.Count)].Id;
    }

    private string Name(bool wrong = true) =>
        wrong && random.Next(60) == 0 ? WrongNames[random.Next(WrongNames.Length)] : Names[random.Next(Names.Length)];

    private VNodeKind Kind() => (VNodeKind)(random.Next(3) == 0 ? random.Next(3, 8) : random.Next(1, 3));

    private RenameFlags Flags() => random.Next(2) == 0 ? RenameFlags.None : (RenameFlags)random.Next(9);
}
