using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Node.Drives;

public sealed partial class HostedDrive
{
    /// <summary>Sets bytes and VNodes aside for a session: of the drive's quota, and of the disk, for all drives together.
    /// </summary>
    public Status Reserve(SessionId session, Reservation wanted)
    {
        if (wanted.Bytes > long.MaxValue / 2) { return Status.NoSpace; }
        Status status = blocks.Space.Promise((long)wanted.Bytes);
        if (status != Status.Ok) { return status; }
        LogIndex upTo;
        using (Shard.Enter())
        {
            if (isLetGo)
            {
                blocks.Space.EndPromise((long)wanted.Bytes);
                return Status.StaleEpoch;
            }

            // What is owed is not counted yet.
            status = Shard.Resume();
            DrivePolicy policy = State.Policy;
            Reservation used = new(counters.UsedBytes, counters.UsedInodes);
            if (status == Status.Ok) { status = Quota.Reserve(session, wanted, used, new(policy.QuotaBytes, policy.QuotaInodes)); }
            upTo = Shard.LastInFlight;
        }

        // It was told by what is used, which may not come to be.
        Status confirmed = Confirm(status, upTo, null);
        if (status != Status.Ok) { blocks.Space.EndPromise((long)wanted.Bytes); }
        else if (confirmed != Status.Ok) { Unreserve(session, wanted); }
        return confirmed;
    }

    /// <summary>Whether other sessions have set bytes aside.</summary>
    public bool HasReservedByOthers(SessionId session)
    {
        using (Shard.Enter()) { return Quota.ReservedByOthers(session).Bytes > 0; }
    }

    /// <summary>What a session has set aside under the primary before: that, and nothing else. With the gate held.</summary>
    public void AdoptReservation(SessionId session, Reservation reserved)
    {
        if (isLetGo) { return; }
        EndReservation(session);
        reserved = reserved with { Bytes = Math.Min(reserved.Bytes, long.MaxValue / 2) };
        Quota.Adopt(session, reserved);
        blocks.Space.TakePromise((long)reserved.Bytes);
    }

    /// <summary>Another node serves the drive: nothing is set aside here any more.</summary>
    public void LetGo()
    {
        using (Shard.Enter())
        {
            Volatile.Write(ref isLetGo, true);
            blocks.Space.EndPromise((long)Quota.Clear().Bytes);
        }

        Kept.End();
        Writes.End();
    }

    /// <summary>A session needs some of what it set aside no more, or has used it.</summary>
    public void Unreserve(SessionId session, Reservation returned)
    {
        Reservation taken;
        using (Shard.Enter()) { taken = Quota.Return(session, returned); }
        blocks.Space.EndPromise((long)taken.Bytes);
    }

    /// <summary>A session has ended. With the gate held.</summary>
    public void EndReservation(SessionId session) => blocks.Space.EndPromise((long)Quota.Remove(session).Bytes);

    /// <summary>What statfs tells.</summary>
    public Status GetUsage(out DriveUsage usage)
    {
        usage = default;
        Status status = blocks.Space.GetFree(out long freeOnDisk);
        if (status != Status.Ok) { return status; }
        DrivePolicy policy = State.Policy;
        ulong usedBytes;
        ulong usedInodes;
        LogIndex upTo;
        using (Shard.Enter())
        {
            Reservation reserved = Quota.ReservedByOthers(default);
            usedBytes = counters.UsedBytes + reserved.Bytes;
            usedInodes = counters.UsedInodes;
            upTo = Shard.LastInFlight;
        }

        status = Confirm(Status.Ok, upTo, null);
        if (status != Status.Ok) { return status; }
        ulong free = (ulong)freeOnDisk;
        if (policy.QuotaBytes != 0)
        {
            free = Math.Min(free, policy.QuotaBytes > usedBytes ? policy.QuotaBytes - usedBytes : 0);
        }

        ulong total = policy.QuotaBytes != 0 ? Math.Max(policy.QuotaBytes, usedBytes) : usedBytes + free;
        ulong inodes = policy.QuotaInodes != 0 ? Math.Max(policy.QuotaInodes, usedInodes) : ulong.MaxValue / 2;
        usage = new(total, usedBytes, free, inodes, usedInodes);
        return Status.Ok;
    }
}
