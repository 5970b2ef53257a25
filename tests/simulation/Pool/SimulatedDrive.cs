using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>The drive of a shard at its primary, in one term: decides by the operations of core, one transaction after the other,
/// as <c>HostedDrive</c> does, and puts what comes of them into the log.</summary>
internal sealed class SimulatedDrive : INodeHolders, ISessionLiveness, IStoredBlocks
{
    /// <summary>Ids of each sequence that one reservation covers: few, so that there are many.</summary>
    private const ulong ReservedIds = 64;

    /// <summary>Ids left below which more are reserved: more than one request takes.</summary>
    private const ulong LowIds = 16;

    /// <summary>Of so many ticks one has the copies compared.</summary>
    private const int CompareOneIn = 6;

    private static readonly TimeSpan s_sessionLease = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan s_tick = TimeSpan.FromMilliseconds(500);

    private readonly PoolWorld world;
    private readonly SimulatedNode node;
    private readonly ShardId shard;
    private readonly DriveId id;
    private readonly DriveTransaction transaction = new();
    private readonly RecordBatch batch = new();
    private readonly ByteBuffer result = new();
    private readonly Queue<Job> queue = new();
    private readonly LockEffects lockEffects = new();

    /// <summary>The sessions that live, and when each was heard.</summary>
    private readonly SortedDictionary<ulong, TimeSpan> heard = [];

    /// <summary>The last answers of this term, refusals too: a refused request that comes late is not decided anew.</summary>
    private readonly Dictionary<(SessionId Session, ushort Slot), (ulong Sequence, DriveAnswer Answer)> kept = [];

    /// <summary>The blocks that were stored in this term.</summary>
    private readonly HashSet<BlockId> stored = [];
    private DriveState? state;
    private DriveCounters counters;
    private (BlockId[] Blocks, TimeSpan Since)? dead;
    private bool isBusy;
    private bool isLetGo;

    public SimulatedDrive(PoolWorld world, SimulatedNode node, ShardId shard)
    {
        this.world = world;
        this.node = node;
        this.shard = shard;
        id = PoolWorld.DriveOf(shard);
        TakeUp();
        Tick();
    }

    private RecordTable Records => node.Disks[shard].Now.Records;

    private StoredDriveView View => new(Records, [new(id, CowNumber.Head)]);

    /// <summary>Nobody holds anything open.</summary>
    public ReadOnlySpan<SessionId> Holders(VNodeId id) => default;

    public bool IsLive(SessionId session) => heard.ContainsKey(session.Value);

    /// <summary>The term is over: nothing that waits is answered.</summary>
    public void LetGo()
    {
        isLetGo = true;
        queue.Clear();
    }

    public void Ask(DriveRequest request, Action<DriveAnswer> answer)
    {
        if (IsLive(request.Id.Session)) { heard[request.Id.Session.Value] = node.Clock; }
        queue.Enqueue(new(request, answer));
        GoOn();
    }

    /// <summary>Does all of some operations, or none.</summary>
    public Status Transact(SessionId session, IReadOnlyList<TransactOperation> operations, TransactResult done)
    {
        foreach (CommitOperation one in operations.OfType<CommitOperation>()) { one.Commit.Stored = world.Bug == PoolBug.TrustGrants ? null : this; }
        return Core.Transact.Apply(new([], operations), session, this, transaction, done);
    }

    /// <summary>A block is at every copy that counts.</summary>
    public void OnStored(BlockId block) => stored.Add(block);

    public bool Has(BlockId block) => stored.Contains(block);

    /// <summary>Sets a lock of a session, or removes it: in the table, and as records.</summary>
    public Status Lock(VNodeId file, FileLock wanted)
    {
        lockEffects.Clear();
        Status status = Locks.Set(file, LockSpace.Range, wanted, lockEffects);
        if (status == Status.Ok) { LockRecords.Write(lockEffects.Changes, transaction); }
        return status;
    }

    /// <summary>Opens a session, which outlives this primary.</summary>
    public Status OpenSession(SessionToken token, ByteBuffer answer)
    {
        Status status = Core.OpenSession.Apply(SessionAccess.Shared, token, transaction, out SessionId session);
        if (status == Status.Ok)
        {
            answer.Append(BitConverter.GetBytes(session.Value));
            heard[session.Value] = node.Clock;
        }

        return status;
    }

    private LockTable Locks { get; } = new();

