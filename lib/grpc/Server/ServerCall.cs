using System.IO.Pipelines;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using KvFs.Grpc.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace KvFs.Grpc;

/// <summary>One call as its handler sees it.</summary>
/// <remarks>Lives until the handler's task ends. Not thread safe but for the tokens.</remarks>
public sealed class ServerCall : IMessageSink, IDisposable
{
    private readonly HttpContext http;
    private readonly GrpcCallLimits limits;
    private readonly CancellationToken ending;
    private readonly CancellationTokenSource source;
    private readonly bool gzipRequests;
    private readonly bool gzipResponses;
    private readonly long startedAt = Environment.TickCount64;
    private GrpcMetadata? requestHeaders;
    private GrpcMetadata? responseHeaders;
    private GrpcMetadata? trailers;

    internal ServerCall(HttpContext http, GrpcCallLimits limits, TimeSpan? timeout, CancellationToken draining, CancellationToken ending)
    {
        this.http = http;
        this.limits = limits;
        this.ending = ending;
        Draining = draining;
        Timeout = timeout;
        gzipRequests = http.Request.Headers[HeaderNames.Encoding] == HeaderNames.Gzip;
        // Compressing costs more than it saves between our own, so only who compresses gets compressed answers.
        gzipResponses = gzipRequests && Accepts(http.Request.Headers[HeaderNames.AcceptEncoding], HeaderNames.Gzip);
        source = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, ending);
        if (timeout is { } time && time < CallTime.Longest) { source.CancelAfter(time); }
    }

    /// <summary>Cancelled when the client gave up or is gone, when the deadline has passed, or when the server stops and
    /// has waited long enough. Handlers pass it to everything that they wait for.</summary>
    public CancellationToken Cancellation => source.Token;

    /// <summary>Cancelled as soon as the server begins to stop: a handler of a long-lived stream then brings it to an end.
    /// </summary>
    public CancellationToken Draining { get; }

    /// <summary><c>/service/method</c>.</summary>
    public string Path => http.Request.Path.Value ?? string.Empty;

    /// <summary>The time that the client gave the call, if it did.</summary>
    public TimeSpan? Timeout { get; }

    /// <summary>What is left of it, never below zero: the timeout of calls that this one makes.</summary>
    public TimeSpan? Remaining => Timeout is { } time
        ? TimeSpan.FromTicks(Math.Max(0, (time - TimeSpan.FromMilliseconds(Environment.TickCount64 - startedAt)).Ticks))
        : null;

    /// <summary>The certificate that the client showed, checked against the authorities that were current when it
    /// connected; null without TLS, or when none was asked for.</summary>
    public X509Certificate2? PeerCertificate => http.Connection.ClientCertificate;

    /// <summary>The client's address; null on a Unix socket.</summary>
    public IPEndPoint? Peer =>
        http.Connection.RemoteIpAddress is { } address ? new IPEndPoint(address, http.Connection.RemotePort) : null;

    /// <summary>The metadata that came with the call.</summary>
    /// <exception cref="GrpcException">INTERNAL: a binary value is not base64.</exception>
    public GrpcMetadata RequestHeaders => requestHeaders ??= ReadHeaders(http.Request.Headers);

    /// <summary>Metadata before the first response. What is added after that is lost.</summary>
    public GrpcMetadata ResponseHeaders => responseHeaders ??= [];

    /// <summary>Metadata behind the last response, sent with every status.</summary>
    public GrpcMetadata Trailers => trailers ??= [];

    /// <summary>Sends the headers now, before there is a response: the client then knows that it was heard.</summary>
    public async ValueTask SendHeadersAsync(CancellationToken cancellation)
    {
        await StartAsync().ConfigureAwait(false);
        await http.Response.BodyWriter.FlushAsync(cancellation).ConfigureAwait(false);
    }

    public void Dispose() => source.Dispose();

    void IMessageSink.BeforeWrite()
    {
        if (http.Response.HasStarted) { return; }
        // Kestrel keeps nothing that is written before the start. Only callbacks of other middleware make it wait.
        if (!StartAsync().IsCompletedSuccessfully)
        {
            throw new InvalidOperationException("The headers cannot be sent at once here: await SendHeadersAsync before writing.");
        }
    }

    async ValueTask<bool> IMessageSink.FlushAsync(CancellationToken cancellation)
    {
        if (!http.Response.HasStarted) { await StartAsync().ConfigureAwait(false); }
        FlushResult result = await http.Response.BodyWriter.FlushAsync(cancellation).ConfigureAwait(false);
        return !result.IsCompleted && !http.RequestAborted.IsCancellationRequested;
    }

    internal bool IsAborted => http.RequestAborted.IsCancellationRequested;

    internal MessageReader<T> Reader<T>(Marshaller<T> marshaller) =>
        new(http.Request.BodyReader, marshaller, limits.MaxReceiveBytes, gzipRequests, ReadFailure);

    internal MessageWriter<T> Writer<T>(Marshaller<T> marshaller) =>
        new(http.Response.BodyWriter, marshaller, limits.MaxSendBytes, gzipResponses, this);

    /// <summary>The status of a call that was cancelled; null if it was not.</summary>
    internal GrpcStatus? Ended()
    {
        if (!source.IsCancellationRequested) { return null; }
        if (IsAborted) { return new GrpcStatus(GrpcStatusCode.Cancelled, "the client gave up"); }
        return ending.IsCancellationRequested
            ? new GrpcStatus(GrpcStatusCode.Unavailable, "the server is stopping")
            : new GrpcStatus(GrpcStatusCode.DeadlineExceeded, "the time was up");
    }

    /// <summary>Puts the status behind the last message, or into the headers if nothing was sent ("Trailers-Only").</summary>
    internal void Finish(GrpcStatus status, GrpcMetadata? more)
    {
        if (IsAborted) { return; }
        IHeaderDictionary target;
        if (http.Response.HasStarted)
        {
            target = http.Features.GetRequiredFeature<IHttpResponseTrailersFeature>().Trailers;
        }
        else
        {
            SetHeaders();
            target = http.Response.Headers;
        }
        target[HeaderNames.Status] = StatusText.Of(status.Code);
        if (!string.IsNullOrEmpty(status.Detail)) { target[HeaderNames.Message] = StatusMessage.Encode(status.Detail); }
        Append(target, trailers);
        Append(target, more);
    }

    /// <summary>Kestrel tells of a reset stream here before it tells <see cref="HttpContext.RequestAborted"/>.</summary>
    private static GrpcException ReadFailure(IOException e) => e is BadHttpRequestException
        ? new GrpcException(new GrpcStatus(GrpcStatusCode.Internal, "the request is malformed"), [], e)
        : new GrpcException(new GrpcStatus(GrpcStatusCode.Cancelled, "the client gave up"), [], e);

    private static bool Accepts(StringValues accepted, string encoding)
    {
        foreach (string? line in accepted)
        {
            foreach (string each in (line ?? string.Empty).Split(',', StringSplitOptions.TrimEntries))
            {
                if (each == encoding) { return true; }
            }
        }
        return false;
    }

    private static GrpcMetadata ReadHeaders(IHeaderDictionary headers)
    {
        GrpcMetadata read = [];
        foreach ((string name, StringValues values) in headers)
        {
            // Kestrel gives known names their HTTP/1 spelling.
            string lower = name.ToLowerInvariant();
            if (!GrpcMetadata.IsCustom(lower)) { continue; }
            foreach (string? value in values)
            {
                if (read.TryAddReceived(lower, value ?? string.Empty)) { continue; }
                throw new GrpcException(GrpcStatusCode.Internal, $"the header {lower} is not base64");
            }
        }
        return read;
    }

    private static void Append(IHeaderDictionary target, GrpcMetadata? metadata)
    {
        if (metadata is null) { return; }
        foreach (GrpcMetadataEntry entry in metadata)
        {
            // Not Append: it drops values that are empty.
            target[entry.Name] = StringValues.Concat(target[entry.Name], entry.Text ?? BinaryValue.Encode(entry.Bytes!));
        }
    }

    private Task StartAsync()
    {
        if (http.Response.HasStarted) { return Task.CompletedTask; }
        SetHeaders();
        return http.Response.StartAsync(CancellationToken.None);
    }

    private void SetHeaders()
    {
        http.Response.ContentType = HeaderNames.ContentType;
        if (gzipResponses) { http.Response.Headers[HeaderNames.Encoding] = HeaderNames.Gzip; }
        Append(http.Response.Headers, responseHeaders);
    }
}
