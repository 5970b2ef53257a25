namespace KvFs.Core;

/// <summary>Makes a drive.</summary>
public sealed record CreateDriveRequest
{
    /// <summary>A new RUID.</summary>
    public required DriveId Drive { get; init; }

    public required string Name { get; init; }

    public DriveKind Kind { get; init; } = DriveKind.FileSystem;

    /// <summary>0: none.</summary>
    public ulong QuotaBytes { get; init; }

    /// <summary>0: none; the root counts.</summary>
    public ulong QuotaInodes { get; init; }

    /// <summary>Percent of the pool's shards over which its blocks are spread, 0 to 100; 0: they are with the drive.</summary>
    public int Spread { get; init; }

    /// <summary>Whom the root directory belongs to.</summary>
    public Credentials Owner { get; init; }

    /// <summary>Permissions of the root directory: 07777 bits.</summary>
    public ushort RootMode { get; init; } = 0b111_101_101;
}

/// <summary>Makes a drive that starts as another one was at a version.</summary>
public sealed record CreateCloneRequest
{
    /// <summary>A new RUID.</summary>
    public required DriveId Drive { get; init; }

    public required string Name { get; init; }

    /// <summary>The snapshot to start from; null for the origin as it is now.</summary>
    public string? Snapshot { get; init; }
}
