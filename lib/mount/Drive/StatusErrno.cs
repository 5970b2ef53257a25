using KvFs.Core;

namespace KvFs.Mount;

/// <summary>What a program is told of a request's outcome.</summary>
public static class StatusErrno
{
    /// <summary>The errno of a status; 0 for Ok.</summary>
    /// <remarks>What the client was to retry, and gave up, is EIO: a program can do nothing about it. So is what a
    /// newer node answers and this table does not know.</remarks>
    public static int Of(Status status) => status switch
    {
        Status.Ok => 0,
        Status.NotFound => Errno.ENOENT,
        Status.Exists => Errno.EEXIST,
        Status.NoSpace or Status.NoInodes => Errno.ENOSPC,
        Status.NotDirectory => Errno.ENOTDIR,
        Status.IsDirectory => Errno.EISDIR,
        Status.NotEmpty => Errno.ENOTEMPTY,
        Status.Invalid => Errno.EINVAL,
        Status.NameTooLong => Errno.ENAMETOOLONG,
        Status.Busy or Status.Locked => Errno.EAGAIN,
        Status.TooLarge => Errno.EFBIG,
        Status.TooManyLinks => Errno.EMLINK,
        Status.NotPermitted => Errno.EPERM,
        Status.AccessDenied => Errno.EACCES,
        Status.ReadOnly => Errno.EROFS,
        Status.CrossDevice => Errno.EXDEV,
        Status.Stale => Errno.ESTALE,
        Status.NotSupported => Errno.EOPNOTSUPP,
        Status.Deadlock => Errno.EDEADLK,
        Status.Range => Errno.ERANGE,
        Status.NoAttribute => Errno.ENODATA,
        Status.ValueTooLong => Errno.E2BIG,
        Status.InUse => Errno.EBUSY,
        Status.NoData => Errno.ENXIO,
        Status.QuotaExceeded => Errno.EDQUOT,
        Status.Interrupted => Errno.EINTR,
        Status.NoLocks => Errno.ENOLCK,
        Status.StaleEpoch or Status.Conflict or Status.Unknown or Status.Lost or Status.Corrupt or Status.IoError
            or Status.SessionExpired or Status.Unavailable or Status.TimedOut => Errno.EIO,
        _ => Errno.EIO,
    };
}
