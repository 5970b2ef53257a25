using System.Collections.Concurrent;
using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Storage;
using Microsoft.Extensions.Logging;

namespace KvFs.Node.Maintenance;

/// <summary>Takes note of what drives leave to the background, and has it done by loops that remove, pack and flatten.
/// </summary>
/// <remarks>Thread safe. A drive that is noted twice is done once. What is noted is only a hint that saves looking: after a
/// start every drive is looked at.</remarks>
public sealed partial class DriveWork : IDriveWork
{
    /// <summary>Clusters that wait to be folded, at the most, and such that are still being written: bounds memory. Beyond
    /// that they are found again by their next write, or by <see cref="CrowdSearch"/>.</summary>
    private const int MaxCrowded = 4096;

    private readonly ConcurrentDictionary<DriveId, HostedDrive> reap = new();

    /// <summary>Guards what is noted of clusters.</summary>
    private readonly Lock noted = new();
    private readonly SortedDictionary<ClusterKey, HostedDrive> crowded = [];
    private readonly SortedDictionary<ClusterKey, HostedDrive> rested = [];
    private Dictionary<ClusterKey, HostedDrive> written = [];
    private Dictionary<ClusterKey, HostedDrive> resting = [];
    private bool hasLost;
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

    /// <summary>Wakes the loop that folds what must be folded soon.</summary>
    public Action? FoldNoted { get; set; }

    /// <summary>Wakes the loop that flattens.</summary>
    public Action? FlattenNoted { get; set; }

    /// <summary>Folds one cluster now, on the caller's thread, for a writer that waits for it: as little of it as must be.
    /// </summary>
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

    public void RemoveOrphans(HostedDrive drive, CancellationToken cancellationToken) =>
        Reaper.RemoveOrphans(drive, cancellationToken);

    public void Fold(HostedDrive drive, CrowdedCluster cluster)
    {
        ArgumentNullException.ThrowIfNull(drive);
        if (!FoldPlanner.IsWorthwhile(cluster)) { return; }
        bool isUrgent = FoldPlanner.IsUrgent(cluster);
        ClusterKey key = new(drive.Id, cluster.Node, cluster.Cluster);
        lock (noted)
        {
            // What is folded because it presses is folded well when it rests.
            Note(written, key, drive);
            if (isUrgent) { Note(crowded, key, drive); }
        }

        if (isUrgent) { FoldNoted?.Invoke(); }
    }

    /// <summary>A fold of a cluster that rested came to nothing, and may not the next time.</summary>
    public void FoldLater(in ClusterToFold cluster)
    {
        lock (noted) { Note(written, new(cluster.Drive.Id, cluster.Node, cluster.Cluster), cluster.Drive); }
    }

    /// <summary>Whether so many clusters wait that there is no need to look for more.</summary>
    public bool HasMuchToFold
    {
        get
        {
            lock (noted) { return Math.Max(crowded.Count, Math.Max(rested.Count, written.Count)) >= MaxCrowded / 2; }
        }
    }

    /// <summary>Whether notes of clusters were let go since the last call, because there were too many.</summary>
    public bool TakeLost()
    {
        lock (noted)
        {
            bool told = hasLost;
            hasLost = false;
            return told;
        }
    }

    public void Reap(HostedDrive drive)
    {
        Keep(drive);
        ReapNoted?.Invoke();
    }

    public void Flatten() => FlattenNoted?.Invoke();

    /// <summary>Keeps a drive noted whose work has to wait; nobody is woken. One of an earlier term is not to take the place of the one that
    /// serves.</summary>
    public void Keep(HostedDrive drive)
    {
        ArgumentNullException.ThrowIfNull(drive);
        if (drive.IsLetGo) { return; }
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
        lock (noted)
        {
            foreach ((ClusterKey key, HostedDrive drive) in resting)
            {
                if (!written.ContainsKey(key)) { Note(rested, key, drive); }
            }

            (resting, written) = (written, resting);
            written.Clear();
        }
    }

    /// <summary>Takes one cluster that must be folded soon; the least, so that the order is the same in every run.</summary>
    public bool TryTakeCrowded(out ClusterToFold cluster)
    {
        lock (noted) { return TryTake(crowded, FoldCopies.Inline, out cluster); }
    }

    /// <summary>Takes one cluster that rests and is worth a fold; the least.</summary>
    public bool TryTakeRested(out ClusterToFold cluster)
    {
        lock (noted) { return TryTake(rested, FoldCopies.Windows, out cluster); }
    }

    private static bool TryTake(
        SortedDictionary<ClusterKey, HostedDrive> notes, FoldCopies depth, out ClusterToFold cluster)
    {
        foreach ((ClusterKey key, HostedDrive drive) in notes)
        {
            notes.Remove(key);
            cluster = new(drive, key.Node, key.Cluster, depth);
            return true;
        }

        cluster = default;
        return false;
    }

    /// <summary>Takes note of a cluster, if there is room. With the lock held.</summary>
    private void Note(IDictionary<ClusterKey, HostedDrive> notes, ClusterKey key, HostedDrive drive)
    {
        if (notes.Count < MaxCrowded || notes.ContainsKey(key)) { notes[key] = drive; }
        else { hasLost = true; }
    }

    private readonly record struct ClusterKey(DriveId Drive, VNodeId Node, uint Cluster) : IComparable<ClusterKey>
    {
        public int CompareTo(ClusterKey other) =>
            (Drive, Node, Cluster).CompareTo((other.Drive, other.Node, other.Cluster));
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Drive '{Drive}' has a damaged record. {What}")]
    private static partial void LogCorrupt(ILogger logger, string drive, string what);
}

/// <summary>A cluster that is to be folded.</summary>
/// <param name="Drive">Whose.</param>
/// <param name="Node">The file.</param>
/// <param name="Cluster">Which cluster.</param>
/// <param name="Depth">What the fold is to copy.</param>
public readonly record struct ClusterToFold(HostedDrive Drive, VNodeId Node, uint Cluster, FoldCopies Depth);
