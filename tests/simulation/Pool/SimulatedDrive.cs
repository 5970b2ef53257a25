using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>A drive of a shard at its primary, in one term: decides by the operations of core, as <c>HostedDrive</c> does,
/// and puts what comes of them into the log.</summary>
internal sealed partial class SimulatedDrive : ISessionLiveness, IStoredBlocks
{
    /// <summary>Ids of each sequence that one reservation covers: few, so that there are many.</summary>
    private const ulong ReservedIds = 64;

    /// <summary>Ids left below which more are reserved: more than one request takes.</summary>
    private const ulong LowIds = 16;

    /// <summary>Ranges of backed space that are remembered: so few that some are forgotten.</summary>
    private const int CachedRanges = 256;

    /// <summary>Of so many ticks one has the copies compared.</summary>
    private const int CompareOneIn = 6;

    private static readonly TimeSpan s_sessionLease = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan s_tick = TimeSpan.FromMilliseconds(500);

    private readonly PoolWorld world;
    private readonly SimulatedNode node;
    private readonly SimulatedShard shard;
    private readonly DriveTransaction transaction = new();
    private readonly RecordBatch batch = new();
    private readonly ByteBuffer result = new();
    private readonly LockEffects lockEffects = new();
    private readonly KeptAnswers kept = new();
    private readonly QuotaLedger quota = new();

    /// <summary>Sessions of a primary before that have not said yet what they have set aside.</summary>
    private readonly HashSet<SessionId> absent = [];

    /// <summary>The sessions that live, and when each was heard.</summary>
    private readonly SortedDictionary<ulong, TimeSpan> heard = [];

    /// <summary>The blocks that were stored in this term.</summary>
    private readonly HashSet<BlockId> stored = [];
    private DriveState? state;
    private DriveCounters counters;
    private (BlockId[] Blocks, TimeSpan Since)? dead;

    /// <summary>Goes on with a drive that is in the records, or is yet to be made.</summary>
    public SimulatedDrive(PoolWorld world, SimulatedNode node, SimulatedShard shard, DriveId id)
        : this(world, node, shard, id, null, default)
    {
        TakeUp();
    }

    private SimulatedDrive(PoolWorld world, SimulatedNode node, SimulatedShard shard, DriveId id, DriveState? state, DriveCounters counters)
    {
        this.world = world;
        this.node = node;
        this.shard = shard;
        this.state = state;
        this.counters = counters;
        Id = id;
        transaction.Clusters = new(CachedRanges);
        world.After(TimeSpan.Zero, () => node.WhenAwake(Tick));
    }

    public DriveId Id { get; }

    /// <summary>Its records are gone: nothing is written under its id any more.</summary>
    public bool IsGone { get; set; }

    /// <summary>No block has this id, or a higher one.</summary>
    public ulong IssuedBlocks => counters.Next.Block;

    private RecordTable Records => shard.Disk.Records;

    /// <summary>What is committed.</summary>
    private StoredDriveView View => new(Records, state!, CowNumber.Head);

    /// <summary>What will be once the whole log is applied.</summary>
    private StoredDriveView Newest => new(shard.Head, state!, CowNumber.Head);

    public bool IsLive(SessionId session) => heard.ContainsKey(session.Value);

    public void Ask(DriveRequest request, Action<DriveAnswer> answer)
    {
        if (IsLive(request.Id.Session)) { heard[request.Id.Session.Value] = node.Clock; }
        if (node.Has(shard.Id, request.Answered) && absent.Remove(request.Id.Session))
        {
            quota.Adopt(request.Id.Session, request.Reserved);
            holds.Settle(request.Id.Session, HeldWith(request));
        }

        DriveAnswer? earlier = null;
        if (request.Id == default || kept.TryBegin(request.Id, answer, out earlier)) { shard.Enter(() => Decide(new(request, answer))); }
        else if (earlier is { } told && node.MayAnswer(shard.Id))
        {
            world.Note("answer repeated");
            answer(told);
        }
    }

