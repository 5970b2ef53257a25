using System.Numerics;

namespace KvFs.Core;

/// <summary>Questions about which units of one 16 MiB chunk are used: 4,096 bits, one per 4 KiB, set when used.</summary>
/// <remarks>
/// A buddy of order n is a free run of 2^n units that starts at a multiple of 2^n. Buddies are not stored: they follow
/// from the bits, so splitting and joining cost nothing and cannot go wrong. "Whole" is a buddy whose sibling is not
/// entirely free: it is no part of a larger one. Orders below 6 lie within a word; from 6 on, words are the bits.
/// </remarks>
internal static class ChunkMap
{
    /// <summary>Units of a chunk.</summary>
    internal const int Units = Extent.MaxUnits;

    /// <summary>Words of a chunk's map.</summary>
    internal const int Words = Units / WordBits;

    /// <summary>The order of a whole chunk.</summary>
    internal const int MaxOrder = 12;

    /// <summary>Stands for "nothing is free".</summary>
    internal const int NoOrder = -1;

    private const int WordBits = 64;
    private const int WordOrder = 6;

    /// <summary>The order of the largest free buddy, or <see cref="NoOrder"/>.</summary>
    internal static int LargestOrder(ReadOnlySpan<ulong> used)
    {
        int largest = NoOrder;
        ulong freeWords = 0;
        for (int word = 0; word < Words; word++)
        {
            ulong free = ~used[word];
            if (free == ulong.MaxValue)
            {
                freeWords |= 1UL << word;
            }
            else if (free != 0 && freeWords == 0)
            {
                largest = Math.Max(largest, LargestIn(free));
            }
        }

        return freeWords == 0 ? largest : WordOrder + LargestIn(freeWords);
    }

    /// <summary>Finds the smallest whole buddy of at least an order, the first of its size.</summary>
    /// <returns>Its first unit, or -1.</returns>
    internal static int FindBestFit(ReadOnlySpan<ulong> used, int order)
    {
        int bestOrder = int.MaxValue;
        int bestUnit = -1;
        ulong freeWords = 0;
        for (int word = 0; word < Words; word++)
        {
            ulong free = ~used[word];
            if (free == ulong.MaxValue)
            {
                freeWords |= 1UL << word;
                continue;
            }

            if (free == 0 || order >= WordOrder) { continue; }
            int found = BestFitIn(free, order, Math.Min(bestOrder, WordOrder), out int bit);
            if (found == NoOrder) { continue; }
            bestOrder = found;
            bestUnit = (word * WordBits) + bit;
            if (found == order) { return bestUnit; }
        }

        if (bestUnit >= 0 || freeWords == 0) { return bestUnit; }
        int wordOrder = Math.Max(order - WordOrder, 0);
        return BestFitIn(freeWords, wordOrder, int.MaxValue, out int firstWord) == NoOrder ? -1 : firstWord * WordBits;
    }

    /// <summary>Whether all units of a run are used (or all free).</summary>
    internal static bool All(ReadOnlySpan<ulong> used, int start, int count, bool areUsed)
    {
        for (int unit = start; unit < start + count;)
        {
            ulong mask = MaskAt(unit, start + count, out int step);
            ulong bits = used[unit / WordBits] & mask;
            if (bits != (areUsed ? mask : 0)) { return false; }
            unit += step;
        }

        return true;
    }

    /// <summary>Marks a run.</summary>
    internal static void Set(Span<ulong> used, int start, int count, bool areUsed)
    {
        for (int unit = start; unit < start + count;)
        {
            ulong mask = MaskAt(unit, start + count, out int step);
            ref ulong word = ref used[unit / WordBits];
            word = areUsed ? word | mask : word & ~mask;
            unit += step;
        }
    }

    /// <summary>Counts whole free buddies by order.</summary>
    internal static void CountWhole(ReadOnlySpan<ulong> used, Span<long> byOrder)
    {
        ulong freeWords = 0;
        for (int word = 0; word < Words; word++)
        {
            ulong free = ~used[word];
            if (free == ulong.MaxValue) { freeWords |= 1UL << word; }
            else { CountWholeIn(free, byOrder); }
        }

        CountWholeIn(freeWords, byOrder[WordOrder..]);
    }

    /// <summary>The bits of the word of <paramref name="unit"/> that lie in [unit, end), and how many they are.</summary>
    private static ulong MaskAt(int unit, int end, out int count)
    {
        int bit = unit % WordBits;
        count = Math.Min(WordBits - bit, end - unit);
        return (count == WordBits ? ulong.MaxValue : (1UL << count) - 1) << bit;
    }

    /// <summary>From the buddies of an order (bits at their starts) to those of the next one.</summary>
    private static ulong Join(ulong buddies, int order) => buddies & (buddies >> (1 << order)) & Starts[order + 1];

    private static int LargestIn(ulong free)
    {
        int order = 0;
        for (ulong next = Join(free, 0); next != 0; next = Join(next, order))
        {
            if (++order == WordOrder) { break; }
        }

        return order;
    }

    /// <summary>The smallest order in [<paramref name="order"/>, <paramref name="below"/>) with a whole buddy.</summary>
    private static int BestFitIn(ulong free, int order, int below, out int bit)
    {
        ulong buddies = free;
        for (int level = 0; level <= WordOrder && level < below && buddies != 0; level++)
        {
            ulong next = level < WordOrder ? Join(buddies, level) : 0;
            ulong whole = level < WordOrder ? buddies & ~(next | (next << (1 << level))) : buddies;
            if (level >= order && whole != 0)
            {
                bit = BitOperations.TrailingZeroCount(whole);
                return level;
            }

            buddies = next;
        }

        bit = 0;
        return NoOrder;
    }

    private static void CountWholeIn(ulong free, Span<long> byOrder)
    {
        ulong buddies = free;
        for (int level = 0; level <= WordOrder && buddies != 0; level++)
        {
            ulong next = level < WordOrder ? Join(buddies, level) : 0;
            byOrder[level] += BitOperations.PopCount(buddies) - (2 * BitOperations.PopCount(next));
            buddies = next;
        }
    }

    /// <summary>The multiples of 2^n, by n.</summary>
    private static ReadOnlySpan<ulong> Starts =>
    [
        0xFFFF_FFFF_FFFF_FFFF, 0x5555_5555_5555_5555, 0x1111_1111_1111_1111, 0x0101_0101_0101_0101,
        0x0001_0001_0001_0001, 0x0000_0001_0000_0001, 0x0000_0000_0000_0001,
    ];
}
