using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Storage;
using KvFs.Protocol;

namespace KvFs.Node;

public sealed partial class StorageNode
{
    /// <summary>What it has done since its start. Waits for nobody: not even for a shard that cannot commit.</summary>
    public NodeActivity GetActivity()
    {
        NodeStatus status = GetStatus();
        BlockStatistics did = blocks.GetStatistics();
        System.IO.DriveInfo disk = new(Options.DataPath);
        return new(
            default,
            default,
            Options.Clock.GetElapsedTime(0),
            status.IsOk,
            status.Trouble,
            (ulong)disk.TotalSize,
            (ulong)disk.AvailableFreeSpace,
            (ulong)did.BlocksRead,
            (ulong)did.BytesRead,
            (ulong)did.BlocksWritten,
            (ulong)did.BytesWritten,
            [.. host.All.Where(static drive => (drive.State.Policy.Flags & (DriveFlags.Hidden | DriveFlags.Deleting)) == 0).Select(Of)]);
    }

    private static DriveActivity Of(HostedDrive drive)
    {
        DrivePolicy policy = drive.State.Policy;
        (long commits, TimeSpan commitTime) = drive.GetCommits();

        // The gate is held by who waits for a commit, perhaps for long: a figure that was true a moment ago is enough.
        return new(
            drive.Id,
            policy.Name,
            drive.Counters.UsedBytes,
            policy.QuotaBytes,
            drive.Sessions.Count,
            (ulong)drive.Requests,
            (ulong)commits,
            commitTime,
            (ulong)drive.CommittedBytes);
    }
}
