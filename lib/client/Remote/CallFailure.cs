using KvFs.Core;
using KvFs.Grpc;

namespace KvFs.Client.Remote;

/// <summary>What a call that ended without an answer means.</summary>
internal static class CallFailure
{
    /// <param name="failure">How it ended.</param>
    /// <param name="changes">Whether it may have changed something.</param>
    public static Status ToStatus(GrpcException failure, bool changes) => failure.Code switch
    {
        GrpcStatusCode.Unimplemented => Status.NotSupported,
        GrpcStatusCode.Unauthenticated or GrpcStatusCode.PermissionDenied => Status.AccessDenied,
        GrpcStatusCode.InvalidArgument => Status.Invalid,
        GrpcStatusCode.ResourceExhausted => Status.TooLarge,
        _ => changes ? Status.Unknown : Status.Unavailable,
    };
}