    /// <summary>Reads what the primary before left: ids go on above what it had reserved, sessions and locks go on.</summary>
    private void TakeUp()
    {
        if (DriveRecords.Load(Records, id, out state, out counters) != Status.Ok) { return; }
        if (world.Bug == PoolBug.ReissueIds) { counters.Next = counters.Next with { VNode = LastVNode() + 1 }; }
        DriveCheck.Run(Records, id);
        SortedSet<SessionId> old = new(Comparer<SessionId>.Create(static (x, y) => x.Value.CompareTo(y.Value)));
        ExpireSession.ListUnfinished(View, old);
        foreach (SessionId session in old)
        {
            if (SessionRecord.Exists(session, View))
            {
                world.Note("session goes on");
                heard.Add(session.Value, node.Clock);
            }
            else { Expire(session); }
        }

        if (world.Bug == PoolBug.ForgetLocks) { return; }
        LockRecords.Load(View, Locks);
    }

    private ulong LastVNode()
    {
        ulong last = 0;
        using DriveCursor cursor = View.WalkPrefix(RecordKey.Single(RecordKind.VNode));
        while (cursor.MoveNext() && RecordKey.TryReadFirstNumber(cursor.Key, out ulong number)) { last = number; }
        return last;
    }

    private void Tick()
    {
        if (isLetGo) { return; }
        if (node.CanSubmit(shard) && state is not null)
        {
            foreach (ulong late in heard.Where(one => node.Clock - one.Value > s_sessionLease).Select(static one => one.Key).ToArray())
            {
                world.Note("session expired");
                heard.Remove(late);
                Expire(new(late));
            }

            Enqueue(static (_, transaction, _) => ReapHistory.Apply(transaction, out bool _));
            DropDeadBlocks();
            if (world.Bug != PoolBug.SkipCompare && world.Random.Next(CompareOneIn) == 0) { node.CompareBlocks(shard, counters.Next.Block); }
        }

        world.After(s_tick, () => node.WhenAwake(Tick));
    }

    /// <summary>Blocks die late: listed; what freed them durable; a lease of readers passed; dropped; forgotten.</summary>
    private void DropDeadBlocks()
    {
        if (dead is null)
        {
            BlockId[] firsts = [.. ListDead()];
            if (firsts.Length == 0) { return; }
            ShardDisk disk = node.Disks[shard].Now;
            if (world.Bug == PoolBug.DropEarly) { dead = (firsts, node.Clock - s_sessionLease); }
            else
            {
                node.Sync(shard, disk.PositionOf(disk.Applied), status =>
                {
                    if (status == Status.Ok && !isLetGo) { dead ??= (firsts, node.Clock); }
                });
            }
        }

        if (dead is not { } round || node.Clock - round.Since < s_sessionLease) { return; }
        dead = null;
        world.Note("blocks dropped");
        node.DropBlocks(shard, [.. round.Blocks.Select(static block => block.Value)]);
        Enqueue((_, transaction, _) => DropDead.Apply(round.Blocks, transaction));
    }

    /// <summary>Blocks that nothing refers to: grants are of one, so each record tells of one.</summary>
    private List<BlockId> ListDead()
    {
        List<BlockId> blocks = [];
        using DriveCursor cursor = View.WalkPrefix(RecordKey.Single(RecordKind.BlockDead));
        while (cursor.MoveNext())
        {
            Invariant.Check(DeadBlocks.TryDecode(cursor.Payload, out DeadBlocks run) && run.Count == 1);
            Invariant.Check(RecordKey.TryReadFirstNumber(cursor.Key, out ulong id));
            blocks.Add(new(id));
        }

        return blocks;
    }

    private void Expire(SessionId session) => Enqueue((drive, step, _) =>
    {
        drive.lockEffects.Clear();
        drive.Locks.Expire(session, drive.lockEffects);
        Status status = ExpireSession.Apply(session, drive.lockEffects, step, out bool done);
        if (!done) { drive.Expire(session); }
        return status;
    });

    private void Enqueue(DriveChange change)
    {
        queue.Enqueue(new(new(default, default, change), static _ => { }));
        world.After(TimeSpan.Zero, () => node.WhenAwake(GoOn));
    }

    private void GoOn()
    {
        while (!isBusy && !isLetGo && queue.TryDequeue(out Job? job)) { Begin(job); }
    }

    private void Begin(Job job)
    {
        if (!node.CanSubmit(shard)) { job.Answer(DriveAnswer.Busy); }
        else if (state is null) { Make(job); }
        else if (NeedsIds()) { Reserve(job); }
        else { Transact(job); }
    }

    /// <summary>Makes the drive, and goes on.</summary>
    private void Make(Job job)
    {
        CreateDriveRequest request = new() { Drive = id, Name = $"drive-{shard}", QuotaInodes = world.QuotaInodes };
        Status status = CreateDrive.Apply(request, DriveCatalog.Read(Records), Records, Now, transaction);
        Invariant.Check(status == Status.Ok);
        batch.Clear();
        transaction.Build(batch);
        Commit(job, durable: true, _ => Adopt(), goesOn: true);
    }

