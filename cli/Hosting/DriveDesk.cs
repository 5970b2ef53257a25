using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Core;
using KvFs.Protocol;
using DriveInfo = KvFs.Protocol.DriveInfo;

namespace KvFs.Cli.Hosting;

/// <summary>Answers what commands ask of drives and snapshots, in their words.</summary>
/// <remarks>Thread safe, as <see cref="IDriveAdmin"/> is. Failures are <see cref="CommandException"/>s.</remarks>
internal sealed class DriveDesk(string dataPath, IDriveSource source, MountTable mounts)
{
    private const long NanosecondsPerTick = 100;

    private readonly IDriveAdmin admin = source.Admin;

    public async Task<DriveList> ListAsync(CancellationToken cancel) =>
        new([.. (await ListInfosAsync(cancel).ConfigureAwait(false)).Select(Report)]);

    public async Task<DriveReport> GetAsync(string drive, CancellationToken cancel)
    {
        Reply<DriveInfo> reply = await admin.GetDriveAsync(drive, cancel).ConfigureAwait(false);
        return Report(Take(reply, $"drive '{drive}'"));
    }

    public async Task<DriveReport> CreateAsync(NewDriveRequest request, CancellationToken cancel)
    {
        NameRule.Check(request.Name, "the name of a drive");
        DriveSpec spec = new(request.Name, DriveKind.FileSystem, request.QuotaBytes, request.QuotaInodes) { Spread = request.Spread };
        Reply<DriveInfo> reply = await admin.CreateDriveAsync(spec, cancel).ConfigureAwait(false);
        return Report(Take(reply, $"drive '{request.Name}'"));
    }

    public async Task<DriveReport> ResizeAsync(string drive, ResizeDriveRequest request, CancellationToken cancel)
    {
        DriveInfo now = Take(await admin.GetDriveAsync(drive, cancel).ConfigureAwait(false), $"drive '{drive}'");
        Reply<DriveInfo> reply = await admin.ResizeDriveAsync(
            drive, request.QuotaBytes ?? now.QuotaBytes, request.QuotaInodes ?? now.QuotaInodes, cancel).ConfigureAwait(false);
        return Report(Take(reply, $"drive '{drive}'"));
    }

    public async Task<DoneReport> DeleteAsync(string drive, CancellationToken cancel)
    {
        if (mounts.DirectoriesOf(drive) is [string directory, ..])
        {
            throw new CommandException(
                ExitCode.InUse, $"Drive '{drive}' is mounted on {directory}.", $"Unmount it first: kvfs umount {directory}");
        }
        Status status = await admin.DeleteDriveAsync(drive, cancel).ConfigureAwait(false);
        ControlErrors.ThrowIfFailed(status, $"drive '{drive}'");
        return new DoneReport($"Drive '{drive}' is deleted.");
    }

    public async Task<DriveReport> CloneAsync(string drive, CloneRequest request, CancellationToken cancel)
    {
        NameRule.Check(request.Name, "the name of a drive");
        if (request.Snapshot is not null) { NameRule.Check(request.Snapshot, "the name of a snapshot"); }
        Reply<DriveInfo> reply =
            await admin.CloneAsync(drive, request.Snapshot, request.Name, cancel).ConfigureAwait(false);
        string subject = reply.Status == Status.Exists ? $"drive '{request.Name}'" : SubjectOf(drive, request.Snapshot);
        return Report(Take(reply, subject));
    }

    public async Task<SnapshotList> ListSnapshotsAsync(string drive, CancellationToken cancel)
    {
        Reply<IReadOnlyList<SnapshotInfo>> reply = await admin.ListSnapshotsAsync(drive, cancel).ConfigureAwait(false);
        return new([.. Take(reply, $"drive '{drive}'").Select(snapshot => Report(drive, snapshot))]);
    }

    public async Task<SnapshotReport> CreateSnapshotAsync(
        string drive, CreateSnapshotRequest request, CancellationToken cancel)
    {
        NameRule.Check(request.Name, "the name of a snapshot");
        Reply<SnapshotInfo> reply =
            await admin.CreateSnapshotAsync(drive, request.Name, cancel).ConfigureAwait(false);
        string subject = reply.Status == Status.Exists ? SubjectOf(drive, request.Name) : $"drive '{drive}'";
        return Report(drive, Take(reply, subject));
    }

