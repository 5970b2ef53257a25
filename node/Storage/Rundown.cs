namespace KvFs.Node.Storage;

/// <summary>Counts who is inside, so that what they use is closed only after the last one has left.</summary>
/// <remarks>Thread safe; one atomic addition to enter, one to leave.</remarks>
internal sealed class Rundown
{
    /// <summary>Added to the count when nobody may enter any more.</summary>
    private const long Closed = 1L << 62;

    private readonly object gate = new();
    private long state;

    /// <summary>Enters; false once <see cref="CloseAndWait"/> was called.</summary>
    internal bool TryEnter()
    {
        if (Interlocked.Increment(ref state) < Closed) { return true; }
        Leave();
        return false;
    }

    internal void Leave()
    {
        if (Interlocked.Decrement(ref state) != Closed) { return; }
        lock (gate) { Monitor.PulseAll(gate); }
    }

    /// <summary>Lets nobody in any more and waits until everybody is out. Called once.</summary>
    internal void CloseAndWait()
    {
        Interlocked.Add(ref state, Closed);
        lock (gate)
        {
            while (Volatile.Read(ref state) != Closed) { Monitor.Wait(gate); }
        }
    }
}
