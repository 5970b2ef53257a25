using System.Collections.Immutable;
using Google.Protobuf;
using KvFs.Core;
using KvFs.Grpc;

namespace KvFs.Protocol.Wire;

/// <summary>The methods of pool.proto's service.</summary>
public static class PoolMethods
{
    public static GrpcMethod<V1.GetMapRequest, V1.PoolMapReply> GetMap { get; } = new(
        GrpcMethodKind.Unary,
        "kvfs.v1.Pool",
        "GetMap",
        Marshaller.Protobuf(V1.GetMapRequest.Parser),
        Marshaller.Protobuf(V1.PoolMapReply.Parser));

    public static GrpcMethod<V1.GetActivityRequest, V1.ActivityReply> GetActivity { get; } = new(
        GrpcMethodKind.Unary,
        "kvfs.v1.Pool",
        "GetActivity",
        Marshaller.Protobuf(V1.GetActivityRequest.Parser),
        Marshaller.Protobuf(V1.ActivityReply.Parser));

    public static GrpcMethod<V1.GetCopyRequest, V1.ShardCopyReply> GetCopy { get; } = new(
        GrpcMethodKind.Unary,
        "kvfs.v1.Pool",
        "GetCopy",
        Marshaller.Protobuf(V1.GetCopyRequest.Parser),
        Marshaller.Protobuf(V1.ShardCopyReply.Parser));

    public static GrpcMethod<V1.HandOverRequest, V1.HandOverReply> HandOver { get; } = new(
        GrpcMethodKind.Unary,
        "kvfs.v1.Pool",
        "HandOver",
        Marshaller.Protobuf(V1.HandOverRequest.Parser),
        Marshaller.Protobuf(V1.HandOverReply.Parser));

    public static GrpcMethod<V1.GetHealthRequest, V1.NodeHealthReply> GetHealth { get; } = new(
        GrpcMethodKind.Unary,
        "kvfs.v1.Pool",
        "GetHealth",
        Marshaller.Protobuf(V1.GetHealthRequest.Parser),
        Marshaller.Protobuf(V1.NodeHealthReply.Parser));

    public static GrpcMethod<V1.GetKnownMapRequest, V1.KnownMapReply> GetKnownMap { get; } = new(
        GrpcMethodKind.Unary,
        "kvfs.v1.Pool",
        "GetKnownMap",
        Marshaller.Protobuf(V1.GetKnownMapRequest.Parser),
        Marshaller.Protobuf(V1.KnownMapReply.Parser));

    public static GrpcMethod<V1.GetCopiesRequest, V1.CopiesReply> GetCopies { get; } = new(
        GrpcMethodKind.Unary,
        "kvfs.v1.Pool",
        "GetCopies",
        Marshaller.Protobuf(V1.GetCopiesRequest.Parser),
        Marshaller.Protobuf(V1.CopiesReply.Parser));
}

/// <summary>The health of a node on the wire.</summary>
public static class WireHealth
{
    public static V1.NodeHealthReply ToWire(this NodeHealth health)
    {
        ArgumentNullException.ThrowIfNull(health);
        return new()
        {
            UnrepairableBlocks = health.UnrepairableBlocks,
            RepairedBlocks = health.RepairedBlocks,
            QuarantinedBlocks = health.QuarantinedBlocks,
            QuarantinedBytes = health.QuarantinedBytes,
            LackingBlocks = health.LackingBlocks,
            DifferingBlocks = health.DifferingBlocks,
            SurplusBlocks = health.SurplusBlocks,
            LastScrub = health.LastScrub.Nanoseconds,
        };
    }

    public static NodeHealth ToHealth(this V1.NodeHealthReply reply)
    {
        ArgumentNullException.ThrowIfNull(reply);
        return new(
            reply.UnrepairableBlocks,
            reply.RepairedBlocks,
            reply.QuarantinedBlocks,
            reply.QuarantinedBytes,
            reply.LackingBlocks,
            reply.DifferingBlocks,
            reply.SurplusBlocks,
            new(reply.LastScrub));
    }
}

