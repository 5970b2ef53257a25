using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Drives;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

/// <summary>The service of admin.proto.</summary>
internal sealed class AdminService(LocalDriveAdmin admin, RequestThreads threads)
{
    public void AddTo(GrpcServices services)
    {
        services.Unary(AdminMethods.CreateDrive, (request, _) => OfDrive(() => CreateAsync(request)));
        services.Unary(AdminMethods.ListDrives, (_, _) => ListAsync());
        services.Unary(AdminMethods.GetDrive, (request, call) =>
            OfDrive(() => admin.GetDriveAsync(request.Name, call.Cancellation)));
        services.Unary(AdminMethods.ResizeDrive, (request, call) => OfDrive(() =>
            admin.ResizeDriveAsync(request.Name, request.QuotaBytes, request.QuotaInodes, call.Cancellation)));
        services.Unary(AdminMethods.DeleteDrive, (request, call) =>
            OfStatus(() => admin.DeleteDriveAsync(request.Name, call.Cancellation)));
        services.Unary(AdminMethods.CreateSnapshot, CreateSnapshotAsync);
        services.Unary(AdminMethods.ListSnapshots, ListSnapshotsAsync);
        services.Unary(AdminMethods.DeleteSnapshot, (request, call) =>
            OfStatus(() => admin.DeleteSnapshotAsync(request.Drive, request.Snapshot, call.Cancellation)));
        services.Unary(AdminMethods.Clone, (request, call) => OfDrive(() => admin.CloneAsync(
            request.Drive, request.HasSnapshot ? request.Snapshot : null, request.Clone_, call.Cancellation)));

        // A restore that its caller has given up would leave the drive half restored: it goes on.
        services.Unary(AdminMethods.Restore, (request, _) =>
            OfStatus(() => admin.RestoreAsync(request.Drive, request.Snapshot, request.Path, CancellationToken.None)));
    }

    private ValueTask<Reply<DriveInfo>> CreateAsync(V1.CreateDriveRequest request)
    {
        if (!Enum.IsDefined(request.Kind) || request.Spread > ShardOfBlock.MaxSpread) { return new(Reply.Failed<DriveInfo>(Status.Invalid)); }
        DriveSpec spec = new(request.Name, (DriveKind)request.Kind, request.QuotaBytes, request.QuotaInodes) { Spread = (int)request.Spread };
        return admin.CreateDriveAsync(spec, CancellationToken.None);
    }

    private async ValueTask<V1.ListDrivesReply> ListAsync()
    {
        (IReadOnlyList<DriveInfo> drives, IReadOnlyList<ShardId> shards) = await threads.RunAsync(
            () => new ValueTask<(IReadOnlyList<DriveInfo>, IReadOnlyList<ShardId>)>(admin.ListServed()));
        V1.ListDrivesReply sent = new();
        sent.Drives.Add(drives.Select(static drive => drive.ToWire()));
        sent.Shards.Add(shards.Select(static shard => (uint)shard.Value));
        return sent;
    }

    private async ValueTask<V1.SnapshotReply> CreateSnapshotAsync(V1.CreateSnapshotRequest request, ServerCall call)
    {
        Reply<SnapshotInfo> reply = await threads.RunAsync(
            () => admin.CreateSnapshotAsync(request.Drive, request.Snapshot, call.Cancellation));
        V1.SnapshotReply sent = new() { Status = reply.Status.ToWire() };
        if (reply.IsOk) { sent.Snapshot = reply.Value.ToWire(); }
        return sent;
    }

    private async ValueTask<V1.ListSnapshotsReply> ListSnapshotsAsync(V1.ListSnapshotsRequest request, ServerCall call)
    {
        Reply<IReadOnlyList<SnapshotInfo>> reply =
            await threads.RunAsync(() => admin.ListSnapshotsAsync(request.Drive, call.Cancellation));
        V1.ListSnapshotsReply sent = new() { Status = reply.Status.ToWire() };
        if (reply.IsOk) { sent.Snapshots.Add(reply.Value.Select(static snapshot => snapshot.ToWire())); }
        return sent;
    }

    private async ValueTask<V1.DriveReply> OfDrive(Func<ValueTask<Reply<DriveInfo>>> work)
    {
        Reply<DriveInfo> reply = await threads.RunAsync(work);
        V1.DriveReply sent = new() { Status = reply.Status.ToWire() };
        if (reply.IsOk) { sent.Drive = reply.Value.ToWire(); }
        return sent;
    }

    private async ValueTask<V1.AdminReply> OfStatus(Func<ValueTask<Status>> work) =>
        new() { Status = (await threads.RunAsync(work)).ToWire() };
}
