using System.Runtime.InteropServices;
using KvFs.Core;

namespace KvFs.Client;

/// <summary>A run of a file's dirty bytes as the file shows them.</summary>
/// <param name="Offset">First byte in the file.</param>
/// <param name="Length">Bytes.</param>
/// <param name="IsReserved">Quota was taken for it; false where it only overwrites what is backed.</param>
/// <param name="Segment">Where the bytes are.</param>
internal readonly record struct DirtyRun(ulong Offset, int Length, bool IsReserved, DirtySegment Segment)
{
    public ulong End => Offset + (ulong)Length;

    public ReadOnlySpan<byte> Bytes => Segment.Bytes(Offset, Length);
}

/// <summary>What came of an attempt to buffer a write at once.</summary>
internal enum WriteStep
{
    Done,

    /// <summary>More quota must be reserved first.</summary>
    NeedQuota,

    /// <summary>Memory must be freed first.</summary>
    NeedMemory,

    /// <summary>Somebody changes the whole file; wait for him.</summary>
    NeedTurn,

    /// <summary>The file's writes are not left with the session (any more).</summary>
    NotDelegated,

    /// <summary>It would be longer than a file may be.</summary>
    TooLarge,
}

/// <summary>The dirty bytes of one file: runs in the order of their offsets, without overlap.</summary>
/// <remarks>The file's gate guards it. Bytes in open segments are overwritten in place; sealed ones are hidden by newer
/// runs. Appending to the last segment is O(1); a random write is a binary search and an insert.</remarks>
internal sealed class DirtyMap(DirtyMemory memory, QuotaKeeper quota)
{
    /// <summary>Bytes from which a segment is written as a block of its own, without a copy into a packed
    /// one.</summary>
    public const int DirectBytes = 512 << 10;

    /// <summary>Bytes of segments that count as a stream's: when one is full, it is written at once.</summary>
    public const int StreamBytes = 1 << 20;

    /// <summary>How much larger the next segment of a stream is than its last, full one.</summary>
    private const int StreamGrowth = 16;

    private readonly List<DirtyRun> runs = [];
    private ulong streamEnd = ulong.MaxValue;
    private int streamCapacity;

    public int Count => runs.Count;

    public bool IsEmpty => runs.Count == 0;

    public ReadOnlySpan<DirtyRun> Runs => CollectionsMarshal.AsSpan(runs);

    /// <summary>The byte behind the last dirty one; 0 if there is none.</summary>
    public ulong End => runs.Count == 0 ? 0 : runs[^1].End;

    /// <summary>Bytes in open segments: what a flush would capture.</summary>
    public long OpenBytes { get; private set; }

    /// <summary>All dirty bytes, sealed ones included.</summary>
    public long Bytes { get; private set; }

    /// <summary>A large segment has become full since this was last reset.</summary>
    public bool HasFullSegment { get; set; }

    /// <summary>Buffers as much of a write as it can at once; <paramref name="done"/> grows by what was
    /// taken.</summary>
    public WriteStep Write(ulong offset, ReadOnlySpan<byte> data, bool reserve, ref int done)
    {
        while (!data.IsEmpty)
        {
            WriteStep step = WritePiece(offset, data, reserve, out int taken);
            if (step != WriteStep.Done) { return step; }
            offset += (ulong)taken;
            data = data[taken..];
            done += taken;
        }

        return WriteStep.Done;
    }

    /// <summary>The place of the first run that ends behind an offset.</summary>
    public int FirstEndingAfter(ulong offset)
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

    public bool Overlaps(ulong offset, int length)
    {
        int at = FirstEndingAfter(offset);
        return at < runs.Count && runs[at].Offset < offset + (ulong)length;
    }

    /// <summary>Copies a range, if all of it is dirty.</summary>
    public bool TryCopyAll(ulong offset, Span<byte> destination)
    {
        int at = FirstEndingAfter(offset);
        ulong covered = offset;
        ulong end = offset + (ulong)destination.Length;
        for (int i = at; covered < end; i++)
        {
            if (i == runs.Count || runs[i].Offset > covered) { return false; }
            covered = runs[i].End;
        }

        CopyOver(offset, destination);
        return true;
    }

