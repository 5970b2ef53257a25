namespace KvFs.Core;

/// <summary>How a shard begins anew when no process that was in sync is left: after a power cut.</summary>
public sealed partial class ReplicaNode
{
    private readonly SortedDictionary<ShardId, SortedDictionary<NodeId, ColdDisk>> coldDisks = [];
    private readonly SortedDictionary<ShardId, ColdWait> coldWaits = [];

    /// <summary>Tells the others in a shard's in-sync set what this disk has, while this process is not in sync.</summary>
    private void ReportCold(List<ReplicationEffect> effects)
    {
        foreach (ShardReplica shard in shards.Values)
        {
            if (shard.Reign is not { } reign || !IsCold(reign) || !shard.HasCopy) { continue; }
            ColdReport report = new(shard.Shard, reign.Epoch, shard.Last);
            foreach (InSyncReplica replica in reign.InSync)
            {
                if (replica.Node != self) { effects.Add(new SendMessage(replica.Node, report)); }
            }
        }
    }

    private void OnColdReport(NodeId from, BootId fromBoot, ColdReport report, TimeSpan now)
    {
        if (!coldDisks.TryGetValue(report.Shard, out SortedDictionary<NodeId, ColdDisk>? disks))
        {
            coldDisks.Add(report.Shard, disks = []);
        }

        disks[from] = new(fromBoot, report.Epoch, report.Last, now);
    }

    /// <summary>Whether this disk was in sync, and this process is not.</summary>
    private bool IsCold(Reign reign) => reign.BootOf(self) is var listed && listed.Value != 0 && listed < boot;

    /// <summary>Begins a shard anew, if its last processes are over and this disk has most; or, after a long wait in which none of them
    /// was there, if it has most of those that came.</summary>
    private void StartCold(ShardReplica shard, TimeSpan now, List<ReplicationEffect> effects)
    {
        if (shard.Reign is not { } reign || !IsCold(reign))
        {
            coldWaits.Remove(shard.Shard);
            return;
        }

        bool isLate = WaitedFor(reign, now) >= times.ColdStartWait;
        if (proposals.ContainsKey(shard.Shard) || !shard.HasCopy) { return; }
        coldDisks.TryGetValue(shard.Shard, out SortedDictionary<NodeId, ColdDisk>? disks);
        bool isBefore = false;
        foreach (InSyncReplica replica in reign.InSync)
        {
            if (replica.Node == self)
            {
                isBefore = true;
                continue;
            }

            if (disks is null || !disks.TryGetValue(replica.Node, out ColdDisk? disk) || disk.Epoch != reign.Epoch
                || disk.Boot != Peers.BootOf(replica.Node) || now - disk.Heard >= times.Suspicion)
            {
                // Not there: it may have more. There, and still in sync: it takes the shard over, or has it.
                if (!isLate || (!Peers.IsSilent(replica.Node, now) && !Peers.IsOver(replica))) { return; }
                continue;
            }

            // The one with most; of several with as much, the one that was primary, so that little has to move afterwards; else the
            // first.
            bool isPreferred = replica.Node == reign.Primary || (self != reign.Primary && !isBefore);
            if (disk.Last > shard.Last || (disk.Last == shard.Last && isPreferred)) { return; }
        }

        Propose(reign, reign.ColdStart(process), "nobody of the last reign is left", effects);
    }

    /// <summary>For how long no listed process of the others in a shard's in-sync set has been there, as far as this node can know. While
    /// one is there, it may acknowledge what this disk lacks: the wait for its disk begins once it is gone.</summary>
    private TimeSpan WaitedFor(Reign reign, TimeSpan now)
    {
        if (reign.InSync.Any(replica => replica.Node != self && Peers.GoneSince(replica, now) is null))
        {
            coldWaits.Remove(reign.Shard);
            return default;
        }

        // Who was taken in or took over since was there, though it was not heard here.
        if (!coldWaits.TryGetValue(reign.Shard, out ColdWait? wait) || wait.For.Primary != reign.Primary
            || !wait.For.InSync.SequenceEqual(reign.InSync))
        {
            coldWaits[reign.Shard] = wait = new(reign, now);
        }

        return now - wait.Since;
    }

    /// <summary>This node itself stood still for a while: it did not wait for anybody meanwhile.</summary>
    private void OnStalled(TimeSpan pause)
    {
        Peers.OnStalled(pause);
        foreach (ColdWait wait in coldWaits.Values) { wait.Since += pause; }
    }

    private sealed class ColdWait(Reign reign, TimeSpan since)
    {
        /// <summary>Whose processes are waited for.</summary>
        public Reign For { get; } = reign;

        public TimeSpan Since { get; set; } = since;
    }

    private sealed record ColdDisk(BootId Boot, Epoch Epoch, LogPosition Last, TimeSpan Heard);
}
