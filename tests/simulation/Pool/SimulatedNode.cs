using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>A storage node's driver: carries out what its replicas decide, on a disk that forgets, with a clock of its own.
/// </summary>
internal sealed class SimulatedNode
{
    private readonly PoolWorld world;
    private readonly Dictionary<ShardId, SimulatedShardDisk> disks = [];
    private readonly Dictionary<(ShardId Shard, LogIndex Index), PendingAnswer> pending = [];
    private readonly List<ReplicationEffect> effects = [];
    private readonly Queue<Action> asleep = new();

    /// <summary>Syncs that a stuck disk owes, and since when.</summary>
    private readonly List<(TimeSpan Since, Action Sync)> owed = [];
    private readonly double clockRate;
    private TimeSpan clockOffset;
    private ReplicaNode? core;
    private ulong boots;
    private bool isPaused;
    private bool isStuck;

    public SimulatedNode(PoolWorld world, NodeId id)
    {
        this.world = world;
        Id = id;
        clockOffset = world.Between(1_000, 1_000_000);
        clockRate = 0.99 + (world.Random.NextDouble() * 0.02);
        foreach (Reign reign in world.Authority.View.Reigns)
        {
            if (reign.Members.Contains(id)) { disks.Add(reign.Shard, new()); }
        }
    }

    public NodeId Id { get; }

    public bool IsUp => core is not null;

    /// <summary>It never comes back, and nothing on its disk does.</summary>
    public bool IsGone { get; private set; }

    public BootId Boot => PoolWorld.BootOf(boots);

    /// <summary>The last process whose unsynced writes a power cut took.</summary>
    public BootId CutBoot { get; private set; }

    public TimeSpan SyncDelay { get; set; } = TimeSpan.FromMilliseconds(5);

    /// <summary>Its disk is full, and it says so.</summary>
    public bool IsFull { get; set; }

    /// <summary>Its disk answers no sync; what it was asked for meanwhile it does when it goes on.</summary>
    public bool IsStuck
    {
        get => isStuck;
        set
        {
            isStuck = value;
            if (isStuck) { return; }
            Action[] late = [.. owed.Select(static one => one.Sync)];
            owed.Clear();
            foreach (Action sync in late) { sync(); }
        }
    }

    /// <summary>It is so full that it takes nothing any more.</summary>
    public bool TakesNothing { get; set; }

    public IReadOnlyDictionary<ShardId, SimulatedShardDisk> Disks => disks;

    private TimeSpan Clock => clockOffset + (world.Now * clockRate);

    public void Start()
    {
        if (core is not null || IsGone) { return; }
        if (world.Bug != PoolBug.KeepBootId || boots == 0) { boots++; }
        world.Say($"node {Id}/{boots} starts");
        core = new(new(Id, PoolWorld.DiskOf(Id), Boot), PoolWorld.MinInSync, world.Times, Clock);
        foreach ((ShardId shard, SimulatedShardDisk disk) in disks.OrderBy(static one => one.Key.Value))
        {
            // What a start finds it makes durable, before it speaks of it.
            disk.Synced(disk.Unsynced);
            if (world.Bug == PoolBug.CutAtStart) { disk.Change(static one => one.Cut(one.Applied)); }
            core.AddShard(shard, disk.Now.Shape(), disk.Now.Applied);
        }

        Watch();
        Tick(core);
    }

    /// <summary>The process ends; with <paramref name="power"/> the machine's power goes, too.</summary>
    public void Stop(bool power)
    {
        world.Say($"node {Id}/{boots} stops, power {power}");
        core = null;
        isPaused = false;
        asleep.Clear();
        isStuck = false;
        owed.Clear();
        foreach (PendingAnswer answer in pending.Values) { answer.Lost(); }
        pending.Clear();
        if (!power) { return; }
        CutBoot = Boot;
        foreach (SimulatedShardDisk disk in disks.OrderBy(static one => one.Key.Value).Select(static one => one.Value))
        {
            disk.CutPower(world.Random);
        }
    }

    /// <summary>The machine is gone for good, with its disk.</summary>
    public void Lose()
    {
        Stop(power: true);
        IsGone = true;
    }

    /// <summary>The process stands still: a debugger, a machine that is moved or suspended, a collection. Its clock goes on.</summary>
    public void Pause(TimeSpan pause)
    {
        if (!IsUp || isPaused) { return; }
        isPaused = true;
        ReplicaNode? paused = core;
        world.After(pause, () =>
        {
            if (!isPaused || core != paused) { return; }
            isPaused = false;
            if (world.Bug == PoolBug.StopClockInSuspend) { clockOffset -= pause * clockRate; }
            while (asleep.TryDequeue(out Action? action) && IsUp) { action(); }
        });
    }