    public async Task<DoneReport> DeleteSnapshotAsync(string drive, string snapshot, CancellationToken cancel)
    {
        Status status = await admin.DeleteSnapshotAsync(drive, snapshot, cancel).ConfigureAwait(false);
        ControlErrors.ThrowIfFailed(status, SubjectOf(drive, snapshot));
        return new DoneReport($"Snapshot '{snapshot}' of drive '{drive}' is deleted.");
    }

    public async Task<DoneReport> RestoreAsync(
        string drive, string snapshot, RestoreRequest request, CancellationToken cancel)
    {
        if (!request.Path.StartsWith('/'))
        {
            throw new CommandException(ExitCode.Usage, "The path to restore starts at the drive's root, with a '/'.");
        }
        Status status = await admin.RestoreAsync(drive, snapshot, request.Path, cancel).ConfigureAwait(false);
        string subject = request.Path == "/" ? SubjectOf(drive, snapshot) : $"{request.Path} in {SubjectOf(drive, snapshot)}";
        ControlErrors.ThrowIfFailed(status, subject);
        string what = request.Path == "/" ? $"Drive '{drive}'" : request.Path;
        return new DoneReport($"{what} is as snapshot '{snapshot}' shows it.");
    }

    public async Task<SpaceReport> GetSpaceAsync(CancellationToken cancel)
    {
        IReadOnlyList<DriveInfo> drives = await ListInfosAsync(cancel).ConfigureAwait(false);
        DiskSpaceReport? disk = source.GetDisk();
        return new(
            dataPath, disk?.TotalBytes, disk?.FreeBytes, [.. drives.Select(drive => SpaceOf(drive, disk?.FreeBytes ?? ulong.MaxValue / 2))]);
    }

    /// <summary>All drives, by name.</summary>
    public async Task<IReadOnlyList<DriveInfo>> ListInfosAsync(CancellationToken cancel)
    {
        Reply<IReadOnlyList<DriveInfo>> reply = await admin.ListDrivesAsync(cancel).ConfigureAwait(false);
        return [.. Take(reply, "list of drives").OrderBy(drive => drive.Name, StringComparer.Ordinal)];
    }

    /// <summary>A drive may take what its quota leaves, and what the disk has.</summary>
    private DriveSpace SpaceOf(DriveInfo drive, ulong diskFree)
    {
        ulong left = drive.QuotaBytes > drive.UsedBytes ? drive.QuotaBytes - drive.UsedBytes : 0;
        ulong free = drive.QuotaBytes == 0 ? diskFree : Math.Min(left, diskFree);
        ulong total = drive.QuotaBytes == 0 ? drive.UsedBytes + free : drive.QuotaBytes;
        return new(
            drive.Name, total, drive.UsedBytes, free, drive.QuotaInodes == 0 ? null : drive.QuotaInodes, drive.UsedInodes,
            mounts.DirectoriesOf(drive.Name));
    }

    private DriveReport Report(DriveInfo drive) => new(
        drive.Name,
        drive.Id.ToString(),
        drive.Kind == DriveKind.FileSystem ? "fileSystem" : "block",
        drive.QuotaBytes == 0 ? null : drive.QuotaBytes,
        drive.QuotaInodes == 0 ? null : drive.QuotaInodes,
        drive.UsedBytes,
        drive.UsedInodes,
        TimeOf(drive.Created),
        drive.Snapshots,
        drive.OriginName ?? drive.Origin?.ToString(),
        drive.Spread,
        mounts.DirectoriesOf(drive.Name));

    private static SnapshotReport Report(string drive, SnapshotInfo snapshot) =>
        new(snapshot.Name, drive, snapshot.At.Value, TimeOf(snapshot.Created));

    private static DateTimeOffset TimeOf(Timestamp time) =>
        DateTimeOffset.UnixEpoch.AddTicks(time.Nanoseconds / NanosecondsPerTick);

    private static string SubjectOf(string drive, string? snapshot) =>
        snapshot is null ? $"drive '{drive}'" : $"snapshot '{snapshot}' of a drive '{drive}'";

    private static T Take<T>(Reply<T> reply, string subject)
    {
        ControlErrors.ThrowIfFailed(reply.Status, subject);
        return reply.Value;
    }
}
