namespace KvFs.Grpc;

/// <summary>A call that did not end with <see cref="GrpcStatusCode.Ok"/>. A handler throws it to say how its call ends; a
/// client gets it.</summary>
public sealed class GrpcException : Exception
{
    public GrpcException(GrpcStatusCode code, string detail)
        : this(new GrpcStatus(code, detail), [])
    {
    }

    /// <param name="status">Anything but OK.</param>
    /// <param name="trailers">Metadata behind the status, for example <c>grpc-status-details-bin</c>.</param>
    /// <param name="cause">What this process saw. It does not travel.</param>
    public GrpcException(GrpcStatus status, GrpcMetadata trailers, Exception? cause = null)
        : base(status.ToString(), cause)
    {
        ArgumentNullException.ThrowIfNull(trailers);
        ArgumentOutOfRangeException.ThrowIfEqual((int)status.Code, (int)GrpcStatusCode.Ok, nameof(status));
        Status = status;
        Trailers = trailers;
    }

    public GrpcStatus Status { get; }

    public GrpcStatusCode Code => Status.Code;

    public GrpcMetadata Trailers { get; }
}
