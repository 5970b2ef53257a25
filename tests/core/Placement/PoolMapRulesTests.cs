using System.Collections.Immutable;

namespace KvFs.Core.Tests;

public sealed class PoolMapRulesTests
{
    private static readonly PoolMap Map = Pools.Found(4, shards: 3);

    public static TheoryData<string> Names => ["", " ", "a b", "a#1", "a\"b", "a\\b", "ä", "a\n", new('x', 254)];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_node_with_an_impossible_name_place_zone_or_address_is_refused(string text)
    {
        Broken("name", node: static (node, text) => node with { Name = text }, text);
        Broken("place", node: static (node, text) => node with { Place = text }, text);
        if (text.Length > 0) { Broken("zone", node: static (node, text) => node with { Zone = text }, text); }
        Broken("address", node: static (node, text) => node with { Addresses = [text.Length == 254 ? text + text : text] }, text);
    }

    [Fact]
    public void Every_rule_of_nodes_is_kept()
    {
        Broken("addresses", static node => node with { Addresses = [] });
        Broken("addresses", static node => node with { Addresses = default });
        Broken("addresses", static node => node with { Addresses = [.. Enumerable.Repeat("a:1", 9)] });
        Broken("weight", static node => node with { Weight = 0 });
        Broken("weight", static node => node with { Weight = 1001 });
        Broken("state", static node => node with { State = 0 });
        Broken("state", static node => node with { State = (NodeState)4 });
        Broken("no disk", static node => node with { Disk = default });
        Broken("disk is another", static node => node with { Disk = Map.Nodes[0].Disk });
        Broken("name is another", static node => node with { Name = Map.Nodes[0].Name });
        Broken("place is another", static node => node with { Place = Map.Nodes[0].Place });
        Broken("not above", static node => node with { Id = new(1) });
        Broken("not above", static node => node with { Id = new(0) });
        Broken("next node", nextNode: new(4));
        Broken("nodes", nodes: [.. Enumerable.Range(1, 1025).Select(static id =>
            Map.Nodes[0] with { Id = new((uint)id), Name = $"x{id}", Place = $"x{id}", Disk = new((UInt128)id) })], nextNode: new(2000));
    }

    [Fact]
    public void A_name_may_be_used_again_once_its_node_is_gone_and_a_place_once_its_node_drains()
    {
        PoolMap gone = Pools.Done(PoolMapChange.Join(Map, Pools.Node(9)));
        gone = Pools.Done(PoolMapChange.Remove(gone, new(5)), gone);
        PoolNode again = gone.Nodes[4] with { Id = new(6), Disk = new(77), State = NodeState.Up };
        Assert.Null(Reason(nodes: [.. gone.Nodes, again], nextNode: new(7)));
        Assert.Null(Reason(nodes:
        [
            Map.Nodes[0] with { State = NodeState.Draining }, Map.Nodes[1] with { Place = Map.Nodes[0].Place }, .. Map.Nodes[2..],
        ]));
    }

    [Fact]
    public void Every_rule_of_the_pool_is_kept()
    {
        Broken("no id", pool: default(PoolId));
        Broken("revision", revision: 0);
        Broken("revision", revision: 1UL << 53);
        Broken("replicas", settings: new(0, 0));
        Broken("replicas", settings: new(9, 1));
        Broken("minInSync", settings: new(3, 0));
        Broken("minInSync", settings: new(3, 4));
        Broken("0 shards", shards: []);
        Broken("4097 shards", shards: [.. Enumerable.Repeat(Map.Shards[0], 4097)]);
    }

    [Fact]
    public void Every_rule_of_shards_is_kept()
    {
        InSyncReplica one = Pools.Copy(Map, 1, Pools.Boot(1));
        InSyncReplica two = Pools.Copy(Map, 2, Pools.Boot(2));
        Broken("epoch", new ShardEntry(new(0), new(1), [one], []));
        Broken("epoch", new ShardEntry(new(1UL << 53), new(1), [one], []));
        Broken("enough", new ShardEntry(new(1), new(1), [one], [], Enough: 0));
        Broken("enough", new ShardEntry(new(1), new(1), [one], [], Enough: 9));
        Broken("no copy", new ShardEntry(new(1), new(1), [], []));
        Broken("no copy", new ShardEntry(new(1), new(1), default, []));
        Broken("learners", new ShardEntry(new(1), new(1), [one], default));
        Broken("primary", new ShardEntry(new(1), new(2), [one], []));
        Broken("primary", new ShardEntry(new(1), new(2), [one], [new(2)]));
        Broken("not above", new ShardEntry(new(1), new(1), [one, one], []));
        Broken("not above", new ShardEntry(new(1), new(1), [two, one], []));
        Broken("not above", new ShardEntry(new(1), new(1), [one], [new(3), new(2)]));
        Broken("not above", new ShardEntry(new(1), new(1), [one], [new(3), new(3)]));
        Broken("in sync already", new ShardEntry(new(1), new(1), [one], [new(1)]));
        Broken("not in the pool", new ShardEntry(new(1), new(1), [one], [new(5)]));
        Broken("not in the pool", new ShardEntry(new(1), new(1), [one, one with { Node = new(5) }], []));
        Broken("another disk", new ShardEntry(new(1), new(1), [one with { Disk = two.Disk }], []));
        Broken("no boot id", new ShardEntry(new(1), new(1), [one with { Boot = default }], []));
        NodeId[] many = [.. Enumerable.Range(2, 16).Select(static id => new NodeId((uint)id))];
        Broken("copies", new ShardEntry(new(1), new(1), [one], [.. many]));
        ImmutableArray<PoolNode> gone = Map.Nodes.SetItem(0, Map.Nodes[0] with { State = NodeState.Gone });
        Broken("node 1 is not in the pool", nodes: gone, shards: [new ShardEntry(new(1), new(1), [one], [])]);
        Broken("1 is not in the pool", nodes: gone, shards: [new ShardEntry(new(1), new(2), [two], [new(1)])]);
    }

