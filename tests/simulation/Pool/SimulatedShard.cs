using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>A shard at its primary, in one term: orders the transactions of its drives, as <c>Shard</c> does. Who decides owns it, one after
/// the other, on top of what is in the log and not committed yet.</summary>
internal sealed class SimulatedShard
{
    private readonly PoolWorld world;
    private readonly SimulatedNode node;
    private readonly InFlightBatches inFlight = new();
    private readonly SortedDictionary<UInt128, SimulatedDrive> drives = [];

    /// <summary>What waits for the shard to be nobody's.</summary>
    private readonly Queue<Action> waiting = new();
    private bool isHeld;

    public SimulatedShard(PoolWorld world, SimulatedNode node, ShardId id, Epoch epoch)
    {
        this.world = world;
        this.node = node;
        Id = id;
        Epoch = epoch;
        AppliedRecords applied = new(Disk);
        Head = world.Bug == PoolBug.DecideOnApplied ? applied : new HeadReader(applied, inFlight);
    }

    public ShardId Id { get; }

    /// <summary>Of the term.</summary>
    public Epoch Epoch { get; }

    /// <summary>What this node has of it.</summary>
    public ShardDisk Disk => node.Disks[Id].Now;

    /// <summary>The records as they will be once the whole log is applied, for whoever decides.</summary>
    public IRecordReader Head { get; }

    /// <summary>The term is over.</summary>
    public bool IsOver { get; private set; }

    /// <summary>Whether something may be decided now.</summary>
    public bool CanSubmit => node.CanSubmit(Id);

    /// <summary>Its drives, by id.</summary>
    public IEnumerable<SimulatedDrive> Drives => drives.Values;

    public SimulatedDrive? Find(DriveId drive) => drives.GetValueOrDefault(drive.Value);

    /// <summary>Goes on with the drives that there are; its own, which clones come of, is made when somebody asks for it.</summary>
    public void OpenDrives()
    {
        foreach (DriveId drive in DriveCatalog.Read(Disk.Records).Entries.Select(static entry => entry.Drive).Append(PoolWorld.DriveOf(Id)).Distinct())
        {
            Add(new(world, node, this, drive));
        }
    }

    public void Add(SimulatedDrive drive) => drives.Add(drive.Id.Value, drive);

    /// <summary>A drive's records are gone.</summary>
    public void Remove(SimulatedDrive drive)
    {
        drive.IsGone = true;
        drives.Remove(drive.Id.Value);
    }

    /// <summary>Nothing that waits is decided any more, and nothing that was is answered.</summary>
    public void LetGo()
    {
        IsOver = true;
        waiting.Clear();
    }

    /// <summary>Lets something be decided, in its turn.</summary>
    public void Enter(Action decide)
    {
        waiting.Enqueue(decide);
        GoOn();
    }

    /// <summary>The same from within what is decided: behind that.</summary>
    public void EnterLater(Action decide)
    {
        waiting.Enqueue(decide);
        GoOnLater();
    }

    /// <summary>Puts a batch into the log, behind what is on its way: the next one stands on it.</summary>
    /// <param name="batch">Deletes no ranges.</param>
    /// <param name="committed">It is, and its records are to be seen.</param>
    public void Begin(RecordBatch batch, Action<LogPosition> committed)
    {
        Invariant.Check(!isHeld);
        Invariant.Check(node.Submit(Id, new(batch.Bytes.ToArray()), durable: false, committed, out LogPosition position));
        inFlight.Add(position.Index, batch);
    }

    /// <summary>Puts a batch into the log, and lets nothing be decided before it is committed, or on all disks.</summary>
    public void Commit(RecordBatch batch, bool durable, Action<LogPosition> committed)
    {
        Invariant.Check(!isHeld);
        isHeld = true;
        bool isTaken = node.Submit(
            Id,
            new(batch.Bytes.ToArray()),
            durable,
            at =>
            {
                isHeld = false;
                ForgetApplied();
                committed(at);
                GoOnLater();
            },
            out LogPosition _);
        Invariant.Check(isTaken);
    }

    /// <summary>Goes on once all is committed that what was decided just now may rest on, while this node may answer.</summary>
    public void Confirm(Action then)
    {
        bool rests = !inFlight.IsEmpty && world.Bug != PoolBug.AnswerUncommitted;
        if (rests) { world.Note("decided on what was not committed"); }
        node.Await(Id, rests ? inFlight.Last : Disk.Applied, then);
    }

    private void GoOn()
    {
        while (!isHeld && !IsOver && waiting.TryDequeue(out Action? decide))
        {
            ForgetApplied();
            decide();
        }
    }

    private void GoOnLater() => world.After(TimeSpan.Zero, () => node.WhenAwake(GoOn));

    private void ForgetApplied() => inFlight.Forget(Disk.Applied);

    /// <summary>The records as they are at the moment when they are read.</summary>
    private sealed class AppliedRecords(ShardDisk disk) : IRecordReader
    {
        public bool TryGet(ReadOnlySpan<byte> key, ByteBuffer value) => disk.Records.TryGet(key, value);

        public IRecordCursor OpenCursor(ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) => disk.Records.OpenCursor(from, to);
    }
}
