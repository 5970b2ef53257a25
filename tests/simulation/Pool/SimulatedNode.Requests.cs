using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <content>What clients ask a node for.</content>
internal sealed partial class SimulatedNode
{
    private readonly List<PendingAnswer> pending = [];

    /// <summary>The shards that it serves.</summary>
    private readonly Dictionary<ShardId, SimulatedShard> served = [];

    /// <summary>Appends a value; the answer: true, and its place; or false: it did not happen; or null: nobody knows.</summary>
    public void Append(ShardId shard, long value, bool durable, Action<bool?, LogPosition> answer)
    {
        if (TakesNothing || core!.Find(shard) is not { } replica)
        {
            answer(false, default);
            return;
        }

        // Some say with the entry that it is wanted on disk, others behind it.
        bool isTaken = Submit(
            replica, epoch => new(epoch, value), durable && value % 2 == 0, durable, at => answer(true, at), () => answer(null, default), out _);
        if (!isTaken) { answer(false, default); }
    }

    /// <summary>Puts a drive's change into the log; false: this node may not order anything now. Done is not told if the reign ends.
    /// </summary>
    public bool Submit(ShardId shard, DriveEntry change, bool durable, Action<LogPosition> done, out LogPosition position)
    {
        position = default;
        return CanSubmit(shard)
            && Submit(core!.Find(shard)!, epoch => new(epoch, 0, change), durable, durable, done, static () => { }, out position);
    }

    /// <summary>Goes on once an entry of this term is committed, while this node may answer; never, if the reign ends before.</summary>
    public void Await(ShardId shard, LogIndex index, Action done)
    {
        pending.Add(new(shard, index, isDurable: false, done, static () => { }));
        Answer();
    }

    /// <summary>Whether it may order something of a shard now.</summary>
    public bool CanSubmit(ShardId shard) => IsUp && !TakesNothing && core!.Find(shard) is { } replica && replica.CanSubmit(Clock);

    /// <summary>Has what was answered once brought to all disks. The answer: Ok; Lost: it is gone; Busy: not now; Unknown: the reign
    /// ended meanwhile.</summary>
    public void Sync(ShardId shard, LogPosition answered, Action<Status> answer)
    {
        if (core!.Find(shard) is not { } replica || !replica.IsPrimary || !CanServe(replica)) { answer(Status.Busy); }
        else if (!replica.Has(answered)) { answer(Status.Lost); }
        else
        {
            pending.Add(new(shard, answered.Index, isDurable: true, () => answer(Status.Ok), () => answer(Status.Unknown)));
            Step(now => replica.RequestDurable(answered.Index, now, effects));
        }
    }

    /// <summary>All values of a shard; null: it is not this node's to say.</summary>
    public long[]? Read(ShardId shard)
    {
        if (core!.Find(shard) is not { } replica || !replica.IsPrimary || !CanServe(replica)) { return null; }
        world.CheckAlone(this, shard);
        return [.. disks[shard].Now.Values];
    }

    /// <summary>What a connection to a shard's drive ends with: its term; null: it is not served here.</summary>
    public SimulatedShard? TermOf(ShardId shard) => served.GetValueOrDefault(shard);

    /// <summary>Asks a drive of a shard for a change; Busy: it is not this node's to say; NotFound: there is no such drive.</summary>
    public void Ask(ShardId shard, DriveId drive, DriveRequest request, Action<DriveAnswer> answer)
    {
        if (!served.TryGetValue(shard, out SimulatedShard? begun) || !CanSubmit(shard)) { answer(DriveAnswer.Busy); }
        else if (begun.Find(drive) is { } found) { found.Ask(request, answer); }
        else { answer(Read(shard, request.Answered, static _ => new(Status.NotFound))); }
    }

