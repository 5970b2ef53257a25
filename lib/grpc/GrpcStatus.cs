namespace KvFs.Grpc;

/// <summary>How a call ended, and a sentence for people.</summary>
/// <param name="Code">What programs act on. A peer may send numbers that the enum does not name.</param>
/// <param name="Detail">Travels percent-encoded in <c>grpc-message</c>; never holds secrets.</param>
public readonly record struct GrpcStatus(GrpcStatusCode Code, string Detail = "")
{
    public static GrpcStatus Ok => new(GrpcStatusCode.Ok);

    public override string ToString() => string.IsNullOrEmpty(Detail) ? $"{Code}" : $"{Code}: {Detail}";
}
