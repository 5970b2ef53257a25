namespace KvFs.Mount;

/// <summary>Interrupts whose request has not begun: it was read by another worker, which will begin it any moment; or
/// it was answered already, which nobody can tell.</summary>
/// <remarks>Thread safe. <see cref="IsEmpty"/> is the only thing that a request pays as long as there are none, so old
/// ones are dropped: the time from reading a request to its begin is microseconds.</remarks>
internal sealed class EarlyInterrupts
{
    /// <summary>As many as may be under way at once; a few would do. The oldest is overwritten.</summary>
    private const int Capacity = 256;

    /// <summary>Milliseconds after which the request must have begun, even under a debugger's or collector's
    /// stop.</summary>
    private const long LifetimeMs = 10_000;

    private readonly Lock gate = new();
    private readonly ulong[] uniques = new ulong[Capacity];
    private readonly long[] expiryMs = new long[Capacity];
    private int count;
    private int next;

    public bool IsEmpty => Volatile.Read(ref count) == 0;

    public void Add(ulong unique, long nowMs)
    {
        lock (gate)
        {
            if (uniques[next] == 0) { Volatile.Write(ref count, count + 1); }
            uniques[next] = unique;
            expiryMs[next] = nowMs + LifetimeMs;
            next = (next + 1) % Capacity;
        }
    }

    /// <summary>Takes one out, and the expired ones.</summary>
    /// <returns>True if it was there.</returns>
    public bool Remove(ulong unique, long nowMs)
    {
        bool found = false;
        lock (gate)
        {
            for (int i = 0; i < Capacity; i++)
            {
                if (uniques[i] == 0 || (uniques[i] != unique && expiryMs[i] > nowMs)) { continue; }
                found |= uniques[i] == unique;
                uniques[i] = 0;
                Volatile.Write(ref count, count - 1);
            }
        }

        return found;
    }
}
