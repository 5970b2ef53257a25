namespace KvFs.Core.Tests;

/// <summary>A random life of a drive's files, its snapshots and clones, run on the operations and on naive arrays.</summary>
/// <remarks>One seed, one life: with and without a cache of coverage, the records must come out the same.</remarks>
internal sealed partial class DataWorkload
{
    public const int Cells = 3 * DataDrive.ClusterCells;

    /// <summary>Where things are written: around the ends of clusters, and at the start.</summary>
    private static readonly int[] Spots =
        [0, 20, DataDrive.ClusterCells - 24, (2 * DataDrive.ClusterCells) - 16, (2 * DataDrive.ClusterCells) + 30, Cells - 40];

    private readonly Random random;
    private readonly BlockShelf shelf;
    private readonly DataDrive data;
    private readonly SortedDictionary<ulong, ModelFile> files;
    private readonly SortedDictionary<ulong, SortedDictionary<ulong, ModelFile>> snapshots = [];
    private readonly List<DataWorkload> clones = [];

    public DataWorkload(int seed, bool cached, ulong quotaBytes = 0)
        : this(new(seed), new(), drive: null, cached, quotaBytes, [])
    {
    }

    private DataWorkload(
        Random random,
        BlockShelf shelf,
        DataDrive? drive,
        bool cached,
        ulong quotaBytes,
        SortedDictionary<ulong, ModelFile> files)
    {
        this.random = random;
        this.shelf = shelf;
        this.files = files;
        data = drive ?? new(shelf, new(quotaBytes), cached);
    }

    public MemoryRecords Records => data.Drive.Records;

    /// <summary>Plants a bug: changes each batch of the drive (but not of its clones) before it is applied.</summary>
    public void Tamper(Action<RecordBatch> change) => data.Drive.Tamper = change;

    public void Run(int steps)
    {
        for (int step = 0; step < steps; step++)
        {
            Step();
            if (step % 10 == 9) { Check(); }
        }

        Check();
    }

    /// <summary>Gives everything up; afterwards no block may be live.</summary>
    public void RemoveAll()
    {
        foreach (DataWorkload clone in clones) { clone.RemoveAll(); }
        foreach (ulong id in files.Keys) { data.Remove(new(id)); }
        files.Clear();
        foreach (ulong at in snapshots.Keys) { data.DropSnapshot(new(at)); }
        snapshots.Clear();
        Check();
        Assert.DoesNotContain(
            Records.All,
            record => DriveId.Read(record.Key) == data.Drive.State.Drive
                && record.Key[DriveId.Size] is (byte)RecordKind.BlockLive or (byte)RecordKind.History);
        Assert.Equal(0UL, data.Drive.Counters.UsedBytes);
    }

    private void Step()
    {
        if (clones.Count > 0 && random.Next(4) == 0)
        {
            clones[random.Next(clones.Count)].Step();
            return;
        }

        if (files.Count < 2)
        {
            files.Add(data.CreateFile().Value, new());
            return;
        }

        (ulong id, ModelFile file) = files.ElementAt(random.Next(files.Count));
        switch (random.Next(29))
        {
            case < 9: Write(new(id), file); break;
            case < 11: Truncate(new(id), file); break;
            case 11: Remove(id); break;
            case 12: TakeSnapshot(); break;
            case 13: DropSnapshot(); break;
            case 14: Clone(); break;
            case 15: Abort(new(id)); break;
            case < 18: Back(new(id), file); break;
            case < 20: Shift(new(id), file); break;
            case < 23: Copy(new(id), file); break;
            case < 26: Fold(new(id)); break;
            case < 28: data.Repack(block => random.Next(2) == 0); break;
            default: data.Drive.Flatten(random.Next(1, 6), recordsPerStep: 5); break;
        }
    }

    private void Write(VNodeId id, ModelFile file)
    {
        FileCommit commit = new() { Node = id, Session = data.Session, ModifyTime = new(5) };
        ModelFile after = file.Copy();
        int runs = random.Next(1, 4);
        for (int i = 0; i < runs; i++)
        {
            int at = Spots[random.Next(Spots.Length)] + random.Next(20);
            int length = Math.Min(random.Next(1, 20), DataDrive.ClusterCells - (at % DataDrive.ClusterCells));
            switch (random.Next(8))
            {
                case < 3:
                    int[] inline = Tokens(Math.Min(length, Limits.InlineSliceBytes / DataDrive.CellBytes));
                    DataDrive.AddInline(commit, Bytes(at), inline);
                    after.Write(at, inline);
                    break;
                case < 6:
                    AddBlock(commit, after, at, length);
                    break;
                case 6:
                    commit.Runs.Add(new(Bytes(at), (uint)Bytes(length), SliceKind.Hole, default, 0));
                    after.Fill(at, length, DataDrive.Hole);
                    break;
                default:
                    commit.Runs.Add(new(Bytes(at), (uint)Bytes(length), SliceKind.Unwritten, default, 0));
                    after.Fill(at, length, DataDrive.Unwritten);
                    break;
            }
        }

        commit.MinSize = Bytes(after.Size);
        Accept(id, file, after, data.Commit(commit));
    }

