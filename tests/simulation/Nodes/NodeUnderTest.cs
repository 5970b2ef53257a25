using KvFs.Core;
using KvFs.Node;
using KvFs.Node.Checking;
using KvFs.Node.Maintenance;
using KvFs.Node.Storage;
using KvFs.Simulation.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Simulation.Nodes;

/// <summary>A storage node on a simulated disk and key-value store; its background runs when it is told to.</summary>
internal sealed class NodeUnderTest : IDisposable
{
    internal const int Shards = 2;

    /// <summary>Longer than any reader may be on its way to a block that is dead.</summary>
    private static readonly TimeSpan s_readersGone = TimeSpan.FromSeconds(6);

    /// <summary>Rounds of the reaper without a change after which there is nothing left to do: one lists what is dead, the
    /// next may remove it.</summary>
    private const int IdleRounds = 3;

    /// <summary>Looks of the packer after which a cluster counts as at rest.</summary>
    private const int RestingRounds = 3;

    /// <summary>So few that records come and go.</summary>
    private const int CachedRecords = 64;

    /// <summary>Some transactions.</summary>
    private const int LogTrimBytes = 1500;

    /// <summary>Parts of a repacker's round, more than drives as small as these need.</summary>
    private const int RepackParts = 40;

    private readonly SimulatedClock clock;

    internal NodeUnderTest(SimulatedDisk disk, SimulatedKeyValueStore keyValues, NodeFaults faults, Random chance)
    {
        Disk = disk;
        KeyValues = keyValues;
        SplitsTransactions = faults.SplitsTransactions;
        clock = new();
        byte[] random = new byte[16];
        StorageNodeOptions options = new()
        {
            DataPath = "",
            ShardCount = Shards,
            Clock = clock,
            CachedRecords = CachedRecords,
            LogTrimBytes = LogTrimBytes,
            DrawId = _ =>
            {
                chance.NextBytes(random);
                return new(random);
            },
        };
        Node = StorageNode.Start(options, faults.On(keyValues), faults.On(disk), NullLogger.Instance);
    }

    internal SimulatedDisk Disk { get; }

    internal SimulatedKeyValueStore KeyValues { get; }

    internal StorageNode Node { get; }

    /// <summary>A planted bug: see <see cref="NodeBug.SplitTransaction"/>.</summary>
    internal bool SplitsTransactions { get; }

    /// <summary>Half-dead blocks that were emptied.</summary>
    internal long EmptiedBlocks { get; private set; }

    public void Dispose() => Node.DisposeAsync().Now();

    /// <summary>One round of what removes; and time goes on.</summary>
    internal void Reap()
    {
        while (Node.RunReaper(CancellationToken.None)) { }
        clock.Advance(s_readersGone);
    }

    /// <summary>Empties the half-dead blocks of all drives, as far as one look finds them.</summary>
    internal void Repack()
    {
        Repacker repacker = Node.NewRepacker();
        long rounds;
        do
        {
            rounds = repacker.Rounds;
            for (int part = 0; part < RepackParts && repacker.Rounds == rounds; part++) { repacker.Run(CancellationToken.None); }
        }
        while (repacker.Rounds > rounds);
        EmptiedBlocks += repacker.EmptiedBlocks;
    }

    /// <summary>Runs the background until it has nothing to do.</summary>
    internal void Settle()
    {
        for (int round = 0; round < RestingRounds; round++)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            while (Node.RunPacker() || Node.RunTidying(new(canceled: true))) { }
        }

        Repack();
        for (int idle = 0; idle < IdleRounds; idle++)
        {
            object before = KeyValues.Content(Family.Namespace);
            Reap();
            if (!ReferenceEquals(before, KeyValues.Content(Family.Namespace))) { idle = -1; }
        }
    }

    /// <summary>What fsck finds; every byte is read.</summary>
    internal void Check()
    {
        NodeCheckReport report = Node.Check(new(ReadBytes: true, Repair: false), null, CancellationToken.None);
        if (!report.IsClean)
        {
            throw new BrokenPromiseException("fsck: " + string.Join("; ", report.Problems.Take(5)));
        }
    }
}
