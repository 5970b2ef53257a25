namespace KvFs.Core;

/// <summary>What became of a request: one table for the wire, for errno, and for the client's retry rule.</summary>
/// <remarks>Wire numbers: never renumber. 0 to 9 and 32 on: decided, final. 10 to 19: not applied, may be sent again.
/// 20 to 29: unknown. 30 to 39: the store's own trouble.</remarks>
public enum Status : byte
{
    Ok = 0,

    /// <summary>No such name, VNode, attribute, snapshot, drive or block (ENOENT; ENODATA for attributes).</summary>
    NotFound = 1,

    /// <summary>The name is taken (EEXIST).</summary>
    Exists = 2,

    /// <summary>The node's disk, or the drive's quota of bytes, is full (ENOSPC).</summary>
    NoSpace = 3,

    /// <summary>The drive's quota of VNodes is used up (ENOSPC; told apart for messages).</summary>
    NoInodes = 4,

    /// <summary>A path component is not a directory (ENOTDIR).</summary>
    NotDirectory = 5,

    /// <summary>The target is a directory (EISDIR).</summary>
    IsDirectory = 6,

    /// <summary>The directory has entries (ENOTEMPTY).</summary>
    NotEmpty = 7,

    /// <summary>An argument makes no sense; nothing was changed (EINVAL).</summary>
    Invalid = 8,

    /// <summary>A name is longer than 255 bytes, or a symlink target than 4,095 (ENAMETOOLONG).</summary>
    NameTooLong = 9,

    /// <summary>Not applied, and safe to send again as is (EAGAIN).</summary>
    Busy = 10,

    /// <summary>Not applied: refresh the pool map, then send again.</summary>
    StaleEpoch = 11,

    /// <summary>Not applied: a precondition of a transaction does not hold (any more).</summary>
    Conflict = 12,

    /// <summary>Not applied: the node cannot be reached, or is stopping. Send it to another, or again later (EIO).</summary>
    Unavailable = 13,

    /// <summary>Applied or not, we cannot tell. Send again only under the same request id.</summary>
    Unknown = 20,

    /// <summary>The effects were answered, but lost in a power cut before they were durable.</summary>
    Lost = 21,

    /// <summary>The caller's time was up before the answer came: applied or not, we cannot tell (EIO).</summary>
    TimedOut = 22,

    /// <summary>A stored checksum does not match. Read another replica (EIO).</summary>
    Corrupt = 30,

    /// <summary>The disk failed; this node acknowledges nothing any more (EIO).</summary>
    IoError = 31,

    /// <summary>The file would exceed 16 TiB, or a record its bound (EFBIG).</summary>
    TooLarge = 32,

    /// <summary>More than 65,000 hard links, or subdirectories (EMLINK).</summary>
    TooManyLinks = 33,

    /// <summary>The caller may not do this (EPERM).</summary>
    NotPermitted = 34,

    /// <summary>The caller lacks access (EACCES).</summary>
    AccessDenied = 35,

    /// <summary>Snapshots and read-only mounts do not change (EROFS).</summary>
    ReadOnly = 36,

    /// <summary>Both ends must be in one drive and one tree (EXDEV).</summary>
    CrossDevice = 37,

    /// <summary>The VNode is gone, or its id was never valid for this session (ESTALE).</summary>
    Stale = 38,

    /// <summary>The kind of VNode, or this version, cannot do this (EOPNOTSUPP).</summary>
    NotSupported = 39,

    /// <summary>A lock of somebody else is in the way (EAGAIN for a try).</summary>
    Locked = 40,

    /// <summary>Waiting for the lock would wait for oneself (EDEADLK).</summary>
    Deadlock = 41,

    /// <summary>The session is unknown or has expired; the request was not applied (EIO on its handles).</summary>
    SessionExpired = 42,

    /// <summary>The buffer is too small for the value (ERANGE).</summary>
    Range = 43,

    /// <summary>No attribute of this name (ENODATA).</summary>
    NoAttribute = 44,

    /// <summary>An attribute's value is longer than 64 KiB (E2BIG).</summary>
    ValueTooLong = 45,

    /// <summary>The thing is in use: a pinned snapshot, a mounted drive (EBUSY).</summary>
    InUse = 46,

    /// <summary>No data or hole after this offset (ENXIO).</summary>
    NoData = 47,

    /// <summary>The user's or drive's quota of bytes is used up (EDQUOT where the user asked for that; else ENOSPC).</summary>
    QuotaExceeded = 48,

    /// <summary>The wait was interrupted by a signal (EINTR).</summary>
    Interrupted = 49,

    /// <summary>An owner has, or a file's waiters are, as many as there may be (ENOLCK).</summary>
    NoLocks = 50,
}