    /// <summary>Lays the dirty bytes of a range over what is in <paramref name="destination"/>.</summary>
    public void CopyOver(ulong offset, Span<byte> destination)
    {
        ulong end = offset + (ulong)destination.Length;
        for (int at = FirstEndingAfter(offset); at < runs.Count && runs[at].Offset < end; at++)
        {
            DirtyRun run = runs[at];
            ulong from = Math.Max(run.Offset, offset);
            int length = (int)(Math.Min(run.End, end) - from);
            run.Segment.Bytes(from, length).CopyTo(destination[(int)(from - offset)..]);
        }
    }

    /// <summary>Forgets what lies at or behind an offset. What a batch has of it must be cut there, too: <see
    /// cref="BatchFile.CutFrom"/>.</summary>
    public void DropFrom(ulong size)
    {
        int at = FirstEndingAfter(size);
        if (at < runs.Count && runs[at].Offset < size)
        {
            DirtyRun run = runs[at];
            int kept = (int)(size - run.Offset);
            runs[at] = run with { Length = kept };
            if (run.Segment.IsSealed) { Bytes -= run.Length - kept; }
            else
            {
                Forget(run.Length - kept, run.IsReserved);
                run.Segment.Used = (int)(size - run.Segment.FileStart);
            }

            at++;
        }

        for (int i = at; i < runs.Count; i++)
        {
            DirtyRun run = runs[i];
            if (run.Segment.IsSealed) { Bytes -= run.Length; }
            else
            {
                Forget(run.Length, run.IsReserved);
                run.Segment.Used = (int)Math.Min((ulong)run.Segment.Used, run.Offset - run.Segment.FileStart);
            }

            Unlink(run.Segment);
        }

        runs.RemoveRange(at, runs.Count - at);
        streamEnd = ulong.MaxValue;
    }

    /// <summary>Forgets what no batch has captured.</summary>
    public void DropOpen()
    {
        for (int at = runs.Count - 1; at >= 0; at--)
        {
            DirtyRun run = runs[at];
            if (run.Segment.IsSealed) { continue; }
            Forget(run.Length, run.IsReserved);
            Unlink(run.Segment);
            runs.RemoveAt(at);
        }
    }

    /// <summary>Takes the runs of a batch out of the map: they are committed, or lost.</summary>
    public void RemoveBatch(FlushBatch batch)
    {
        Span<DirtyRun> all = CollectionsMarshal.AsSpan(runs);
        int kept = 0;
        foreach (DirtyRun run in all)
        {
            if (run.Segment.Batch == batch)
            {
                Bytes -= run.Length;
                run.Segment.Runs--;
                continue;
            }

            all[kept++] = run;
        }

        runs.RemoveRange(kept, runs.Count - kept);
    }

    /// <summary>A batch has captured a run.</summary>
    public void Sealed(in DirtyRun run) => AddOpen(-run.Length);

    private WriteStep WritePiece(ulong offset, ReadOnlySpan<byte> data, bool reserve, out int taken)
    {
        int at = FirstEndingAfter(offset);
        if (at < runs.Count && runs[at].Offset <= offset && !runs[at].Segment.IsSealed)
        {
            DirtyRun run = runs[at];
            taken = (int)Math.Min((ulong)data.Length, run.End - offset);
            data[..taken].CopyTo(run.Segment.Bytes(offset, taken));
            return WriteStep.Done;
        }

        return Fill(at, offset, data[..UpToOpenRun(at, offset, data.Length)], reserve, out taken);
    }

    /// <summary>Bytes up to the next run that can be overwritten in place.</summary>
    private int UpToOpenRun(int at, ulong offset, int length)
    {
        for (; at < runs.Count && runs[at].Offset < offset + (ulong)length; at++)
        {
            if (!runs[at].Segment.IsSealed) { return (int)(runs[at].Offset - offset); }
        }

        return length;
    }

