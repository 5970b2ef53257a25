namespace KvFs.Mount;

/// <summary>The slots of a connection: idle ones to take, all of them to find the request that an interrupt
/// means.</summary>
/// <remarks>Thread safe. There are as many slots as requests were ever pending at once; the kernel bounds that by its
/// background limit and by the threads that use the mount. Idle memory beyond <see cref="IdleBuffers"/> is given back.
/// </remarks>
internal sealed class FuseRequestRegistry(int maxDataBytes, FuseFaultLog faults) : IDisposable
{
    /// <summary>Idle slots that keep their memory (1 MiB each): as many as come and go at once under load.</summary>
    private const int IdleBuffers = 32;

    private readonly Lock poolLock = new();
    private readonly Stack<FuseRequestSlot> withBuffer = new();
    private readonly Stack<FuseRequestSlot> withoutBuffer = new();
    private readonly EarlyInterrupts early = new();
    private FuseRequestSlot[] all = [];
    private bool disposed;

    /// <summary>Requests that are read or wait for an answer, plus one per worker.</summary>
    public int SlotsInUse
    {
        get
        {
            lock (poolLock) { return all.Length - withBuffer.Count - withoutBuffer.Count; }
        }
    }

    public FuseFaultLog Faults => faults;

    /// <summary>A slot with a buffer; the caller owns it.</summary>
    public FuseRequestSlot Take()
    {
        FuseRequestSlot? slot;
        lock (poolLock)
        {
            if (withBuffer.TryPop(out slot)) { return slot; }
            if (!withoutBuffer.TryPop(out slot))
            {
                slot = new FuseRequestSlot(this);
                Volatile.Write(ref all, [.. all, slot]);
            }
        }

        slot.Buffer = new NativeBuffer(maxDataBytes);
        return slot;
    }

    /// <summary>Gives an owned slot back.</summary>
    public void Return(FuseRequestSlot slot)
    {
        lock (poolLock)
        {
            if (!disposed && withBuffer.Count < IdleBuffers)
            {
                withBuffer.Push(slot);
                return;
            }
        }

        ((IDisposable)slot.Buffer!).Dispose();
        slot.Buffer = null;
        lock (poolLock) { withoutBuffer.Push(slot); }
    }

    /// <summary>Delivers an interrupt to its request, or keeps it until that request begins.</summary>
    public void Interrupt(ulong unique)
    {
        ulong wanted = unique & ~FuseRequestParser.UniqueResend;
        early.Add(wanted, Environment.TickCount64);
        Interlocked.MemoryBarrier();
        foreach (FuseRequestSlot slot in Volatile.Read(ref all))
        {
            if (slot.Unique == wanted && slot.TryInterrupt(wanted))
            {
                early.Remove(wanted, Environment.TickCount64);
                return;
            }
        }
    }

    /// <summary>Delivers an interrupt that was read before its request began.</summary>
    public void ClaimEarlyInterrupt(FuseRequestSlot slot)
    {
        Interlocked.MemoryBarrier();
        if (early.IsEmpty) { return; }
        ulong unique = slot.Unique;
        if (early.Remove(unique, Environment.TickCount64)) { slot.TryInterrupt(unique); }
    }

    /// <summary>Frees the idle memory; slots of unanswered requests free theirs when they are returned.</summary>
    public void Dispose()
    {
        List<FuseRequestSlot> idle;
        lock (poolLock)
        {
            disposed = true;
            idle = [.. withBuffer];
            withBuffer.Clear();
        }

        foreach (FuseRequestSlot slot in idle) { Return(slot); }
    }
}
