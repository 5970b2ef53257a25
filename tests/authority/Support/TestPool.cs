using KvFs.Core;

namespace KvFs.Authority.Tests.Support;

/// <summary>Maps to put and to change.</summary>
internal static class TestPool
{
    internal static PoolMap Found(int nodes = 3, int shards = 8, ulong pool = 77, int copies = 3)
    {
        MapChange founded = PoolMapChange.Found(
            new(pool),
            new(Math.Min(nodes, copies), 1),
            shards,
            [.. Enumerable.Range(1, nodes).Select(static number => (
                new NodeIntroduction($"node-{number}", [$"10.0.0.{number}:7400"], "", 100, new((UInt128)(500 + number))),
                new BootId((UInt128)number)))]);
        Assert.True(founded.IsDone, founded.Reason);
        return founded.Map;
    }

    /// <summary>The next map: one node has one percent more weight, so that weights count changes.</summary>
    internal static PoolMap Next(PoolMap map, int node = 1)
    {
        PoolNode before = map.Find(new NodeId((uint)node))!;
        MapChange change = PoolMapChange.Describe(map, before.Id, before.Addresses, before.Zone, before.Weight + 1);
        Assert.True(change.IsDone, change.Reason);
        return change.Map;
    }

    /// <summary>Changes counted by <see cref="Next"/>.</summary>
    internal static int Count(PoolMap map, int node = 1) => (int)map.Find(new NodeId((uint)node))!.Weight - 100;

    internal static void Same(PoolMap expected, PoolMap? actual)
    {
        Assert.NotNull(actual);
        Assert.Equal(PoolMapCodec.Encode(expected), PoolMapCodec.Encode(actual));
    }

    /// <summary>Puts a map; it must be Ok.</summary>
    internal static async Task<PoolMap> PutAsync(IPoolAuthority authority, PoolMap map, ulong? expected = null)
    {
        AuthorityAnswer answer = await authority.CompareAndSwapAsync(expected ?? map.Revision - 1, map, TestTime.Limit());
        Assert.True(answer.Outcome == AuthorityOutcome.Ok, $"{answer.Outcome}: {answer.Reason}");
        Same(map, answer.Map);
        return map;
    }
}
