using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>Index entries that were used lately, so that a read need not ask the key-value store.</summary>
/// <remarks>Thread safe. Sets of their own lock and budget, each a clock: an entry that was used since the hand last passed
/// stays for another round. It may return an entry of a block that was dropped a moment ago: who reads finds that out by
/// the checksum, and asks the key-value store again.</remarks>
internal sealed class BlockEntryCache
{
    /// <summary>Sets: so many that two threads seldom meet in one.</summary>
    private const int SetCount = 64;

    /// <summary>Bytes of an entry beside its arrays: objects, headers, its place in a set and in the set's map.</summary>
    private const int EntryOverheadBytes = 200;

    private readonly Set[] sets = new Set[SetCount];

    internal BlockEntryCache(long capacityBytes)
    {
        for (int i = 0; i < SetCount; i++) { sets[i] = new Set(capacityBytes / SetCount); }
    }

    internal bool TryGet(BlockName block, out BlockIndexEntry? entry) => SetOf(block).TryGet(block, out entry);

    internal void Put(BlockName block, BlockIndexEntry entry) => SetOf(block).Put(block, entry);

    internal void Remove(BlockName block) => SetOf(block).Remove(block);

    private Set SetOf(BlockName block) =>
        sets[(uint)(block.Id.Value * 0x9E3779B97F4A7C15 >> 32 ^ (ulong)block.Owner.Value) % SetCount];

    private static long CostOf(BlockIndexEntry entry) =>
        EntryOverheadBytes + (entry.Extents.Length * 8L) + (entry.Checksums.Length * 4L);

    private sealed class Set(long budgetBytes)
    {
        private readonly Dictionary<BlockName, int> places = [];
        private readonly List<Place> clock = [];
        private long usedBytes;
        private int hand;

        private struct Place
        {
            internal BlockName Block;
            internal BlockIndexEntry Entry;
            internal bool Used;
        }

        internal bool TryGet(BlockName block, out BlockIndexEntry? entry)
        {
            lock (places)
            {
                if (!places.TryGetValue(block, out int index))
                {
                    entry = null;
                    return false;
                }

                Span<Place> all = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(clock);
                all[index].Used = true;
                entry = all[index].Entry;
                return true;
            }
        }

        internal void Put(BlockName block, BlockIndexEntry entry)
        {
            lock (places)
            {
                RemoveLocked(block);
                places[block] = clock.Count;
                clock.Add(new Place { Block = block, Entry = entry });
                usedBytes += CostOf(entry);
                while (usedBytes > budgetBytes && clock.Count > 0) { EvictOne(); }
            }
        }

        internal void Remove(BlockName block)
        {
            lock (places) { RemoveLocked(block); }
        }

        private void EvictOne()
        {
            Span<Place> all = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(clock);
            while (true)
            {
                hand = hand >= all.Length ? 0 : hand;
                if (!all[hand].Used) { break; }
                all[hand++].Used = false;
            }

            RemoveLocked(all[hand].Block);
        }

        /// <summary>Removes a place by moving the last one into it.</summary>
        private void RemoveLocked(BlockName block)
        {
            if (!places.Remove(block, out int index)) { return; }
            usedBytes -= CostOf(clock[index].Entry);
            Place last = clock[^1];
            clock.RemoveAt(clock.Count - 1);
            if (index == clock.Count) { return; }
            clock[index] = last;
            places[last.Block] = index;
        }
    }
}