/// <summary>What a client knows of a pool: where its nodes are, and who leads which shard.</summary>
/// <param name="Revision">Of the map.</param>
/// <param name="Nodes">Those that were not removed: number and address.</param>
/// <param name="Places">What people call them, and what fails together with them.</param>
/// <param name="Primaries">By shard: the number of its primary.</param>
/// <param name="Holders">By shard: the nodes that have all of it, its primary among them.</param>
/// <param name="Replicas">How many are to have it.</param>
public sealed record PoolDirectory(
    ulong Revision,
    ImmutableDictionary<NodeId, string> Nodes,
    ImmutableDictionary<NodeId, NodePlace> Places,
    ImmutableArray<NodeId> Primaries,
    ImmutableArray<ImmutableArray<NodeId>> Holders,
    int Replicas);

/// <summary>Where a node is.</summary>
/// <param name="Name">What people call the node.</param>
/// <param name="Zone">What fails together with it; empty: not told.</param>
public readonly record struct NodePlace(string Name, string Zone);

/// <summary>The pool map on the wire.</summary>
public static class WirePool
{
    public static V1.PoolMapReply ToWire(this PoolMap map)
    {
        ArgumentNullException.ThrowIfNull(map);
        byte[] pool = new byte[PoolId.Size];
        map.Pool.Write(pool);
        V1.PoolMapReply reply = new()
        {
            Pool = UnsafeByteOperations.UnsafeWrap(pool),
            Revision = map.Revision,
            Replicas = (uint)map.Settings.Replicas,
        };
        foreach (PoolNode node in map.Nodes)
        {
            V1.MapNode told = new() { Id = node.Id.Value, Name = node.Name, Zone = node.Zone, State = (V1.MapNodeState)node.State };
            told.Addresses.AddRange(node.Addresses);
            reply.Nodes.Add(told);
        }

        foreach (ShardEntry entry in map.Shards)
        {
            V1.MapShard told = new() { Epoch = entry.Epoch.Value, Primary = entry.Primary.Value };
            told.InSync.AddRange(entry.InSync.Select(static copy => copy.Node.Value));
            told.Learners.AddRange(entry.Learners.Select(static node => node.Value));
            reply.Shards.Add(told);
        }

        return reply;
    }

    public static V1.KnownMapReply ToWire(this KnownMap known, string? refusal)
    {
        ArgumentNullException.ThrowIfNull(known);
        return new()
        {
            Node = known.Node.Value,
            Map = UnsafeByteOperations.UnsafeWrap(PoolMapCodec.Encode(known.Map)),
            Refusal = refusal ?? string.Empty,
        };
    }

    /// <exception cref="InvalidDataException">It makes no sense.</exception>
    public static KnownMap ToCore(this V1.KnownMapReply reply)
    {
        ArgumentNullException.ThrowIfNull(reply);
        return PoolMapCodec.TryDecode(reply.Map.Memory, out PoolMap? map, out string reason) == Status.Ok
            ? new(new(reply.Node), map!)
            : throw new InvalidDataException($"a pool map that cannot be read: {reason}");
    }

    /// <exception cref="InvalidDataException">It makes no sense.</exception>
    public static PoolDirectory ToDirectory(this V1.PoolMapReply reply)
    {
        ArgumentNullException.ThrowIfNull(reply);
        if (reply.Shards.Count is 0 or > PoolLimits.Shards) { throw new InvalidDataException($"a pool of {reply.Shards.Count} shards"); }
        ImmutableDictionary<NodeId, string>.Builder nodes = ImmutableDictionary.CreateBuilder<NodeId, string>();
        ImmutableDictionary<NodeId, NodePlace>.Builder places = ImmutableDictionary.CreateBuilder<NodeId, NodePlace>();
        foreach (V1.MapNode node in reply.Nodes)
        {
            if (node.State == V1.MapNodeState.Gone || node.Addresses.Count == 0) { continue; }
            nodes[new(node.Id)] = node.Addresses[0];
            places[new(node.Id)] = new(node.Name, node.Zone);
        }

        return new(
            reply.Revision,
            nodes.ToImmutable(),
            places.ToImmutable(),
            [.. reply.Shards.Select(static shard => new NodeId(shard.Primary))],
            [.. reply.Shards.Select(static shard => ImmutableArray.CreateRange(shard.InSync.Select(static node => new NodeId(node))))],
            (int)Math.Min(reply.Replicas, int.MaxValue));
    }
}
