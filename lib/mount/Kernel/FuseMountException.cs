namespace KvFs.Mount;

/// <summary>Why mounting or unmounting failed.</summary>
public enum FuseMountFailure
{
    /// <summary>There is no /dev/fuse, or the kernel has no FUSE.</summary>
    NoDevice,

    /// <summary>This user may not mount here.</summary>
    NoPermission,

    /// <summary>The mountpoint does not exist.</summary>
    MountpointMissing,

    /// <summary>The mountpoint is not a directory.</summary>
    NotDirectory,

    /// <summary>The mountpoint has entries.</summary>
    NotEmpty,

    /// <summary>Something is mounted there; or, on unmounting, files are in use.</summary>
    Busy,

    /// <summary>A dead FUSE mount is in the way.</summary>
    Stale,

    /// <summary>The kernel speaks a FUSE protocol before 7.31.</summary>
    KernelTooOld,

    /// <summary>fusermount3 is missing or refused.</summary>
    FusermountFailed,

    /// <summary>Another error; the message says which.</summary>
    Other,
}

/// <summary>Mounting or unmounting failed; the message says what to do about it.</summary>
public sealed class FuseMountException : IOException
{
    public FuseMountException()
    {
    }

    public FuseMountException(string message)
        : base(message)
    {
    }

    public FuseMountException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public FuseMountException(FuseMountFailure reason, string message, int errorNumber = 0)
        : base(message)
    {
        Reason = reason;
        ErrorNumber = errorNumber;
    }

    public FuseMountFailure Reason { get; } = FuseMountFailure.Other;

    /// <summary>The kernel's error number, or 0.</summary>
    public int ErrorNumber { get; }
}
