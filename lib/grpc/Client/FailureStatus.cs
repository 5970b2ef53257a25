using System.Net;
using System.Net.Sockets;

namespace KvFs.Grpc.Client;

/// <summary>The status of a call that ended without one: what a broken connection, a reset stream or a plain HTTP answer
/// means.</summary>
/// <remarks>Source: PROTOCOL-HTTP2.md, "Errors"; doc/http-grpc-status-mapping.md.</remarks>
internal static class FailureStatus
{
    /// <summary>HTTP/2 error codes (RFC 9113, section 7).</summary>
    private const int RefusedStream = 0x7;
    private const int Cancel = 0x8;
    private const int EnhanceYourCalm = 0xb;
    private const int InadequateSecurity = 0xc;

    public static GrpcStatus Of(Exception failure)
    {
        string text = Describe(failure);
        for (Exception? each = failure; each is not null; each = each.InnerException)
        {
            if (each is HttpProtocolException protocol) { return new GrpcStatus(CodeOf(protocol), text); }
        }
        return new GrpcStatus(failure is HttpRequestException request ? CodeOf(request) : CodeOf(failure), text);
    }

    /// <summary>An answer that is not gRPC's, usually of a proxy.</summary>
    public static GrpcStatusCode Of(HttpStatusCode status) => status switch
    {
        HttpStatusCode.BadRequest => GrpcStatusCode.Internal,
        HttpStatusCode.Unauthorized => GrpcStatusCode.Unauthenticated,
        HttpStatusCode.Forbidden => GrpcStatusCode.PermissionDenied,
        HttpStatusCode.NotFound => GrpcStatusCode.Unimplemented,
        HttpStatusCode.TooManyRequests or HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable
            or HttpStatusCode.GatewayTimeout => GrpcStatusCode.Unavailable,
        _ => GrpcStatusCode.Unknown,
    };

    /// <summary>What a stream was reset with; a connection that the server closed (GOAWAY) is just not there any more.
    /// </summary>
    /// <remarks>.NET has one exception for both. Only its text tells them apart; a test holds it to that.</remarks>
    private static GrpcStatusCode CodeOf(HttpProtocolException failure)
    {
        if (!failure.Message.Contains("reset the stream", StringComparison.Ordinal)) { return GrpcStatusCode.Unavailable; }
        return failure.ErrorCode switch
        {
            RefusedStream => GrpcStatusCode.Unavailable,
            Cancel => GrpcStatusCode.Cancelled,
            EnhanceYourCalm => GrpcStatusCode.ResourceExhausted,
            InadequateSecurity => GrpcStatusCode.PermissionDenied,
            _ => GrpcStatusCode.Internal,
        };
    }

    private static GrpcStatusCode CodeOf(HttpRequestException failure) => failure.HttpRequestError switch
    {
        HttpRequestError.ConfigurationLimitExceeded => GrpcStatusCode.Internal,  // Headers that are too long.
        _ => GrpcStatusCode.Unavailable,
    };

    private static GrpcStatusCode CodeOf(Exception failure) =>
        failure is IOException or SocketException or OperationCanceledException or ObjectDisposedException
            ? GrpcStatusCode.Unavailable
            : GrpcStatusCode.Unknown;

    private static string Describe(Exception failure)
    {
        List<string> texts = [];
        for (Exception? each = failure; each is not null; each = each.InnerException)
        {
            if (!texts.Any(text => text.Contains(each.Message, StringComparison.Ordinal))) { texts.Add(each.Message); }
        }
        return string.Join(" ", texts);
    }
}
