namespace KvFs.Core;

/// <summary>What a node may still have of shards that have moved on from it.</summary>
public sealed partial class ReplicaNode
{
    /// <summary>Shards in which this node has no part, with the epochs in which it is known to have none.</summary>
    public IEnumerable<(ShardId Shard, Epoch Epoch)> Strange =>
        view.Reigns.Where(reign => MayForget(reign.Shard)).Select(static reign => (reign.Shard, reign.Epoch));

    /// <summary>Whether nothing here can count for a shard: by the newest map that is known this node has no part in it, and no primary of a
    /// later one has spoken to it.</summary>
    public bool MayForget(ShardId shard)
    {
        if (shard.Value >= view.Reigns.Length) { return false; }
        Reign reign = view.Reigns[shard.Value];
        return !reign.Members.Contains(self) && Find(shard)?.HasHeardBeyond(reign.Epoch) != true;
    }

    /// <summary>The driver removes all that the disk has of a shard in which this node has no part: see <see cref="MayForget"/>.</summary>
    /// <returns>Its empty replica.</returns>
    public ShardReplica Forget(ShardId shard, TimeSpan now, List<ReplicationEffect> effects)
    {
        Invariant.Check(MayForget(shard));
        shards.Remove(shard);
        ShardReplica empty = AddShard(shard, new(), default);
        empty.OnReign(view.Reigns[shard.Value], now, effects);
        return empty;
    }

    /// <summary>Whether this node, as the primary of a shard, knows that what another one may have left of it is of no use: that one has no part
    /// in it, as many others as the pool asks for have all of it, and it was never begun anew without what a lost copy may have had.</summary>
    /// <param name="shard">Which.</param>
    /// <param name="node">Whose.</param>
    /// <param name="epoch">In which that one knows that it has no part.</param>
    /// <param name="copies">How many the pool asks for.</param>
    /// <param name="now">The time.</param>
    public bool IsWholeWithout(ShardId shard, NodeId node, Epoch epoch, int copies, TimeSpan now) =>
        Find(shard) is { Reign: { } reign } replica
        && replica.CanServe(now)
        && reign.Epoch >= epoch
        && reign.Entry.Loss is null
        && !reign.Members.Contains(node)
        && reign.InSync.Length >= copies;
}
