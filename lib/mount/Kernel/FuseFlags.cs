namespace KvFs.Mount;

/// <summary>Which fields of SETATTR are meant.</summary>
[Flags]
public enum FuseSetattrValid : uint
{
    None = 0,
    Mode = 1 << 0,
    Uid = 1 << 1,
    Gid = 1 << 2,
    Size = 1 << 3,
    Atime = 1 << 4,
    Mtime = 1 << 5,

    /// <summary>The handle is given (ftruncate, fchmod).</summary>
    Fh = 1 << 6,

    /// <summary>Set to the server's now, not to the given time.</summary>
    AtimeNow = 1 << 7,
    MtimeNow = 1 << 8,
    LockOwner = 1 << 9,
    Ctime = 1 << 10,

    /// <summary>A truncation that must also clear the set-id bits.</summary>
    KillSuidGid = 1 << 11,
}

/// <summary>How the kernel shall treat an opened file.</summary>
[Flags]
public enum FuseOpenReplyFlags : uint
{
    None = 0,

    /// <summary>Past the page cache.</summary>
    DirectIo = 1 << 0,

    /// <summary>Do not drop cached pages on this open.</summary>
    KeepCache = 1 << 1,
    NonSeekable = 1 << 2,

    /// <summary>The kernel may cache the entries of this directory.</summary>
    CacheDir = 1 << 3,
    Stream = 1 << 4,

    /// <summary>No FLUSH on close (unless dirty pages exist).</summary>
    NoFlush = 1 << 5,

    /// <summary>Direct writes need not exclude each other.</summary>
    ParallelDirectWrites = 1 << 6,
}

/// <summary>Flags of GETATTR and STATX.</summary>
[Flags]
public enum FuseGetattrFlags : uint
{
    None = 0,

    /// <summary>The handle is given.</summary>
    Fh = 1,
}

/// <summary>Flags of OPEN and CREATE beside those of open(2).</summary>
[Flags]
public enum FuseOpenInFlags : uint
{
    None = 0,

    /// <summary>A truncating open that must also clear the set-id bits.</summary>
    KillSuidGid = 1,
}

/// <summary>Flags of RELEASE.</summary>
[Flags]
public enum FuseReleaseFlags : uint
{
    None = 0,
    Flush = 1,

    /// <summary>Drop the flock locks of this lock owner.</summary>
    FlockUnlock = 2,
}

/// <summary>Flags of READ.</summary>
[Flags]
public enum FuseReadFlags : uint
{
    None = 0,
    LockOwner = 2,
}

/// <summary>Flags of WRITE.</summary>
[Flags]
public enum FuseWriteFlags : uint
{
    None = 0,

    /// <summary>A late write out of the page cache: the handle is a guess of the kernel, and so are uid and
    /// gid.</summary>
    Cache = 1,
    LockOwner = 2,

    /// <summary>This write must also clear the set-id bits.</summary>
    KillSuidGid = 4,
}

/// <summary>Flags of FSYNC and FSYNCDIR.</summary>
[Flags]
public enum FuseFsyncFlags : uint
{
    None = 0,

    /// <summary>fdatasync: metadata that reading the data does not need may wait.</summary>
    DataOnly = 1,
}

/// <summary>Flags of SETXATTR, if SETXATTR_EXT was negotiated.</summary>
[Flags]
public enum FuseSetxattrFlags : uint
{
    None = 0,

    /// <summary>Setting this ACL must also clear the set-group-id bit.</summary>
    AclKillSgid = 1,
}

/// <summary>Flags of GETLK, SETLK and SETLKW.</summary>
[Flags]
public enum FuseLockFlags : uint
{
    None = 0,

    /// <summary>flock(2), not fcntl(2): whole file, owner is the open file.</summary>
    Flock = 1,
}

/// <summary>Flags inside of attributes.</summary>
[Flags]
public enum FuseAttrFlags : uint
{
    None = 0,
    Submount = 1,
    Dax = 2,
}

/// <summary>Flags of IOCTL.</summary>
[Flags]
public enum FuseIoctlFlags : uint
{
    None = 0,
    Compat = 1,
    Unrestricted = 2,
    Retry = 4,
    Bits32 = 8,
    Directory = 16,
    CompatX32 = 32,
}

/// <summary>Flags of POLL.</summary>
[Flags]
public enum FusePollFlags : uint
{
    None = 0,
    ScheduleNotify = 1,
}

/// <summary>Flags of the notification that invalidates a name.</summary>
[Flags]
public enum FuseNotifyEntryFlags : uint
{
    None = 0,

    /// <summary>Look the name up again at its next use, but do not unmount or drop what lies below it.</summary>
    ExpireOnly = 1,
}
