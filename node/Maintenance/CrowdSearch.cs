using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Storage;

namespace KvFs.Node.Maintenance;

/// <summary>Finds the clusters that are worth folding and that nobody noted, or whose note was lost: looks through all drives
/// once after a start, and again whenever <see cref="DriveWork"/> had to let go of notes.</summary>
/// <remarks>One thread runs it, a small step now and then, so that a start of a node with much data is not a burden. It waits
/// while much is noted. A drive whose records cannot be read is passed over: reads tell of it.</remarks>
public sealed class CrowdSearch(DriveHost host, DriveWork work)
{
    /// <summary>Records that one step looks at: some 10 ms of one core, a second.</summary>
    private const int RecordsPerStep = 16 << 10;

    private readonly List<CrowdedCluster> found = [];
    private DriveId? at;
    private CrowdWalk? walk;
    private bool isDone;

    /// <summary>Looks at some records.</summary>
    /// <param name="records">How many; for a test.</param>
    /// <returns>True if there is more to look at.</returns>
    public bool Step(int records = RecordsPerStep)
    {
        if (isDone && work.TakeLost())
        {
            isDone = false;
            at = null;
        }

        if (isDone || work.HasMuchToFold) { return !isDone; }
        HostedDrive? drive = walk is null ? null : host.Find(at!.Value);
        if (drive is null && (drive = Next()) is null)
        {
            isDone = true;
            return false;
        }

        if (!Look(drive, records)) { walk = null; }
        return true;
    }

    private HostedDrive? Next()
    {
        foreach (HostedDrive drive in host.All)
        {
            if ((at is { } seen && drive.Id.CompareTo(seen) <= 0) || drive.State.Policy.Flags != DriveFlags.None) { continue; }
            at = drive.Id;
            walk = new();
            return drive;
        }

        walk = null;
        return null;
    }

    /// <summary>One step over a drive; true if there is more of it.</summary>
    private bool Look(HostedDrive drive, int records)
    {
        bool more = false;
        found.Clear();
        try
        {
            StoredDriveView own = new(host.Records, [new(drive.Id, CowNumber.Head)]);
            more = walk!.Step(own, records, found);
        }
        catch (RecordCorruptException corrupt)
        {
            drive.OnCorrupt(corrupt);
        }
        catch (StorageException)
        {
            // Its records cannot be read: whoever asks for them is told. The search goes on with the next drive.
            more = false;
        }

        foreach (CrowdedCluster cluster in found) { work.Fold(drive, cluster); }
        return more;
    }
}