    /// <summary>Hands over what it is primary of, then stops.</summary>
    public void StopPolitely(TimeSpan latest, Action stopped)
    {
        ReplicaNode? leaving = core;
        TimeSpan deadline = world.Now + latest;
        Poll();

        void Poll()
        {
            if (core is null || core != leaving) { return; }
            core.Leave();
            if (world.Now < deadline && core.Shards.Any(static shard => shard.IsPrimary))
            {
                world.After(world.Between(20, 40), Poll);
                return;
            }

            Stop(power: false);
            stopped();
        }
    }

    /// <summary>Hands one shard to another node, if it is its primary.</summary>
    public void HandOver(ShardId shard, NodeId to) => WhenAwake(() => core!.Find(shard)?.HandOverTo(to));

    public void WhenAwake(Action action)
    {
        if (!IsUp) { return; }
        if (isPaused) { asleep.Enqueue(action); }
        else { action(); }
    }

    /// <summary>The pool map changed: the node will hear of it.</summary>
    public void Watch()
    {
        ReplicaNode? watching = core;
        world.After(world.Random.Next(20) == 0 ? world.Between(100, 1500) : world.Between(1, 30), () => WhenAwake(() =>
        {
            if (core == watching && world.Authority.Reaches(Id)) { Step(now => View(now)); }
        }));
    }

    /// <summary>Whether it would answer a request for a shard at this moment.</summary>
    public bool MayAnswer(ShardId shard) =>
        IsUp && !isPaused && core!.Find(shard) is { } replica && replica.IsPrimary && CanServe(replica);

    /// <summary>How far its copy of a shard is, and whom it hears: what it would tell a person who asks.</summary>
    public CopyReport CopyOf(ShardId shard) => new(
        new(Id, PoolWorld.DiskOf(Id), Boot),
        core!.Find(shard)?.Last,
        [.. core.Peers.Nodes.Where(node => core.Peers.BootOf(node).Value != 0 && !core.Peers.IsSilent(node, Clock))]);

    public bool IsHealthy(ShardId shard) =>
        MayAnswer(shard) && core!.Find(shard)!.Reign is { Learners.Length: 0, InSync.Length: PoolWorld.Replicas };

    /// <summary>Appends a value; the answer: true, and its place; or false: it did not happen; or null: nobody knows.</summary>
    public void Append(ShardId shard, long value, bool durable, Action<bool?, LogPosition> answer)
    {
        if (TakesNothing || core!.Find(shard) is not { } replica)
        {
            answer(false, default);
            return;
        }

        bool isTaken = false;
        LogPosition position = default;
        Step(now =>
        {
            // Some say with the entry that it is wanted on disk, others behind it.
            isTaken = replica.TrySubmit(now, wantsDurable: durable && value % 2 == 0, effects, out position);
            if (!isTaken) { return; }
            Store(shard, position.Index, [new(position.Epoch, value)]);
            pending.Add((shard, position.Index), new(
                durable, () => answer(true, position), () => answer(null, default)));
            if (durable) { replica.RequestDurable(position.Index, now, effects); }
        });
        if (!isTaken) { answer(false, default); }
    }

    /// <summary>Has what was answered once brought to all disks. The answer: Ok; Lost: it is gone; Busy: not now; Unknown: the reign
    /// ended meanwhile.</summary>
    public void Sync(ShardId shard, LogPosition answered, Action<Status> answer)
    {
        if (core!.Find(shard) is not { } replica || !replica.IsPrimary || !CanServe(replica)) { answer(Status.Busy); }
        else if (!replica.Has(answered)) { answer(Status.Lost); }
        else if (!pending.TryAdd((shard, answered.Index), new(true, () => answer(Status.Ok), () => answer(Status.Unknown))))
        {
            // Another client's, or an earlier one of the same client.
            answer(Status.Busy);
        }
        else { Step(now => replica.RequestDurable(answered.Index, now, effects)); }
    }

    /// <summary>All values of a shard; null: it is not this node's to say.</summary>
    public long[]? Read(ShardId shard)
    {
        if (core!.Find(shard) is not { } replica || !replica.IsPrimary || !CanServe(replica)) { return null; }
        world.CheckAlone(this, shard);
        return [.. disks[shard].Now.Values];
    }

    private bool CanServe(ShardReplica replica) => world.Bug switch
    {
        PoolBug.IgnoreLease => replica.IsServing,
        _ => replica.CanServe(Clock),
    };

