using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Simulation.Storage;
using Xunit.Abstractions;

namespace KvFs.Simulation;

/// <summary>A block that is bad, whose place a good copy takes, with a crash at every persistence point of it.</summary>
public sealed class RepairCrashTests(ITestOutputHelper output)
{
    private const int Blocks = 5;
    private const int Seeds = 200;
    private static readonly DriveId s_drive = new((UInt128)1 << 64);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_repair_that_a_crash_interrupts_loses_nothing(bool isEntryBad)
    {
        int crashes = 0;
        for (int seed = 1; seed <= Seeds; seed++) { crashes += Run(seed, isEntryBad, PlantedBug.None); }
        output.WriteLine($"{crashes} crashes");
        Assert.True(crashes > Seeds * 4);
    }

    [Fact]
    public void A_repair_whose_bytes_are_not_synced_is_found_out()
    {
        int found = 0;
        for (int seed = 1; seed <= Seeds; seed++)
        {
            try
            {
                Run(seed, isEntryBad: false, PlantedBug.SkipDataSync);
            }
            catch (InvariantException)
            {
                found++;
            }
        }

        Assert.NotEqual(0, found);
    }

    /// <summary>One repair; answers how many crashes were looked at.</summary>
    private static int Run(int seed, bool isEntryBad, PlantedBug bug)
    {
        Random chance = new(seed);
        byte[][] contents = [.. Enumerable.Range(0, Blocks).Select(_ => new byte[chance.Next(1, 150_000)])];
        foreach (byte[] content in contents) { chance.NextBytes(content); }
        using Copies others = new(contents);
        SimulatedDisk disk = new(1L << 30);
        using SimulatedKeyValueStore keyValues = new();
        BlockName bad = NameOf(chance.Next(Blocks));
        using (BlockStore first = BlockStore.Open(disk, keyValues, new DiskId(1))) { Fill(first, contents); }
        Damage(disk, keyValues, bad, isEntryBad);
        Faults faults = new(bug);
        using BlockStore store = BlockStore.Open(faults.On(disk), faults.On(keyValues), new DiskId(1));
        store.Mender.Source = others;
        Check(store.OpenDrive(s_drive).Status);

        int crashes = 0;
        disk.OnPersistencePoint = Point;
        keyValues.OnPersistencePoint = Point;
        Check(store.Mender.Mend(bad));
        List<BlockName> released = [];
        Check(store.ReleaseQuarantine(s_drive, released));
        Invariant.Check(released.SequenceEqual([bad]));
        disk.OnPersistencePoint = static () => { };
        keyValues.OnPersistencePoint = static () => { };
        return crashes;

        void Point()
        {
            crashes += 2;
            CheckCrash(disk.AfterKill(), keyValues.AfterKill(), others, contents, bad);
            CheckCrash(disk.AfterPowerCut(chance), keyValues.AfterPowerCut(chance), others, contents, bad);
        }
    }

    /// <summary>Starts from what a crash left: everything is there, and nothing is overwritten.</summary>
    private static void CheckCrash(SimulatedDisk disk, SimulatedKeyValueStore keyValues, Copies others, byte[][] contents, BlockName bad)
    {
        byte[] more = new byte[300_000];
        for (int start = 0; start < 2; start++)
        {
            using BlockStore store = BlockStore.Open(disk, keyValues, new DiskId(1));
            store.Mender.Source = others;
            Check(store.OpenDrive(s_drive).Status);

            // Once it is written down that the bad bytes are kept, the good ones are in their place.
            bool isKept = store.GetStatistics(s_drive)!.QuarantinedBlocks > 0;
            Invariant.Check(!isKept || store.ReadOwnCopy(bad, 0, new byte[1]) == Status.Ok);
            Check(store.WriteBlock(NameOf(100 + start), more));
            for (int block = 0; block < Blocks; block++)
            {
                byte[] read = new byte[contents[block].Length];
                Status own = store.ReadOwnCopy(NameOf(block), 0, read);
                Invariant.Check(own == Status.Ok || (NameOf(block) == bad && !isKept));
                Check(store.ReadBlock(NameOf(block), 0, read));
                Invariant.Check(read.AsSpan().SequenceEqual(contents[block]));
            }

            DriveReport report = store.VerifyDrive(s_drive, readBytes: true, null, CancellationToken.None)!;
            Invariant.Check(report.Problems.All(static problem => problem.Kind
                is DriveProblemKind.Quarantined or DriveProblemKind.FreeMarkedUsed));
        }
    }

    private static void Damage(SimulatedDisk disk, SimulatedKeyValueStore keyValues, BlockName block, bool isEntryBad)
    {
        byte[] key = new byte[BlockKey.Size];
        BlockKey.Write(block, key);
        if (isEntryBad)
        {
            KeyValueBatch batch = new();
            batch.Put(Family.Block, key, [1, 2, 3]);
            Check(keyValues.Write(batch, logged: true));
            Check(keyValues.SyncLog());
            return;
        }

        ByteBuffer value = new();
        Invariant.Check(keyValues.TryGet(Family.Block, key, value));
        Check(BlockIndexEntry.Read(value.Span, out BlockIndexEntry? entry));
        disk.File($"drives/{s_drive}/idvd").Rot(entry!.Extents[0].Offset);
    }

    private static void Fill(BlockStore store, byte[][] contents)
    {
        Check(store.CreateDrive(s_drive).Status);
        for (int block = 0; block < contents.Length; block++) { Check(store.WriteBlock(NameOf(block), contents[block])); }
    }

    private static BlockName NameOf(int block) => new(s_drive, new BlockId((ulong)block + 1));

    private static void Check(Status status) => Invariant.Check(status == Status.Ok);

    /// <summary>Another node, whose copies are whole.</summary>
    private sealed class Copies : IBlockSource, IDisposable
    {
        private readonly SimulatedKeyValueStore keyValues = new();
        private readonly BlockStore store;

        internal Copies(byte[][] contents)
        {
            store = BlockStore.Open(new SimulatedDisk(1L << 30), keyValues, new DiskId(2));
            Fill(store, contents);
        }

        public Status Fetch(BlockName block, int spread, BlockIndexEntry? expected, out byte[]? content)
        {
            content = null;
            Status status = store.GetBlockLength(block, out int length);
            if (status != Status.Ok) { return status; }
            content = new byte[length];
            return store.ReadOwnCopy(block, 0, content);
        }

        public bool IsKeptHere(BlockName block, int spread) => true;

        public Status Read(BlockName block, int spread, int offset, Span<byte> destination) => store.ReadOwnCopy(block, offset, destination);

        public IReadOnlyDictionary<ulong, uint> ListLengths(DriveId owner, int spread, ulong first, ulong last) => new Dictionary<ulong, uint>();

        public void Dispose()
        {
            store.Dispose();
            keyValues.Dispose();
        }
    }
}
