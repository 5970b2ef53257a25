using System.Collections.Frozen;
using KvFs.Grpc.Server;
using KvFs.Grpc.Wire;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;

namespace KvFs.Grpc;

/// <summary>Turns HTTP/2 requests into calls of handlers, and how these end into a status.</summary>
/// <remarks>Thread safe. <see cref="GrpcServer"/> owns one; a program with a Kestrel of its own passes
/// <see cref="InvokeAsync"/> as the last middleware, and lifts Kestrel's limits on bodies as that server does. Source: PROTOCOL-HTTP2.md; doc/statuscodes.md.</remarks>
public sealed class GrpcDispatcher : IDisposable
{
    private readonly FrozenDictionary<string, MethodHandler> handlers;
    private readonly GrpcCallLimits limits;
    private readonly Func<ServerCall, ValueTask>? admit;
    private readonly ILogger logger;
    private readonly CancellationTokenSource draining = new();
    private readonly CancellationTokenSource ending = new();

    /// <param name="services">What is answered, as it is now.</param>
    /// <param name="limits">Lengths of messages.</param>
    /// <param name="admit">Asked before each call's handler; throws a <see cref="GrpcException"/> to refuse. Null: all may.</param>
    /// <param name="logger">Gets what handlers throw and must not.</param>
    public GrpcDispatcher(GrpcServices services, GrpcCallLimits limits, Func<ServerCall, ValueTask>? admit, ILogger logger)
    {
        ArgumentNullException.ThrowIfNull(services);
        handlers = services.Handlers.ToFrozenDictionary(StringComparer.Ordinal);
        this.limits = limits;
        this.admit = admit;
        this.logger = logger;
    }

    /// <summary>Answers one request.</summary>
    public async Task InvokeAsync(HttpContext http)
    {
        ArgumentNullException.ThrowIfNull(http);
        if (!IsCall(http)) { return; }
        if (!TryTimeout(http.Request.Headers[HeaderNames.Timeout], out TimeSpan? timeout))
        {
            using ServerCall malformed = new(http, limits, timeout: null, draining.Token, ending.Token);
            malformed.Finish(new GrpcStatus(GrpcStatusCode.Internal, "grpc-timeout is malformed"), more: null);
            return;
        }
        using ServerCall call = new(http, limits, timeout, draining.Token, ending.Token);
        GrpcStatus status = GrpcStatus.Ok;
        GrpcMetadata? more = null;
        try
        {
            MethodHandler handler = Find(http);
            if (admit is not null) { await admit(call).ConfigureAwait(false); }
            await handler.RunAsync(call).ConfigureAwait(false);
            status = call.Ended() ?? GrpcStatus.Ok;
        }
        catch (GrpcException e)
        {
            status = e.Status;
            more = e.Trailers;
        }
#pragma warning disable CA1031 // Whatever a handler throws ends its own call only.
        catch (Exception e)
#pragma warning restore CA1031
        {
            status = StatusOf(e, call);
        }
        call.Finish(status, more);
    }

    /// <summary>Tells the handlers of streams that the server wants to stop.</summary>
    public void BeginDrain() => draining.Cancel();

    /// <summary>Cancels the calls that still run; they end with UNAVAILABLE.</summary>
    public void EndCalls() => ending.Cancel();

    public void Dispose()
    {
        draining.Dispose();
        ending.Dispose();
    }

    private static bool IsCall(HttpContext http)
    {
        if (!HttpProtocol.IsHttp2(http.Request.Protocol)) { http.Response.StatusCode = StatusCodes.Status426UpgradeRequired; }
        else if (!HttpMethods.IsPost(http.Request.Method))
        {
            http.Response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            http.Response.Headers.Allow = HttpMethods.Post;
        }
        else if (!HeaderNames.IsGrpc(http.Request.ContentType)) { http.Response.StatusCode = StatusCodes.Status415UnsupportedMediaType; }
        else { return true; }
        return false;
    }

    private static bool TryTimeout(StringValues header, out TimeSpan? timeout)
    {
        timeout = null;
        if (header.Count == 0) { return true; }
        if (header.Count > 1 || !GrpcTimeout.TryParse(header[0], out TimeSpan read)) { return false; }
        timeout = read;
        return true;
    }

    private MethodHandler Find(HttpContext http)
    {
        string? encoding = http.Request.Headers[HeaderNames.Encoding];
        if (encoding is not (null or HeaderNames.Identity or HeaderNames.Gzip))
        {
            http.Response.Headers[HeaderNames.AcceptEncoding] = HeaderNames.Accepted;
            throw new GrpcException(GrpcStatusCode.Unimplemented, $"grpc-encoding {encoding} is not known here");
        }
        return handlers.TryGetValue(http.Request.Path.Value ?? string.Empty, out MethodHandler? handler)
            ? handler
            : throw new GrpcException(GrpcStatusCode.Unimplemented, $"there is no method {http.Request.Path.Value} here");
    }

    private GrpcStatus StatusOf(Exception e, ServerCall call)
    {
        // A call that is over makes its handler fail in many ways, none of which is news.
        if (call.Ended() is { } ended) { return ended; }
        if (e is ConnectionResetException or ConnectionAbortedException)
        {
            return new GrpcStatus(GrpcStatusCode.Cancelled, "the client gave up");
        }
        logger.LogError(e, "The handler of {Method} failed", call.Path);
        return new GrpcStatus(GrpcStatusCode.Unknown, "the handler failed");
    }
}
