namespace KvFs.Core;

/// <summary>The coverage of clusters that were written lately, as the last built transaction left them.</summary>
/// <remarks>
/// The driver keeps one per shard and lends it to its <see cref="DriveTransaction"/>; without one, each transaction reads
/// records. Least recently used clusters go first. How it stays right: whatever a transaction changed or loaded after its first
/// write is forgotten if the transaction is not built (<see cref="Rollback"/>), and read from records when it is needed
/// again. A driver that cannot append a built transaction to the log calls <see cref="Clear"/>. Whoever changes slice records
/// in another way than by the operations calls <see cref="Forget"/>. Not thread safe.
/// </remarks>
public sealed class ClusterCache(int capacity)
{
    /// <summary>What an entry costs beside its ranges, in ranges.</summary>
    private const int EntryWeight = 16;

    private readonly Dictionary<ClusterName, LinkedListNode<Entry>> places = [];
    private readonly LinkedList<Entry> byUse = new();
    private readonly List<ClusterName> uncertain = [];
    private int weight;

    /// <summary>Clusters held.</summary>
    public int Count => places.Count;

    public void Clear()
    {
        places.Clear();
        byUse.Clear();
        uncertain.Clear();
        weight = 0;
    }

    public void Forget(DriveId drive, VNodeId node, uint cluster) => Remove(new(drive, node, cluster));

    /// <summary>What this transaction did is in the log's order now.</summary>
    internal void Accept() => uncertain.Clear();

    /// <summary>What this transaction did never happened.</summary>
    internal void Rollback()
    {
        foreach (ClusterName name in uncertain) { Remove(name); }
        uncertain.Clear();
    }

    internal ClusterCoverage? Find(DriveId drive, VNodeId node, uint cluster)
    {
        if (!places.TryGetValue(new(drive, node, cluster), out LinkedListNode<Entry>? place)) { return null; }
        byUse.Remove(place);
        byUse.AddFirst(place);
        return place.Value.Coverage;
    }

    /// <summary>Adds a coverage that was just read; <paramref name="isUncertain"/>: with this transaction's own writes.</summary>
    internal void Add(DriveId drive, VNodeId node, uint cluster, ClusterCoverage coverage, bool isUncertain)
    {
        ClusterName name = new(drive, node, cluster);
        Remove(name);
        places.Add(name, byUse.AddFirst(new Entry(name, coverage) { Weight = EntryWeight + coverage.RangeCount }));
        weight += EntryWeight + coverage.RangeCount;
        if (isUncertain) { uncertain.Add(name); }
        while (weight > capacity && places.Count > 1) { Remove(byUse.Last!.Value.Name); }
    }

    /// <summary>A transaction has changed the coverage.</summary>
    internal void OnChanged(DriveId drive, VNodeId node, uint cluster)
    {
        ClusterName name = new(drive, node, cluster);
        uncertain.Add(name);
        if (!places.TryGetValue(name, out LinkedListNode<Entry>? place)) { return; }
        Entry entry = place.Value;
        weight += EntryWeight + entry.Coverage.RangeCount - entry.Weight;
        entry.Weight = EntryWeight + entry.Coverage.RangeCount;
    }

    private void Remove(ClusterName name)
    {
        if (!places.Remove(name, out LinkedListNode<Entry>? place)) { return; }
        byUse.Remove(place);
        weight -= place.Value.Weight;
    }

    private readonly record struct ClusterName(DriveId Drive, VNodeId Node, uint Cluster);

    private sealed class Entry(ClusterName name, ClusterCoverage coverage)
    {
        public ClusterName Name { get; } = name;

        public ClusterCoverage Coverage { get; } = coverage;

        public int Weight { get; set; }
    }
}