    /// <summary>Hears what the pool map says; a shard that is new here begins with nothing.</summary>
    private void View(TimeSpan now)
    {
        foreach (Reign reign in world.Authority.View.Reigns)
        {
            if (!reign.Members.Contains(Id) || !disks.TryAdd(reign.Shard, new())) { continue; }
            world.Note("shard is new");
            core!.AddShard(reign.Shard, new(), default);
        }

        core!.OnView(world.Authority.View, now, effects);
    }

    private void Tick(ReplicaNode process)
    {
        WhenAwake(() => Step(now =>
        {
            core!.Disk = ConditionOfDisk(now);
            core.Tick(now, effects);
        }));
        world.After(TimeSpan.FromMilliseconds(20), () =>
        {
            if (core == process) { Tick(process); }
        });
    }

    private DiskCondition ConditionOfDisk(TimeSpan now)
    {
        bool isStuckLong = owed.Count > 0 && now - owed[0].Since >= world.Times.DiskPatience;
        return isStuckLong ? DiskCondition.Stuck : IsFull ? DiskCondition.Full : DiskCondition.Fine;
    }

    private void Receive(NodeId from, BootId boot, ReplicationMessage message, object? contents)
    {
        if (TakesNothing && message is AppendEntries { Entries.IsEmpty: false }) { return; }
        Step(now => core!.OnMessage(from, boot, message, now, effects), contents);
    }

    /// <summary>Lets the replicas decide, carries out what they want, and answers what can be.</summary>
    private void Step(Action<TimeSpan> decide, object? contents = null)
    {
        effects.Clear();
        decide(Clock);
        ReplicationEffect[] todo = [.. effects];
        foreach (ReplicationEffect effect in todo) { CarryOut(effect, contents); }
        Answer();
    }

    private void CarryOut(ReplicationEffect effect, object? contents)
    {
        if (effect is not (SendMessage or SendEntries or StoreEntries or SyncLog or ApplyEntries))
        {
            world.Say($"node {Id}/{boots}: {effect}");
        }

        switch (effect)
        {
            case SendMessage send:
                Send(send.To, Tampered(send.Message), null);
                break;
            case SendEntries send:
                Send(send.To, send.Entries, Contents(send.Entries));
                break;
            case SendSnapshot send:
                world.Note("snapshot");
                ShardDisk copy = disks[send.Shard].Now.Clone();
                LogPosition at = PositionOf(copy, copy.Applied);
                Send(send.To, new ShardSnapshot(send.Shard, send.Epoch, at, copy.Shape().EndedBefore(at.Index)), copy.Values.ToArray());
                break;
            case StoreEntries store when contents is SimulatedEntry[] entries:
                if (world.Bug == PoolBug.AcknowledgeUnstored && world.Random.Next(20) == 0)
                {
                    Forget(store);
                    break;
                }

                Store(store.Shard, store.First, entries[^(int)(store.Last.Value - store.First.Value + 1)..]);
                break;
            case StoreEntries:
                break;
            case StoreReignEntry store:
                Store(store.Shard, store.Position.Index, [new(store.Position.Epoch, 0)]);
                break;
            case CutLog cut:
                world.Note("log cut");
                if (world.Bug != PoolBug.KeepTail) { disks[cut.Shard].Change(disk => disk.Cut(cut.After)); }
                break;
            case InstallSnapshot install:
                Install(install, (long[])contents!);
                break;
            case SyncLog sync:
                Sync(sync.Shard);
                break;
            case ApplyEntries apply:
                disks[apply.Shard].Change(disk => disk.Apply(apply.UpTo));
                TrimNowAndThen(apply.Shard);
                break;
            case BeginServing:
                world.Note("reign served");
                break;
            case EndServing end:
                Forget(end.Shard);
                break;
            case ProposeReign propose:
                Propose(propose, core!);
                break;
            default:
                throw new PoolFailedException($"{effect} is not known");
        }
    }

    private ReplicationMessage Tampered(ReplicationMessage message)
    {
        if (message is not AppendReply reply) { return message; }
        return world.Bug switch
        {
            PoolBug.DurableAlone => reply with { Durable = reply.Matched },
            _ => message,
        };
    }

    private void Send(NodeId to, ReplicationMessage message, object? contents)
    {
        BootId boot = Boot;
        world.Network.Send(Id, to, node => node.Receive(Id, boot, message, contents));
    }

    private SimulatedEntry[] Contents(AppendEntries entries)
    {
        ShardDisk disk = disks[entries.Shard].Now;
        SimulatedEntry[] contents = new SimulatedEntry[entries.Entries.Length];
        LogIndex index = entries.Previous.Index;
        for (int at = 0; at < contents.Length; at++)
        {
            index = index.Next;
            contents[at] = disk[index];
        }

        return contents;
    }