    /// <summary>Does all of some operations, or none.</summary>
    public Status Transact(SessionId session, IReadOnlyList<TransactOperation> operations, TransactResult done)
    {
        foreach (CommitOperation one in operations.OfType<CommitOperation>()) { one.Commit.Stored = world.Bug == PoolBug.TrustGrants ? null : this; }
        Status status = Core.Transact.Apply(new([], operations), session, holds, transaction, done);
        if (status == Status.Ok) { NoteOpened(session, operations, done); }
        return status;
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

    /// <summary>Sets bytes and VNodes aside for a session.</summary>
    public Status Reserve(SessionId session, Reservation wanted) => quota.Reserve(
        session,
        wanted,
        new(counters.UsedBytes, counters.UsedInodes),
        new(state!.Policy.QuotaBytes, state.Policy.QuotaInodes));

    /// <summary>A session needs some of it no more.</summary>
    public Status Unreserve(SessionId session, Reservation returned)
    {
        quota.Return(session, returned);
        return Status.Ok;
    }

    /// <summary>A session gives a block back that no transaction named.</summary>
    public Status ReturnBlock(SessionId session, BlockId block)
    {
        stored.Remove(block);
        return ReturnBlocks.Apply(session, block, 1, transaction);
    }

    /// <summary>Opens a session, which outlives this primary.</summary>
    public Status OpenSession(SessionToken token, ByteBuffer answer)
    {
        if (state!.Policy.Flags != DriveFlags.None) { return Status.NotFound; }
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
        if (DriveRecords.Load(Records, Id, out state, out counters) != Status.Ok) { return; }
        if (world.Bug == PoolBug.ReissueIds) { counters.Next = counters.Next with { VNode = LastVNode() + 1 }; }
        if (world.Bug == PoolBug.ForgetPins) { state = state! with { Retained = [.. DriveRecords.Snapshots(View).Select(static one => one.Value.At).Order()] }; }
        DriveCheck.Run(Records, Id);
        SortedSet<SessionId> old = new(Comparer<SessionId>.Create(static (x, y) => x.Value.CompareTo(y.Value)));
        ExpireSession.ListUnfinished(View, old);
        foreach (SessionId session in old)
        {
            if (SessionRecord.Exists(session, View))
            {
                world.Note("session goes on");
                heard.Add(session.Value, node.Clock);
                absent.Add(session);
                quota.AddAbsent(session);
                if (world.Bug != PoolBug.ForgetHolds) { holds.AddAbsent(session); }
            }
            else { Expire(session); }
        }

        ReapOrphans.ListHeld(View, this, holds.MarkOrphan);
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
        if (shard.IsOver || IsGone) { return; }
        if (shard.CanSubmit && state is not null)
        {
            foreach (ulong late in heard.Keys.Where(IsLate)) { shard.EnterLater(() => End(late)); }
            if (world.Bug != PoolBug.KeepOrphans && HasOrphans(View)) { Enqueue((_, transaction, _) => ReapOrphans.Apply(this, holds, ref nextOrphan, transaction, out bool _)); }
            Enqueue(static (_, transaction, _) => ReapHistory.Apply(transaction, out bool _));
            DropDeadBlocks();
            if (world.Bug != PoolBug.SkipCompare && Id == PoolWorld.DriveOf(shard.Id) && world.Random.Next(CompareOneIn) == 0) { node.CompareBlocks(shard.Id); }
            if ((state.Policy.Flags & DriveFlags.Deleting) != 0) { Remove(); }
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
            if (world.Bug == PoolBug.DropEarly) { dead = (firsts, node.Clock - s_sessionLease); }
            else
            {
                node.Sync(shard.Id, shard.Disk.PositionOf(shard.Disk.Applied), status =>
                {
                    if (status == Status.Ok && !shard.IsOver) { dead ??= (firsts, node.Clock); }
                });
            }
        }

        if (dead is not { } round || node.Clock - round.Since < s_sessionLease) { return; }
        dead = null;
        world.Note("blocks dropped");
        node.DropBlocks(shard.Id, [.. round.Blocks.Select(block => new BlockName(Id, block))]);
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

    private bool IsLate(ulong session) => heard.TryGetValue(session, out TimeSpan at) && node.Clock - at > s_sessionLease;

    /// <summary>Ends a session, if nothing was heard of it meanwhile.</summary>
    private void End(ulong late)
    {
        if (!IsLate(late) || !shard.CanSubmit) { return; }
        world.Note("session expired");
        SessionId session = new(late);
        heard.Remove(late);
        absent.Remove(session);
        quota.Remove(session);
        holds.RemoveSession(session, []);
        Decide(Expiring(session));
    }

    private void Expire(SessionId session) => shard.EnterLater(() => Decide(Expiring(session)));

    private static Job Expiring(SessionId session) => Own((drive, step, _) =>
    {
        drive.lockEffects.Clear();
        drive.Locks.Expire(session, drive.lockEffects);
        Status status = ExpireSession.Apply(session, drive.lockEffects, step, out bool done);
        if (!done) { drive.Expire(session); }
        return status;
    });

    private void Enqueue(DriveChange change) => shard.EnterLater(() => Decide(Own(change)));

    /// <summary>A change that no client asked for.</summary>
    private static Job Own(DriveChange change) => new(new(default, default, change), static _ => { });

    private void Decide(Job job)
    {
        if (IsGone) { Tell(job, new(Status.NotFound)); }
        else if (!shard.CanSubmit) { Tell(job, DriveAnswer.Busy); }
        else if (state is null) { Make(job); }
        else if (counters.AreIdsBelow(LowIds)) { Reserve(job); }
        else { Transact(job); }
    }

    /// <summary>Makes the drive, and goes on.</summary>
    private void Make(Job job)
    {
        CreateDriveRequest request = new() { Drive = Id, Name = $"drive-{shard.Id}", QuotaInodes = world.QuotaInodes, QuotaBytes = world.QuotaBytes };
        Status status = CreateDrive.Apply(request, DriveCatalog.Read(shard.Head), shard.Head, Now, transaction);
        Invariant.Check(status == Status.Ok);
        batch.Clear();
        transaction.Build(batch);
        shard.Commit(batch, durable: true, _ =>
        {
            Adopt();
            Decide(job);
        });
    }

    /// <summary>Has ids on all disks before one of them is handed out, and goes on.</summary>
    private void Reserve(Job job)
    {
        IdMarks marks = counters.Next.Plus(ReservedIds);
        batch.Clear();
        DriveRecords.Reserve(Id, marks, batch);
        world.Note("ids reserved");
        shard.Commit(batch, durable: true, _ =>
        {
            counters.Reserved = marks;
            Decide(job);
        });
    }

    private void Transact(Job job)
    {
        RequestId name = job.Request.Id;
        if (!node.Has(shard.Id, job.Request.Answered))
        {
            Tell(job, new(Status.Lost));
            return;
        }

        result.Clear();
        opened = VNodeId.None;
        cloned = null;
        if (name != default && !MayApply(job, name)) { return; }
        Reservation others = world.Bug == PoolBug.IgnoreReserved ? default : quota.ReservedByOthers(name.Session);
        Reservation before = new(counters.UsedBytes, counters.UsedInodes);
        Status status = transaction.Begin(state!, world.Bug == PoolBug.CountApplied ? Applied() : counters, shard.Head, Now, others);
        if (status == Status.Ok) { status = job.Request.Change(this, transaction, result); }
        if (status != Status.Ok || !transaction.HasWrites)
        {
            Confirm(job, status, [.. result.Span], default);
            return;
        }

        Reservation grown = name == default ? default : Growth(before, transaction.Counters);
        if (name != default) { Keep(name, grown); }
        quota.Return(name.Session, grown);
        byte[] answer = [.. result.Span];
        batch.Clear();
        transaction.Build(batch);
        cloned?.Build(batch);
        DriveTransaction? first = cloned;
        foreach (VNodeId orphan in transaction.Orphaned) { holds.MarkOrphan(orphan); }
        if (batch.HasRanges || transaction.ChangesState) { shard.Commit(batch, durable: false, Committed); }
        else { shard.Begin(batch, Committed); }
        Adopt();

        void Committed(LogPosition at)
        {
            if (first is not null) { shard.Add(new(world, node, shard, first.Drive, first.State, first.Counters)); }
            Tell(job, new(Status.Ok, answer) { At = at, Grown = grown });
        }
    }

    private static Reservation Growth(Reservation before, in DriveCounters after) => new(
        Math.Max(after.UsedBytes, before.Bytes) - before.Bytes, Math.Max(after.UsedInodes, before.Inodes) - before.Inodes);

    /// <summary>Has the answer in the transaction: for whoever is primary when the request comes again.</summary>
    private void Keep(RequestId name, Reservation grown)
    {
        byte[] answer =
        [
            .. BitConverter.GetBytes(grown.Bytes), .. BitConverter.GetBytes(grown.Inodes), .. BitConverter.GetBytes(opened.Value), .. result.Span,
        ];
        Invariant.Check(RequestLedger.Keep(name, Status.Ok, answer, transaction) == Status.Ok);
    }

    /// <summary>Of the planted bug: what is used by what is committed.</summary>
    private DriveCounters Applied()
    {
        Invariant.Check(DriveRecords.Load(Records, Id, out _, out DriveCounters applied) == Status.Ok);
        return counters with { UsedBytes = applied.UsedBytes, UsedInodes = applied.UsedInodes };
    }

    /// <summary>Whether a request is to be applied; answers it if not.</summary>
    private bool MayApply(Job job, RequestId name)
    {
        RequestVerdict verdict = RequestLedger.Check(name, Newest, result, out Status status);
        if (verdict == RequestVerdict.Repeat && world.Bug == PoolBug.ForgetRequests) { return true; }
        switch (verdict)
        {
            case RequestVerdict.Apply:
                result.Clear();
                return true;
            case RequestVerdict.Repeat:
                world.Note("answer of another primary repeated");
                Reservation grown = new(BitConverter.ToUInt64(result.Span), BitConverter.ToUInt64(result.Span[sizeof(ulong)..]));
                quota.Return(name.Session, grown);
                Confirm(job, status, [.. result.Span[(3 * sizeof(ulong))..]], grown);
                return false;
            case RequestVerdict.Outdated:
                // Nobody waits for it.
                return false;
            default:
                Confirm(job, Status.SessionExpired, [], default);
                return false;
        }
    }

    /// <summary>Answers what is not in the log, once all that it may rest on is committed.</summary>
    private void Confirm(Job job, Status status, byte[] answer, Reservation grown) => shard.Confirm(() =>
        Tell(job, new(status, answer) { At = shard.Disk.PositionOf(shard.Disk.Applied), Grown = grown }));

    private void Tell(Job job, DriveAnswer answer)
    {
        if (job.Request.Id == default) { job.Answer(answer); }
        else { kept.End(job.Request.Id, answer); }
    }

    private void Adopt()
    {
        counters = transaction.Counters;
        state = transaction.State;
        if (world.QuotaInodes != 0 && counters.UsedInodes > world.QuotaInodes)
        {
            throw new PoolFailedException($"{counters.UsedInodes} VNodes are in use, and {world.QuotaInodes} may be");
        }

        if (world.QuotaBytes != 0 && counters.UsedBytes > world.QuotaBytes)
        {
            throw new PoolFailedException($"{counters.UsedBytes} bytes are in use, and {world.QuotaBytes} may be");
        }
    }

    private Timestamp Now => new(world.Now.Ticks * 100);

    private sealed record Job(DriveRequest Request, Action<DriveAnswer> Answer);
}
