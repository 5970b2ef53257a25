using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Simulation.Storage;

/// <summary>Runs one generated workload on a journaled store, and at every persistence point looks at what a crash there would
/// leave; now and then goes on with that.</summary>
/// <remarks>One seed is one run. Segments are so small that they are used again all the time.</remarks>
internal sealed class JournalSimulation : IDisposable
{
    private const int SegmentBytes = 24 << 10;
    private const int MaxValueBytes = 3000;

    private readonly Random chance;
    private readonly JournalFaults faults;
    private readonly JournalOptions options;
    private readonly JournalModel model = new();
    private readonly KeyValueBatch batch = new();
    private SimulatedDisk disk = new(1L << 30);
    private SimulatedTables tables = new(new());
    private JournaledKeyValueStore store;
    private bool isWriting;
    private bool isRecovering;
    private bool isChecking;

    internal JournalSimulation(int seed, JournalBug bug)
    {
        chance = new Random(seed);
        faults = new JournalFaults(bug);
        options = new()
        {
            SegmentBytes = SegmentBytes, MaxBytes = 4 * SegmentBytes, FlushBytes = 2 * SegmentBytes,
            MaxPayloadBytes = 2 * SegmentBytes, GatheredChanges = 1 << chance.Next(7), Draw = () => (ulong)chance.NextInt64(),
        };
        store = Open();
        faults.Start();
    }

    /// <summary>Crashes that were looked at.</summary>
    internal int Crashes { get; private set; }

    /// <summary>Folders with a flipped bit that were refused, and that were not.</summary>
    internal int Refused { get; private set; }

    internal int Passed { get; private set; }

    internal void Run(int steps)
    {
        for (int step = 0; step < steps; step++) { Step(); }
    }

    public void Dispose()
    {
        isChecking = true;
        store.Dispose();
    }

    private void Step()
    {
        switch (chance.Next(100))
        {
            case < 50: Write(logged: true, MaxValueBytes); break;
            case < 53: Write(logged: true, SegmentBytes * 3 / 5); break;
            case < 67: Write(logged: false, MaxValueBytes); break;
            case < 85: Sync(); break;
            case < 88: Invariant.Check(store.Maintain() == Status.Ok); break;
            case < 92: RefuseWrite(); break;
            case < 95: Restart(); break;
            default: Crash(); break;
        }
    }

    private void Write(bool logged, int maxValueBytes)
    {
        model.Begin(chance, logged, maxValueBytes, batch);
        isWriting = true;
        Invariant.Check(store.Write(batch, logged) == Status.Ok);
        isWriting = false;
        model.OnWritten(isApplied: true);
    }

    /// <summary>The disk is full, for the journal or for the tables.</summary>
    private void RefuseWrite()
    {
        model.Begin(chance, logged: true, MaxValueBytes, batch);
        bool isAsked = false;
        Status RefuseOnce()
        {
            bool refuses = !isAsked;
            isAsked = true;
            return refuses ? Status.NoSpace : Status.Ok;
        }

        if (chance.Next(2) == 0) { disk.Ask = operation => operation == DiskOperation.Write ? RefuseOnce() : Status.Ok; }
        else { tables.Store.Ask = isSync => isSync ? Status.Ok : RefuseOnce(); }
        isWriting = true;
        Status status = store.Write(batch, logged: true);
        isWriting = false;
        Invariant.Check(status is Status.NoSpace or Status.Ok);
        disk.Ask = static _ => Status.Ok;
        tables.Store.Ask = static _ => Status.Ok;
        model.OnWritten(status == Status.Ok);
        OnPersistencePoint();
    }

    private void Sync()
    {
        Invariant.Check(store.SyncLog() == Status.Ok);
        model.OnSynced();
        OnPersistencePoint();
    }

    private void Restart()
    {
        store.Dispose();
        model.OnSynced();
        store = Open();
        model.Check(store, model.Logged);
    }

    private void Crash()
    {
        isChecking = true;
        bool isKill = chance.Next(2) == 0;
        SimulatedDisk nextDisk = isKill ? disk.AfterKill() : disk.AfterPowerCut(chance);
        tables = new(isKill ? tables.Store.AfterKill(chance) : tables.Store.AfterPowerCut(chance));
        disk = nextDisk;
        isChecking = false;
        isRecovering = true;
        store = Open();
        isRecovering = false;
        model.Check(store, isKill ? model.Logged : model.Synced);
        model.Adopt(store);
    }

    private JournaledKeyValueStore Open()
    {
        disk.OnPersistencePoint = OnPersistencePoint;
        tables.Store.OnPersistencePoint = OnPersistencePoint;
        return Open(disk, tables);
    }

    private JournaledKeyValueStore Open(SimulatedDisk ofDisk, SimulatedTables ofTables) =>
        JournaledKeyValueStore.Open(faults.On(ofTables), faults.On(ofDisk), options, hasKeeper: false);

    private void OnPersistencePoint()
    {
        if (isChecking) { return; }
        isChecking = true;
        Check(disk.AfterKill(), tables.Store.AfterKill(chance), isRecovering ? model.Synced : model.Logged);
        Check(disk.AfterPowerCut(chance), tables.Store.AfterPowerCut(chance), model.Synced);
        if (!isRecovering && chance.Next(4) == 0) { CheckRot(); }
        isChecking = false;
    }

    /// <summary>Recovers, checks, and, now and then, crashes again at a point of the recovery.</summary>
    private void Check(SimulatedDisk nextDisk, SimulatedKeyValueStore nextTables, int atLeast)
    {
        Crashes++;
        int until = chance.Next(4) == 0 ? chance.Next(1, 6) : 0;
        (SimulatedDisk Disk, SimulatedKeyValueStore Tables)? again = null;
        void Point()
        {
            if (--until == 0) { again = (nextDisk.AfterPowerCut(chance), nextTables.AfterPowerCut(chance)); }
        }

        nextDisk.OnPersistencePoint = Point;
        nextTables.OnPersistencePoint = Point;
        using (JournaledKeyValueStore next = Open(nextDisk, new(nextTables))) { model.Check(next, atLeast); }
        if (again is not { } left) { return; }
        using JournaledKeyValueStore last = Open(left.Disk, new(left.Tables));
        model.Check(last, Math.Min(atLeast, model.Synced));
    }

    /// <summary>A flipped bit is refused, or has taken nothing of which a later record says that it was durable.</summary>
    private void CheckRot()
    {
        SimulatedDisk rotten = disk.AfterKill();
        List<string> names = [];
        if (rotten.List(JournaledKeyValueStore.JournalFolder, names) != Status.Ok) { return; }
        names.RemoveAll(static name => !name.EndsWith(JournalRecovery.SegmentSuffix, StringComparison.Ordinal));
        if (names.Count == 0) { return; }
        SimulatedFile file = rotten.File($"{JournaledKeyValueStore.JournalFolder}/{names[chance.Next(names.Count)]}");
        file.Rot(chance.NextInt64(file.Length));
        try
        {
            using JournaledKeyValueStore next = Open(rotten, new(tables.Store.AfterKill()));
            model.Check(next, isWriting ? 0 : model.SyncedAtLast);
            Passed++;
        }
        catch (StorageException refused) when (refused.Status == Status.Corrupt)
        {
            Refused++;
        }
    }
}