    private void Store(ShardId shard, LogIndex first, SimulatedEntry[] entries) => disks[shard].Change(disk =>
    {
        // With the planted bug of a tail that is kept, what comes lands behind it.
        Invariant.Check(world.Bug is PoolBug.KeepTail or PoolBug.AcknowledgeUnstored || disk.Last.Next == first);
        disk.Entries.AddRange(entries);
    });

    /// <summary>Keeps the places, so that the log can be read, but not what is in them.</summary>
    private void Forget(StoreEntries store)
    {
        ShardReplica replica = core!.Find(store.Shard)!;
        Store(store.Shard, store.First, [.. Enumerable.Range(0, (int)(store.Last.Value - store.First.Value + 1))
            .Select(_ => new SimulatedEntry(replica.Last.Epoch, 0))]);
    }

    private void Install(InstallSnapshot install, long[] values)
    {
        world.Note("snapshot installed");
        SimulatedShardDisk disk = disks[install.Shard];
        disk.Change(now =>
        {
            now.Start = install.At;
            now.EndedBefore = world.Bug == PoolBug.ForgetReigns ? [] : install.EndedBefore;
            now.Entries.Clear();
            now.Applied = install.At.Index;
            if (world.Bug == PoolBug.SkipSnapshot) { return; }
            now.Values.Clear();
            now.Values.AddRange(values);
        });
        disk.Synced(disk.Unsynced);
    }

    private void Sync(ShardId shard)
    {
        SimulatedShardDisk disk = disks[shard];
        int count = disk.Unsynced;
        ReplicaNode? process = core;
        if (IsStuck) { owed.Add((Clock, Finish)); }
        else { world.After(world.Random.Next(2) * SyncDelay, Finish); }

        void Finish() => WhenAwake(() =>
        {
            if (core != process) { return; }
            if (world.Bug != PoolBug.SkipSync) { disk.Synced(Math.Min(count, disk.Unsynced)); }
            Step(now => core!.Find(shard)!.OnSynced(now, effects));
        });
    }

    private void TrimNowAndThen(ShardId shard)
    {
        if (world.Random.Next(60) != 0) { return; }
        ShardDisk disk = disks[shard].Now;
        if (disk.Applied.Value < disk.Start.Index.Value + 10) { return; }
        LogIndex upTo = new(disk.Applied.Value - (ulong)world.Random.Next(6));
        core!.Find(shard)!.OnTrimmed(upTo);
        disks[shard].Change(one =>
        {
            one.TrimTo(upTo);
            if (world.Bug == PoolBug.ForgetReigns) { one.EndedBefore = []; }
        });
    }

    private void Propose(ProposeReign propose, ReplicaNode process)
    {
        if (core != process) { return; }
        world.Authority.Propose(propose.Expected, propose.Next, taken => WhenAwake(() =>
        {
            if (core != process) { return; }
            if (taken is null)
            {
                // Taken or not: the same once more tells.
                world.Note("proposal unknown");
                world.After(world.Between(100, 300), () => Propose(propose, process));
                return;
            }

            world.Note(taken.Value ? "proposal taken" : "proposal refused");
            Step(now =>
            {
                if (taken.Value) { View(now); }
                core!.OnProposed(propose.Next);
            });
        }), Id);
    }

    private void Forget(ShardId shard)
    {
        foreach ((ShardId Shard, LogIndex Index) key in pending.Keys.Where(key => key.Shard == shard).ToArray())
        {
            pending.Remove(key, out PendingAnswer? answer);
            answer!.Lost();
        }
    }

    private void Answer()
    {
        foreach (((ShardId shard, LogIndex index), PendingAnswer answer) in pending.OrderBy(static one => one.Key.Index).ToArray())
        {
            ShardReplica replica = core!.Find(shard)!;
            bool isThere = world.Bug == PoolBug.AnswerEarly
                || (answer.IsDurable ? index <= replica.Durable && index <= replica.Committed : index <= replica.Committed);
            if (!isThere || !replica.IsPrimary || !CanServe(replica)) { continue; }
            world.CheckAlone(this, shard);
            pending.Remove((shard, index));
            answer.Done();
        }
    }

    private static LogPosition PositionOf(ShardDisk disk, LogIndex index) =>
        index == disk.Start.Index ? disk.Start : new(disk[index].Epoch, index);

    private sealed record PendingAnswer(bool IsDurable, Action Done, Action Lost);
}
