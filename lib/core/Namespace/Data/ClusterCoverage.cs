namespace KvFs.Core;

/// <summary>Which bytes of a cluster are backed, and by how many records: what a write must know to charge exactly.</summary>
/// <remarks>Far smaller than a <see cref="ClusterMap"/> (a fully written cluster is one range), so that thousands of small
/// commits per second need not read the records that they overlay. Describes all present records of the cluster. Not
/// thread safe.</remarks>
public sealed class ClusterCoverage
{
    private readonly List<Range> ranges = [];

    /// <summary>Slice records above the base.</summary>
    public int Deltas { get; private set; }

    /// <summary>Runs of the base record.</summary>
    public int BaseRuns { get; private set; }

    /// <summary>Bytes that are backed.</summary>
    public ulong MappedBytes { get; private set; }

    /// <summary>Backed bytes of all records, those included that newer ones hide.</summary>
    public ulong StackedBytes { get; private set; }

    /// <summary>Bytes that only a fold gives back.</summary>
    public ulong HiddenBytes => StackedBytes - MappedBytes;

    /// <summary>Ranges held: what the memory of a cache is counted in.</summary>
    public int RangeCount => ranges.Count;

    public void Clear()
    {
        ranges.Clear();
        Deltas = 0;
        BaseRuns = 0;
        MappedBytes = 0;
        StackedBytes = 0;
    }

    /// <summary>Lays the base's runs; nothing may lie there yet.</summary>
    public void LayBase(IReadOnlyList<Slice> runs)
    {
        ArgumentNullException.ThrowIfNull(runs);
        BaseRuns = runs.Count;
        for (int i = 0; i < runs.Count; i++) { Lay(runs[i]); }
    }

    /// <summary>Lays a slice record over all others and returns by how much the backed bytes grew (or shrank).</summary>
    public long LayDelta(Slice slice)
    {
        Deltas++;
        return Lay(slice);
    }

    /// <summary>Backed bytes of [<paramref name="from"/>, <paramref name="to"/>).</summary>
    public ulong MappedIn(uint from, uint to)
    {
        ulong mapped = 0;
        for (int at = FirstEndingFrom(from); at < ranges.Count && ranges[at].Start < to; at++)
        {
            if (ranges[at].End > from) { mapped += Math.Min(ranges[at].End, to) - Math.Max(ranges[at].Start, from); }
        }

        return mapped;
    }

    /// <summary>The first byte at or behind <paramref name="from"/> that is not backed, and where its gap ends; an empty
    /// gap at <paramref name="to"/> if there is none before that.</summary>
    public (uint Start, uint End) NextGap(uint from, uint to)
    {
        uint start = from;
        int at = FirstEndingFrom(from);
        for (; at < ranges.Count && ranges[at].Start <= start; at++) { start = Math.Max(start, ranges[at].End); }
        if (start >= to) { return (to, to); }
        return (start, at < ranges.Count ? Math.Min(ranges[at].Start, to) : to);
    }

    private long Lay(Slice slice)
    {
        ulong hidden = MappedIn(slice.Offset, slice.End);
        if (!slice.IsMapped)
        {
            if (hidden > 0) { Remove(slice.Offset, slice.End); }
            MappedBytes -= hidden;
            return -(long)hidden;
        }

        StackedBytes += slice.Length;
        if (hidden < slice.Length) { Add(slice.Offset, slice.End); }
        MappedBytes += slice.Length - hidden;
        return (long)(slice.Length - hidden);
    }

    private void Add(uint from, uint to)
    {
        int first = FirstEndingFrom(from);
        int last = first;
        while (last < ranges.Count && ranges[last].Start <= to)
        {
            from = Math.Min(from, ranges[last].Start);
            to = Math.Max(to, ranges[last].End);
            last++;
        }

        if (last == first)
        {
            ranges.Insert(first, new(from, to));
            return;
        }

        ranges[first] = new(from, to);
        ranges.RemoveRange(first + 1, last - first - 1);
    }

    private void Remove(uint from, uint to)
    {
        int at = FirstEndingFrom(from);
        if (at < ranges.Count && ranges[at].End == from) { at++; }
        if (at < ranges.Count && ranges[at].Start < from)
        {
            Range whole = ranges[at];
            ranges[at] = new(whole.Start, from);
            at++;
            if (whole.End > to)
            {
                ranges.Insert(at, new(to, whole.End));
                return;
            }
        }

        int last = at;
        while (last < ranges.Count && ranges[last].End <= to) { last++; }
        ranges.RemoveRange(at, last - at);
        if (at < ranges.Count && ranges[at].Start < to) { ranges[at] = new(to, ranges[at].End); }
    }

    /// <summary>The place of the first range that ends at or behind an offset: one that touches it counts, so that neighbours
    /// join.</summary>
    private int FirstEndingFrom(uint offset)
    {
        int low = 0;
        int high = ranges.Count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (ranges[middle].End >= offset) { high = middle; }
            else { low = middle + 1; }
        }

        return low;
    }

    private readonly record struct Range(uint Start, uint End);
}
