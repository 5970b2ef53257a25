using System.Globalization;
using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>What was logged, in order, in a few files that are overwritten again and again.</summary>
/// <remarks>
/// Not thread safe: whoever uses it holds one lock, except around <see cref="Prepare"/> and the syncs of
/// <see cref="TakeUnsynced"/>. A segment is in one of these states:
/// <list type="bullet">
/// <item>free: the tables have all of its records, durably. (Begin) → ready.</item>
/// <item>ready: empty, its header durable; at most one. (The active one is full) → active.</item>
/// <item>active: records are appended to it; exactly one. → full.</item>
/// <item>full: until the tables have all of it (<see cref="Release"/>). → free.</item>
/// </list>
/// Records become durable in their order: a sync takes the segments that have some which are not in turn, and only then is
/// anything called durable. Source: docs/format.md#journal.
/// </remarks>
internal sealed class Journal : IDisposable
{
    /// <summary>Bytes of a batch up to which the memory to write it is kept.</summary>
    private const int MaxKeptBytes = 64 << 10;

    private readonly IDisk disk;
    private readonly string folder;
    private readonly JournalOptions options;
    private readonly ulong id;
    private readonly ByteBuffer scratch = new(8192);
    private readonly Stack<JournalSegment> free = [];
    private readonly Queue<JournalSegment> full = [];
    private readonly List<JournalSegment> unsynced = [];
    private readonly List<JournalSegment> removed = [];
    private bool isSyncing;
    private JournalSegment? active;
    private JournalSegment? ready;
    private ulong sequence;
    private int slot;
    private long appendedBytes;
    private long madeBytes;
    private long usedBytes;
    private long flushedBytes;

    /// <summary>Goes on behind what a recovery found, all of which the tables have.</summary>
    internal Journal(IDisk disk, string folder, JournalOptions options, ulong id, JournalRecovery found)
    {
        this.disk = disk;
        this.folder = folder;
        this.options = options;
        this.id = id;
        sequence = found.Sequence;
        slot = found.Slot;
        Last = found.Highest;
        Durable = found.Highest;
        foreach (JournalSegment segment in found.Segments)
        {
            madeBytes += segment.Bytes;
            free.Push(segment);
        }
    }

    /// <summary>The number of the last record.</summary>
    internal ulong Last { get; private set; }

    /// <summary>The number up to which everything is on the disk: here, or in the tables.</summary>
    internal ulong Durable { get; private set; }

    /// <summary>Bytes of records that were appended. May be read by anybody.</summary>
    internal long AppendedBytes => Volatile.Read(ref appendedBytes);

    /// <summary>Bytes of segments that were used up, behind records and what they left over.</summary>
    internal long UsedBytes => usedBytes + (active is null ? 0 : active.Position);

    /// <summary>Whether the tables should be flushed.</summary>
    internal bool WantsFlush => UsedBytes - flushedBytes >= options.FlushBytes;

    /// <summary>Whether a segment should be prepared: the active one is half full.</summary>
    internal bool WantsSegment => ready is null && (active is null || active.Room < active.Bytes / 2);

    /// <summary>Whether the next segment is prepared.</summary>
    internal bool HasReady => ready is not null;

    /// <summary>Whether there is room for so much payload; goes on to the next segment if need be.</summary>
    internal bool TryMakeRoom(int payloadBytes)
    {
        int size = JournalFormat.SizeOf(payloadBytes);
        if (active is not null && active.Room >= size) { return true; }
        if (ready is null || ready.Room < size) { return false; }
        Retire();
        active = ready;
        ready = null;
        return true;
    }

    /// <summary>Appends a batch, for which there is room. What the answer is but Ok, <see cref="Withdraw"/> has to follow.
    /// </summary>
    internal Status Append(KeyValueBatch batch)
    {
        JournalSegment segment = active!;
        JournalRecord record = new(batch.Bytes, batch.Count, Last + 1, Durable);
        ByteBuffer buffer = batch.Bytes <= MaxKeptBytes ? scratch : new(batch.Bytes + (2 * JournalFormat.PageBytes));
        Status status = segment.Append(record, batch.Encoded, buffer);
        Last++;
        if (unsynced.Count == 0 || unsynced[^1] != segment) { unsynced.Add(segment); }
        if (status == Status.Ok) { Volatile.Write(ref appendedBytes, appendedBytes + JournalFormat.SizeOf(batch.Bytes)); }
        return status;
    }

    /// <summary>Where the next record would be: what <see cref="Withdraw"/> asks for.</summary>
    internal int Position => active!.Position;

    /// <summary>Takes the last record back, durably: one without changes and with its number takes its place.</summary>
    /// <param name="position">Where it was appended.</param>
    internal Status Withdraw(int position)
    {
        JournalSegment segment = active!;
        Status status = segment.Replace(position, new(0, 0, Last, Durable), scratch);
        return status == Status.Ok ? segment.Sync() : status;
    }

    /// <summary>Lists the segments that have to be synced, in order, to make everything durable up to
    /// <see cref="Last"/>. None of them is closed before <see cref="OnSynced"/>.</summary>
    internal void TakeUnsynced(List<JournalSegment> segments)
    {
        isSyncing = true;
        segments.AddRange(unsynced);
    }

