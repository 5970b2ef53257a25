using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>Changes that tables do not have yet: ranges that are deleted, then of each key its last change.</summary>
/// <remarks>Not thread safe. Memory: keys and values one after the other in one buffer; a longer value of a known key is
/// appended, a shorter one takes its place.</remarks>
internal sealed class PendingChanges : IComparer<int>
{
    private const int NoSlot = -1;
    private readonly ByteBuffer bytes;
    private readonly List<PendingRange> ranges;
    private readonly int[] buckets;
    private readonly int[] order;
    private readonly Slot[] slots;
    private int used;

    /// <param name="capacity">Keys that it has room for: a power of two.</param>
    public PendingChanges(int capacity)
    {
        if (!int.IsPow2(capacity)) { throw new ArgumentException($"{capacity} is no power of two", nameof(capacity)); }
        bytes = new(capacity);
        ranges = [];
        buckets = new int[capacity];
        order = new int[capacity];
        slots = new Slot[capacity];
        Clear();
    }

    private PendingChanges(PendingChanges other)
    {
        bytes = new(other.bytes.Length);
        bytes.Set(other.bytes.Span);
        ranges = [.. other.ranges];
        buckets = [.. other.buckets];
        order = new int[buckets.Length];
        slots = [.. other.slots];
        used = other.used;
    }

    public bool IsEmpty => used == 0 && ranges.Count == 0;

    /// <summary>Keys that it still has room for.</summary>
    public int Room => slots.Length - used;

    /// <summary>Bytes of memory in use.</summary>
    public int Bytes => bytes.Length;

    /// <summary>The changes as they are now.</summary>
    public PendingChanges Clone() => new(this);

    public void Clear()
    {
        used = 0;
        bytes.Clear();
        ranges.Clear();
        Array.Fill(buckets, NoSlot);
    }

    /// <summary>Takes the changes of a batch, which has no more of them than there is room.</summary>
    public void Add(KeyValueBatch batch)
    {
        foreach (KeyValueBatch.Change change in batch)
        {
            if (change.Operation == KeyValueOperation.DeleteRange) { AddRange(new(change.Family, change.Key.ToArray(), change.Value.ToArray())); }
            else { Set(change.Operation, change.Family, change.Key, change.Value); }
        }
    }

    /// <summary>What is known of a key, without the tables.</summary>
    public CachedRecord Find(Family family, ReadOnlySpan<byte> key, ByteBuffer value)
    {
        value.Clear();
        if (used > 0)
        {
            int at = FindSlot(HashOf(family, key), family, key);
            if (at != NoSlot && slots[at].State != SlotState.Gone)
            {
                if (slots[at].State == SlotState.Deleted) { return CachedRecord.Absent; }
                value.Set(ValueOf(slots[at]));
                return CachedRecord.Present;
            }
        }

        return IsInRange(family, key) ? CachedRecord.Absent : CachedRecord.Unknown;
    }

    /// <summary>Whether anything in a range is not as the tables have it.</summary>
    /// <param name="family">The family.</param>
    /// <param name="from">First key.</param>
    /// <param name="to">Key behind the last one; empty: no end.</param>
    /// <param name="found">Gets the changes of single keys, in no order; old content goes.</param>
    public bool Select(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to, List<int> found)
    {
        found.Clear();
        for (int at = 0; at < used; at++)
        {
            ref readonly Slot slot = ref slots[at];
            if (slot.Family != family || slot.State == SlotState.Gone) { continue; }
            ReadOnlySpan<byte> key = KeyOf(slot);
            if (key.SequenceCompareTo(from) >= 0 && (to.IsEmpty || key.SequenceCompareTo(to) < 0)) { found.Add(at); }
        }

        foreach (PendingRange range in ranges)
        {
            if (range.Family == family && range.Meets(from, to)) { return true; }
        }

        return found.Count > 0;
    }

    /// <summary>Copies selected changes, sorted by key, and the ranges of their family.</summary>
    public PendingView View(Family family, List<int> selected)
    {
        selected.Sort(this);
        PendingRecord[] records = new PendingRecord[selected.Count];
        for (int at = 0; at < records.Length; at++)
        {
            ref readonly Slot slot = ref slots[selected[at]];
            records[at] = new(KeyOf(slot).ToArray(), slot.State == SlotState.Put ? ValueOf(slot).ToArray() : null);
        }

        return new(records, [.. ranges.Where(range => range.Family == family).Select(static range => range.Keys)]);
    }

