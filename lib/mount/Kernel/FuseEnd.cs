namespace KvFs.Mount;

/// <summary>Why the workers of a connection ended.</summary>
public enum FuseEndReason
{
    /// <summary>The file system was unmounted, by us or by somebody else (ENODEV).</summary>
    Unmounted,

    /// <summary>The connection was aborted: umount --force, or an abort through fusectl.</summary>
    Aborted,

    /// <summary>Reading requests failed again and again; the mount was given up.</summary>
    Failed,
}

/// <summary>How a connection ended; <paramref name="ErrorNumber"/> is the last error of the device.</summary>
public sealed record FuseEnd(FuseEndReason Reason, int ErrorNumber);
