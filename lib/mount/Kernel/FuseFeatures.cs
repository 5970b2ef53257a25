namespace KvFs.Mount;

/// <summary>Who drops cached pages when a file changed elsewhere.</summary>
public enum DataInvalidation
{
    /// <summary>The kernel keeps pages over changes of size and mtime, except at open.</summary>
    None,

    /// <summary>The kernel drops pages when it sees another size or mtime.</summary>
    Automatic,

    /// <summary>Only the server's notifications drop pages.</summary>
    Explicit,
}

/// <summary>What to ask the kernel for at INIT. What it granted is in <see cref="FuseNegotiated"/>.</summary>
public sealed record FuseFeatures
{
    public bool Readdirplus { get; init; } = true;

    /// <summary>The kernel decides per call whether attributes are worth it.</summary>
    public bool ReaddirplusAuto { get; init; } = true;

    public bool ParallelDirops { get; init; } = true;

    public bool AsyncRead { get; init; } = true;

    public bool AsyncDirectIo { get; init; } = true;

    public bool AtomicTruncate { get; init; } = true;

    public bool PosixLocks { get; init; } = true;

    public bool FlockLocks { get; init; } = true;

    /// <summary>ACLs are kept by the server and checked by the kernel; implies default_permissions.</summary>
    public bool PosixAcl { get; init; } = true;

    /// <summary>The server clears set-id bits and capabilities on write, truncate and chown (version 2 of the
    /// rule).</summary>
    public bool HandleKillPrivV2 { get; init; } = true;

    public DataInvalidation DataInvalidation { get; init; } = DataInvalidation.Automatic;

    /// <summary>SETXATTR carries extra flags (clearing set-group-id with an ACL).</summary>
    public bool SetxattrExt { get; init; } = true;

    /// <summary>Creating requests carry the supplementary group that matches the parent's.</summary>
    public bool CreateSuppGroup { get; init; } = true;

    public bool DirectIoAllowMmap { get; init; } = true;

    public bool CacheSymlinks { get; init; } = true;

    /// <summary>Lookups by node id, for NFS.</summary>
    public bool ExportSupport { get; init; } = true;

    /// <summary>The server applies the umask (needed where default ACLs are).</summary>
    public bool DontMask { get; init; } = true;

    public bool HasExpireOnly { get; init; } = true;

    /// <summary>Requests can be sent again by <see cref="FuseNotifier.Resend"/>.</summary>
    public bool HasResend { get; init; } = true;

    /// <summary>Only for a mount that holds its drive exclusively for its whole life: docs/design.md, section
    /// 8.</summary>
    public bool WritebackCache { get; init; }

    /// <summary>The same as flags of the protocol.</summary>
    public FuseInitFlags ToFlags()
    {
        FuseInitFlags flags = FuseInitFlags.BigWrites | FuseInitFlags.MaxPages | FuseInitFlags.InitExt
            | FuseInitFlags.AbortError | FuseInitFlags.HasIoctlDir;
        flags |= When(Readdirplus, FuseInitFlags.DoReaddirplus)
            | When(Readdirplus && ReaddirplusAuto, FuseInitFlags.ReaddirplusAuto)
            | When(ParallelDirops, FuseInitFlags.ParallelDirops)
            | When(AsyncRead, FuseInitFlags.AsyncRead)
            | When(AsyncDirectIo, FuseInitFlags.AsyncDio)
            | When(AtomicTruncate, FuseInitFlags.AtomicOTrunc)
            | When(PosixLocks, FuseInitFlags.PosixLocks)
            | When(FlockLocks, FuseInitFlags.FlockLocks)
            | When(PosixAcl, FuseInitFlags.PosixAcl)
            | When(HandleKillPrivV2, FuseInitFlags.HandleKillprivV2)
            | When(DataInvalidation == DataInvalidation.Automatic, FuseInitFlags.AutoInvalData)
            | When(DataInvalidation == DataInvalidation.Explicit, FuseInitFlags.ExplicitInvalData)
            | When(SetxattrExt, FuseInitFlags.SetxattrExt)
            | When(CreateSuppGroup, FuseInitFlags.CreateSuppGroup)
            | When(DirectIoAllowMmap, FuseInitFlags.DirectIoAllowMmap)
            | When(CacheSymlinks, FuseInitFlags.CacheSymlinks)
            | When(ExportSupport, FuseInitFlags.ExportSupport)
            | When(DontMask, FuseInitFlags.DontMask)
            | When(HasExpireOnly, FuseInitFlags.HasExpireOnly)
            | When(HasResend, FuseInitFlags.HasResend)
            | When(WritebackCache, FuseInitFlags.WritebackCache);
        return flags;
    }

    private static FuseInitFlags When(bool wanted, FuseInitFlags flag) => wanted ? flag : FuseInitFlags.None;
}
