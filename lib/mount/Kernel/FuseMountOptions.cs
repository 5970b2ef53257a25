namespace KvFs.Mount;

/// <summary>Which way to the kernel.</summary>
public enum FuseMountMethod
{
    /// <summary>Directly as root, else through fusermount3.</summary>
    Automatic,

    /// <summary>mount(2); needs CAP_SYS_ADMIN.</summary>
    Direct,

    /// <summary>The set-user-id program fusermount3 of the package fuse3.</summary>
    Fusermount,
}

/// <summary>How to mount.</summary>
public sealed record FuseMountOptions
{
    /// <summary>Bytes of the largest request: 256 pages, what the kernel allows without a machine-wide
    /// sysctl.</summary>
    public const int LargestRequestBytes = 1 << 20;

    /// <summary>More threads than this only wait for each other.</summary>
    public const int LargestWorkers = 256;

    /// <summary>Source of the mount, as df and /proc/mounts show it.</summary>
    public string FsName { get; init; } = "kvfs";

    /// <summary>The type is shown as "fuse." and this.</summary>
    public string Subtype { get; init; } = "kvfs";

    public FuseMountMethod Method { get; init; }

    public FuseFeatures Features { get; init; } = new();

    /// <summary>The kernel checks modes and ACLs before it asks.</summary>
    public bool DefaultPermissions { get; init; } = true;

    /// <summary>Users other than the one who mounts may use the files. Without root this needs user_allow_other in
    /// /etc/fuse.conf.</summary>
    public bool AllowOther { get; init; } = true;

    public bool ReadOnly { get; init; }

    /// <summary>Set-id bits work (mount without nosuid); only when mounted directly.</summary>
    public bool AllowSetId { get; init; }

    /// <summary>Device nodes work (mount without nodev); only when mounted directly.</summary>
    public bool AllowDevices { get; init; }

    /// <summary>Mounts over a directory that has entries: they are hidden while mounted.</summary>
    public bool AllowNonEmpty { get; init; }

    /// <summary>Threads that read and serve requests. More than the cores, because handlers wait for disks.</summary>
    public int Workers { get; init; } = Math.Max(4, 2 * Environment.ProcessorCount);

    /// <summary>Bytes of the largest READ and WRITE; a multiple of 4,096, from 4,096 to
    /// <see cref="LargestRequestBytes"/>.</summary>
    public int MaxRequestBytes { get; init; } = LargestRequestBytes;

    /// <summary>Bytes that the kernel may read ahead: two requests at once, so that one is on its way while another is copied.</summary>
    public uint MaxReadaheadBytes { get; init; } = 2 * LargestRequestBytes;

    /// <summary>Read-ahead and asynchronous requests in flight; the kernel's own 12 would starve parallel
    /// readers.</summary>
    public ushort MaxBackground { get; init; } = 64;

    /// <summary>In-flight background requests above which the kernel calls the mount congested: three
    /// quarters.</summary>
    public ushort CongestionThreshold { get; init; } = 48;

    /// <summary>Is told what went wrong, from any thread; must not throw.</summary>
    public Action<FuseFault>? OnFault { get; init; }
}
