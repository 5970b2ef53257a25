namespace KvFs.Core.Tests.Model;

/// <summary>Keeps what a check finds.</summary>
internal sealed class FindingList : List<DriveFinding>, IFindingSink
{
    /// <summary>Checks a drive as it is.</summary>
    public static FindingList Of(TestDrive drive)
    {
        FindingList findings = [];
        DriveChecker.Check(drive.Head, drive.Counters, findings);
        return findings;
    }

    public static void Nothing(TestDrive drive)
    {
        FindingList findings = Of(drive);
        Assert.True(findings.Count == 0, string.Join('\n', findings));
    }
}