    /// <summary>Reads the records of a shard's drive as they are at this moment; Busy: it is not this node's to say.</summary>
    public DriveAnswer Read(ShardId shard, LogPosition answered, Func<ShardDisk, DriveAnswer> reading)
    {
        if (!MayAnswer(shard)) { return DriveAnswer.Busy; }
        world.CheckAlone(this, shard);
        if (!Has(shard, answered)) { return new(Status.Lost); }
        ShardDisk disk = disks[shard].Now;
        try
        {
            return reading(disk) with { At = disk.PositionOf(disk.Applied) };
        }
        catch (BadBlockException bad)
        {
            // The reader waits until it is had from another copy.
            Mend(shard, bad.Block);
            return DriveAnswer.Busy;
        }
    }

    /// <summary>Whether what was answered once is still in the log.</summary>
    public bool Has(ShardId shard, LogPosition answered) => answered == default || core!.Find(shard)!.Has(answered);

    private bool Submit(
        ShardReplica replica,
        Func<Epoch, SimulatedEntry> entry,
        bool saysDurable,
        bool durable,
        Action<LogPosition> done,
        Action lost,
        out LogPosition position)
    {
        bool isTaken = false;
        LogPosition taken = default;
        Step(now =>
        {
            isTaken = replica.TrySubmit(now, saysDurable, effects, out taken);
            if (!isTaken) { return; }
            Store(replica.Shard, taken.Index, [entry(taken.Epoch)]);
            pending.Add(new(replica.Shard, taken.Index, durable, () => done(taken), lost));
            if (durable) { replica.RequestDurable(taken.Index, now, effects); }
        });
        position = taken;
        return isTaken;
    }

    /// <summary>The node has begun to serve a shard: with its drives, too.</summary>
    private void TakeUp(ShardId shard)
    {
        Drop(shard);
        SimulatedShard begun = new(world, this, shard, core!.Find(shard)!.Reign!.Epoch);
        served.Add(shard, begun);
        begun.OpenDrives();
    }

    private void Drop(ShardId shard)
    {
        if (served.Remove(shard, out SimulatedShard? begun)) { begun.LetGo(); }
    }

    private bool CanServe(ShardReplica replica) => world.Bug switch
    {
        PoolBug.IgnoreLease => replica.IsServing,
        _ => replica.CanServe(Clock),
    };

    private void Forget(ShardId shard)
    {
        Drop(shard);
        PendingAnswer[] lost = [.. pending.Where(answer => answer.Shard == shard)];
        pending.RemoveAll(answer => answer.Shard == shard);
        foreach (PendingAnswer answer in lost) { answer.Lost(); }
    }

    private void ForgetAll()
    {
        foreach (ShardId shard in disks.Keys.Order(Comparer<ShardId>.Create(static (one, other) => one.Value.CompareTo(other.Value))).ToArray()) { Forget(shard); }
    }

    private void Answer()
    {
        if (pending.Count == 0) { return; }
        foreach (PendingAnswer answer in pending.OrderBy(static one => one.Index).ToArray())
        {
            // What is answered may ask for more, which answers others.
            if (!pending.Contains(answer)) { continue; }
            (ShardId shard, LogIndex index) = (answer.Shard, answer.Index);
            ShardReplica replica = core!.Find(shard)!;
            bool isThere = world.Bug == PoolBug.AnswerEarly
                || (answer.IsDurable ? index <= replica.Durable && index <= replica.Committed : index <= replica.Committed);
            if (!isThere || !replica.IsPrimary || !CanServe(replica)) { continue; }
            world.CheckAlone(this, shard);
            if (index >= disks[shard].Now.Start.Index) { world.CheckKept(shard, disks[shard].Now.PositionOf(index)); }
            pending.Remove(answer);
            answer.Done();
        }
    }

    /// <summary>What is answered once an entry is there.</summary>
    private sealed class PendingAnswer(ShardId shard, LogIndex index, bool isDurable, Action done, Action lost)
    {
        public ShardId Shard => shard;

        public LogIndex Index => index;

        public bool IsDurable => isDurable;

        public Action Done => done;

        public Action Lost => lost;
    }
}
