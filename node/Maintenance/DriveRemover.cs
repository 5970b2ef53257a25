using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Storage;

namespace KvFs.Node.Maintenance;

/// <summary>Removes drives that were deleted and that no clone pins: first their blocks, then their records.</summary>
/// <remarks>In order: (1) that it is Deleting is durable; (2) its folder with all blocks goes, durably; (3) one batch removes its
/// records and, of a clone, the pin in its origin, which may then go, too; (4) that is made durable, and the drive forgotten. A
/// crash in between is found by the next start: the drive is still Deleting.</remarks>
internal sealed class DriveRemover(
    DriveHost host, BlockStore blocks, Reaper reaper, IDriveWork work)
{
    /// <summary>True once the drive is gone; false: try again later.</summary>
    public bool Run(HostedDrive drive)
    {
        lock (host.Changes)
        {
            if (drive.Sessions.Count > 0 || drive.Shard.Sync() != Status.Ok) { return false; }
            Status status = blocks.DeleteDrive(drive.Id, drive.State.Policy.Spread).Status;
            if (status is not (Status.Ok or Status.NotFound)) { return false; }
            HostedDrive? origin = drive.State.Policy.Origins is [DriveLayer layer, ..] ? host.Find(layer.Drive) : null;
            if (drive.Forget(origin) != Status.Ok || drive.Shard.Sync() != Status.Ok) { return false; }
            host.Remove(drive.Id);
            reaper.Forget(drive.Id);
            if (origin is not null) { work.Reap(origin); }
            return true;
        }
    }
}
