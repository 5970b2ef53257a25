using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>What a pool asks of every shard.</summary>
/// <param name="Replicas">Copies of each shard: 1 to <see cref="PoolLimits.Replicas"/>.</param>
/// <param name="MinInSync">Copies below which no replica is dropped without a majority's vote: 1 to the number of copies.
/// </param>
public readonly record struct PoolSettings(int Replicas, int MinInSync)
{
    /// <summary>Three copies, of which two go on without a vote.</summary>
    public static readonly PoolSettings Default = new(3, 2);
}

/// <summary>Nodes and shards of a pool, the whole under one revision. Immutable, and valid: see
/// <see cref="PoolMapRules"/>.
/// </summary>
/// <remarks>Made by <see cref="TryCreate"/>, by <see cref="PoolMapCodec"/> and by the changes of
/// <see cref="PoolMapChange"/>. Source: docs/placement.md#the-map.</remarks>
public sealed class PoolMap
{
    private PoolMap(
        PoolId pool,
        ulong revision,
        PoolSettings settings,
        NodeId nextNode,
        ImmutableArray<PoolNode> nodes,
        ImmutableArray<ShardEntry> shards)
    {
        Pool = pool;
        Revision = revision;
        Settings = settings;
        NextNode = nextNode;
        Nodes = nodes;
        Shards = shards;
    }

    public PoolId Pool { get; }

    /// <summary>Rises with every change; the first map has 1.</summary>
    public ulong Revision { get; }

    public PoolSettings Settings { get; }

    /// <summary>The id that the next node gets.</summary>
    public NodeId NextNode { get; }

    /// <summary>By id.</summary>
    public ImmutableArray<PoolNode> Nodes { get; }

    /// <summary>By number: the entry of shard n is the n-th.</summary>
    public ImmutableArray<ShardEntry> Shards { get; }

    public ShardEntry this[ShardId shard] => Shards[shard.Value];

    /// <summary>Puts a map together; false, with the reason, if it breaks a rule.</summary>
    public static bool TryCreate(
        PoolId pool,
        ulong revision,
        PoolSettings settings,
        NodeId nextNode,
        ImmutableArray<PoolNode> nodes,
        ImmutableArray<ShardEntry> shards,
        out PoolMap? map,
        out string reason)
    {
        PoolMap candidate = new(pool, revision, settings, nextNode, nodes, shards);
        string? broken = PoolMapRules.FindBroken(candidate);
        map = broken is null ? candidate : null;
        reason = broken ?? string.Empty;
        return broken is null;
    }

    /// <summary>The node with an id, or null.</summary>
    public PoolNode? Find(NodeId id)
    {
        int low = 0;
        int high = Nodes.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            uint found = Nodes[middle].Id.Value;
            if (found == id.Value) { return Nodes[middle]; }
            if (found < id.Value) { low = middle + 1; }
            else { high = middle - 1; }
        }

        return null;
    }

    /// <summary>The node with a name that is not gone, or null.</summary>
    public PoolNode? Find(string name) =>
        Nodes.FirstOrDefault(node => node.State != NodeState.Gone && node.Name == name);

    /// <summary>The ring of the nodes that are up, but for those that the caller leaves out.</summary>
    public HashRing Ring(Func<NodeId, bool>? isLeftOut = null) => new(Nodes
        .Where(node => node.State == NodeState.Up && isLeftOut?.Invoke(node.Id) != true)
        .Select(static node => node.OnRing));

    /// <summary>Numbers of all shards.</summary>
    public IEnumerable<ShardId> ShardIds =>
        Enumerable.Range(0, Shards.Length).Select(static number => new ShardId((ushort)number));

    /// <summary>The same map one revision on, with other nodes.</summary>
    internal MapChange Change(ImmutableArray<PoolNode> nodes, NodeId? nextNode = null) =>
        Change(Settings, nextNode ?? NextNode, nodes, Shards);

    /// <summary>The same map one revision on, with other shards.</summary>
    internal MapChange Change(ImmutableArray<ShardEntry> shards) => Change(Settings, NextNode, Nodes, shards);

    internal MapChange Change(
        PoolSettings settings, NodeId nextNode, ImmutableArray<PoolNode> nodes, ImmutableArray<ShardEntry> shards) =>
        TryCreate(Pool, Revision + 1, settings, nextNode, nodes, shards, out PoolMap? map, out string reason)
            ? new(Status.Ok, map, string.Empty)
            : new(Status.Invalid, null, reason);
}
