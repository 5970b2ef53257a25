using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>What space is wanted for; the less there is, the fewer uses are let through.</summary>
public enum SpaceUse
{
    /// <summary>Bytes of blocks that the node copies because it pays later: stopped first, before they touch what was
    /// promised to clients.</summary>
    Copies,

    /// <summary>Bytes of blocks for a client, or for the copy that a client waits for.</summary>
    Data,

    /// <summary>Transactions that add: names, slices, inline bytes.</summary>
    Metadata,

    /// <summary>Transactions that free space (unlink, truncate, drop): they need a little themselves, so they are stopped
    /// last, or a full disk could never be emptied.</summary>
    Release,
}

/// <summary>Refuses work with NoSpace while there is still room for what is already accepted.</summary>
/// <remarks>
/// RocksDB must not meet a full disk with what it has accepted: a flush that finds no room stops all writes, because the
/// journal, whose bound is 32 MiB, is not let go of before. So the last <see cref="ReserveBytes"/> plus one percent belong to
/// the two. The arithmetic: what it may have to write without being asked is
/// at the most W = <see cref="JournaledKeyValueStore.MaxUnaskedBytes"/>. Data stops at 2 W + 1 %, names and slices at half of
/// that, which leaves W to flush them; what frees space stops last, at an eighth: it adds little, and is the only way out.
/// The percent is for compactions, which may fail for want of space and are tried again.
/// <para>Thread safe. The file system is asked again and again (statvfs(2)), so that what other programs take is seen too:
/// for each question while space is short, else once for <see cref="CreditBytes"/> of what is let through, which is a
/// fraction of the reserve. What sessions have set aside for data that they still hold (<see cref="Promise"/>) counts as
/// taken, for all drives together; blocks that clients write pass without regard to it, because they are what it was for, and
/// copies that the node makes do not. A block counts from when its room is taken (<see cref="Take"/>) until it is written
/// (<see cref="Taken"/>); where it would be too much together with those that are under way, its writer waits for them and
/// asks again, because how much of them the file system has counted already is not known. A transaction is asked for twice:
/// before it is made, and, when its size is known, with that.</para></remarks>
public sealed class SpaceGuard(IDisk disk)
{
    /// <summary>Bytes kept for the key-value store: twice what it may have to write unasked.</summary>
    public const long ReserveBytes = 2 * JournaledKeyValueStore.MaxUnaskedBytes;

    /// <summary>The part of the disk kept besides, in percent: compaction needs more where there is more.</summary>
    public const int ReservePercent = 1;

    /// <summary>Bytes beyond the reserve from which on there is plenty.</summary>
    private const long PlentyBytes = 1L << 30;

    /// <summary>Bytes let through without asking, once there was plenty.</summary>
    private const long CreditBytes = 16L << 20;

    /// <summary>What a question counts for besides the bytes that it names: pages that are filled up.</summary>
    private const long QuestionBytes = 8L << 10;

    /// <summary>Guards what is under way.</summary>
    private readonly object gate = new();
    private long underWay;
    private long copiesUnderWay;
    private long credit;
    private long promised;

    /// <summary>Ok, NoSpace, or what the file system answers when asked.</summary>
    public Status Check(long bytes, SpaceUse use)
    {
        // What was promised is not looked at for credit: copies, which must leave it alone, always ask.
        bool mayCredit = use != SpaceUse.Copies;
        if (mayCredit && bytes <= CreditBytes && Interlocked.Add(ref credit, -bytes - QuestionBytes) >= 0) { return Status.Ok; }
        Status asked = disk.GetSpace(out DiskSpace space);
        if (asked != Status.Ok) { return asked; }
        long reserve = ReserveOf(space);
        long kept = use switch
        {
            SpaceUse.Copies => reserve + Interlocked.Read(ref promised),
            SpaceUse.Data => reserve,
            SpaceUse.Metadata => reserve / 2,
            _ => reserve / 8,
        };
        bool plenty = space.FreeBytes - bytes >= reserve + PlentyBytes;
        if (mayCredit) { Interlocked.Exchange(ref credit, plenty ? CreditBytes : 0); }
        return space.FreeBytes - bytes >= kept ? Status.Ok : Status.NoSpace;
    }

    /// <summary>Takes room for a block, until <see cref="Taken"/>: Ok, NoSpace, or what the file system answers.</summary>
    public Status Take(long bytes, SpaceUse use)
    {
        lock (gate)
        {
            Status status;
            while ((status = Check(underWay + bytes, use)) == Status.NoSpace && underWay > 0) { Monitor.Wait(gate); }
            if (status == Status.Ok) { Count(bytes, use); }
            return status;
        }
    }

    /// <summary>The block is written, or will not be.</summary>
    public void Taken(long bytes, SpaceUse use)
    {
        lock (gate)
        {
            Count(-bytes, use);
            Invariant.Check(underWay >= 0 && copiesUnderWay >= 0);
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>Whether there is so little that every hole in a file counts.</summary>
    public bool IsShort() => GetFree(out long free) == Status.Ok && free < PlentyBytes;

    /// <summary>Sets bytes of the disk aside for data that is to come, until <see cref="EndPromise"/>. Ok, NoSpace, or what
    /// the file system answers.</summary>
    public Status Promise(long bytes)
    {
        Status asked = disk.GetSpace(out DiskSpace space);
        if (asked != Status.Ok) { return asked; }
        long all = Interlocked.Add(ref promised, bytes);
        if (space.FreeBytes - all - Interlocked.Read(ref copiesUnderWay) >= ReserveOf(space)) { return Status.Ok; }
        EndPromise(bytes);
        return Status.NoSpace;
    }

    /// <summary>The same for what another node has promised: whether there is room was asked there.</summary>
    public void TakePromise(long bytes) => Interlocked.Add(ref promised, bytes);

    /// <summary>The data has come, or will not.</summary>
    public void EndPromise(long bytes)
    {
        long left = Interlocked.Add(ref promised, -bytes);
        Invariant.Check(left >= 0);
    }

    /// <summary>Bytes that blocks may still take, beside what is promised.</summary>
    public Status GetFree(out long bytes)
    {
        bytes = 0;
        Status asked = disk.GetSpace(out DiskSpace space);
        if (asked != Status.Ok) { return asked; }
        bytes = Math.Max(0, space.FreeBytes - ReserveOf(space) - Interlocked.Read(ref promised));
        return Status.Ok;
    }

    private void Count(long bytes, SpaceUse use)
    {
        underWay += bytes;
        if (use == SpaceUse.Copies) { Interlocked.Add(ref copiesUnderWay, bytes); }
    }

    private static long ReserveOf(in DiskSpace space) => ReserveBytes + (space.TotalBytes / 100 * ReservePercent);
}
