namespace KvFs.Metrics;

/// <summary>Finds the series of a measurement's tags.</summary>
/// <remarks>Thread safe. A look-up of tags that were seen before takes no lock and allocates nothing; each order in which
/// callers pass the same tags is remembered for itself and leads to one series.</remarks>
internal sealed class SeriesTable(Func<string, Series> create)
{
    /// <summary>Series of one family: bounds memory and page when a tag takes values without end. Prometheus itself advises
    /// to stay below.</summary>
    public const int MaxSeries = 1000;

    /// <summary>Orders of tags that are remembered; callers beyond it pay for rendering.</summary>
    private const int MaxAliases = 4 * MaxSeries;

    private const string OverflowLabels = "overflow=\"true\"";

    private readonly Lock changes = new();
    private readonly Dictionary<string, Series> byLabels = new(StringComparer.Ordinal);
    private volatile Alias?[] buckets = new Alias?[64];
    private volatile Series? untagged;
    private int aliases;

    public Series Get(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (tags.IsEmpty) { return untagged ?? AddUntagged(); }
        int hash = HashOf(tags);
        Alias?[] table = buckets;
        for (Alias? at = Volatile.Read(ref table[hash & (table.Length - 1)]); at is not null; at = at.Next)
        {
            if (at.Hash == hash && SameTags(at.Tags, tags)) { return at.Series; }
        }
        return Add(hash, tags);
    }

    /// <summary>All series, ordered by their labels, so that a page does not change without a reason.</summary>
    public List<Series> ToSortedList()
    {
        lock (changes)
        {
            List<Series> all = [.. byLabels.Values];
            all.Sort((left, right) => string.CompareOrdinal(left.Labels, right.Labels));
            return all;
        }
    }

    private Series AddUntagged()
    {
        lock (changes) { return untagged ??= ByLabels(string.Empty); }
    }

    private Series Add(int hash, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        string labels = LabelSet.Render(tags);
        lock (changes)
        {
            Series series = ByLabels(labels);
            if (aliases < MaxAliases)
            {
                if (++aliases > buckets.Length) { Grow(); }
                ref Alias? place = ref buckets[hash & (buckets.Length - 1)];
                Volatile.Write(ref place, new Alias(hash, tags.ToArray(), series, place));
            }
            return series;
        }
    }

    private Series ByLabels(string labels)
    {
        if (byLabels.TryGetValue(labels, out Series? series)) { return series; }
        if (byLabels.Count >= MaxSeries - 1)
        {
            labels = OverflowLabels;
            if (byLabels.TryGetValue(labels, out series)) { return series; }
        }
        return byLabels[labels] = create(labels);
    }

    private void Grow()
    {
        Alias?[] larger = new Alias?[buckets.Length * 4];
        foreach (Alias? first in buckets)
        {
            for (Alias? at = first; at is not null; at = at.Next)
            {
                ref Alias? place = ref larger[at.Hash & (larger.Length - 1)];
                place = new Alias(at.Hash, at.Tags, at.Series, place);
            }
        }
        buckets = larger;
    }

    private static int HashOf(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        HashCode hash = default;
        foreach (KeyValuePair<string, object?> tag in tags)
        {
            hash.Add(tag.Key);
            hash.Add(tag.Value);
        }
        return hash.ToHashCode();
    }

    private static bool SameTags(KeyValuePair<string, object?>[] known, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (known.Length != tags.Length) { return false; }
        for (int at = 0; at < known.Length; at++)
        {
            if (known[at].Key != tags[at].Key || !Equals(known[at].Value, tags[at].Value)) { return false; }
        }
        return true;
    }

    private sealed record Alias(int Hash, KeyValuePair<string, object?>[] Tags, Series Series, Alias? Next);
}
