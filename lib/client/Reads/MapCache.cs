using KvFs.Core;

namespace KvFs.Client;

/// <summary>The cluster maps of one file that are known to be current.</summary>
/// <remarks>The file's gate guards it. A map that was asked for before a change is not kept after it: whoever asks
/// takes <see cref="Generation"/> along. Bounded over all files by <see cref="MaxWeight"/>.</remarks>
internal sealed class MapCache
{
    /// <summary>Runs that all cached maps of the process may have together: some 15 MiB.</summary>
    private const long MaxWeight = 256 << 10;

    /// <summary>Bytes of inline data that weigh as much as a run.</summary>
    private const int BytesPerWeight = 56;

    private static long totalWeight;

    private readonly Dictionary<uint, ClusterMap> maps = [];
    private long weight;

    /// <summary>Rises whenever maps go out of date.</summary>
    public ulong Generation { get; private set; }

    public ClusterMap? Find(uint cluster) => maps.GetValueOrDefault(cluster);

    /// <summary>Keeps a map, if nothing has changed since its generation.</summary>
    public void Put(uint cluster, ClusterMap map, ulong generation)
    {
        if (generation != Generation) { return; }
        long added = WeightOf(map);
        if (Interlocked.Read(ref totalWeight) + added > MaxWeight) { Forget(); }
        if (Interlocked.Read(ref totalWeight) + added > MaxWeight || !maps.TryAdd(cluster, map)) { return; }
        weight += added;
        Interlocked.Add(ref totalWeight, added);
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
            if (maps.Remove(cluster, out ClusterMap? map)) { Lighten(WeightOf(map)); }
        }
    }

    /// <summary>Anything may have changed.</summary>
    public void Clear()
    {
        Generation++;
        Forget();
    }

    private static long WeightOf(ClusterMap map) => 1 + map.Runs.Count + (map.Inline.Length / BytesPerWeight);

    private void Forget()
    {
        maps.Clear();
        Lighten(weight);
    }

    private void Lighten(long by)
    {
        weight -= by;
        Interlocked.Add(ref totalWeight, -by);
    }
}
