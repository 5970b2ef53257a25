using System.Buffers.Text;
using System.Collections.Immutable;
using System.Text;

namespace KvFs.Core;

/// <summary>A node as the ring sees it.</summary>
/// <param name="Node">Who it is.</param>
/// <param name="Place">The name that its points are made of, unique on the ring.</param>
/// <param name="Zone">What fails together with it.</param>
/// <param name="Weight">Its share, in percent: 100 is one share, 150 points.</param>
public readonly record struct RingNode(NodeId Node, string Place, string Zone, uint Weight);

/// <summary>The consistent-hash ring: which nodes should keep a shard. Adding a node moves only what the node
/// takes.</summary>
/// <remarks>
/// A node has 150 × weight / 100 points (rounded down, at least one): point i is XXH64, seed 0, of the bytes of
/// <c>place#i</c>, i in decimal. A shard's point is that of <c>shard n</c>. Points are ordered by number, then by the
/// bytes of the place, then by i; the walk of a shard starts at the first point that is not below the shard's and goes
/// up and around. Immutable. The order in which the nodes are given does not matter. Source: docs/placement.md#the-ring.
/// </remarks>
public sealed class HashRing
{
    /// <summary>Points of a node of weight 100.</summary>
    public const int VirtualNodes = 150;

    private const int MaxDecimalBytes = 10;

    private readonly ImmutableArray<RingNode> nodes;
    private readonly int zoneCount;
    private readonly ulong[] points;

    /// <summary>For each point, whose it is: an index into <see cref="nodes"/>.</summary>
    private readonly int[] owners;

    /// <param name="members">The nodes; no place and no node twice.</param>
    public HashRing(IEnumerable<RingNode> members)
    {
        nodes = [.. members.OrderBy(static node => node.Place, StringComparer.Ordinal)];
        zoneCount = nodes.Select(static node => node.Zone).Distinct(StringComparer.Ordinal).Count();
        Invariant.Check(nodes.Select(static node => node.Place).Distinct(StringComparer.Ordinal).Count() == nodes.Length);
        Invariant.Check(nodes.Select(static node => node.Node).Distinct().Count() == nodes.Length);
        List<(ulong Point, int Owner, int Index)> all = [];
        for (int owner = 0; owner < nodes.Length; owner++)
        {
            int count = PointsOf(nodes[owner].Weight);
            for (int index = 0; index < count; index++) { all.Add((PointOf(nodes[owner].Place, index), owner, index)); }
        }

        all.Sort();
        points = [.. all.Select(static item => item.Point)];
        owners = [.. all.Select(static item => item.Owner)];
    }

    /// <summary>The nodes on the ring, by place.</summary>
    public ImmutableArray<RingNode> Nodes => nodes;

    public static int PointsOf(uint weight) => Math.Max(1, (int)(VirtualNodes * (ulong)weight / PoolLimits.NormalWeight));

    /// <summary>Where a node's point with a number lies.</summary>
    public static ulong PointOf(string place, int index)
    {
        Invariant.Check(index >= 0);
        int length = Encoding.UTF8.GetByteCount(place);
        Span<byte> bytes = stackalloc byte[256 + 1 + MaxDecimalBytes];
        Invariant.Check(length <= 256);
        Encoding.UTF8.GetBytes(place, bytes);
        bytes[length++] = (byte)'#';
        return Hash(bytes, length, (uint)index);
    }

    /// <summary>Where a shard's walk starts.</summary>
    public static ulong PointOf(ShardId shard)
    {
        Span<byte> bytes = stackalloc byte[6 + MaxDecimalBytes];
        "shard "u8.CopyTo(bytes);
        return Hash(bytes, 6, shard.Value);
    }

    /// <summary>All nodes in the order in which the walk of a shard meets them first.</summary>
    public ImmutableArray<NodeId> Order(ShardId shard)
    {
        ImmutableArray<NodeId>.Builder order = ImmutableArray.CreateBuilder<NodeId>(nodes.Length);
        foreach (int owner in Walk(shard)) { order.Add(nodes[owner].Node); }
        return order.ToImmutable();
    }

    /// <summary>Which nodes should keep a shard: the first on its walk, at most <paramref name="count"/>; no zone gets a
    /// second copy before every zone has one, nor a third before every zone that can has two, and so on. The first one is
    /// whom the ring would have as primary.</summary>
    public ImmutableArray<NodeId> Replicas(ShardId shard, int count)
    {
        Invariant.Check(count >= 0);
        count = Math.Min(count, nodes.Length);
        List<int> chosen = [];
        List<int> skipped = [];
        HashSet<string> zones = new(StringComparer.Ordinal);
        int spread = Math.Min(count, zoneCount);
        foreach (int owner in Walk(shard))
        {
            if (chosen.Count == count) { break; }
            List<int> into = chosen.Count < spread && zones.Add(nodes[owner].Zone) ? chosen : skipped;
            into.Add(owner);
        }

        while (chosen.Count < count)
        {
            zones.Clear();
            foreach (int owner in skipped.ToArray())
            {
                if (chosen.Count == count || !zones.Add(nodes[owner].Zone)) { continue; }
                chosen.Add(owner);
                skipped.Remove(owner);
            }
        }

        return [.. chosen.Select(owner => nodes[owner].Node)];
    }

    private IEnumerable<int> Walk(ShardId shard)
    {
        if (points.Length == 0) { yield break; }
        int start = FirstNotBelow(PointOf(shard));
        bool[] seen = new bool[nodes.Length];
        int left = nodes.Length;
        for (int step = 0; left > 0; step++)
        {
            int owner = owners[(start + step) % points.Length];
            if (seen[owner]) { continue; }
            seen[owner] = true;
            left--;
            yield return owner;
        }
    }

    private int FirstNotBelow(ulong point)
    {
        int low = 0;
        int high = points.Length;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (points[middle] < point) { low = middle + 1; }
            else { high = middle; }
        }

        return low;
    }

    private static ulong Hash(Span<byte> bytes, int length, uint number)
    {
        bool fits = Utf8Formatter.TryFormat(number, bytes[length..], out int digits);
        Invariant.Check(fits);
        return XxHash64.Compute(bytes[..(length + digits)]);
    }
}
