namespace KvFs.Core;

/// <summary>What one cluster of a file shows: the visible runs, sorted, without overlap; between them is nothing.</summary>
/// <remarks>Built by laying slices over one another, oldest first. An inline run's <see cref="Slice.SourceOffset"/> is a
/// place in <see cref="Inline"/>. Not thread safe while it is built; read by any number of threads after that.</remarks>
public sealed partial class ClusterMap
{
    private List<Slice> runs = [];
    private readonly ByteBuffer inline = new(0);

    /// <summary>The visible runs: Inline, Block or Unwritten.</summary>
    public IReadOnlyList<Slice> Runs => runs;

    /// <summary>The bytes of inline slices, visible or not.</summary>
    public ReadOnlySpan<byte> Inline => inline.Span;

    /// <summary>Slice records that were laid over the base: how much a fold would save.</summary>
    public int DeltaCount { get; private set; }

    /// <summary>Bytes that are backed.</summary>
    public ulong MappedBytes { get; private set; }

    public void Clear()
    {
        runs.Clear();
        collected.Clear();
        inline.Clear();
        DeltaCount = 0;
        MappedBytes = 0;
    }

    /// <summary>Lays a cluster's records over one another; false if a record is damaged beyond its envelope.</summary>
    public bool TryLoad(DriveView view, VNodeId id, uint cluster)
    {
        ArgumentNullException.ThrowIfNull(view);
        Clear();
        using DriveCursor cursor = view.WalkPrefix(RecordKey.SlicesFrom(id, cluster));
        while (cursor.MoveNext())
        {
            if (!TryCollect(cursor.Payload)) { return false; }
        }

        LayCollected();
        return true;
    }

    /// <summary>Lays one record's payload over the map; false if it is no slice.</summary>
    public bool TryAdd(ReadOnlySpan<byte> payload)
    {
        if (ClusterBase.IsBase(payload))
        {
            if (runs.Count > 0 || DeltaCount > 0) { return false; }
            if (!ClusterBase.TryDecode(payload, runs))
            {
                runs.Clear();
                return false;
            }

            foreach (Slice run in runs) { MappedBytes += run.Length; }
            return true;
        }

        if (!Slice.TryDecode(payload, out Slice slice, out ReadOnlySpan<byte> bytes)) { return false; }
        Overlay(slice, bytes);
        return true;
    }

    /// <summary>Lays a slice over the map and returns by how many bytes the backed space grew (or, less than 0, shrank).
    /// </summary>
    public long Overlay(Slice slice, ReadOnlySpan<byte> inlineBytes)
    {
        return Put(Take(slice, inlineBytes));
    }

    /// <summary>Counts a slice and keeps its bytes.</summary>
    private Slice Take(Slice slice, ReadOnlySpan<byte> inlineBytes)
    {
        DeltaCount++;
        if (slice.Kind != SliceKind.Inline) { return slice; }
        slice = slice with { SourceOffset = (uint)inline.Length };
        inline.Append(inlineBytes);
        return slice;
    }

    private long Put(Slice slice)
    {
        int at = Cut(slice.Offset, slice.End, out ulong hidden);
        ulong added = 0;
        if (slice.IsMapped)
        {
            runs.Insert(at, slice);
            added = slice.Length;
        }

        MappedBytes = MappedBytes - hidden + added;
        return (long)added - (long)hidden;
    }

    /// <summary>Backed bytes of [<paramref name="from"/>, <paramref name="to"/>).</summary>
    public ulong MappedIn(uint from, uint to)
    {
        ulong mapped = 0;
        for (int at = FirstEndingAfter(from); at < runs.Count && runs[at].Offset < to; at++)
        {
            mapped += Math.Min(runs[at].End, to) - Math.Max(runs[at].Offset, from);
        }

        return mapped;
    }

    /// <summary>The place of the first run that ends behind an offset; the number of runs if there is none.</summary>
    public int FirstEndingAfter(uint offset)
    {
        int low = 0;
        int high = runs.Count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (runs[middle].End > offset) { high = middle; }
            else { low = middle + 1; }
        }

        return low;
    }

    /// <summary>Removes what lies in [<paramref name="from"/>, <paramref name="to"/>), splitting runs at the ends.</summary>
    /// <returns>The place where a run that starts at <paramref name="from"/> belongs.</returns>
    private int Cut(uint from, uint to, out ulong hidden)
    {
        int first = FirstEndingAfter(from);
        int at = first;
        hidden = 0;
        Slice tail = default;
        bool hasTail = false;
        bool hasHead = false;
        while (at < runs.Count && runs[at].Offset < to)
        {
            Slice run = runs[at];
            hidden += Math.Min(run.End, to) - Math.Max(run.Offset, from);
            if (run.End > to)
            {
                tail = Part(run, to, run.End);
                hasTail = true;
            }

            if (run.Offset < from)
            {
                runs[at] = Part(run, run.Offset, from);
                hasHead = true;
            }

            at++;
        }

        int place = first + (hasHead ? 1 : 0);
        if (at > place) { runs.RemoveRange(place, at - place); }
        if (hasTail) { runs.Insert(place, tail); }
        return place;
    }

    private static Slice Part(Slice run, uint from, uint to)
    {
        bool hasSource = run.Kind is SliceKind.Inline or SliceKind.Block;
        uint source = hasSource ? run.SourceOffset + (from - run.Offset) : 0;
        return run with { Offset = from, Length = to - from, SourceOffset = source };
    }
}
