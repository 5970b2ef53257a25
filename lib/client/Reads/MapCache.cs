using KvFs.Core;

namespace KvFs.Client;

/// <summary>The cluster maps of one file that are known to be current.</summary>
/// <remarks>The file's gate guards it. A map that was asked for before a change is not kept after it: whoever asks takes
/// <see cref="Generation"/> along.</remarks>
internal sealed class MapCache(MapBudget budget)
{
    private readonly Dictionary<uint, ClusterMap> maps = [];
    private long weight;

    /// <summary>Rises whenever maps go out of date.</summary>
    public ulong Generation { get; private set; }

    public ClusterMap? Find(uint cluster) => maps.GetValueOrDefault(cluster);

    /// <summary>Keeps a map, if nothing has changed since its generation.</summary>
    public void Put(uint cluster, ClusterMap map, ulong generation)
    {
        if (generation != Generation) { return; }
        if (maps.ContainsKey(cluster)) { return; }
        long added = MapBudget.WeightOf(map);
        bool isTaken = budget.TryTake(added);
        if (!isTaken)
        {
            Forget();
            isTaken = budget.TryTake(added);
        }

        if (!isTaken) { return; }
        weight += added;
        maps.Add(cluster, map);
    }

    /// <summary>The content of [from, to) has changed.</summary>
    public void Drop(ulong from, ulong to)
    {
        Generation++;
        if (maps.Count == 0 || from >= to) { return; }
        uint first = (uint)(from / Limits.ClusterBytes);
        uint last = (uint)((to - 1) / Limits.ClusterBytes);
        if (last - first >= (uint)maps.Count)
        {
            Forget();
            return;
        }

        for (uint cluster = first; cluster <= last; cluster++)
        {
            if (maps.Remove(cluster, out ClusterMap? map)) { Lighten(MapBudget.WeightOf(map)); }
        }
    }

    /// <summary>Anything may have changed.</summary>
    public void Clear()
    {
        Generation++;
        Forget();
    }

    private void Forget()
    {
        maps.Clear();
        Lighten(weight);
    }

    private void Lighten(long by)
    {
        weight -= by;
        budget.Return(by);
    }
}

/// <summary>Bounds the maps that a client caches over all its files.</summary>
internal sealed class MapBudget
{
    /// <summary>Runs of all cached maps together: some 15 MiB.</summary>
    private const long MaxWeight = 256 << 10;

    /// <summary>Bytes of inline data that weigh as much as a run.</summary>
    private const int BytesPerWeight = 56;

    private long taken;

    public static long WeightOf(ClusterMap map) => 1 + map.Runs.Count + (map.Inline.Length / BytesPerWeight);

    public bool TryTake(long weight)
    {
        if (Interlocked.Add(ref taken, weight) <= MaxWeight) { return true; }
        Interlocked.Add(ref taken, -weight);
        return false;
    }

    public void Return(long weight) => Interlocked.Add(ref taken, -weight);
}
