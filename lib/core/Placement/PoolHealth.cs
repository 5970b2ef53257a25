using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>How a shard is; a higher number is worse.</summary>
public enum ShardCondition
{
    /// <summary>All copies are in sync, where the ring wants them.</summary>
    Full = 0,

    /// <summary>All copies are in sync; some are on their way to another node.</summary>
    Moving = 1,

    /// <summary>A copy is missing, and a node that is here learns it.</summary>
    Healing = 2,

    /// <summary>A copy is missing, and nobody learns it yet.</summary>
    MissingCopies = 3,

    /// <summary>Only one copy of several is left, or fewer than minInSync: the next loss may lose data.</summary>
    AtRisk = 4,

    /// <summary>The primary does not answer; another copy can take over, and will.</summary>
    NoPrimary = 5,

    /// <summary>No copy that counts is here: nothing is served, and only the nodes that have one can change
    /// that.</summary>
    Down = 6,
}

/// <summary>How one shard is.</summary>
/// <param name="Shard">Its number.</param>
/// <param name="Condition">The worst that is true of it.</param>
/// <param name="Present">Copies in sync on nodes that are here.</param>
/// <param name="Learning">Nodes that are here and learn it.</param>
public readonly record struct ShardHealth(ShardId Shard, ShardCondition Condition, int Present, int Learning);

/// <summary>What one node carries.</summary>
/// <param name="Node">Its id.</param>
/// <param name="Presence">Whether it is there.</param>
/// <param name="Primaries">Shards that it leads.</param>
/// <param name="InSync">Shards of which it has a copy that counts, those that it leads among them.</param>
/// <param name="Learning">Shards that it learns.</param>
public readonly record struct NodeLoad(NodeId Node, NodePresence Presence, int Primaries, int InSync, int Learning);

/// <summary>How a pool is: what lacks copies, what is at risk, what heals, what is down. For <c>kvfs pool status</c>,
/// metrics and the gate of the operator.</summary>
/// <remarks>Pure: a function of the map and of who is there.</remarks>
public sealed class PoolHealth
{
    private PoolHealth(ImmutableArray<ShardHealth> shards, ImmutableArray<NodeLoad> nodes, int wanted, int possible)
    {
        Shards = shards;
        Nodes = nodes;
        WantedCopies = wanted;
        PossibleCopies = possible;
    }

    /// <summary>By number.</summary>
    public ImmutableArray<ShardHealth> Shards { get; }

    /// <summary>By id, without those that are gone.</summary>
    public ImmutableArray<NodeLoad> Nodes { get; }

    /// <summary>Copies that the pool asks of every shard.</summary>
    public int WantedCopies { get; }

    /// <summary>Copies that it has nodes for: those that are up and not lost.</summary>
    public int PossibleCopies { get; }

    /// <summary>Copies that are not in sync on a node that is here, of all shards together.</summary>
    public int CopiesMissing => Shards.Sum(shard => Math.Max(0, WantedCopies - shard.Present));

    /// <summary>The worst condition of any shard.</summary>
    public ShardCondition Worst => Shards.Max(static shard => shard.Condition);

    /// <summary>Whether every shard has all copies, so that a node may be restarted.</summary>
    public bool IsFullyRedundant => Worst <= ShardCondition.Moving;

    /// <summary>Shards in a condition.</summary>
    public int Count(ShardCondition condition) => Shards.Count(shard => shard.Condition == condition);

    /// <summary>Looks at a map.</summary>
    public static PoolHealth Of(PoolMap map, Func<NodeId, NodePresence> presence)
    {
        HashRing ring = map.Ring(node => presence(node) == NodePresence.Lost);
        return new(
            [.. ShardPlacement.OfAll(map, ring, presence).Select(shard => Of(shard, map.Settings))],
            [
                .. map.Nodes
                    .Where(static node => node.State != NodeState.Gone)
                    .Select(node => Of(map, node.Id, presence(node.Id))),
            ],
            map.Settings.Replicas,
            Math.Min(ring.Nodes.Length, map.Settings.Replicas));
    }

    /// <summary>One line for people, the worst first: <c>64 shards: 2 at risk, 5 healing, 57 full</c>. What needs a
    /// person is said behind it.</summary>
    public string Summarize()
    {
        string conditions = string.Join(", ", Shards
            .GroupBy(static shard => shard.Condition)
            .OrderByDescending(static group => group.Key)
            .Select(static group => $"{group.Count()} {Describe(group.Key)}"));
        string lack = PossibleCopies < WantedCopies
            ? $"; {WantedCopies} copies are wanted, and there are nodes for {PossibleCopies}"
            : string.Empty;
        return $"{Shards.Length} shards: {conditions}{lack}";
    }

    /// <summary>A condition in words that follow a number.</summary>
    public static string Describe(ShardCondition condition) => condition switch
    {
        ShardCondition.Full => "full",
        ShardCondition.Moving => "moving",
        ShardCondition.Healing => "healing",
        ShardCondition.MissingCopies => "missing copies",
        ShardCondition.AtRisk => "at risk",
        ShardCondition.NoPrimary => "without primary",
        _ => "down",
    };

    private static ShardHealth Of(ShardPlacement shard, PoolSettings settings)
    {
        int learning = shard.Entry.Learners.Count(learner => shard.IsHere(learner) && shard.Wants(learner));
        return new(shard.Id, Judge(shard, settings, learning), shard.Present, learning);
    }

    private static ShardCondition Judge(ShardPlacement shard, PoolSettings settings, int learning)
    {
        if (shard.Present == 0) { return ShardCondition.Down; }
        if (!shard.IsLed) { return ShardCondition.NoPrimary; }
        bool isLast = shard.Present == 1 && settings.Replicas > 1;
        if (isLast || shard.Present < settings.MinInSync) { return ShardCondition.AtRisk; }
        if (shard.Present < settings.Replicas)
        {
            return learning > 0 ? ShardCondition.Healing : ShardCondition.MissingCopies;
        }

        return shard.IsInPlace && !shard.MustMovePrimary ? ShardCondition.Full : ShardCondition.Moving;
    }

    private static NodeLoad Of(PoolMap map, NodeId node, NodePresence presence) => new(
        node,
        presence,
        map.Shards.Count(entry => entry.Primary == node),
        map.Shards.Count(entry => entry.IsInSync(node)),
        map.Shards.Count(entry => entry.IsLearner(node)));
}
