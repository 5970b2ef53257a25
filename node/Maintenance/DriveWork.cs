using System.Collections.Concurrent;
using KvFs.Core;
using KvFs.Node.Drives;
using Microsoft.Extensions.Logging;

namespace KvFs.Node.Maintenance;

/// <summary>Takes note of what drives leave to the background, and has it done by loops that remove, pack and flatten.
/// </summary>
/// <remarks>Thread safe. A drive that is noted twice is done once. What is noted is only a hint that saves looking: after a
/// start every drive is looked at.</remarks>
public sealed partial class DriveWork : IDriveWork
{
    /// <summary>Clusters that wait to be folded; beyond that they are found again by their next write.</summary>
    private const int MaxCrowded = 4096;

    private readonly ConcurrentDictionary<DriveId, HostedDrive> reap = new();
    private readonly ConcurrentDictionary<ClusterKey, HostedDrive> crowded = new();
    private ConcurrentDictionary<ClusterKey, HostedDrive> written = new();
    private ConcurrentDictionary<ClusterKey, HostedDrive> resting = new();
    private readonly ILogger logger;
    private long corruptRecords;

    public DriveWork(ILogger logger)
    {
        this.logger = logger;
    }

    /// <summary>Damaged records that were met since the start.</summary>
    public long CorruptRecords => Volatile.Read(ref corruptRecords);

    /// <summary>Wakes the loop that removes.</summary>
    public Action? ReapNoted { get; set; }

    /// <summary>Wakes the loop that packs.</summary>
    public Action? FoldNoted { get; set; }

    /// <summary>Wakes the loop that flattens.</summary>
    public Action? FlattenNoted { get; set; }

    /// <summary>Folds one cluster now, on the caller's thread, as <see cref="Packer.Fold"/>.</summary>
    public Func<HostedDrive, VNodeId, uint, Status>? FoldNow { get; set; }

    public Status Clear(HostedDrive drive, Obstacle obstacle)
    {
        Status status = obstacle.Kind == ObstacleKind.Cut
            ? Reaper.FinishCut(drive, obstacle.Node)
            : FoldNow?.Invoke(drive, obstacle.Node, obstacle.Cluster) ?? Status.Busy;
        return status switch
        {
            // Somebody else cleared it, or the file is gone: the operation sees for itself.
            Status.NoData or Status.Stale or Status.NotFound => Status.Ok,
            Status.Conflict => Status.Busy,
            _ => status,
        };
    }

    public void Fold(HostedDrive drive, CrowdedCluster cluster)
    {
        ArgumentNullException.ThrowIfNull(drive);
        if (crowded.Count >= MaxCrowded || !FoldPlanner.IsWorthwhile(cluster)) { return; }
        ClusterKey key = new(drive.Id, cluster.Node, cluster.Cluster);
        if (!FoldPlanner.IsUrgent(cluster))
        {
            Volatile.Read(ref written)[key] = drive;
            return;
        }

        crowded[key] = drive;
        FoldNoted?.Invoke();
    }

    public void Reap(HostedDrive drive)
    {
        ArgumentNullException.ThrowIfNull(drive);
        reap[drive.Id] = drive;
        ReapNoted?.Invoke();
    }

    public void Flatten() => FlattenNoted?.Invoke();

    /// <summary>Keeps a drive noted whose work has to wait; nobody is woken.</summary>
    public void Keep(HostedDrive drive)
    {
        ArgumentNullException.ThrowIfNull(drive);
        reap[drive.Id] = drive;
    }

    public void OnCorrupt(HostedDrive drive, RecordCorruptException corrupt)
    {
        ArgumentNullException.ThrowIfNull(drive);
        ArgumentNullException.ThrowIfNull(corrupt);
        Interlocked.Increment(ref corruptRecords);
        LogCorrupt(logger, drive.State.Policy.Name, corrupt.Message);
    }

    /// <summary>Takes all drives that were noted.</summary>
    public List<HostedDrive> TakeReap()
    {
        List<HostedDrive> taken = [];
        foreach (DriveId id in reap.Keys.Order())
        {
            if (reap.TryRemove(id, out HostedDrive? drive)) { taken.Add(drive); }
        }

        return taken;
    }

    /// <summary>Has those clusters folded that were written before the last call and not since: call it now and then, from
    /// one thread.</summary>
    public void FoldResting()
    {
        ConcurrentDictionary<ClusterKey, HostedDrive> recent = Interlocked.Exchange(ref written, new());
        foreach ((ClusterKey key, HostedDrive drive) in resting)
        {
            if (!recent.ContainsKey(key)) { crowded[key] = drive; }
        }

        resting = recent;
    }

    /// <summary>Takes one cluster that is to be folded: the least, so that the order is the same in every run.</summary>
    public bool TryTakeCrowded(out HostedDrive? drive, out VNodeId node, out uint cluster)
    {
        while (!crowded.IsEmpty)
        {
            ClusterKey key = crowded.Keys.Min();
            if (crowded.TryRemove(key, out drive))
            {
                node = key.Node;
                cluster = key.Cluster;
                return true;
            }
        }

        drive = null;
        node = default;
        cluster = 0;
        return false;
    }

    private readonly record struct ClusterKey(DriveId Drive, VNodeId Node, uint Cluster) : IComparable<ClusterKey>
    {
        public int CompareTo(ClusterKey other) =>
            (Drive, Node, Cluster).CompareTo((other.Drive, other.Node, other.Cluster));
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Drive '{Drive}' has a damaged record. {What}")]
    private static partial void LogCorrupt(ILogger logger, string drive, string what);
}
