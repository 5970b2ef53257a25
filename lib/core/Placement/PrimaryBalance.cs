using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>Evens out how many primacies each node has, by as few moves as lead there.</summary>
/// <remarks>
/// A node's share is its part of the ring's weight. It may have an eighth more or less, rounded away from the share:
/// nothing moves within that bound, so nothing moves back and forth. Who has too many gives along the shortest chain
/// of replica sets to who has room; then who has too few takes likewise. Each chain brings the sum of all excess and
/// lack down, and none raises it, so there is an end; where the replica sets allow no chain, it stays uneven.
/// Deterministic.
/// </remarks>
internal sealed class PrimaryBalance
{
    /// <summary>The part of its share by which a node may be above or below.</summary>
    private const ulong Tolerance = 8;

    private readonly IReadOnlyList<ImmutableArray<NodeId>> candidates;
    private readonly IList<NodeId> primaries;
    private readonly SortedDictionary<uint, Load> loads = [];

    /// <param name="nodes">Who has a share.</param>
    /// <param name="candidates">For each shard, who may be its primary, the best first; empty: it stays as it is.</param>
    /// <param name="primaries">For each shard, who is its primary. Changed by the moves.</param>
    /// <param name="evenly">Nobody has more or less than its share, rounded.</param>
    internal PrimaryBalance(
        IReadOnlyList<RingNode> nodes, IReadOnlyList<ImmutableArray<NodeId>> candidates, IList<NodeId> primaries, bool evenly = false)
    {
        (ulong lower, ulong upper) = evenly ? (Tolerance, Tolerance) : (Tolerance - 1, Tolerance + 1);
        this.candidates = candidates;
        this.primaries = primaries;
        ulong weights = nodes.Aggregate(0UL, static (sum, node) => sum + node.Weight);
        foreach (RingNode node in nodes)
        {
            ulong share = (ulong)primaries.Count * node.Weight;
            ulong parts = Tolerance * weights;
            loads[node.Node.Value] = new Load
            {
                Low = (int)(share * lower / parts),
                High = (int)(((share * upper) + parts - 1) / parts),
            };
        }

        foreach (NodeId primary in primaries)
        {
            if (loads.TryGetValue(primary.Value, out Load? load)) { load.Count++; }
        }
    }

    /// <summary>Whether a node can be given one more without having too many.</summary>
    internal bool HasRoom(NodeId node) => loads.TryGetValue(node.Value, out Load? load) && load.Count < load.High;

    /// <summary>Whether a node can give one away without having too few.</summary>
    internal bool CanGive(NodeId node) => !loads.TryGetValue(node.Value, out Load? load) || load.Count > load.Low;

    /// <summary>Notes that a shard's primacy moves.</summary>
    internal void Move(int shard, NodeId to)
    {
        if (loads.TryGetValue(primaries[shard].Value, out Load? from)) { from.Count--; }
        if (loads.TryGetValue(to.Value, out Load? target)) { target.Count++; }
        primaries[shard] = to;
    }

    /// <summary>Carries out all moves.</summary>
    internal void MoveAll()
    {
        while (NextChain() is { } chain)
        {
            foreach ((int shard, NodeId to) in chain) { Move(shard, to); }
        }
    }

    /// <summary>The next chain of moves, to be made in this order; null if there is none. Not noted yet.</summary>
    internal List<(int Shard, NodeId To)>? NextChain()
    {
        foreach ((uint node, _) in ByDistance(static load => load.Count - load.High))
        {
            if (Chain(node, static load => load.Count < load.High, gives: true) is { } given) { return given; }
        }

        foreach ((uint node, _) in ByDistance(static load => load.Low - load.Count))
        {
            if (Chain(node, static load => load.Count > load.Low, gives: false) is { } taken) { return taken; }
        }

        return null;
    }

    private IEnumerable<KeyValuePair<uint, Load>> ByDistance(Func<Load, int> distance) =>
        loads.Where(item => distance(item.Value) > 0).OrderByDescending(item => distance(item.Value));

    /// <summary>Searches breadth first from a node to the nearest with room, along shards that one end leads and the
    /// other may.
    /// </summary>
    private List<(int Shard, NodeId To)>? Chain(uint start, Func<Load, bool> isEnd, bool gives)
    {
        Dictionary<uint, (uint Node, int Shard)> cameFrom = new() { [start] = (0, -1) };
        Queue<uint> open = new([start]);
        ILookup<uint, int> shards = Enumerable.Range(0, primaries.Count)
            .SelectMany(shard => (gives ? [primaries[shard]] : candidates[shard])
                .Select(node => (Node: node.Value, Shard: shard)))
            .ToLookup(static item => item.Node, static item => item.Shard);
        while (open.TryDequeue(out uint node))
        {
            if (node != start && isEnd(loads[node])) { return Follow(cameFrom, node, gives); }
            foreach ((int shard, uint next) in shards[node]
                .SelectMany(shard => Neighbours(shard, gives))
                .OrderBy(link => Rank(link.Shard, gives ? link.Node : node))
                .ThenBy(static link => link.Shard))
            {
                if (next == node || !loads.ContainsKey(next) || !cameFrom.TryAdd(next, (node, shard))) { continue; }
                open.Enqueue(next);
            }
        }

        return null;
    }

    private IEnumerable<(int Shard, uint Node)> Neighbours(int shard, bool gives)
    {
        if (candidates[shard].IsEmpty) { return []; }
        return gives ? candidates[shard].Select(node => (shard, node.Value)) : [(shard, primaries[shard].Value)];
    }

    /// <summary>How far from the best primary of a shard a node is.</summary>
    private int Rank(int shard, uint node) => candidates[shard].IndexOf(new(node));

    private static List<(int Shard, NodeId To)> Follow(
        Dictionary<uint, (uint Node, int Shard)> cameFrom, uint end, bool gives)
    {
        List<(int Shard, NodeId To)> chain = [];
        for (uint node = end; cameFrom[node].Shard >= 0; node = cameFrom[node].Node)
        {
            chain.Add((cameFrom[node].Shard, new(gives ? node : cameFrom[node].Node)));
        }

        // From the end that has room on: so nobody has more in between than at the start or at the end.
        if (!gives) { chain.Reverse(); }
        return chain;
    }

    private sealed class Load
    {
        internal int Count { get; set; }

        internal int Low { get; init; }

        internal int High { get; init; }
    }
}