    /// <summary>Puts all changes into a batch, after which tables are as if each had been written in its turn: ranges first,
    /// then the keys in their order, which is how tables take them fastest.</summary>
    public void CopyTo(KeyValueBatch batch)
    {
        foreach (PendingRange range in ranges) { batch.DeleteRange(range.Family, range.From, range.To); }
        int count = 0;
        for (int at = 0; at < used; at++)
        {
            if (slots[at].State != SlotState.Gone) { order[count++] = at; }
        }

        Array.Sort(order, 0, count, this);
        for (int at = 0; at < count; at++)
        {
            ref readonly Slot slot = ref slots[order[at]];
            if (slot.State == SlotState.Put) { batch.Put(slot.Family, KeyOf(slot), ValueOf(slot)); }
            else { batch.Delete(slot.Family, KeyOf(slot)); }
        }
    }

    int IComparer<int>.Compare(int x, int y)
    {
        ref readonly Slot left = ref slots[x];
        ref readonly Slot right = ref slots[y];
        return left.Family == right.Family
            ? KeyOf(left).SequenceCompareTo(KeyOf(right))
            : left.Family.CompareTo(right.Family);
    }

    private static ulong HashOf(Family family, ReadOnlySpan<byte> key) => XxHash64.Compute(key) + (ulong)family;

    private bool IsInRange(Family family, ReadOnlySpan<byte> key)
    {
        foreach (PendingRange range in ranges)
        {
            if (range.Family == family && range.Has(key)) { return true; }
        }

        return false;
    }

    private ReadOnlySpan<byte> KeyOf(in Slot slot) => bytes.Span.Slice(slot.KeyStart, slot.KeyLength);

    private ReadOnlySpan<byte> ValueOf(in Slot slot) => bytes.Span.Slice(slot.ValueStart, slot.ValueLength);

    private int FindSlot(ulong hash, Family family, ReadOnlySpan<byte> key)
    {
        for (int at = buckets[(int)hash & (buckets.Length - 1)]; at != NoSlot; at = slots[at].Next)
        {
            ref readonly Slot slot = ref slots[at];
            if (slot.Hash == hash && slot.Family == family && KeyOf(slot).SequenceEqual(key)) { return at; }
        }

        return NoSlot;
    }

    private void Set(KeyValueOperation operation, Family family, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        ulong hash = HashOf(family, key);
        int at = FindSlot(hash, family, key);
        if (at == NoSlot)
        {
            ref int bucket = ref buckets[(int)hash & (buckets.Length - 1)];
            at = used++;
            slots[at] = new Slot
            {
                Hash = hash, Next = bucket, Family = family, KeyStart = bytes.Length, KeyLength = key.Length,
            };
            bucket = at;
            bytes.Append(key);
        }

        ref Slot slot = ref slots[at];
        slot.State = operation == KeyValueOperation.Put ? SlotState.Put : SlotState.Deleted;
        slot.ValueLength = value.Length;
        if (value.Length > slot.ValueRoom)
        {
            slot.ValueStart = bytes.Length;
            slot.ValueRoom = value.Length;
            bytes.Append(value);
        }
        else
        {
            value.CopyTo(bytes.Writable()[slot.ValueStart..]);
        }
    }

    private void AddRange(PendingRange range)
    {
        for (int at = 0; at < used; at++)
        {
            ref Slot slot = ref slots[at];
            if (slot.Family == range.Family && range.Has(KeyOf(slot))) { slot.State = SlotState.Gone; }
        }

        // A log is forgotten piece by piece: one range for all of them.
        if (ranges.Count > 0 && range.Follows(ranges[^1]))
        {
            if (range.To.AsSpan().SequenceCompareTo(ranges[^1].To) > 0) { ranges[^1] = ranges[^1] with { To = range.To }; }
            return;
        }

        ranges.Add(range);
    }

    private enum SlotState : byte
    {
        Put,
        Deleted,

        /// <summary>A range took it away, which says it all.</summary>
        Gone,
    }

    private struct Slot
    {
        public ulong Hash;
        public int Next;
        public int KeyStart;
        public int KeyLength;
        public int ValueStart;
        public int ValueLength;
        public int ValueRoom;
        public Family Family;
        public SlotState State;
    }
}

/// <summary>Keys of a family that are deleted.</summary>
internal sealed record PendingRange(Family Family, byte[] From, byte[] To)
{
    public KeyRange Keys => new(From, To);

    /// <summary>Whether it has keys in common with another one; an empty <paramref name="to"/> is "no end".</summary>
    public bool Meets(ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
        from.SequenceCompareTo(To) < 0 && (to.IsEmpty || to.SequenceCompareTo(From) > 0);

    /// <summary>Whether it begins in another one, or where that ends.</summary>
    public bool Follows(PendingRange other) =>
        Family == other.Family && From.AsSpan().SequenceCompareTo(other.From) >= 0
        && From.AsSpan().SequenceCompareTo(other.To) <= 0;

    public bool Has(ReadOnlySpan<byte> key) => Keys.Has(key);
}
