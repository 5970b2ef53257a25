using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>A storage node's driver: carries out what its replicas decide, on a disk that forgets, with a clock of its own.
/// </summary>
internal sealed partial class SimulatedNode
{
    private readonly PoolWorld world;
    private readonly Dictionary<ShardId, SimulatedShardDisk> disks = [];
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

    /// <summary>What its clock shows, which counts suspend.</summary>
    public TimeSpan Clock => clockOffset + (world.Now * clockRate);

    public void Start()
    {
        if (core is not null || IsGone) { return; }
        if (world.Bug != PoolBug.KeepBootId || boots == 0) { boots++; }
        world.Say($"node {Id}/{boots} starts");
        core = new(new(Id, PoolWorld.DiskOf(Id), Boot), PoolWorld.MinInSync, world.Times, Clock);
        copied = new(core);
        foreach ((ShardId shard, SimulatedShardDisk disk) in disks.OrderBy(static one => one.Key.Value))
        {
            // What a start finds it makes durable, before it speaks of it.
            disk.SyncTo(disk.Mark);
            if (world.Bug == PoolBug.CutAtStart) { disk.Change(static one => one.Cut(one.Applied)); }
            AddShard(shard, disk.Now.Shape(), disk.Now.Applied, disk.Now.LacksSnapshot);
        }

        Watch();
        Tick(core);
        HealBlocks(core);
        Scrub(core);
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
        mending.Clear();
        ForgetAll();
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
        core!.Find(shard) is { HasCopy: true } replica ? replica.Last : null,
        [.. core.Peers.Nodes.Where(node => core.Peers.BootOf(node).Value != 0 && !core.Peers.IsSilent(node, Clock))]);

    public bool IsHealthy(ShardId shard) =>
        MayAnswer(shard) && core!.Find(shard)!.Reign is { Learners.Length: 0, InSync.Length: PoolWorld.Replicas };

    /// <summary>Hears what the pool map says; a shard that is new here begins with nothing.</summary>
    private void View(TimeSpan now)
    {
        foreach (Reign reign in world.Authority.View.Reigns)
        {
            if (!reign.Members.Contains(Id) || !disks.TryAdd(reign.Shard, new())) { continue; }
            world.Note("shard is new");
            AddShard(reign.Shard, new(), default);
        }

        copied!.OnView(world.Authority.View);
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
                LogPosition at = copy.PositionOf(copy.Applied);
                Send(send.To, new ShardSnapshot(send.Shard, send.Epoch, at, copy.Shape().EndedBefore(at.Index)), new ShardContents([.. copy.Values], copy.Records));
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
                Install(install, (ShardContents)contents!);
                break;
            case SyncLog sync:
                Sync(sync.Shard);
                break;
            case ApplyEntries apply:
                TellApplied(apply);
                disks[apply.Shard].Change(disk => disk.Apply(apply.UpTo));
                TrimNowAndThen(apply.Shard, core!);
                break;
            case BeginServing begin:
                world.Note("reign served");
                TakeUp(begin.Shard);
                break;
            case EndServing end:
                copied!.OnServingEnded(end.Shard);
                Forget(end.Shard);
                break;
            case ProposeReign propose:
                Propose(propose, core!);
                break;
            default:
                throw new PoolFailedException($"{effect} is not known");
        }
    }

    private void TellApplied(ApplyEntries apply)
    {
        ShardDisk disk = disks[apply.Shard].Now;
        for (LogIndex at = disk.Applied.Next; at <= apply.UpTo; at = at.Next) { world.OnApplied(this, apply.Shard, at, disk[at]); }
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

    private void Install(InstallSnapshot install, ShardContents contents)
    {
        world.Note("snapshot begun", this);
        SimulatedShardDisk disk = disks[install.Shard];
        ReplicaNode? process = core;

        // What a start finds before the snapshot is whole it removes, and knows that nothing is there: with the planted bugs it does not.
        switch (world.Bug)
        {
            case PoolBug.SkipSnapshot:
                break;
            case PoolBug.BelieveHalfSnapshot:
                disk.Change(now => now.Replace(install.At, install.EndedBefore, [], RecordTable.Empty));
                break;
            default:
                disk.Change(now => now.Replace(default, [], [], RecordTable.Empty, lacksSnapshot: true));
                break;
        }

        world.After(world.Between(1, world.Random.Next(5) == 0 ? 2_000 : 40), () => WhenAwake(() =>
        {
            if (core != process) { return; }
            world.Note("snapshot installed");
            disk.Change(now =>
            {
                ShardContents whole = world.Bug == PoolBug.SkipSnapshot ? new([.. now.Values], now.Records) : contents;
                now.Replace(install.At, world.Bug == PoolBug.ForgetReigns ? [] : install.EndedBefore, whole.Values, whole.Records);
            });
            disk.SyncTo(disk.Mark);
            Step(now => core!.Find(install.Shard)!.OnInstalled(now, effects));
        }));
    }

    private void Sync(ShardId shard)
    {
        SimulatedShardDisk disk = disks[shard];
        long mark = disk.Mark;
        ReplicaNode? process = core;
        if (IsStuck) { owed.Add((Clock, Finish)); }
        else { world.After(world.Random.Next(2) * SyncDelay, Finish); }

        void Finish() => WhenAwake(() =>
        {
            if (core != process) { return; }
            if (world.Bug != PoolBug.SkipSync) { disk.SyncTo(mark); }
            Step(now => core!.Find(shard)!.OnSynced(now, effects));
        });
    }

    /// <summary>Forgets entries now and then: not before what is to be sent of them is sent.</summary>
    private void TrimNowAndThen(ShardId shard, ReplicaNode process)
    {
        if (world.Random.Next(60) != 0) { return; }
        world.After(TimeSpan.Zero, () =>
        {
            if (core == process) { Trim(shard); }
        });
    }

    private void Trim(ShardId shard)
    {
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
}