    /// <summary>Has ids on all disks before one of them is handed out, and goes on.</summary>
    private void Reserve(Job job)
    {
        IdMarks next = counters.Next;
        IdMarks marks = new(next.Cow + ReservedIds, next.VNode + ReservedIds, next.Block + ReservedIds, next.Session + ReservedIds);
        batch.Clear();
        DriveRecords.Reserve(id, marks, batch);
        world.Note("ids reserved");
        Commit(job, durable: true, _ => counters.Reserved = marks, goesOn: true);
    }

    private void Transact(Job job)
    {
        RequestId name = job.Request.Id;
        if (!node.Has(shard, job.Request.Answered))
        {
            job.Answer(new(Status.Lost));
            return;
        }

        result.Clear();
        if (name != default && !MayApply(job, name)) { return; }
        Status status = transaction.Begin(state!, counters, Records, Now);
        if (status == Status.Ok) { status = job.Request.Change(this, transaction, result); }
        byte[] answer = [.. result.Span];
        if (status != Status.Ok || !transaction.HasWrites)
        {
            Answer(job, status, answer);
            return;
        }

        if (name != default) { Invariant.Check(RequestLedger.Keep(name, status, answer, transaction) == Status.Ok); }
        batch.Clear();
        transaction.Build(batch);
        Commit(job, durable: false, at =>
        {
            Adopt();
            Tell(job, new(Status.Ok, answer) { At = at });
        });
    }

    /// <summary>Whether a request is to be applied; answers it if not.</summary>
    private bool MayApply(Job job, RequestId name)
    {
        if (kept.TryGetValue((name.Session, name.Slot), out (ulong Sequence, DriveAnswer Answer) last) && name.Sequence <= last.Sequence)
        {
            if (name.Sequence < last.Sequence || !node.MayAnswer(shard)) { return false; }
            world.Note("answer repeated");
            job.Answer(last.Answer);
            return false;
        }

        RequestVerdict verdict = RequestLedger.Check(name, View, result, out Status status);
        if (verdict == RequestVerdict.Repeat && world.Bug == PoolBug.ForgetRequests) { return true; }
        switch (verdict)
        {
            case RequestVerdict.Apply:
                result.Clear();
                return true;
            case RequestVerdict.Repeat:
                world.Note("answer of another primary repeated");
                Answer(job, status, [.. result.Span]);
                return false;
            case RequestVerdict.Outdated:
                // Nobody waits for it.
                return false;
            default:
                Answer(job, Status.SessionExpired, []);
                return false;
        }
    }

    /// <summary>Answers what is not in the log: only with the lease.</summary>
    private void Answer(Job job, Status status, byte[] answer)
    {
        if (!node.MayAnswer(shard)) { return; }
        world.CheckAlone(node, shard);
        ShardDisk disk = node.Disks[shard].Now;
        Tell(job, new(status, answer) { At = disk.PositionOf(disk.Applied) });
    }

    private void Tell(Job job, DriveAnswer answer)
    {
        RequestId name = job.Request.Id;
        if (name != default) { kept[(name.Session, name.Slot)] = (name.Sequence, answer); }
        job.Answer(answer);
    }

    private void Commit(Job job, bool durable, Action<LogPosition> done, bool goesOn = false)
    {
        isBusy = true;
        bool isTaken = node.Submit(shard, new(batch.Bytes.ToArray()), durable, at =>
        {
            done(at);
            isBusy = false;
            if (goesOn) { Begin(job); }
            world.After(TimeSpan.Zero, () => node.WhenAwake(GoOn));
        });
        Invariant.Check(isTaken);
    }

    private void Adopt()
    {
        counters = transaction.Counters;
        state = transaction.State;
        if (world.QuotaInodes != 0 && counters.UsedInodes > world.QuotaInodes)
        {
            throw new PoolFailedException($"{counters.UsedInodes} VNodes are in use, and {world.QuotaInodes} may be");
        }
    }

    private bool NeedsIds() =>
        counters.Reserved.Cow - counters.Next.Cow < LowIds
        || counters.Reserved.VNode - counters.Next.VNode < LowIds
        || counters.Reserved.Block - counters.Next.Block < LowIds
        || counters.Reserved.Session - counters.Next.Session < LowIds;

    private Timestamp Now => new(world.Now.Ticks * 100);

    private sealed record Job(DriveRequest Request, Action<DriveAnswer> Answer);
}
