using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Simulation.Storage;

/// <summary>Runs one generated workload on a block store, and at every persistence point looks at what a crash there would
/// leave: what the next process finds, and what the next boot finds.</summary>
/// <remarks>One seed is one run. The store under test never notices: crashes happen to copies.</remarks>
internal sealed class StoreSimulation : IDisposable
{
    internal static readonly DiskId OtherDisk = new(0xBAD);

    private const long DiskBytes = 1L << 30;
    private const int MaxDrives = 3;

    private readonly Random chance;
    private readonly Faults faults;
    private readonly SimulatedDisk disk;
    private readonly SimulatedKeyValueStore keyValues;
    private readonly StoreModel model = new();
    private BlockStore store;
    private ulong nextBlock = 1;
    private int nextDrive = 1;
    private bool isChecking;

    /// <param name="seed">Names the run.</param>
    /// <param name="faults">What the disk lies about: planted bugs, to see whether they are found.</param>
    internal StoreSimulation(int seed, Faults faults)
    {
        chance = new Random(seed);
        this.faults = faults;
        disk = new SimulatedDisk(DiskBytes);
        keyValues = new SimulatedKeyValueStore();
        Watch(disk, keyValues);
        store = Open();
    }

    /// <summary>Crashes that were looked at.</summary>
    internal int Crashes { get; private set; }

    internal void Run(int steps)
    {
        for (int step = 0; step < steps; step++)
        {
            Step();
        }

        store.Dispose();
        store = Open();
    }

    public void Dispose()
    {
        isChecking = true;
        store.Dispose();
        keyValues.Dispose();
    }

    private void Step()
    {
        DriveId[] drives = [.. model.Drives.Where(static drive => drive.Value.Knowledge == Knowledge.Durable)
            .Select(static drive => drive.Key)];
        int dice = drives.Length == 0 ? 0 : chance.Next(100);
        if (dice < 3)
        {
            if (drives.Length < MaxDrives) { CreateDrive(); }
            return;
        }

        DriveId drive = drives[chance.Next(drives.Length)];
        switch (dice)
        {
            case < 30: WriteDurable(drive); break;
            case < 55: WriteUnsynced(drive); break;
            case < 65: SyncBlocks(drive); break;
            case < 70: SyncLog(); break;
            case < 90: Drop(drive); break;
            case < 93: Flush(); break;
            case < 97: Reopen(drive); break;
            case < 98: DeleteDrive(drive); break;
            default: Restart(); break;
        }
    }

    private void CreateDrive()
    {
        DriveId id = new((UInt128)(uint)nextDrive++ << 64);
        DriveModel drive = new();
        model.Drives[id] = drive;
        Expect(store.CreateDrive(id).Status);
        drive.Knowledge = Knowledge.Durable;
    }

    private void DeleteDrive(DriveId id)
    {
        model.Drives[id].Knowledge = Knowledge.Uncertain;
        foreach (BlockModel block in model.Drives[id].Blocks.Values) { block.Knowledge = Weaken(block.Knowledge); }
        Expect(store.DeleteDrive(id).Status);
        model.Drives[id].Knowledge = Knowledge.Gone;
    }

    private void WriteDurable(DriveId drive)
    {
        BlockModel block = NewBlock(drive, out BlockName name);
        Expect(store.WriteBlock(name, block.Content));

        // The sync it waited for also made durable what was written before.
        OnBlocksSynced(drive);
        OnLogSynced();
    }

    private void WriteUnsynced(DriveId drive)
    {
        BlockModel block = NewBlock(drive, out BlockName name);
        Expect(store.WriteBlockUnsynced(name, block.Content));
        byte[] content = new byte[block.Content.Length];
        Expect(store.ReadBlock(name, 0, content));
        Invariant.Check(content.AsSpan().SequenceEqual(block.Content));
    }

    private void SyncBlocks(DriveId drive)
    {
        Expect(store.SyncBlocks(drive));
        OnBlocksSynced(drive);
    }

    private void SyncLog()
    {
        Expect(keyValues.SyncLog());
        OnLogSynced();
    }

    private void Flush()
    {
        Expect(keyValues.Flush());
        OnLogSynced();
    }

