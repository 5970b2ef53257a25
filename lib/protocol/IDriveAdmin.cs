using KvFs.Core;

namespace KvFs.Protocol;

/// <summary>A drive as a list shows it.</summary>
/// <param name="Id">Never used again.</param>
/// <param name="Name">As its user named it.</param>
/// <param name="Kind">What it serves as.</param>
/// <param name="QuotaBytes">0: none.</param>
/// <param name="QuotaInodes">0: none.</param>
/// <param name="UsedBytes">Backed bytes of its files.</param>
/// <param name="UsedInodes">Its VNodes.</param>
/// <param name="Created">When it was made.</param>
/// <param name="Snapshots">How many it has; null: their records cannot be read.</param>
/// <param name="Origin">Whose clone it is.</param>
/// <param name="OriginName">The origin's name, unless it was deleted.</param>
/// <param name="Spread">Percent of the pool's shards over which its blocks are spread; 0: they are with the drive.</param>
public sealed record DriveInfo(
    DriveId Id,
    string Name,
    DriveKind Kind,
    ulong QuotaBytes,
    ulong QuotaInodes,
    ulong UsedBytes,
    ulong UsedInodes,
    Timestamp Created,
    int? Snapshots,
    DriveId? Origin,
    string? OriginName,
    int Spread);

/// <summary>What a new drive is to be.</summary>
/// <param name="Name">1 to 253 characters: lower-case letters, digits, '-' and '.', as Kubernetes has names.</param>
/// <param name="Kind">What it serves as.</param>
/// <param name="QuotaBytes">0: none.</param>
/// <param name="QuotaInodes">0: none.</param>
public sealed record DriveSpec(string Name, DriveKind Kind, ulong QuotaBytes, ulong QuotaInodes)
{
    /// <summary>Percent of the pool's shards over which its blocks are spread, 0 to 100; 0: they are with the drive. For good.</summary>
    public int Spread { get; init; }
}

/// <summary>Makes, lists, changes and removes drives, snapshots and clones, and opens sessions with drives.</summary>
/// <remarks>Thread safe. An Ok of a change means that it is durable.</remarks>
public interface IDriveAdmin
{
    ValueTask<Reply<DriveInfo>> CreateDriveAsync(DriveSpec spec, CancellationToken cancellationToken);

    ValueTask<Reply<IReadOnlyList<DriveInfo>>> ListDrivesAsync(CancellationToken cancellationToken);

    ValueTask<Reply<DriveInfo>> GetDriveAsync(string name, CancellationToken cancellationToken);

    /// <summary>Changes the quotas; below what is used, further writes get <see cref="Status.NoSpace"/>.</summary>
    ValueTask<Reply<DriveInfo>> ResizeDriveAsync(
        string name, ulong quotaBytes, ulong quotaInodes, CancellationToken cancellationToken);

    /// <summary><see cref="Status.InUse"/> while a session is open. A drive that clones pin is hidden until they are gone.
    /// </summary>
    ValueTask<Status> DeleteDriveAsync(string name, CancellationToken cancellationToken);

    ValueTask<Reply<SnapshotInfo>> CreateSnapshotAsync(
        string drive, string snapshot, CancellationToken cancellationToken);

    ValueTask<Reply<IReadOnlyList<SnapshotInfo>>> ListSnapshotsAsync(
        string drive, CancellationToken cancellationToken);

    ValueTask<Status> DeleteSnapshotAsync(string drive, string snapshot, CancellationToken cancellationToken);

    /// <summary>A new writable drive that starts as a drive is now, or as a snapshot shows it.</summary>
    ValueTask<Reply<DriveInfo>> CloneAsync(
        string drive, string? snapshot, string clone, CancellationToken cancellationToken);

    /// <summary>Makes a path of the drive, or with "/" all of it, as a snapshot shows it.</summary>
    ValueTask<Status> RestoreAsync(
        string drive, string snapshot, string path, CancellationToken cancellationToken);

    ValueTask<Reply<IDriveSession>> OpenSessionAsync(
        string drive, SessionAccess access, CancellationToken cancellationToken);
}
