using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Simulation.Storage;

/// <summary>What is known of a drive or block at the moment of a crash.</summary>
internal enum Knowledge
{
    /// <summary>Never there, or acknowledged as removed: must not be found.</summary>
    Gone,

    /// <summary>Somebody was just making or removing it, or it was never synced: absent or whole.</summary>
    Uncertain,

    /// <summary>In the log, not synced: must survive the end of the process.</summary>
    SurvivesKill,

    /// <summary>Acknowledged: must survive a power cut.</summary>
    Durable,
}

/// <summary>What a block must be.</summary>
internal sealed class BlockModel(byte[] content)
{
    internal byte[] Content { get; } = content;

    internal Knowledge Knowledge { get; set; } = Knowledge.Uncertain;
}

/// <summary>What a drive must hold.</summary>
internal sealed class DriveModel
{
    internal SortedDictionary<ulong, BlockModel> Blocks { get; } = [];

    internal Knowledge Knowledge { get; set; } = Knowledge.Uncertain;
}

/// <summary>How a run ended.</summary>
internal enum CrashKind
{
    Kill,
    PowerCut,
}

/// <summary>What the callers of a block store know, and the check that a recovered store agrees.</summary>
internal sealed class StoreModel
{
    internal SortedDictionary<DriveId, DriveModel> Drives { get; } = [];

    /// <summary>Opens what a crash left and checks every promise.</summary>
    /// <exception cref="BrokenPromiseException">One is broken.</exception>
    internal void Check(SimulatedDisk disk, SimulatedKeyValueStore keyValues, CrashKind kind)
    {
        using BlockStore store = BlockStore.Open(disk, keyValues, StoreSimulation.OtherDisk);
        Require(store.DiskId != StoreSimulation.OtherDisk || Drives.Count == 0, "the disk has forgotten its identity");
        Require(store.Findings.IsEmpty, $"unexplained: {string.Join(' ', store.Findings)}");
        HashSet<DriveId> found = [.. store.ListDrives()];
        foreach ((DriveId id, DriveModel drive) in Drives)
        {
            bool isThere = found.Remove(id);
            if (Must(drive.Knowledge, kind)) { Require(isThere, $"drive {id} is lost"); }
            if (drive.Knowledge == Knowledge.Gone) { Require(!isThere, $"drive {id} is back"); }
            if (isThere) { CheckDrive(store, id, drive, kind); }
        }

        Require(found.Count == 0, "a drive appeared that nobody made");
        Require(!store.IsFailed, $"latched: {store.Failure}");
    }

    private static bool Must(Knowledge knowledge, CrashKind kind) =>
        knowledge == Knowledge.Durable || (knowledge == Knowledge.SurvivesKill && kind == CrashKind.Kill);

    private static void CheckDrive(BlockStore store, DriveId id, DriveModel drive, CrashKind kind)
    {
        StorageResult opened = store.OpenDrive(id);
        Require(opened.IsOk, $"drive {id} does not open: {opened.Message}");
        foreach ((ulong number, BlockModel block) in drive.Blocks)
        {
            BlockName name = new(id, new BlockId(number));
            byte[] content = new byte[block.Content.Length];
            Status status = store.ReadBlock(name, 0, content);
            bool isThere = status != Status.NotFound;
            Require(!isThere || status == Status.Ok, $"block {number} reads {status}");
            Require(!isThere || content.AsSpan().SequenceEqual(block.Content), $"block {number} has other bytes");
            if (Must(block.Knowledge, kind)) { Require(isThere, $"block {number} is lost"); }
            if (block.Knowledge == Knowledge.Gone) { Require(!isThere, $"block {number} is back"); }
        }

        // The blocks were read just now; what verification adds is entries, bounds, overlaps and the bitmap.
        DriveReport report = store.VerifyDrive(id, readBytes: false, null, CancellationToken.None)!;
        Require(report.IsClean, $"verification: {(report.IsClean ? "" : report.Problems[0].ToString())}");
    }

    private static void Require(bool holds, string what)
    {
        if (!holds) { throw new BrokenPromiseException(what); }
    }
}

/// <summary>A recovered store does not hold what an acknowledgement promised.</summary>
public sealed class BrokenPromiseException : Exception
{
    public BrokenPromiseException()
    {
    }

    public BrokenPromiseException(string message)
        : base(message)
    {
    }

    public BrokenPromiseException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
