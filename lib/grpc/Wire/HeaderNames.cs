namespace KvFs.Grpc.Wire;

/// <summary>Names and fixed values of headers and trailers.</summary>
/// <remarks>Source: PROTOCOL-HTTP2.md, "Requests" and "Responses".</remarks>
internal static class HeaderNames
{
    public const string ContentType = "application/grpc";
    public const string Status = "grpc-status";
    public const string Message = "grpc-message";
    public const string Timeout = "grpc-timeout";
    public const string Encoding = "grpc-encoding";
    public const string AcceptEncoding = "grpc-accept-encoding";
    public const string Identity = "identity";
    public const string Gzip = "gzip";

    /// <summary>What either side of this library reads.</summary>
    public const string Accepted = "identity,gzip";

    /// <summary>Whether a media type is gRPC's: exactly, or with a suffix (<c>+proto</c>) or parameter behind it.</summary>
    public static bool IsGrpc(string? mediaType) =>
        mediaType is not null
        && mediaType.StartsWith(ContentType, StringComparison.OrdinalIgnoreCase)
        && (mediaType.Length == ContentType.Length || mediaType[ContentType.Length] is '+' or ';');
}
