using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>What space is wanted for; the less there is, the fewer uses are let through.</summary>
public enum SpaceUse
{
    /// <summary>Bytes of blocks: stopped first.</summary>
    Data,

    /// <summary>Transactions that add: names, slices, inline bytes.</summary>
    Metadata,

    /// <summary>Transactions that free space (unlink, truncate, drop): they need a little themselves, so they are stopped
    /// last, or a full disk could never be emptied.</summary>
    Release,
}

/// <summary>Refuses work with NoSpace while there is still room for what is already accepted.</summary>
/// <remarks>RocksDB must not meet a full disk: its log, flushes and compactions need room that nobody asks for. So the
/// last <see cref="ReserveBytes"/> plus one percent belong to it. Thread safe. The file system is asked again and again
/// (statvfs(2)), so that what other programs take is seen too: for each question while space is short, else once for
/// <see cref="CreditBytes"/> of what is let through, which is a fraction of the reserve.</remarks>
public sealed class SpaceGuard(IDisk disk)
{
    /// <summary>Bytes kept for the key-value store: one memtable of each family flushed, twice over.</summary>
    public const long ReserveBytes = 64L << 20;

    /// <summary>The part of the disk kept besides, in percent: compaction needs more where there is more.</summary>
    public const int ReservePercent = 1;

    /// <summary>Bytes beyond the reserve from which on there is plenty.</summary>
    private const long PlentyBytes = 1L << 30;

    /// <summary>Bytes let through without asking, once there was plenty.</summary>
    private const long CreditBytes = 16L << 20;

    /// <summary>What a question counts for besides the bytes that it names: a large transaction.</summary>
    private const long QuestionBytes = 64L << 10;

    private long credit;

    /// <summary>Ok, NoSpace, or what the file system answers when asked.</summary>
    public Status Check(long bytes, SpaceUse use)
    {
        if (bytes <= CreditBytes && Interlocked.Add(ref credit, -bytes - QuestionBytes) >= 0) { return Status.Ok; }
        Status asked = disk.GetSpace(out DiskSpace space);
        if (asked != Status.Ok) { return asked; }
        long reserve = ReserveOf(space);
        long kept = use switch
        {
            SpaceUse.Data => reserve,
            SpaceUse.Metadata => reserve / 2,
            _ => reserve / 8,
        };
        bool plenty = space.FreeBytes - bytes >= reserve + PlentyBytes;
        Interlocked.Exchange(ref credit, plenty ? CreditBytes : 0);
        return space.FreeBytes - bytes >= kept ? Status.Ok : Status.NoSpace;
    }

    /// <summary>Bytes that blocks may still take.</summary>
    public Status GetFree(out long bytes)
    {
        bytes = 0;
        Status asked = disk.GetSpace(out DiskSpace space);
        if (asked != Status.Ok) { return asked; }
        bytes = Math.Max(0, space.FreeBytes - ReserveOf(space));
        return Status.Ok;
    }

    private static long ReserveOf(in DiskSpace space) => ReserveBytes + (space.TotalBytes / 100 * ReservePercent);
}
