using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>Keeps enough of the drive's quota reserved for all dirty data, so that no flush meets a full
/// quota.</summary>
/// <remarks>Thread safe. Dirty data is charged as if all of it were new; what turns out to overwrite comes back with
/// its commit. At all times needed ≤ held, and held is what the session has set aside for this client.</remarks>
internal sealed class QuotaKeeper(IDriveSession session, ulong stepBytes)
{
    private readonly Lock gate = new();
    private ulong held;
    private ulong needed;

    /// <summary>Bytes that are reserved and that no dirty data needs.</summary>
    public ulong SurplusBytes
    {
        get
        {
            lock (gate) { return held - needed; }
        }
    }

    /// <summary>Takes bytes for dirty data out of what is reserved.</summary>
    public bool TryTake(ulong bytes)
    {
        lock (gate)
        {
            if (held - needed < bytes) { return false; }
            needed += bytes;
            return true;
        }
    }

    /// <summary>Reserves until as many bytes can be taken; more than that while there is plenty.</summary>
    public async ValueTask<Status> EnsureAsync(ulong bytes)
    {
        ulong missing = Missing(bytes);
        if (missing == 0) { return Status.Ok; }
        ulong asked = Math.Max(missing, stepBytes);
        Status status = await session.ReserveAsync(new(asked, 0));
        if (status == Status.NoSpace && asked > missing)
        {
            asked = missing;
            status = await session.ReserveAsync(new(asked, 0));
        }

        if (status == Status.Ok)
        {
            lock (gate) { held += asked; }
        }

        return status;
    }

    /// <summary>Dirty data went without a commit.</summary>
    public void Dropped(ulong bytes)
    {
        lock (gate)
        {
            Invariant.Check(needed >= bytes);
            needed -= bytes;
        }
    }

    /// <summary>Dirty data was committed.</summary>
    /// <param name="reserved">What was taken for it.</param>
    /// <param name="charged">What the commit charged: the session took it out of what it had set aside.</param>
    public void Committed(ulong reserved, ulong charged)
    {
        lock (gate)
        {
            Invariant.Check(needed >= reserved);
            needed -= reserved;
            held = Math.Max(needed, held - Math.Min(held, charged));
        }
    }

    /// <summary>Returns what is much more than the next writes will need. Calls the session: hold no lock.</summary>
    public void ReleaseExcess()
    {
        ulong excess = 0;
        lock (gate)
        {
            if (held - needed > 2 * stepBytes) { excess = held - needed - stepBytes; }
            held -= excess;
        }

        if (excess > 0) { session.Unreserve(new(excess, 0)); }
    }

    /// <summary>Returns what no dirty data needs. Calls the session: hold no lock.</summary>
    public void ReleaseSurplus()
    {
        ulong surplus;
        lock (gate)
        {
            surplus = held - needed;
            held = needed;
        }

        if (surplus > 0) { session.Unreserve(new(surplus, 0)); }
    }

    private ulong Missing(ulong bytes)
    {
        lock (gate)
        {
            ulong free = held - needed;
            return free >= bytes ? 0 : bytes - free;
        }
    }
}
