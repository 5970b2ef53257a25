using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Node.Replication;

/// <summary>What the keepers of blocks must know of shards, and what the shards must know of blocks.</summary>
public sealed partial class ReplicationDriver
{
    private readonly CopiedBlocks copies;

    // Not a Lock: threads wait for pulses of it.
    private readonly object viewed = new();

    /// <summary>Waits until the pool map is another one, or for so long.</summary>
    internal void AwaitView(TimeSpan atMost)
    {
        using RequestThreads.Place place = RequestThreads.Leave();
        lock (viewed) { Monitor.Wait(viewed, atMost); }
    }

    /// <summary>The other copies of a shard; null: this node is not its primary.</summary>
    internal ShardCopies? CopiesOf(ShardId shard)
    {
        lock (gate) { return hasFailed ? null : copies.CopiesOf(shard); }
    }

    /// <summary>The other nodes that may have a shard's blocks: first its primary, then those that count, then those that do not yet.
    /// </summary>
    internal IReadOnlyList<NodeId> HoldersOf(ShardId shard)
    {
        lock (gate) { return ReignOf(shard) is { } reign ? BlockSearch.HoldersOf(reign, Process.Node) : []; }
    }

    /// <summary>Whether this node is primary of a shard.</summary>
    internal bool Leads(ShardId shard)
    {
        lock (gate) { return !hasFailed && Find(shard)?.Core.IsPrimary == true; }
    }

    /// <summary>Whether this node is primary of a shard and may serve it: its lease holds, and there are copies enough.</summary>
    internal bool CanKeep(ShardId shard)
    {
        lock (gate) { return !hasFailed && Find(shard)?.Core.CanServe(SuspendClock.Now) == true; }
    }

    /// <summary>The primary of any shard, by the newest map that is known here; null: none is.</summary>
    internal NodeId? PrimaryOf(ShardId shard)
    {
        lock (gate) { return hasFailed ? null : ReignOf(shard)?.Primary; }
    }

    /// <summary>Whether this node has a copy of a shard, or is to get one.</summary>
    internal bool IsMemberOf(ShardId shard)
    {
        lock (gate) { return ReignOf(shard)?.Members.Contains(Process.Node) == true; }
    }

    /// <summary>The nodes of a shard's copies that count, this one included.</summary>
    internal IReadOnlyList<NodeId> InSyncOf(ShardId shard)
    {
        lock (gate) { return ReignOf(shard) is { } reign ? [.. reign.InSync.Select(static replica => replica.Node)] : []; }
    }

    /// <summary>All other nodes of the pool.</summary>
    internal IReadOnlyList<NodeId> Others()
    {
        lock (gate) { return [.. core.View.Members.Select(static member => member.Node).Where(node => node != Process.Node)]; }
    }

    /// <summary>The reign of this node as primary of a shard; null: it is not.</summary>
    internal Epoch? ReignHere(ShardId shard)
    {
        lock (gate) { return !hasFailed && Find(shard)?.Core is { IsPrimary: true, Reign: { } reign } ? reign.Epoch : null; }
    }

    /// <summary>Whether a reign of any shard is not known to be over.</summary>
    internal bool IsCurrent(ShardId shard, Epoch epoch)
    {
        lock (gate) { return !hasFailed && ReignOf(shard) is { } reign && reign.Epoch <= epoch; }
    }

    /// <summary>Whether it is worth waiting until a copy has a block: it counts, or is about to, and is there.</summary>
    internal bool IsWaitedFor(ShardId shard, InSyncReplica copy)
    {
        lock (gate) { return !hasFailed && copies.IsWaitedFor(shard, copy, SuspendClock.Now); }
    }

    /// <summary>A copy was not given a block.</summary>
    /// <returns>True: it does not count now, and will not before it has all blocks again. False: it counts.</returns>
    internal bool OnBlockMissed(ShardId shard, InSyncReplica copy)
    {
        lock (gate) { return copies.OnMissed(shard, copy); }
    }

    /// <summary>A copy is about to be told which blocks there are.</summary>
    /// <returns>What names the list; null: this node is not the primary.</returns>
    internal ulong? BeginList(ShardId shard, NodeId node)
    {
        lock (gate) { return hasFailed ? null : copies.BeginList(shard, node); }
    }

    /// <summary>A copy has all blocks of a list.</summary>
    /// <returns>Ok; Busy: it missed some since the list began; StaleEpoch.</returns>
    internal Status OnBlocksComplete(ShardId shard, NodeId node, BootId boot, ulong token)
    {
        lock (gate) { return hasFailed ? Status.StaleEpoch : copies.OnComplete(shard, node, boot, token); }
    }

    /// <summary>Blocks cannot be kept here any more.</summary>
    internal void OnBlocksFailed()
    {
        lock (gate) { Fail("a disk that takes no blocks any more"); }
    }

    /// <summary>Whether this node keeps blocks of a shard for a primary of a reign.</summary>
    internal bool MayCopy(ShardId shard, Epoch epoch)
    {
        lock (gate)
        {
            return !hasFailed && !forgetting.Contains(shard) && Find(shard)?.Core.Reign is { } reign && reign.Epoch <= epoch && !IsLed(shard);
        }
    }

    /// <summary>Shards of which this node has a copy, by number, and the last entry of each.</summary>
    internal IReadOnlyList<(ShardId Shard, LogPosition Last)> CopiesHere()
    {
        lock (gate)
        {
            if (hasFailed) { return []; }
            return
            [
                .. replicas.Where(one => ReignOf(one.Key)?.Members.Contains(Process.Node) == true && one.Value.Core.HasCopy)
                    .Select(static one => (one.Key, one.Value.Core.Last)),
            ];
        }
    }

    /// <summary>Shards of which this node has a copy that does not count, and who leads them.</summary>
    internal IReadOnlyList<(ShardId Shard, NodeId Primary)> CopiesThatDoNotCount()
    {
        lock (gate)
        {
            if (hasFailed) { return []; }
            List<(ShardId, NodeId)> found = [];
            foreach ((ShardId shard, HostedReplica replica) in replicas)
            {
                if (replica.Core.Reign is not { } reign || reign.Primary == Process.Node || !reign.Members.Contains(Process.Node)) { continue; }
                if (!reign.Has(Process.Node, Process.Boot) && !forgetting.Contains(shard)) { found.Add((shard, reign.Primary)); }
            }

            return found;
        }
    }

    /// <summary>Of any shard, whether or not this node has a copy of it.</summary>
    private Reign? ReignOf(ShardId shard) => shard.Value < core.View.Reigns.Length ? core.View.Reigns[shard.Value] : null;

    private bool IsLed(ShardId shard) => replicas[shard].Core.IsPrimary;
}
