using KvFs.Grpc;

namespace KvFs.Protocol.Wire;

/// <summary>The methods of drive.proto's service.</summary>
public static class DriveMethods
{
    private const string Service = "kvfs.v1.Drive";

    public static GrpcMethod<V1.ClientMessage, V1.ServerMessage> Session { get; } = new(
        GrpcMethodKind.Duplex,
        Service,
        "Session",
        Marshaller.Protobuf(V1.ClientMessage.Parser),
        Marshaller.Protobuf(V1.ServerMessage.Parser));

    public static GrpcMethod<V1.OpenSession, V1.Opened> Open { get; } = new(
        GrpcMethodKind.Unary,
        Service,
        "Open",
        Marshaller.Protobuf(V1.OpenSession.Parser),
        Marshaller.Protobuf(V1.Opened.Parser));

    public static GrpcMethod<V1.CallRequest, V1.Answer> Call { get; } = new(
        GrpcMethodKind.Unary,
        Service,
        "Call",
        Marshaller.Protobuf(V1.CallRequest.Parser),
        Marshaller.Protobuf(V1.Answer.Parser));

    public static GrpcMethod<V1.SessionKey, V1.Renewed> Renew { get; } = new(
        GrpcMethodKind.Unary,
        Service,
        "Renew",
        Marshaller.Protobuf(V1.SessionKey.Parser),
        Marshaller.Protobuf(V1.Renewed.Parser));

    public static GrpcMethod<V1.SessionKey, V1.Closed> Close { get; } = new(
        GrpcMethodKind.Unary,
        Service,
        "Close",
        Marshaller.Protobuf(V1.SessionKey.Parser),
        Marshaller.Protobuf(V1.Closed.Parser));
}

/// <summary>The methods of block.proto's service.</summary>
public static class BlockMethods
{
    private const string Service = "kvfs.v1.Block";

    public static GrpcMethod<V1.WriteChunk, V1.WriteReply> Write { get; } = new(
        GrpcMethodKind.ClientStreaming,
        Service,
        "Write",
        Marshaller.Protobuf(V1.WriteChunk.Parser),
        Marshaller.Protobuf(V1.WriteReply.Parser));

    public static GrpcMethod<V1.ReadRequest, V1.ReadChunk> Read { get; } = new(
        GrpcMethodKind.ServerStreaming,
        Service,
        "Read",
        Marshaller.Protobuf(V1.ReadRequest.Parser),
        Marshaller.Protobuf(V1.ReadChunk.Parser));

    public static GrpcMethod<V1.PrefetchRequest, V1.PrefetchReply> Prefetch { get; } = new(
        GrpcMethodKind.Unary,
        Service,
        "Prefetch",
        Marshaller.Protobuf(V1.PrefetchRequest.Parser),
        Marshaller.Protobuf(V1.PrefetchReply.Parser));

    public static GrpcMethod<V1.OfferReadsRequest, V1.OfferReadsReply> OfferReads { get; } = new(
        GrpcMethodKind.Unary,
        Service,
        "OfferReads",
        Marshaller.Protobuf(V1.OfferReadsRequest.Parser),
        Marshaller.Protobuf(V1.OfferReadsReply.Parser));
}

/// <summary>The methods of admin.proto's service.</summary>
public static class AdminMethods
{
    public static GrpcMethod<V1.CreateDriveRequest, V1.DriveReply> CreateDrive { get; } =
        Unary("CreateDrive", V1.CreateDriveRequest.Parser, V1.DriveReply.Parser);

    public static GrpcMethod<V1.ListDrivesRequest, V1.ListDrivesReply> ListDrives { get; } =
        Unary("ListDrives", V1.ListDrivesRequest.Parser, V1.ListDrivesReply.Parser);

    public static GrpcMethod<V1.GetDriveRequest, V1.DriveReply> GetDrive { get; } =
        Unary("GetDrive", V1.GetDriveRequest.Parser, V1.DriveReply.Parser);

    public static GrpcMethod<V1.ResizeDriveRequest, V1.DriveReply> ResizeDrive { get; } =
        Unary("ResizeDrive", V1.ResizeDriveRequest.Parser, V1.DriveReply.Parser);

    public static GrpcMethod<V1.DeleteDriveRequest, V1.AdminReply> DeleteDrive { get; } =
        Unary("DeleteDrive", V1.DeleteDriveRequest.Parser, V1.AdminReply.Parser);

    public static GrpcMethod<V1.CreateSnapshotRequest, V1.SnapshotReply> CreateSnapshot { get; } =
        Unary("CreateSnapshot", V1.CreateSnapshotRequest.Parser, V1.SnapshotReply.Parser);

    public static GrpcMethod<V1.ListSnapshotsRequest, V1.ListSnapshotsReply> ListSnapshots { get; } =
        Unary("ListSnapshots", V1.ListSnapshotsRequest.Parser, V1.ListSnapshotsReply.Parser);

    public static GrpcMethod<V1.DeleteSnapshotRequest, V1.AdminReply> DeleteSnapshot { get; } =
        Unary("DeleteSnapshot", V1.DeleteSnapshotRequest.Parser, V1.AdminReply.Parser);

    public static GrpcMethod<V1.CloneRequest, V1.DriveReply> Clone { get; } =
        Unary("Clone", V1.CloneRequest.Parser, V1.DriveReply.Parser);

    public static GrpcMethod<V1.RestoreRequest, V1.AdminReply> Restore { get; } =
        Unary("Restore", V1.RestoreRequest.Parser, V1.AdminReply.Parser);

    private static GrpcMethod<TRequest, TReply> Unary<TRequest, TReply>(
        string name,
        Google.Protobuf.MessageParser<TRequest> requests,
        Google.Protobuf.MessageParser<TReply> replies)
        where TRequest : class, Google.Protobuf.IMessage<TRequest>
        where TReply : class, Google.Protobuf.IMessage<TReply> => new(
        GrpcMethodKind.Unary, "kvfs.v1.Admin", name, Marshaller.Protobuf(requests), Marshaller.Protobuf(replies));
}
