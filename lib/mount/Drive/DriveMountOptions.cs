using KvFs.Client;
using KvFs.Core;

namespace KvFs.Mount;

/// <summary>What reading does to access times.</summary>
public enum AccessTimes
{
    /// <summary>As Linux's relatime: moved if they are older than the last change, or than a day.</summary>
    Relative,

    /// <summary>Never moved by reading (noatime).</summary>
    Never,
}

/// <summary>How to mount a drive.</summary>
public sealed record DriveMountOptions
{
    /// <summary>What <c>mount</c> and <c>df</c> show as the source: the drive's name.</summary>
    public string FsName { get; init; } = "kvfs";

    public bool ReadOnly { get; init; }

    /// <summary>Other users may use it, too; the kernel checks their rights.</summary>
    public bool AllowOther { get; init; } = true;

    /// <summary>The version to show; a snapshot's is mounted read-only.</summary>
    public CowNumber At { get; init; } = CowNumber.Head;

    public AccessTimes AccessTimes { get; init; }

    /// <summary>How long the kernel may keep attributes without asking.</summary>
    /// <remarks>Long, because a session that may write has its drive for itself (and those that only read share it with
    /// nobody who writes): whatever changes goes through this very kernel, and what the node changes itself it recalls
    /// first. Where the session shares its drive, nothing is kept.</remarks>
    public TimeSpan AttributeTimeout { get; init; } = TimeSpan.FromHours(1);

    /// <summary>How long the kernel may keep what a name leads to; as <see cref="AttributeTimeout"/>. A kernel that
    /// cannot drop all names at once (before 6.16) gets at most <see cref="LongestUnrecalled"/>.</summary>
    public TimeSpan EntryTimeout { get; init; } = TimeSpan.FromHours(1);

    /// <summary>How long the kernel may keep that a name does not exist; as <see cref="EntryTimeout"/>.</summary>
    public TimeSpan NegativeTimeout { get; init; } = TimeSpan.FromHours(1);

    /// <summary>What a name may be kept by a kernel that cannot be told to drop all of them: a restore is seen after
    /// it. </summary>
    public static TimeSpan LongestUnrecalled => TimeSpan.FromSeconds(1);

    /// <summary>Threads that serve requests.</summary>
    public int Workers { get; init; } = Math.Max(4, 2 * Environment.ProcessorCount);

    /// <summary>Bytes of the largest READ and WRITE.</summary>
    public int MaxRequestBytes { get; init; } = FuseMountOptions.LargestRequestBytes;

    /// <summary>The kernel buffers writes itself. Only while nobody else ever changes the drive: docs/design.md,
    /// section 8. </summary>
    public bool WritebackCache { get; init; }

    /// <summary>The root's listing shows <c>.snapshots</c>; without it the folder is there, but only for who names it.
    /// </summary>
    public bool ListSnapshotFolder { get; init; }

    /// <summary>Set-id bits work; only when mounted as root.</summary>
    public bool AllowSetId { get; init; }

    /// <summary>Device nodes work; only when mounted as root.</summary>
    public bool AllowDevices { get; init; }

    /// <summary>Mounts over a directory that has entries.</summary>
    public bool AllowNonEmpty { get; init; }

    public FuseMountMethod Method { get; init; }

    /// <summary>How long <see cref="DriveMount.DisposeAsync"/> waits for requests and data that do not get done: longer
    /// than any disk needs that still works.</summary>
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>What the client keeps in memory.</summary>
    public ClientOptions Client { get; init; } = new();

    /// <summary>Where the next session comes from when one that shares its drive has expired; null: the mount is over with its session.</summary>
    public ISessionSource? Sessions { get; init; }

    /// <summary>How long a request waits for the next session; null: until there is one. As long as the session tries a request.</summary>
    public TimeSpan? RequestTime { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Is told what went wrong, from any thread; must not throw.</summary>
    public Action<FuseFault>? OnFault { get; init; }
}
