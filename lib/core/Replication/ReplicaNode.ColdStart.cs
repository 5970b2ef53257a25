namespace KvFs.Core;

/// <summary>How a shard begins anew when no process that was in sync is left: after a power cut.</summary>
public sealed partial class ReplicaNode
{
    private readonly SortedDictionary<ShardId, SortedDictionary<NodeId, ColdDisk>> coldDisks = [];

    /// <summary>Tells the others in a shard's in-sync set what this disk has, while this process is not in sync.</summary>
    private void ReportCold(List<ReplicationEffect> effects)
    {
        foreach (ShardReplica shard in shards.Values)
        {
            if (shard.Reign is not { } reign || !IsCold(reign)) { continue; }
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

    /// <summary>Begins a shard anew, if its last processes are over and this disk has most; or, after a long wait, if it has
    /// most of those that came.</summary>
    private void StartCold(ShardReplica shard, TimeSpan now, List<ReplicationEffect> effects)
    {
        if (shard.Reign is not { } reign || !IsCold(reign) || proposals.ContainsKey(shard.Shard)) { return; }
        bool isLate = now - started >= times.ColdStartWait;
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

    private sealed record ColdDisk(BootId Boot, Epoch Epoch, LogPosition Last, TimeSpan Heard);
}