    /// <summary>Everything up to a number was synced, with these segments.</summary>
    internal void OnSynced(ulong upTo, List<JournalSegment> segments)
    {
        isSyncing = false;
        CloseRemoved();
        Durable = Math.Max(Durable, upTo);
        unsynced.RemoveAll(segment => segments.Contains(segment) && segment.Last <= upTo);
    }

    /// <summary>The tables have everything up to a number, durably.</summary>
    /// <param name="upTo">The number.</param>
    /// <param name="used">What <see cref="UsedBytes"/> was then.</param>
    /// <param name="isShort">Somebody waits for room: the active segment goes, too, if the tables have all of it. Two large
    /// ones may be more than there may be.</param>
    internal void Release(ulong upTo, long used, bool isShort)
    {
        if (isShort && active is not null && active.Last <= upTo) { Retire(); }
        flushedBytes = Math.Max(flushedBytes, used);
        while (full.TryPeek(out JournalSegment? oldest) && oldest.Last <= upTo)
        {
            full.Dequeue();
            unsynced.Remove(oldest);
            free.Push(oldest);
        }
    }

    /// <summary>Takes a segment to prepare for a record of so much payload, of which nobody else takes one meanwhile.</summary>
    /// <param name="payloadBytes">Of the record that waits; 0: any.</param>
    /// <param name="segment">One to begin anew; null: one has to be made, or there is no room for it.</param>
    /// <param name="bytes">Bytes of the one that has to be made; 0: none.</param>
    internal Status TakeForPreparation(int payloadBytes, out JournalSegment? segment, out int bytes)
    {
        segment = null;
        bytes = Math.Max(options.SegmentBytes, JournalFormat.SegmentBytesFor(payloadBytes));
        if (ready is not null)
        {
            if (ready.Bytes >= bytes)
            {
                bytes = 0;
                return Status.Ok;
            }

            free.Push(ready);
            ready = null;
        }

        // One of another size is of no further use, and one that is too small gives its room to a larger one.
        List<JournalSegment> kept = [];
        while (free.TryPop(out JournalSegment? candidate))
        {
            bool fits = candidate.Bytes == options.SegmentBytes;
            if (fits && candidate.Bytes == bytes && segment is null) { segment = candidate; }
            else if (fits && (segment is not null || madeBytes + bytes <= options.MaxBytes)) { kept.Add(candidate); }
            else if (Remove(candidate) is var status and not Status.Ok) { return status; }
        }

        foreach (JournalSegment other in kept) { free.Push(other); }
        if (segment is not null || madeBytes + bytes > options.MaxBytes) { bytes = 0; }
        return Status.Ok;
    }

    /// <summary>Begins the segment that was taken, or makes one, durably.</summary>
    /// <returns>Ok; NoSpace: nothing is lost; else the disk fails.</returns>
    internal Status Prepare(ref JournalSegment? segment, int bytes) =>
        segment is null ? Make(bytes, out segment) : segment.Begin(++sequence, options.Draw(), id);

    /// <summary>What <see cref="Prepare"/> made is there; of a failed one, what is left is kept for another try.</summary>
    internal void OnPrepared(JournalSegment? segment, bool wasMade, Status status)
    {
        if (segment is null) { return; }
        if (wasMade) { madeBytes += segment.Bytes; }
        if (status == Status.Ok) { ready = segment; }
        else { free.Push(segment); }
    }

    private void Retire()
    {
        if (active is null) { return; }
        usedBytes += active.Bytes;
        full.Enqueue(active);
        active = null;
    }

    public void Dispose()
    {
        active?.Dispose();
        ready?.Dispose();
        foreach (JournalSegment segment in removed) { segment.Dispose(); }
        foreach (JournalSegment segment in free) { segment.Dispose(); }
        foreach (JournalSegment segment in full) { segment.Dispose(); }
    }

    /// <remarks>It gets its name when it is whole, so that a file with this name is never found unfinished.</remarks>
    private Status Make(int bytes, out JournalSegment? segment)
    {
        segment = null;
        string path = string.Create(CultureInfo.InvariantCulture, $"{folder}/{++slot}");
        string unfinished = path + JournalRecovery.UnfinishedSuffix;
        Status status = disk.Create(unfinished, out IDiskFile? file);
        if (file is null) { return status; }
        JournalSegment made = new(path + JournalRecovery.SegmentSuffix, file, bytes);
        status = made.Fill();
        if (status == Status.Ok) { status = made.Begin(++sequence, options.Draw(), id); }
        if (status == Status.Ok) { status = disk.Rename(unfinished, made.Path); }
        if (status == Status.Ok) { status = disk.SyncDirectory(folder); }
        if (status == Status.Ok)
        {
            segment = made;
            return Status.Ok;
        }

        made.Dispose();
        _ = disk.DeleteFile(unfinished);
        return status;
    }

    private Status Remove(JournalSegment segment)
    {
        madeBytes -= segment.Bytes;
        removed.Add(segment);
        CloseRemoved();
        return disk.DeleteFile(segment.Path);
    }

    /// <remarks>A sync that runs may have one of them in its list.</remarks>
    private void CloseRemoved()
    {
        if (isSyncing) { return; }
        foreach (JournalSegment segment in removed) { segment.Dispose(); }
        removed.Clear();
    }
}
