namespace KvFs.Core;

/// <summary>What is to be done next for a shard.</summary>
public enum PlacementStepKind
{
    /// <summary>The primary lets the node learn the shard: <see cref="PoolMapChange.AddLearner"/>.</summary>
    AddLearner,

    /// <summary>Nothing to decide: the node learns, and the primary promotes it once it has compared logs with it:
    /// <see cref="PoolMapChange.Promote"/>.</summary>
    AwaitPromotion,

    /// <summary>The node learns in vain: <see cref="PoolMapChange.DropLearner"/>.</summary>
    DropLearner,

    /// <summary>The primary drops a copy that enough others stand in for: <see cref="PoolMapChange.DropSurplus"/>.
    /// </summary>
    DropSurplus,

    /// <summary>The primary hands over to the node: <see cref="PoolMapChange.HandOver"/>.</summary>
    MovePrimary,
}

/// <summary>One step, to be carried out by the shard's primary.</summary>
public readonly record struct PlacementStep(ShardId Shard, PlacementStepKind Kind, NodeId Node);

/// <summary>How much may be under way at a time.</summary>
/// <param name="MovesInPool">Nodes that learn a shard, in the whole pool.</param>
/// <param name="MovesPerNode">Shards that one node learns, and shards that one node teaches.</param>
/// <param name="PrimaryMoves">Primacies that one plan hands over.</param>
public readonly record struct PlacementLimits(int MovesInPool, int MovesPerNode, int PrimaryMoves)
{
    /// <summary>Few enough that clients hardly feel it, and that a node has each copy done soon.</summary>
    public static readonly PlacementLimits Default = new(8, 2, 4);
}

/// <summary>Who of the pool is there, as the caller sees it.</summary>
public enum NodePresence
{
    /// <summary>It answers.</summary>
    Here,

    /// <summary>It does not answer now: it gets nothing new, its place is kept.</summary>
    Silent,

    /// <summary>It has not answered for so long that its copies are made anew elsewhere.</summary>
    Lost,
}
