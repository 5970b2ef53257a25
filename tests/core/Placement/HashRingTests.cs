using System.Globalization;
using System.Text;

namespace KvFs.Core.Tests;

public sealed class HashRingTests
{
    private static readonly RingNode[] Example =
    [
        new(new(1), "alpha", "east", 100), new(new(2), "beta", "east", 100), new(new(3), "gamma", "west", 100),
        new(new(4), "delta", "west", 200), new(new(5), "epsilon", "north", 50),
    ];

    [Fact]
    public void The_published_vectors_hold()
    {
        StringBuilder vectors = new();
        foreach (RingNode node in Example)
        {
            foreach (int index in (int[])[0, 1, 149, 299])
            {
                vectors.Append(CultureInfo.InvariantCulture, $"{node.Place}#{index} {HashRing.PointOf(node.Place, index):x16}\n");
            }
        }

        HashRing ring = new(Example);
        for (ushort shard = 0; shard < 64; shard++)
        {
            ShardId id = new(shard);
            vectors.Append(
                CultureInfo.InvariantCulture,
                $"shard {shard} {HashRing.PointOf(id):x16} order {Names(ring.Order(id))} copies {Names(ring.Replicas(id, 4))}\n");
        }

        Golden.Check("ring-v1.txt", Encoding.UTF8.GetBytes(vectors.ToString()));
    }

    [Fact]
    public void The_order_in_which_nodes_are_given_does_not_matter()
    {
        Random random = new(1);
        HashRing expected = new(Example);
        for (int round = 0; round < 10; round++)
        {
            HashRing shuffled = new(Example.OrderBy(_ => random.Next()));
            for (ushort shard = 0; shard < 256; shard++)
            {
                Assert.Equal(expected.Order(new(shard)).AsEnumerable(), shuffled.Order(new(shard)));
                Assert.Equal(expected.Replicas(new(shard), 3).AsEnumerable(), shuffled.Replicas(new(shard), 3));
            }
        }
    }

    [Fact]
    public void Weight_decides_how_many_points_a_node_has_and_more_weight_only_adds()
    {
        Assert.Equal(150, HashRing.PointsOf(100));
        Assert.Equal(225, HashRing.PointsOf(150));
        Assert.Equal(1, HashRing.PointsOf(1));
        HashRing before = new(Example);
        HashRing after = new(Example.Select(static node => node.Place == "beta" ? node with { Weight = 250 } : node));
        for (ushort shard = 0; shard < 1024; shard++)
        {
            NodeId first = before.Order(new(shard))[0];
            NodeId now = after.Order(new(shard))[0];
            Assert.True(now == first || now == new NodeId(2));
        }
    }

    [Fact]
    public void Shares_follow_the_weights()
    {
        Dictionary<NodeId, int> first = [];
        HashRing ring = new(Example);
        const int Shards = 60_000;
        for (int shard = 0; shard < Shards; shard++)
        {
            NodeId node = ring.Order(new((ushort)shard))[0];
            first[node] = first.GetValueOrDefault(node) + 1;
        }

        long weights = Example.Sum(static node => node.Weight);
        Assert.All(Example, node => Assert.InRange(
            first[node.Node] / (double)Shards, 0.8 * node.Weight / weights, 1.2 * node.Weight / weights));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 3)]
    [InlineData(2, 3)]
    [InlineData(3, 3)]
    [InlineData(5, 3)]
    [InlineData(2, 5)]
    [InlineData(3, 7)]
    public void Copies_lie_in_distinct_zones_while_zones_last_and_are_even_over_them_after(int zones, int copies)
    {
        RingNode[] nodes = [.. Enumerable.Range(0, 12).Select(at => new RingNode(new((uint)at + 1), $"n{at}", $"z{at % zones}", 100))];
        HashRing ring = new(nodes);
        for (ushort shard = 0; shard < 300; shard++)
        {
            NodeId[] replicas = [.. ring.Replicas(new(shard), copies)];
            Assert.Equal(copies, replicas.Distinct().Count());
            Assert.Equal(ring.Order(new(shard))[0], replicas[0]);
            int[] perZone = [.. replicas.GroupBy(id => nodes[id.Value - 1].Zone).Select(static group => group.Count())];
            Assert.Equal(Math.Min(zones, copies), perZone.Length);
            Assert.True(perZone.Max() - perZone.Min() <= 1);
        }
    }

    [Fact]
    public void With_too_few_nodes_all_of_them_have_copies_and_without_any_there_are_none()
    {
        Assert.Equal([new(1), new(2)], new HashRing(Example[..2]).Replicas(new(7), 3).OrderBy(static id => id.Value));
        Assert.Empty(new HashRing([]).Replicas(new(7), 3));
        Assert.Empty(new HashRing([]).Order(new(7)));
        Assert.Empty(new HashRing(Example).Replicas(new(7), 0));
    }

    [Theory]
    [InlineData(3)]
    [InlineData(5)]
    [InlineData(9)]
    [InlineData(20)]
    public void A_node_that_joins_takes_about_its_share_and_nothing_else_moves(int nodes)
    {
        const int Shards = 2048;
        const int Copies = 3;
        HashRing before = new(Nodes(nodes));
        HashRing after = new(Nodes(nodes + 1));
        NodeId joined = new((uint)nodes + 1);
        int moved = 0;
        for (ushort shard = 0; shard < Shards; shard++)
        {
            NodeId[] was = [.. before.Replicas(new(shard), Copies)];
            NodeId[] now = [.. after.Replicas(new(shard), Copies)];
            NodeId[] added = [.. now.Except(was)];
            Assert.True(added is [] || added.SequenceEqual([joined]));
            moved += added.Length;
        }

        double ideal = Shards * Copies / (double)(nodes + 1);
        Assert.InRange(moved, 0.8 * ideal, 1.2 * ideal);
    }

    private static IEnumerable<RingNode> Nodes(int count) =>
        Enumerable.Range(1, count).Select(static at => new RingNode(new((uint)at), $"pool-{at}", "", 100));

    private static string Names(IEnumerable<NodeId> ids) =>
        string.Join(',', ids.Select(static id => Example[id.Value - 1].Place));
}
