using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>What a <see cref="RecordCache"/> knows of a key.</summary>
public enum CachedRecord
{
    /// <summary>Nothing: the store must be asked.</summary>
    Unknown,

    /// <summary>There is no record of this key.</summary>
    Absent,

    /// <summary>The record's value was copied.</summary>
    Present,
}

/// <summary>Small records by key, so that the hot ones cost no walk through RocksDB's memory tables.</summary>
/// <remarks>
/// Thread safe: each set of <see cref="Ways"/> slots has a lock of its own, held for a copy of some hundred bytes. Of a
/// full set the slot goes that was used longest ago. Layout of a slot: key, then value, <see cref="SlotBytes"/> at most;
/// longer records are not kept.
/// <para>A reader that finds nothing asks the store, and offers what it got (<see cref="Offer"/>) with the ticket that
/// the miss gave it. A write in between has changed the ticket of the set, and the offer, perhaps out of date, is dropped.
/// </para>
/// </remarks>
public sealed class RecordCache
{
    /// <summary>Bytes of a key and its value: a VNode or a dentry with a name of usual length, with room to spare.</summary>
    public const int SlotBytes = 256;

    /// <summary>Slots that a key may be in.</summary>
    public const int Ways = 4;

    private readonly Set[] sets;
    private readonly Slot[] slots;
    private readonly byte[] bytes;
    private int generation;

    /// <param name="capacity">Slots: a power of two, at least <see cref="Ways"/>. Memory is that many times
    /// <see cref="SlotBytes"/> and a little.</param>
    public RecordCache(int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, Ways);
        if (!int.IsPow2(capacity)) { throw new ArgumentException($"{capacity} is no power of two", nameof(capacity)); }
        sets = new Set[capacity / Ways];
        slots = new Slot[capacity];
        bytes = GC.AllocateUninitializedArray<byte>(capacity * SlotBytes);
    }

    /// <summary>Copies the value of a key, or says that there is none, or that the store must be asked; the ticket is for
    /// the <see cref="Offer"/> of what the store then answers.</summary>
    public CachedRecord Find(ReadOnlySpan<byte> key, ByteBuffer value, out long ticket)
    {
        ulong hash = XxHash64.Compute(key);
        int number = SetOf(hash);
        ref Set set = ref sets[number];
        Enter(ref set);
        ticket = set.Ticket;
        int found = FindSlot(number, hash, key);
        CachedRecord answer = CachedRecord.Unknown;
        if (found >= 0)
        {
            ref Slot slot = ref slots[found];
            slot.Used = ++set.Clock;
            answer = slot.Absent ? CachedRecord.Absent : CachedRecord.Present;
            value.Set(bytes.AsSpan((found * SlotBytes) + slot.KeyLength, slot.ValueLength));
        }

        Exit(ref set);
        return answer;
    }

    /// <summary>Keeps what the store answered after a miss, unless something was written since.</summary>
    public void Offer(ReadOnlySpan<byte> key, bool present, ReadOnlySpan<byte> value, long ticket)
    {
        ulong hash = XxHash64.Compute(key);
        int number = SetOf(hash);
        ref Set set = ref sets[number];
        Enter(ref set);
        if (set.Ticket == ticket) { Keep(number, hash, key, present, value); }
        Exit(ref set);
    }

    /// <summary>A key was written, or deleted. Call when readers of the store see it already.</summary>
    public void OnWritten(ReadOnlySpan<byte> key, bool present, ReadOnlySpan<byte> value)
    {
        ulong hash = XxHash64.Compute(key);
        int number = SetOf(hash);
        ref Set set = ref sets[number];
        Enter(ref set);
        set.Ticket++;
        Keep(number, hash, key, present, value);
        Exit(ref set);
    }

    /// <summary>Forgets everything.</summary>
    /// <remarks>Tickets first: an offer made in between then either is refused, or was asked for after this and carries the old
    /// generation, and goes with it.</remarks>
    public void Clear()
    {
        for (int number = 0; number < sets.Length; number++)
        {
            ref Set set = ref sets[number];
            Enter(ref set);
            set.Ticket++;
            Exit(ref set);
        }

        Interlocked.Increment(ref generation);
    }

    /// <summary>Puts a record into its slot, a free one, or that used longest ago; one too long for a slot is forgotten.
    /// </summary>
    private void Keep(int number, ulong hash, ReadOnlySpan<byte> key, bool present, ReadOnlySpan<byte> value)
    {
        int chosen = FindSlot(number, hash, key);
        if (key.Length + value.Length > SlotBytes)
        {
            if (chosen >= 0) { slots[chosen] = default; }
            return;
        }

        if (chosen < 0) { chosen = FindVictim(number); }
        slots[chosen] = new Slot
        {
            Hash = hash,
            Generation = Volatile.Read(ref generation),
            Used = ++sets[number].Clock,
            KeyLength = (ushort)key.Length,
            ValueLength = (ushort)value.Length,
            Absent = !present,
        };
        key.CopyTo(bytes.AsSpan(chosen * SlotBytes));
        value.CopyTo(bytes.AsSpan((chosen * SlotBytes) + key.Length));
    }

    private int FindSlot(int number, ulong hash, ReadOnlySpan<byte> key)
    {
        for (int i = number * Ways; i < (number + 1) * Ways; i++)
        {
            ref Slot slot = ref slots[i];
            if (slot.Hash == hash && slot.KeyLength == key.Length && IsLive(slot)
                && bytes.AsSpan(i * SlotBytes, key.Length).SequenceEqual(key))
            {
                return i;
            }
        }

        return -1;
    }

    private int FindVictim(int number)
    {
        int victim = number * Ways;
        for (int i = victim; i < (number + 1) * Ways; i++)
        {
            if (!IsLive(slots[i])) { return i; }
            if (slots[i].Used < slots[victim].Used) { victim = i; }
        }

        return victim;
    }

    private bool IsLive(in Slot slot) => slot.KeyLength > 0 && slot.Generation == Volatile.Read(ref generation);

    private int SetOf(ulong hash) => (int)(hash >> 32) & (sets.Length - 1);

    /// <remarks>A spin lock: what it guards takes a fraction of a microsecond, and a lock object for each set would take
    /// more memory than the set's heads.</remarks>
    private static void Enter(ref Set set)
    {
        SpinWait spin = default;
        while (Interlocked.CompareExchange(ref set.Locked, 1, 0) != 0) { spin.SpinOnce(); }
    }

    private static void Exit(ref Set set) => Volatile.Write(ref set.Locked, 0);

    private struct Set
    {
        public int Locked;
        public uint Clock;
        public long Ticket;
    }

    private struct Slot
    {
        public ulong Hash;
        public int Generation;
        public uint Used;
        public ushort KeyLength;
        public ushort ValueLength;
        public bool Absent;
    }
}
