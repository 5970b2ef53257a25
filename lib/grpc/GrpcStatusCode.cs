namespace KvFs.Grpc;

/// <summary>How a call ended.</summary>
/// <remarks>Wire numbers. Source: doc/statuscodes.md of grpc/grpc.</remarks>
public enum GrpcStatusCode
{
    Ok = 0,

    /// <summary>Usually the caller gave up.</summary>
    Cancelled = 1,

    /// <summary>The peer says nothing that tells what went wrong; also what a handler's unexpected exception becomes.</summary>
    Unknown = 2,
    InvalidArgument = 3,

    /// <summary>The time was up; whether the call took effect is not known.</summary>
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,

    /// <summary>Some limit: a quota, or the size of a message.</summary>
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,

    /// <summary>No such method, compression or number of messages here.</summary>
    Unimplemented = 12,

    /// <summary>An invariant of the protocol or of the service is broken.</summary>
    Internal = 13,

    /// <summary>The service cannot be reached now; a call that got this may have been applied or not.</summary>
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}
