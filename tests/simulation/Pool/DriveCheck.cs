using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>Whether the records of a drive fit one another.</summary>
internal sealed class DriveCheck : IFindingSink
{
    private readonly List<DriveFinding> findings = [];

    public void Add(DriveFinding finding) => findings.Add(finding);

    /// <exception cref="PoolFailedException">They do not.</exception>
    public static void Run(RecordTable records, DriveId drive)
    {
        if (DriveRecords.Load(records, drive, out DriveState? state, out DriveCounters counters) != Status.Ok) { return; }
        DriveCheck check = new();
        DriveChecker.Check(new StoredDriveView(records, state!, CowNumber.Head), counters, check);
        if (check.findings.Count > 0) { throw new PoolFailedException($"drive {drive}: {string.Join("; ", check.findings)}"); }
    }
}
