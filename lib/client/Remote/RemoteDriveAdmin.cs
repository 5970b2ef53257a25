using KvFs.Core;
using KvFs.Grpc;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Client.Remote;

/// <summary>Administers the drives of a node in another process, and opens sessions with them.</summary>
/// <remarks>Thread safe. The channel stays its owner's, and must outlive the sessions. A node that cannot be reached, or does not
/// answer in time, is Unavailable where nothing was to be changed, else Unknown. A cancelled call throws
/// <see cref="OperationCanceledException"/>; it may have been applied.</remarks>
public sealed class RemoteDriveAdmin(GrpcChannel channel, RemoteClientOptions options) : IDriveAdmin
{
    private readonly GrpcCallOptions call = new() { Limits = WireLimits.OfClient, Timeout = options.AdminTime };

    /// <summary>Where it leads.</summary>
    internal GrpcChannel Channel => channel;

    public ValueTask<Reply<DriveInfo>> CreateDriveAsync(DriveSpec spec, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(spec);
        V1.CreateDriveRequest request = new()
        {
            Name = spec.Name,
            Kind = (V1.DriveKind)spec.Kind,
            QuotaBytes = spec.QuotaBytes,
            QuotaInodes = spec.QuotaInodes,
            Spread = (uint)spec.Spread,
        };
        return AskForDriveAsync(AdminMethods.CreateDrive, request, changes: true, cancellationToken);
    }

    public ValueTask<Reply<IReadOnlyList<DriveInfo>>> ListDrivesAsync(CancellationToken cancellationToken) => AskAsync(
        AdminMethods.ListDrives,
        new(),
        changes: false,
        static reply => reply.Status,
        static IReadOnlyList<DriveInfo> (reply) => [.. reply.Drives.Select(static drive => drive.ToCore())],
        cancellationToken);

    /// <summary>The drives that one node of several serves, and of which shards they are all.</summary>
    internal ValueTask<Reply<ServedDrives>> ListServedAsync(CancellationToken cancellationToken) => AskAsync(
        AdminMethods.ListDrives,
        new(),
        changes: false,
        static reply => reply.Status,
        static reply => new ServedDrives([.. reply.Drives.Select(static drive => drive.ToCore())], [.. reply.Shards]),
        cancellationToken);

    public ValueTask<Reply<DriveInfo>> GetDriveAsync(string name, CancellationToken cancellationToken) =>
        AskForDriveAsync(AdminMethods.GetDrive, new() { Name = name }, changes: false, cancellationToken);

    public ValueTask<Reply<DriveInfo>> ResizeDriveAsync(
        string name, ulong quotaBytes, ulong quotaInodes, CancellationToken cancellationToken)
    {
        V1.ResizeDriveRequest request = new() { Name = name, QuotaBytes = quotaBytes, QuotaInodes = quotaInodes };
        return AskForDriveAsync(AdminMethods.ResizeDrive, request, changes: true, cancellationToken);
    }

    public ValueTask<Status> DeleteDriveAsync(string name, CancellationToken cancellationToken) =>
        AskAsync(AdminMethods.DeleteDrive, new() { Name = name }, cancellationToken);

    public ValueTask<Reply<SnapshotInfo>> CreateSnapshotAsync(
        string drive, string snapshot, CancellationToken cancellationToken) => AskAsync(
        AdminMethods.CreateSnapshot,
        new() { Drive = drive, Snapshot = snapshot },
        changes: true,
        static reply => reply.Status,
        static reply => reply.Snapshot.ToCore(),
        cancellationToken);

    public ValueTask<Reply<IReadOnlyList<SnapshotInfo>>> ListSnapshotsAsync(
        string drive, CancellationToken cancellationToken) => AskAsync(
        AdminMethods.ListSnapshots,
        new() { Drive = drive },
        changes: false,
        static reply => reply.Status,
        static IReadOnlyList<SnapshotInfo> (reply) => [.. reply.Snapshots.Select(static snapshot => snapshot.ToCore())],
        cancellationToken);

