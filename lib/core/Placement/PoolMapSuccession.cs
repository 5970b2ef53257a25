namespace KvFs.Core;

/// <summary>Whether a pool map can come after another one: what goes back is refused, wherever it comes from.</summary>
/// <remarks>Source: docs/placement.md#the-map.</remarks>
public static class PoolMapSuccession
{
    /// <summary>Why <paramref name="next"/> cannot be a later map of the same pool; null if it can.</summary>
    public static string? FindBroken(PoolMap before, PoolMap next)
    {
        if (next.Pool != before.Pool) { return $"it is of pool {next.Pool}, not of {before.Pool}"; }
        if (next.Revision <= before.Revision) { return $"revision {next.Revision} is not above {before.Revision}"; }
        if (next.NextNode.Value < before.NextNode.Value)
        {
            return $"the next node would be {next.NextNode.Value}, after {before.NextNode.Value}";
        }

        if (next.Shards.Length != before.Shards.Length)
        {
            return $"it has {next.Shards.Length} shards, and the pool {before.Shards.Length}";
        }

        return OfNodes(before, next) ?? OfShards(before, next);
    }

    /// <summary>Why a node that knows <paramref name="known"/> must not go on with what stands in the authority; null if it may: that is the
    /// same map, or a later one.</summary>
    public static string? FindRefusal(PoolMap known, PoolMap standing)
    {
        if (standing.Pool != known.Pool || standing.Revision != known.Revision) { return FindBroken(known, standing); }
        return standing.Settings == known.Settings && standing.NextNode == known.NextNode
            && standing.Nodes.AsSpan().SequenceEqual(known.Nodes.AsSpan()) && standing.Shards.AsSpan().SequenceEqual(known.Shards.AsSpan())
            ? null
            : $"it is another map of revision {known.Revision} than the one that is known";
    }

    private static string? OfNodes(PoolMap before, PoolMap next)
    {
        foreach (PoolNode node in next.Nodes)
        {
            PoolNode? earlier = before.Find(node.Id);
            if (earlier is null && node.Id.Value < before.NextNode.Value)
            {
                return $"the id of node {node.Id.Value} was used before";
            }

            if (earlier is { State: NodeState.Gone } && node.State != NodeState.Gone)
            {
                return $"node {node.Id.Value} was gone";
            }

            if (earlier is not null && (earlier.Disk != node.Disk || earlier.Name != node.Name))
            {
                return $"node {node.Id.Value} has another name or disk";
            }
        }

        return null;
    }

    private static string? OfShards(PoolMap before, PoolMap next)
    {
        for (int shard = 0; shard < before.Shards.Length; shard++)
        {
            ShardEntry was = before.Shards[shard];
            ShardEntry @is = next.Shards[shard];
            if (@is.Epoch < was.Epoch) { return $"epoch {@is.Epoch} of shard {shard} is below {was.Epoch}"; }
            if (@is.Epoch == was.Epoch && !@is.Equals(was)) { return $"shard {shard} differs within epoch {was.Epoch}"; }
            if (was.Loss is { } loss && !(@is.Loss?.Epoch >= loss.Epoch)) { return $"a loss of shard {shard} is on record no more"; }
        }

        return null;
    }
}
