using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Integration.Tests.Crash;

/// <summary>Everything that can be checked of a data folder that nobody serves: the records of every drive, and every byte
/// of its blocks.</summary>
internal static class DataFolderCheck
{
    /// <returns>What is wrong; nothing is right.</returns>
    public static List<string> Run(string data)
    {
        List<string> wrong = [];
        using RocksKeyValueStore store = RocksKeyValueStore.Open(Path.Combine(data, "db"));
        using BlockStore blocks = BlockStore.Open(new LinuxDisk(data), store, new DiskId(1));
        FamilyReader records = store.Reader(Family.Namespace);
        foreach (DriveEntry entry in DriveCatalog.Read(records).Entries)
        {
            DriveId drive = entry.Drive;
            Status status = DriveRecords.Load(records, drive, out DriveState? state, out DriveCounters counters);
            if (status != Status.Ok)
            {
                wrong.Add($"{drive} cannot be loaded: {status}");
                continue;
            }

            Findings findings = new(wrong);
            DriveChecker.Check(new StoredDriveView(records, state!, CowNumber.Head), counters, findings);
            StorageResult opened = blocks.OpenDrive(drive);
            if (!opened.IsOk)
            {
                wrong.Add($"The blocks of {drive}: {opened.Message}");
                continue;
            }

            DriveReport report = blocks.VerifyDrive(drive, readBytes: true, null, CancellationToken.None)!;
            wrong.AddRange(report.Problems.Select(static problem => problem.ToString()));
        }

        return wrong;
    }

    private sealed class Findings(List<string> wrong) : IFindingSink
    {
        public void Add(DriveFinding finding) => wrong.Add(finding.ToString());
    }
}