    public ValueTask<Status> DeleteSnapshotAsync(string drive, string snapshot, CancellationToken cancellationToken) =>
        AskAsync(AdminMethods.DeleteSnapshot, new() { Drive = drive, Snapshot = snapshot }, cancellationToken);

    public ValueTask<Reply<DriveInfo>> CloneAsync(
        string drive, string? snapshot, string clone, CancellationToken cancellationToken)
    {
        V1.CloneRequest request = new() { Drive = drive, Clone_ = clone };
        if (snapshot is not null) { request.Snapshot = snapshot; }
        return AskForDriveAsync(AdminMethods.Clone, request, changes: true, cancellationToken);
    }

    public ValueTask<Status> RestoreAsync(
        string drive, string snapshot, string path, CancellationToken cancellationToken) => AskAsync(
        AdminMethods.Restore, new() { Drive = drive, Snapshot = snapshot, Path = path }, cancellationToken);

    public ValueTask<Reply<IDriveSession>> OpenSessionAsync(string drive, SessionAccess access, CancellationToken cancellationToken) =>
        OpenSessionAsync(drive, access, new SingleRoute(channel), cancellationToken);

    /// <summary>Opens a session here that goes on wherever a route says.</summary>
    internal async ValueTask<Reply<IDriveSession>> OpenSessionAsync(
        string drive, SessionAccess access, ISessionRoute route, CancellationToken cancellationToken)
    {
        V1.OpenSession open = new() { Drive = drive, ReadOnly = access.IsReadOnly(), Shared = access.IsShared() };
        Reply<SessionConnection> opened = await SessionConnection.OpenAsync(channel, route, open, options, cancellationToken);
        if (!opened.IsOk) { return Reply.Failed<IDriveSession>(opened.Status); }
        RemoteBlockService blocks = new(opened.Value, route.Near, options);
        return Reply.Ok<IDriveSession>(new RemoteDriveSession(opened.Value, access, blocks));
    }

    private ValueTask<Reply<DriveInfo>> AskForDriveAsync<TRequest>(
        GrpcMethod<TRequest, V1.DriveReply> method, TRequest request, bool changes, CancellationToken cancellation) =>
        AskAsync(
            method, request, changes, static reply => reply.Status, static reply => reply.Drive.ToCore(), cancellation);

    private async ValueTask<Status> AskAsync<TRequest>(
        GrpcMethod<TRequest, V1.AdminReply> method, TRequest request, CancellationToken cancellation)
    {
        Reply<bool> reply = await AskAsync(
            method, request, changes: true, static reply => reply.Status, static _ => true, cancellation);
        return reply.Status;
    }

    private async ValueTask<Reply<TResult>> AskAsync<TRequest, TReply, TResult>(
        GrpcMethod<TRequest, TReply> method,
        TRequest request,
        bool changes,
        Func<TReply, V1.Status> statusOf,
        Func<TReply, TResult> read,
        CancellationToken cancellation)
    {
        try
        {
            TReply reply = await channel.UnaryAsync(method, request, call, cancellation);
            V1.Status status = statusOf(reply);
            return status == V1.Status.Ok ? Reply.Ok(read(reply)) : Reply.Failed<TResult>(status.ToCore());
        }
        catch (GrpcException e)
        {
            return Reply.Failed<TResult>(CallFailure.ToStatus(e, changes));
        }
        catch (InvalidDataException)
        {
            return Reply.Failed<TResult>(Status.NotSupported);
        }
    }
}

/// <summary>Drives that one node of several serves.</summary>
/// <param name="Drives">Ascending by RUID.</param>
/// <param name="Shards">Of these shards they are all.</param>
internal sealed record ServedDrives(IReadOnlyList<DriveInfo> Drives, IReadOnlyList<uint> Shards);