    [Fact]
    public void A_map_that_goes_back_cannot_follow()
    {
        PoolMap before = Pools.Draw(new(3));
        PoolMap next = Pools.Done(PoolMapChange.Join(before, Pools.Node(200)), before);
        Cannot("revision", next, before);
        Cannot("pool", before, Remade(next, pool: new(5)));
        Cannot("next node", next, Remade(before, revision: next.Revision + 1));
        Cannot("shards", before, Remade(next, shards: [.. next.Shards, next.Shards[0]]));
        ShardEntry entry = before.Shards[0];
        Cannot("below", Pools.With(before, new(0), entry with { Epoch = new(50) }), next);
        ShardEntry other = entry with { InSync = [entry.InSync[0] with { Boot = new(1234) }, .. entry.InSync[1..]] };
        Cannot("differs", Pools.With(before, new(0), other), next);
        PoolNode gone = next.Nodes[^1] with { State = NodeState.Gone };
        PoolMap removed = Remade(next, revision: next.Revision + 1, nodes: next.Nodes.SetItem(next.Nodes.Length - 1, gone));
        Assert.Null(PoolMapSuccession.FindBroken(next, removed));
        Cannot("gone", removed, Remade(next, revision: removed.Revision + 1));
        Cannot("another name or disk", before, Remade(next, nodes: next.Nodes.SetItem(0, next.Nodes[0] with { Name = "other" })));
        PoolNode reused = next.Nodes[0] with { Id = new(2), Name = "x", Place = "x", Disk = new(999) };
        Cannot("used before", before, Remade(next, nodes: next.Nodes.Insert(1, reused)));
    }

    private static void Cannot(string word, PoolMap before, PoolMap next) =>
        Assert.Contains(word, PoolMapSuccession.FindBroken(before, next), StringComparison.Ordinal);

    private static PoolMap Remade(
        PoolMap map,
        PoolId? pool = null,
        ulong? revision = null,
        ImmutableArray<PoolNode>? nodes = null,
        ImmutableArray<ShardEntry>? shards = null)
    {
        bool made = PoolMap.TryCreate(
            pool ?? map.Pool, revision ?? map.Revision, map.Settings, map.NextNode, nodes ?? map.Nodes, shards ?? map.Shards,
            out PoolMap? remade, out string reason);
        Assert.True(made, reason);
        return remade!;
    }

    private static void Broken(string word, Func<PoolNode, string, PoolNode> node, string text) =>
        Broken(word, nodes: Map.Nodes.SetItem(3, node(Map.Nodes[3], text)));

    private static void Broken(string word, Func<PoolNode, PoolNode> node) =>
        Broken(word, nodes: Map.Nodes.SetItem(3, node(Map.Nodes[3])));

    private static void Broken(string word, ShardEntry shard) => Broken(word, shards: [Map.Shards[0], shard]);

    private static void Broken(
        string word,
        PoolId? pool = null,
        ulong revision = 1,
        PoolSettings? settings = null,
        NodeId? nextNode = null,
        ImmutableArray<PoolNode>? nodes = null,
        ImmutableArray<ShardEntry>? shards = null) =>
        Assert.Contains(word, Reason(pool, revision, settings, nextNode, nodes, shards), StringComparison.Ordinal);

    private static string? Reason(
        PoolId? pool = null,
        ulong revision = 1,
        PoolSettings? settings = null,
        NodeId? nextNode = null,
        ImmutableArray<PoolNode>? nodes = null,
        ImmutableArray<ShardEntry>? shards = null) =>
        PoolMap.TryCreate(
            pool ?? Map.Pool, revision, settings ?? Map.Settings, nextNode ?? Map.NextNode, nodes ?? Map.Nodes, shards ?? Map.Shards,
            out PoolMap? map, out string reason)
            ? null
            : map is null ? reason : "a map, although it is refused";
}
