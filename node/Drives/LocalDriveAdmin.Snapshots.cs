using System.Text;
using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Protocol;

namespace KvFs.Node.Drives;

public sealed partial class LocalDriveAdmin
{
    public async ValueTask<Reply<SnapshotInfo>> CreateSnapshotAsync(
        string drive, string snapshot, CancellationToken cancellationToken)
    {
        if (host.Find(drive, out Status why) is not { } hosted) { return Reply.Failed<SnapshotInfo>(why); }
        using IDisposable pause = hosted.Writes.Pause();
        Status status = await GatherAsync(hosted);
        work.RemoveOrphans(hosted, cancellationToken);
        RetainedVersion version = default;
        if (status == Status.Ok)
        {
            status = hosted.Transact(
                default,
                static (in string name, DriveTransaction transaction, out RetainedVersion taken) =>
                    CreateSnapshot.Apply(name, transaction, out taken),
                snapshot,
                SpaceUse.Metadata,
                out version);
        }

        if (status == Status.Ok) { status = hosted.Shard.Sync(); }
        return status == Status.Ok
            ? Reply.Ok(new SnapshotInfo(snapshot, version.At, version.Created))
            : Reply.Failed<SnapshotInfo>(status);
    }

    public ValueTask<Reply<IReadOnlyList<SnapshotInfo>>> ListSnapshotsAsync(
        string drive, CancellationToken cancellationToken)
    {
        if (host.Find(drive, out Status why) is not { } hosted) { return Failed<IReadOnlyList<SnapshotInfo>>(why); }
        Status status = hosted.ListSnapshots(out IReadOnlyList<SnapshotInfo> snapshots);
        return status == Status.Ok ? Done(snapshots) : Failed<IReadOnlyList<SnapshotInfo>>(status);
    }

    public ValueTask<Status> DeleteSnapshotAsync(string drive, string snapshot, CancellationToken cancellationToken)
    {
        if (host.Find(drive, out Status why) is not { } hosted) { return new(why); }
        Status status = hosted.Transact(
            default,
            static (in string name, DriveTransaction transaction, out bool done) =>
            {
                done = true;
                return DeleteSnapshot.Apply(name, transaction);
            },
            snapshot,
            SpaceUse.Release,
            out _);
        if (status == Status.Ok) { status = hosted.Shard.Sync(); }
        if (status == Status.Ok) { work.Reap(hosted); }
        return new(status);
    }

    public async ValueTask<Reply<DriveInfo>> CloneAsync(
        string drive, string? snapshot, string clone, CancellationToken cancellationToken)
    {
        if (host.Find(drive, out Status why) is not { } origin) { return Reply.Failed<DriveInfo>(why); }
        using IDisposable pause = origin.Writes.Pause();
        Status flushed = snapshot is null ? await GatherAsync(origin) : Status.Ok;
        if (snapshot is null) { work.RemoveOrphans(origin, cancellationToken); }
        return flushed == Status.Ok ? Clone(origin, snapshot, clone) : Reply.Failed<DriveInfo>(flushed);
    }

    public async ValueTask<Status> RestoreAsync(
        string drive, string snapshot, string path, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (host.Find(drive, out Status why) is not { } hosted) { return why; }
        using IDisposable pause = hosted.Writes.Pause();
        Status status = await GatherAsync(hosted);
        if (status == Status.Ok) { status = DriveRestore.Run(hosted, snapshot, path, cancellationToken); }
        if (status == Status.Ok) { status = hosted.Shard.Sync(); }
        await hosted.Sessions.InvalidateAllAsync();
        work.Reap(hosted);
        return status;
    }

    /// <summary>Has all clients commit what they buffer, and give back what would let them answer more from memory.</summary>
    private static async ValueTask<Status> GatherAsync(HostedDrive drive)
    {
        Status flushed = await drive.Sessions.FlushAllAsync();
        return flushed == Status.Ok ? drive.Writes.SettleAll() : flushed;
    }

    private Reply<DriveInfo> Clone(HostedDrive origin, string? snapshot, string clone)
    {
        lock (host.Changes)
        {
            // 1. The folder first, as for any drive.
            if (ObjectNames.Check(clone) is var named && named != Status.Ok) { return Reply.Failed<DriveInfo>(named); }
            if (host.Resume() is var resumed && resumed != Status.Ok) { return Reply.Failed<DriveInfo>(resumed); }
            if (host.Find(clone) is not null) { return Reply.Failed<DriveInfo>(Status.Exists); }
            DriveId id = host.DrawId(clone, origin.Id);
            StorageResult made = blocks.CreateDrive(id, origin.State.Policy.Spread);
            if (!made.IsOk) { return Reply.Failed<DriveInfo>(made.Status); }

            // 2. One batch: the pin in the origin and the clone's first transaction.
            CreateCloneRequest request = new() { Drive = id, Name = clone, Snapshot = snapshot };
            DriveTransaction first = new();
            Status status = origin.MakeClone(
                request, host.Catalog, first, () => work.Reap(host.Add(origin.Shard, first.State, first.Counters)));
            if (status == Status.Ok) { status = origin.Shard.Sync(); }
            if (status != Status.Ok)
            {
                // After an IoError nobody knows whether the drive is recorded: the next start looks. After Unknown it will be.
                if (status is not (Status.IoError or Status.Unknown)) { blocks.DeleteDrive(id); }
                return Reply.Failed<DriveInfo>(status);
            }

            // 3. It inherits what its origin's sessions hold open without a name; nobody holds that here.
            HostedDrive cloned = host.Add(origin.Shard, first.State, first.Counters);
            work.Reap(cloned);
            work.Flatten();
            return Reply.Ok(Describe(cloned));
        }
    }
}
