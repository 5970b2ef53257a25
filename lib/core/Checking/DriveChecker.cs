namespace KvFs.Core;

/// <summary>Checks that the records of a drive fit one another: what fsck is for a file system.</summary>
/// <remarks>
/// Reads only. A check of the present (online from a snapshot of the store, so that it sees one moment) or of a retained
/// version. Memory does not grow with the drive: records stream by in key order; names and references are counted in
/// windows of ids (4 MiB each), and a drive with ids in many windows is walked once per window.
/// <para>(1) <see cref="NodeCheck"/>: each VNode with all records that begin with its id. (2) <see cref="NameCheck"/>:
/// each VNode has as many names as it should. (3) <see cref="BlockCheck"/>: each block has as many references as it
/// should. A damaged record ends the part that meets it; the others go on.</para>
/// </remarks>
public static class DriveChecker
{
    /// <summary>Checks a drive, or a version of it.</summary>
    /// <param name="view">What to check.</param>
    /// <param name="counters">What the drive counted; of a retained version, what its record says.</param>
    /// <param name="findings">Takes what is wrong; nothing is right.</param>
    public static void Check(DriveView view, in DriveCounters counters, IFindingSink findings)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(findings);
        ulong inodes = 0;
        ulong bytes = 0;
        bool complete = Run(findings, () => NodeCheck.Run(view, findings, out inodes, out bytes));
        if (complete && inodes != counters.UsedInodes)
        {
            findings.Add(new(
                FindingKind.WrongUsedInodes, VNodeId.None, VNodeId.None, inodes, counters.UsedInodes, "VNodes"));
        }

        if (complete && bytes != counters.UsedBytes)
        {
            findings.Add(new(
                FindingKind.WrongUsedBytes, VNodeId.None, VNodeId.None, bytes, counters.UsedBytes, "bytes"));
        }

        Run(findings, () => NameCheck.Run(view, findings));
        if (view.At == CowNumber.Head) { Run(findings, () => BlockCheck.Run(view, findings)); }
    }

    private static bool Run(IFindingSink findings, Action check)
    {
        try
        {
            check();
            return true;
        }
        catch (RecordCorruptException damaged)
        {
            findings.Add(new(FindingKind.DamagedRecord, VNodeId.None, VNodeId.None, 0, 0, damaged.Message));
            return false;
        }
    }
}
