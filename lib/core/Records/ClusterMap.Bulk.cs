namespace KvFs.Core;

/// <content>Lays many slices at once. One by one each would move the runs behind it: thousands over a base of thousands
/// take a tenth of a second.</content>
public sealed partial class ClusterMap
{
    /// <summary>Slices up to which they are laid one by one.</summary>
    private const int FewSlices = 16;

    private readonly List<Slice> collected = [];

    /// <summary>Takes the next record's payload, for <see cref="LayCollected"/>; false if it is no slice.</summary>
    public bool TryCollect(ReadOnlySpan<byte> payload)
    {
        if (ClusterBase.IsBase(payload)) { return collected.Count == 0 && TryAdd(payload); }
        if (!Slice.TryDecode(payload, out Slice slice, out ReadOnlySpan<byte> bytes)) { return false; }
        collected.Add(Take(slice, bytes));
        return true;
    }

    /// <summary>Lays the collected slices over the map, the oldest first.</summary>
    public void LayCollected()
    {
        if (collected.Count <= FewSlices)
        {
            foreach (Slice slice in collected) { Put(slice); }
        }
        else
        {
            LayMany();
        }

        collected.Clear();
    }

    /// <remarks>From the newest down: of each slice that is visible which no newer one covers. What none covers of the runs
    /// below stays.</remarks>
    private void LayMany()
    {
        CoveredRanges covered = new();
        List<Slice> fragments = new(collected.Count);
        for (int i = collected.Count - 1; i >= 0; i--)
        {
            Slice slice = collected[i];
            if (slice.IsMapped) { covered.AddUncovered(slice, 0, fragments); }
            covered.Cover(slice.Offset, slice.End);
        }

        fragments.Sort(static (one, other) => one.Offset.CompareTo(other.Offset));
        List<Slice> kept = new(runs.Count);
        int place = 0;
        foreach (Slice run in runs) { place = covered.AddUncovered(run, place, kept); }
        Merge(kept, fragments);
    }

    /// <summary>Makes two sorted lists, of which no run lies over another's, the map.</summary>
    private void Merge(List<Slice> kept, List<Slice> fragments)
    {
        List<Slice> merged = new(kept.Count + fragments.Count);
        MappedBytes = 0;
        int next = 0;
        foreach (Slice run in kept)
        {
            while (next < fragments.Count && fragments[next].Offset < run.Offset) { Append(fragments[next++]); }
            Append(run);
        }

        while (next < fragments.Count) { Append(fragments[next++]); }
        runs = merged;

        void Append(Slice run)
        {
            merged.Add(run);
            MappedBytes += run.Length;
        }
    }

    /// <summary>Sorted ranges that neither overlap nor touch.</summary>
    private sealed class CoveredRanges
    {
        private readonly List<(uint From, uint To)> ranges = [];

        /// <summary>Adds the parts of a run that are not covered.</summary>
        /// <param name="run">The run.</param>
        /// <param name="start">A place before which all ranges end before the run; 0 if none is known.</param>
        /// <param name="parts">Gets the parts, upwards.</param>
        /// <returns>The place of the first range that ends behind the run's start.</returns>
        public int AddUncovered(Slice run, int start, List<Slice> parts)
        {
            int first = start == 0 ? FirstEndingAt(run.Offset + 1) : start;
            while (first < ranges.Count && ranges[first].To <= run.Offset) { first++; }
            uint at = run.Offset;
            for (int i = first; i < ranges.Count && ranges[i].From < run.End; i++)
            {
                if (ranges[i].From > at) { parts.Add(Part(run, at, ranges[i].From)); }
                at = ranges[i].To;
            }

            if (at < run.End) { parts.Add(Part(run, at, run.End)); }
            return first;
        }

        /// <summary>Adds a range, and joins it with those that it overlaps or touches.</summary>
        public void Cover(uint from, uint to)
        {
            int first = FirstEndingAt(from);
            int end = first;
            while (end < ranges.Count && ranges[end].From <= to)
            {
                from = Math.Min(from, ranges[end].From);
                to = Math.Max(to, ranges[end].To);
                end++;
            }

            if (end == first) { ranges.Insert(first, (from, to)); }
            else
            {
                ranges[first] = (from, to);
                ranges.RemoveRange(first + 1, end - first - 1);
            }
        }

        /// <summary>The place of the first range that ends at an offset or behind it.</summary>
        private int FirstEndingAt(uint offset)
        {
            int low = 0;
            int high = ranges.Count;
            while (low < high)
            {
                int middle = (low + high) >>> 1;
                if (ranges[middle].To >= offset) { high = middle; }
                else { low = middle + 1; }
            }

            return low;
        }
    }
}