    /// <summary>Puts bytes where no open run is: behind the run before, or into a new segment.</summary>
    private WriteStep Fill(int at, ulong offset, ReadOnlySpan<byte> data, bool reserve, out int taken)
    {
        taken = 0;
        DirtySegment? tail = TailAt(at, offset);
        int room = tail is null ? Math.Min(data.Length, BufferPool.SlabBytes) : tail.Buffer.Capacity - tail.Used;
        int length = Math.Min(data.Length, room);
        if (reserve && !quota.TryTake((ulong)length)) { return WriteStep.NeedQuota; }
        if (tail is null)
        {
            tail = memory.TryRent(offset, SegmentBytes(offset, length));
            if (tail is null)
            {
                if (reserve) { quota.Dropped((ulong)length); }
                return WriteStep.NeedMemory;
            }
        }

        at = Hide(at, offset, offset + (ulong)length);
        tail.Used += length;
        data[..length].CopyTo(tail.Bytes(offset, length));
        Insert(at, new(offset, length, reserve, tail));
        AddOpen(length);
        Bytes += length;
        if (tail.IsFull) { NoteFull(tail); }
        taken = length;
        return WriteStep.Done;
    }

    /// <summary>The open segment that ends at an offset and has room, if the run before shows its end.</summary>
    private DirtySegment? TailAt(int at, ulong offset)
    {
        // The run at `at` ends behind the offset; one that ends at it is the one before.
        if (at == 0) { return null; }
        DirtyRun before = runs[at - 1];
        bool fits = before.End == offset && !before.Segment.IsSealed && before.Segment.End == offset;
        return fits && !before.Segment.IsFull ? before.Segment : null;
    }

    /// <summary>The size of a new segment: what the write needs, or much more if it goes on with a stream.</summary>
    private int SegmentBytes(ulong offset, int length) =>
        offset == streamEnd
            ? Math.Max(length, Math.Min(BufferPool.SlabBytes, streamCapacity * StreamGrowth))
            : length;

    private void NoteFull(DirtySegment segment)
    {
        streamEnd = segment.End;
        streamCapacity = segment.Buffer.Capacity;
        HasFullSegment |= streamCapacity >= StreamBytes;
    }

    private void Insert(int at, DirtyRun run)
    {
        if (at > 0)
        {
            DirtyRun before = runs[at - 1];
            if (before.Segment == run.Segment && before.End == run.Offset && before.IsReserved == run.IsReserved)
            {
                runs[at - 1] = before with { Length = before.Length + run.Length };
                return;
            }
        }

        run.Segment.Runs++;
        runs.Insert(at, run);
    }

    /// <summary>Hides the sealed runs of a range; returns the place where a run that starts at its begin
    /// belongs.</summary>
    private int Hide(int at, ulong from, ulong to)
    {
        while (at < runs.Count && runs[at].Offset < to)
        {
            DirtyRun run = runs[at];
            Invariant.Check(run.Segment.IsSealed);
            bool hasHead = run.Offset < from;
            bool hasTail = run.End > to;
            Bytes -= (long)(Math.Min(run.End, to) - Math.Max(run.Offset, from));
            DirtyRun tail = run with { Offset = to, Length = hasTail ? (int)(run.End - to) : 0 };
            if (hasHead)
            {
                runs[at] = run with { Length = (int)(from - run.Offset) };
                at++;
                if (hasTail)
                {
                    run.Segment.Runs++;
                    runs.Insert(at, tail);
                }
            }
            else if (hasTail)
            {
                runs[at] = tail;
            }
            else
            {
                run.Segment.Runs--;
                runs.RemoveAt(at);
                continue;
            }

            if (hasTail) { break; }
        }

        return at;
    }

    private void AddOpen(long delta)
    {
        OpenBytes += delta;
        memory.AddOpen(delta);
    }

    private void Forget(int length, bool reserved)
    {
        AddOpen(-length);
        Bytes -= length;
        if (reserved) { quota.Dropped((ulong)length); }
    }

    private void Unlink(DirtySegment segment)
    {
        segment.Runs--;
        if (segment.Runs == 0 && !segment.IsSealed) { memory.Return(segment); }
    }
}