    /// <summary>Takes the file's new content over, or sees to it that the quota was the reason why not.</summary>
    private void Accept(VNodeId id, ModelFile before, ModelFile after, Status status)
    {
        bool exceeds = WouldExceed(before, after);
        Assert.Equal(exceeds ? Status.NoSpace : Status.Ok, status);
        if (!exceeds) { files[id.Value] = after; }
    }

    private bool WouldExceed(ModelFile before, ModelFile after)
    {
        ulong quota = data.Drive.State.Policy.QuotaBytes;
        long growth = (long)after.Backed - (long)before.Backed;
        ulong used = files.Values.Aggregate(0UL, (sum, file) => sum + file.Backed);
        return quota != 0 && growth > 0 && used + (ulong)growth > quota;
    }

    /// <summary>Stores a block that is larger than the run, and now and then commits two parts of it.</summary>
    private void AddBlock(FileCommit commit, ModelFile after, int at, int length)
    {
        int[] tokens = Tokens(length + 3);
        BlockName block = data.StoreBlock(data.Session, tokens);
        commit.Runs.Add(new(Bytes(at), (uint)Bytes(length), SliceKind.Block, block, (uint)Bytes(2)));
        after.Write(at, tokens.AsSpan(2, length));
        if (random.Next(3) != 0) { return; }
        int other = Spots[random.Next(Spots.Length)];
        commit.Runs.Add(new(Bytes(other), (uint)Bytes(2), SliceKind.Block, block, 0));
        after.Write(other, tokens.AsSpan(0, 2));
    }

    private void Truncate(VNodeId id, ModelFile file)
    {
        int size = random.Next(3) == 0 ? Spots[random.Next(Spots.Length)] : Spots[random.Next(Spots.Length)] + random.Next(20);
        Assert.Equal(Status.Ok, data.Truncate(id, Bytes(size)));
        files[id.Value] = file.Copy();
        files[id.Value].Truncate(size);
    }

    private void Remove(ulong id)
    {
        Assert.Equal(1, data.Remove(new(id)));
        files.Remove(id);
    }

    private void TakeSnapshot()
    {
        if (snapshots.Count < 3) { snapshots[data.Snapshot().Value] = new(files); }
    }

    private void DropSnapshot()
    {
        HashSet<ulong> pinned = [.. clones.Select(clone => clone.data.Drive.State.Policy.Origins[0].At.Value)];
        ulong[] free = [.. snapshots.Keys.Where(at => !pinned.Contains(at))];
        if (free.Length == 0) { return; }
        ulong dropped = free[random.Next(free.Length)];
        data.DropSnapshot(new(dropped));
        snapshots.Remove(dropped);
    }

    private void Clone()
    {
        if (snapshots.Count == 0 || clones.Count > 0 || data.Drive.State.Policy.Origins.Length > 1) { return; }
        (ulong at, SortedDictionary<ulong, ModelFile> shown) = snapshots.ElementAt(random.Next(snapshots.Count));
        clones.Add(new(random, shelf, data.Clone(new(at)), cached: false, quotaBytes: 0, new(shown)));
    }

    private void Check()
    {
        DataChecks.CheckBlocks(data.Drive);
        DataChecks.CheckUsage(data);
        CheckFiles(files, CowNumber.Head);
        foreach ((ulong at, SortedDictionary<ulong, ModelFile> shown) in snapshots) { CheckFiles(shown, new(at)); }
        foreach (DataWorkload clone in clones) { clone.Check(); }
    }

    private void CheckFiles(SortedDictionary<ulong, ModelFile> expected, CowNumber at)
    {
        foreach ((ulong id, ModelFile file) in expected)
        {
            Assert.True(file.Shows(data.Read(new(id), at)), $"File {id} at {at} shows something else.");
            Assert.True(data.Drive.ViewAt(at).TryGetVNode(new(id), out VNode vnode));
            Assert.Equal(Bytes(file.Size), vnode.Size);
            Assert.Equal(file.Backed, vnode.AllocatedBytes);
            CheckSeeks(new(id), file, data.Drive.ViewAt(at));
        }
    }

    private int[] Tokens(int count)
    {
        int[] tokens = new int[count];
        for (int i = 0; i < count; i++) { tokens[i] = shelf.NextToken(); }
        return tokens;
    }

    private static ulong Bytes(int cells) => (ulong)cells * DataDrive.CellBytes;
}
