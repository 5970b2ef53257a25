namespace KvFs.Node.Storage;

/// <summary>What a disk was asked to write or to make durable and has not answered yet: since when.</summary>
/// <remarks>Thread safe. Never waits and never fails: an operation that finds no place among <see cref="Places"/> others is not
/// seen, and those of a disk that hangs keep theirs.</remarks>
public sealed class DiskWatch(TimeProvider time)
{
    private const int Places = 64;

    /// <summary>Numbers between two places: each has a cache line of its own.</summary>
    private const int Stride = 8;

    /// <summary>When the operation in a place began; 0: there is none.</summary>
    private readonly long[] began = new long[Places * Stride];

    /// <summary>An operation begins.</summary>
    /// <returns>Its place, for <see cref="End"/>.</returns>
    public int Begin()
    {
        long now = Math.Max(1, time.GetTimestamp());
        int first = Environment.CurrentManagedThreadId;
        for (int at = 0; at < Places; at++)
        {
            int place = (first + at) % Places * Stride;
            if (Volatile.Read(ref began[place]) == 0 && Interlocked.CompareExchange(ref began[place], now, 0) == 0)
            {
                return place;
            }
        }

        return -1;
    }

    /// <summary>The disk answered.</summary>
    public void End(int place)
    {
        if (place >= 0) { Volatile.Write(ref began[place], 0); }
    }

    /// <summary>How long the disk has owed the oldest answer; zero: it owes none.</summary>
    public TimeSpan Owed()
    {
        long oldest = long.MaxValue;
        for (int place = 0; place < began.Length; place += Stride)
        {
            long one = Volatile.Read(ref began[place]);
            if (one != 0 && one < oldest) { oldest = one; }
        }

        return oldest == long.MaxValue ? TimeSpan.Zero : time.GetElapsedTime(oldest);
    }
}
