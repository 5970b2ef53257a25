using System.Collections.Immutable;

namespace KvFs.Core.Tests;

/// <summary>Pool maps for tests.</summary>
internal static class Pools
{
    internal static readonly PoolId Id = new(0x0123_4567_89AB_CDEF);

    internal static BootId Boot(int number) => new((UInt128)number);

    internal static NodeIntroduction Node(int number, string zone = "", uint weight = 100) =>
        new($"node-{number}", [$"10.0.0.{number}:7400"], zone, weight, new((UInt128)(1000 + number)));

    /// <summary>A pool of nodes 1 to <paramref name="nodes"/> in so many zones, founded under boot ids 1 to n.</summary>
    internal static PoolMap Found(int nodes, int shards = 64, int replicas = 3, int minInSync = 2, int zones = 0)
    {
        MapChange founded = PoolMapChange.Found(
            Id,
            new(replicas, minInSync),
            shards,
            [.. Enumerable.Range(1, nodes).Select(number =>
                (Node(number, zones == 0 ? "" : $"zone-{number % zones}"), Boot(number)))]);
        return Done(founded);
    }

    /// <summary>The new map; fails the test if the change was refused, or if it could not follow the old one.</summary>
    internal static PoolMap Done(MapChange change, PoolMap? before = null)
    {
        Assert.True(change.IsDone, $"{change.Status}: {change.Reason}");
        if (before is not null)
        {
            Assert.Null(PoolMapSuccession.FindBroken(before, change.Map));
            Assert.Equal(before.Revision + 1, change.Map.Revision);
        }

        return change.Map;
    }

    internal static void Refused(Status status, MapChange change)
    {
        Assert.Equal(status, change.Status);
        Assert.Null(change.Map);
        Assert.NotEmpty(change.Reason);
    }

    internal static PoolMap With(PoolMap map, ShardId shard, ShardEntry entry)
    {
        bool made = PoolMap.TryCreate(
            map.Pool, map.Revision, map.Settings, map.NextNode, map.Nodes, map.Shards.SetItem(shard.Value, entry),
            out PoolMap? changed, out string reason);
        Assert.True(made, reason);
        return changed!;
    }

    internal static InSyncReplica Copy(PoolMap map, uint node, BootId boot) => new(new(node), map.Find(new NodeId(node))!.Disk, boot);

    /// <summary>Any valid map: nodes in any state, copies anywhere, any primaries and learners.</summary>
    internal static PoolMap Draw(Random random)
    {
        int nodeCount = random.Next(1, 12);
        int zones = random.Next(1, 5);
        NodeState[] states =
        [
            .. Enumerable.Range(0, nodeCount).Select(_ => random.Next(6) switch
            {
                0 => NodeState.Draining,
                1 => NodeState.Gone,
                _ => NodeState.Up,
            }),
        ];
        states[random.Next(nodeCount)] = NodeState.Up;
        ImmutableArray<PoolNode> nodes = [.. states.Select((state, at) => new PoolNode(
            new((uint)(at * 2) + 1), $"n{at}", $"n{at}", [$"h{at}:1", "[::1]:2"], random.Next(3) == 0 ? "" : $"z{random.Next(zones)}",
            (uint)random.Next(50, 200), state, new((UInt128)(at + 7))))];
        PoolNode[] there = [.. nodes.Where(static node => node.State != NodeState.Gone)];
        int replicas = random.Next(1, 5);
        ImmutableArray<ShardEntry>.Builder shards = ImmutableArray.CreateBuilder<ShardEntry>();
        for (int shard = random.Next(1, 40); shard > 0; shard--)
        {
            PoolNode[] drawn = [.. there.OrderBy(_ => random.Next())];
            int copies = random.Next(1, Math.Min(drawn.Length, replicas + 2) + 1);
            int learners = random.Next(0, Math.Min(drawn.Length - copies, 2) + 1);
            ulong epoch = (ulong)random.Next(1, 9);
            shards.Add(new(
                new(epoch),
                drawn[0].Id,
                [.. drawn[..copies].OrderBy(static node => node.Id.Value)
                    .Select(node => new InSyncReplica(node.Id, node.Disk, Boot(random.Next(1, 99))))],
                [.. drawn[copies..(copies + learners)].Select(static node => node.Id).OrderBy(static id => id.Value)],
                random.Next(1, replicas + 1),
                random.Next(2) == 0,
                random.Next(12) == 0 ? Lost(new(epoch), drawn[0].Id, random) : null));
        }

        bool made = PoolMap.TryCreate(
            Id, (ulong)random.Next(1, 1000), new(replicas, random.Next(1, replicas + 1)), new(99), nodes,
            shards.ToImmutable(), out PoolMap? map, out string reason);
        Assert.True(made, reason);
        return map!;
    }

    private static ShardLoss Lost(Epoch epoch, NodeId gone, Random random) => new(
        epoch, new(new(epoch.Value - 1), new((ulong)random.Next(9))), [gone], (ulong)random.Next(), "root", random.Next(2) == 0 ? "" : "fire & water");
}
