using System.Numerics;

namespace KvFs.Bench;

/// <summary>How long things took: counts by time, in steps of a thirty-second of it, so that a quantile is right to 3 %.</summary>
/// <remarks>Not thread safe: each worker has its own, and they are added up at the end. Bucket of a time in nanoseconds: below 32
/// the time itself; above, its highest bit and the five bits behind that.</remarks>
internal sealed class LatencyHistogram
{
    private const int Bits = 5;
    private const int Steps = 1 << Bits;

    private readonly long[] counts = new long[(64 - Bits + 1) * Steps];

    public long Count { get; private set; }

    public long MaxNanoseconds { get; private set; }

    public void Add(long nanoseconds)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(nanoseconds);
        counts[BucketOf(nanoseconds)]++;
        Count++;
        MaxNanoseconds = Math.Max(MaxNanoseconds, nanoseconds);
    }

    public void Add(LatencyHistogram other)
    {
        for (int at = 0; at < counts.Length; at++) { counts[at] += other.counts[at]; }
        Count += other.Count;
        MaxNanoseconds = Math.Max(MaxNanoseconds, other.MaxNanoseconds);
    }

    /// <summary>The time that so large a part of all did not exceed, in microseconds; 0: there are none.</summary>
    /// <param name="part">Above 0, at most 1.</param>
    public double Microseconds(double part)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(part);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(part, 1);
        long wanted = (long)Math.Ceiling(part * Count);
        long seen = 0;
        for (int at = 0; at < counts.Length && Count > 0; at++)
        {
            seen += counts[at];
            if (seen >= wanted) { return Math.Min(LastOf(at), MaxNanoseconds) / 1e3; }
        }

        return 0;
    }

    private static int BucketOf(long nanoseconds)
    {
        if (nanoseconds < Steps) { return (int)nanoseconds; }
        int shift = BitOperations.Log2((ulong)nanoseconds) - Bits;
        return ((shift + 1) * Steps) + (int)((nanoseconds >> shift) - Steps);
    }

    /// <summary>The longest time that falls into a bucket.</summary>
    private static long LastOf(int bucket)
    {
        if (bucket < Steps) { return bucket; }
        int shift = (bucket / Steps) - 1;
        return ((((long)bucket % Steps) + Steps + 1) << shift) - 1;
    }
}