    private void Drop(DriveId drive)
    {
        ulong[] known = [.. model.Drives[drive].Blocks.Where(static block => block.Value.Knowledge != Knowledge.Gone)
            .Select(static block => block.Key)];
        BlockId[] victims = [.. known.Where(_ => chance.Next(3) == 0).Select(static number => new BlockId(number))];
        foreach (BlockId victim in victims) { Block(drive, victim).Knowledge = Knowledge.Uncertain; }
        Expect(store.DropBlocks(drive, victims));
        foreach (BlockId victim in victims) { Block(drive, victim).Knowledge = faults.AfterDrop; }

        // A drop of indexed blocks syncs the log; whether it did is not the caller's to know, so nothing is concluded.
    }

    private void Reopen(DriveId drive)
    {
        Expect(store.CloseDrive(drive));
        Expect(store.OpenDrive(drive).Status);
        OnBlocksSynced(drive);
        OnLogSynced();
    }

    private void Restart()
    {
        store.Dispose();
        foreach (DriveId drive in model.Drives.Keys.ToArray()) { OnBlocksSynced(drive); }
        OnLogSynced();
        store = Open();
        foreach ((DriveId id, DriveModel drive) in model.Drives)
        {
            if (drive.Knowledge == Knowledge.Durable) { Expect(store.OpenDrive(id).Status); }
        }
    }

    private BlockModel NewBlock(DriveId drive, out BlockName name)
    {
        ulong number = nextBlock++;
        int length = chance.Next(100) switch
        {
            0 => chance.Next(1, 5 << 19),
            < 8 => chance.Next(1, 200_000),
            _ => chance.Next(1, 12_000),
        };
        byte[] content = new byte[length];
        chance.NextBytes(content);
        name = new BlockName(drive, new BlockId(number));
        return model.Drives[drive].Blocks[number] = new BlockModel(content);
    }

    private BlockModel Block(DriveId drive, BlockId id) => model.Drives[drive].Blocks[id.Value];

    private void OnBlocksSynced(DriveId drive)
    {
        foreach (BlockModel block in model.Drives[drive].Blocks.Values)
        {
            if (block.Knowledge == Knowledge.Uncertain) { block.Knowledge = Knowledge.SurvivesKill; }
        }
    }

    private void OnLogSynced()
    {
        foreach (DriveModel drive in model.Drives.Values)
        {
            foreach (BlockModel block in drive.Blocks.Values)
            {
                if (block.Knowledge == Knowledge.SurvivesKill) { block.Knowledge = Knowledge.Durable; }
            }
        }
    }

    private static Knowledge Weaken(Knowledge knowledge) =>
        knowledge == Knowledge.Gone ? Knowledge.Gone : Knowledge.Uncertain;

    private BlockStore Open() => BlockStore.Open(faults.On(disk), faults.On(keyValues), new DiskId(1));

    private void Watch(SimulatedDisk watchedDisk, SimulatedKeyValueStore watchedKeyValues)
    {
        watchedDisk.OnPersistencePoint = OnPersistencePoint;
        watchedKeyValues.OnPersistencePoint = OnPersistencePoint;
    }

    private void OnPersistencePoint()
    {
        if (isChecking) { return; }
        isChecking = true;
        Check(disk.AfterKill(), keyValues.AfterKill(), CrashKind.Kill);
        Check(disk.AfterPowerCut(chance), keyValues.AfterPowerCut(chance), CrashKind.PowerCut);
        isChecking = false;
    }

    /// <summary>Recovers, checks, and, now and then, crashes again at a point of the recovery.</summary>
    private void Check(SimulatedDisk nextDisk, SimulatedKeyValueStore nextKeyValues, CrashKind kind)
    {
        Crashes++;
        if (chance.Next(16) == 0)
        {
            int until = chance.Next(1, 12);
            SimulatedDisk again = nextDisk;
            SimulatedKeyValueStore againKeyValues = nextKeyValues;
            bool isTaken = false;
            void Point()
            {
                if (isTaken || --until > 0) { return; }
                isTaken = true;
                again = nextDisk.AfterPowerCut(chance);
                againKeyValues = nextKeyValues.AfterPowerCut(chance);
            }

            nextDisk.OnPersistencePoint = Point;
            nextKeyValues.OnPersistencePoint = Point;
            model.Check(nextDisk, nextKeyValues, kind);
            if (isTaken) { model.Check(again, againKeyValues, CrashKind.PowerCut); }
            return;
        }

        model.Check(nextDisk, nextKeyValues, kind);
    }

    private static void Expect(Status status) => Invariant.Check(status == Status.Ok);
}
