using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using KvFs.Grpc.Client;
using KvFs.Grpc.Wire;

namespace KvFs.Grpc;

/// <summary>One call as its caller sees it: requests out, responses in, both at their own pace.</summary>
/// <remarks>One writer and one reader at a time, which may be different ones. Whoever has started it disposes it; a call that
/// is not over is cancelled by that. All operations fail with a <see cref="GrpcException"/> when the call ends with another
/// status than OK, and with an <see cref="OperationCanceledException"/> when the token that it was started with is
/// cancelled.</remarks>
public sealed class GrpcCall<TRequest, TResponse> : IMessageSink, IDisposable
{
    private static readonly StreamPipeWriterOptions WriterOptions = new(minimumBufferSize: 16 << 10, leaveOpen: true);
    private static readonly StreamPipeReaderOptions ReaderOptions = new(bufferSize: 16 << 10, minimumReadSize: 4 << 10);

    private readonly GrpcMethod<TRequest, TResponse> method;
    private readonly GrpcCallLimits limits;
    private readonly CallLifetime lifetime;
    private readonly HttpRequestMessage request;
    private readonly RequestStreamContent? stream;
    private readonly PipeWriter? output;
    private readonly Task<HttpResponseMessage> sending;
    private readonly bool gzip;
    private GrpcMetadata? headers;
    private HttpResponseMessage? response;
    private PipeReader? input;
    private MessageReader<TResponse>? reader;
    private GrpcException? failure;
    private volatile bool isRefused;
    private bool ended;
    private bool disposed;

    internal GrpcCall(
        GrpcMethod<TRequest, TResponse> method,
        GrpcCallLimits limits,
        bool gzip,
        CallLifetime lifetime,
        HttpMessageInvoker invoker,
        HttpRequestMessage request,
        RequestStreamContent? stream)
    {
        this.method = method;
        this.limits = limits;
        this.lifetime = lifetime;
        this.request = request;
        this.stream = stream;
        this.gzip = gzip;
        if (stream is not null)
        {
            output = PipeWriter.Create(stream.Body, WriterOptions);
            Requests = new MessageWriter<TRequest>(output, method.Requests, limits.MaxSendBytes, gzip, this);
        }
        sending = SendAsync(invoker);
    }

    /// <summary>The requests. Null for a call that was started with its only one.</summary>
    public MessageWriter<TRequest>? Requests { get; }

    /// <summary>Metadata behind the last response; empty before the call is over.</summary>
    public GrpcMetadata Trailers { get; private set; } = [];

    /// <summary>Waits for the metadata before the first response.</summary>
    public async ValueTask<GrpcMetadata> GetHeadersAsync()
    {
        await OpenAsync().ConfigureAwait(false);
        return headers!;
    }

    /// <summary>Waits for a response. False when the call has ended with OK.</summary>
    public ValueTask<bool> WaitToReadAsync() =>
        failure is null && reader is { HoldsMessage: true } ? new ValueTask<bool>(true) : WaitSlowlyAsync();

    /// <summary>Takes a response if a whole one is here already.</summary>
    public bool TryRead(out TResponse message)
    {
        message = default!;
        if (reader is null || failure is not null) { return false; }
        try
        {
            return reader.TryRead(out message);
        }
        catch (GrpcException e)
        {
            failure = e;
            throw;
        }
    }

    /// <summary>All responses up to the last.</summary>
    public async IAsyncEnumerable<TResponse> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        while (await WaitToReadAsync().ConfigureAwait(false))
        {
            while (TryRead(out TResponse message))
            {
                cancellation.ThrowIfCancellationRequested();
                yield return message;
            }
        }
    }

    /// <summary>The only response of a call that has exactly one.</summary>
    public async ValueTask<TResponse> ReadOnlyOneAsync()
    {
        if (!await WaitToReadAsync().ConfigureAwait(false) || !TryRead(out TResponse message))
        {
            throw new GrpcException(GrpcStatusCode.Unimplemented, "the server sent no response where one is due");
        }
        if (await WaitToReadAsync().ConfigureAwait(false))
        {
            throw new GrpcException(GrpcStatusCode.Unimplemented, "the server sent several responses where one is due");
        }
        return message;
    }

    /// <summary>Says that there are no more requests, after sending what was written.</summary>
    public async ValueTask CompleteAsync()
    {
        if (stream is null) { return; }
        if (output!.UnflushedBytes > 0) { await ((IMessageSink)this).FlushAsync(lifetime.Token).ConfigureAwait(false); }
        stream.Finish();
    }

    public void Dispose()
    {
        if (disposed) { return; }
        disposed = true;
        if (!ended) { lifetime.Abandon(); }
        input?.Complete();
        output?.Complete(new OperationCanceledException());  // Without one it would send what is left.
        response?.Dispose();
        if (!sending.IsCompleted) { _ = DiscardAsync(sending); }
        else if (sending.IsCompletedSuccessfully && request.Content is SingleContent single) { single.Release(); }
        request.Dispose();
        lifetime.Dispose();
    }

    void IMessageSink.BeforeWrite() => ObjectDisposedException.ThrowIf(disposed, this);

    async ValueTask<bool> IMessageSink.FlushAsync(CancellationToken cancellation)
    {
        // The writer's own token stops a single flush; then the stream is torn within a message, and so is the call.
        using CancellationTokenRegistration link = cancellation == lifetime.Token
            ? default
            : cancellation.UnsafeRegister(static state => ((CallLifetime)state!).Abandon(), lifetime);
        try
        {
            if (isRefused) { return false; }
            FlushResult flushed = await output!.FlushAsync(lifetime.Token).ConfigureAwait(false);
            return !flushed.IsCanceled;
        }
        catch (Exception e) when (e is IOException or HttpRequestException or OperationCanceledException or ObjectDisposedException)
        {
            if (cancellation.IsCancellationRequested) { throw new OperationCanceledException("Writing was cancelled.", e, cancellation); }
            if (lifetime.Token.IsCancellationRequested) { throw lifetime.Translate(e); }
            return false;  // The server took no more; what it answered says why.
        }
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMessageInvoker invoker)
    {
        try
        {
            HttpResponseMessage answered = await invoker.SendAsync(request, lifetime.Token).ConfigureAwait(false);
            if (answered.Headers.NonValidated.Contains(HeaderNames.Status))
            {
                // The call is over, and whoever waits for room to write more would wait for as long as the server says nothing else.
                isRefused = true;
                try
                {
                    output?.CancelPendingFlush();
                }
                catch (ObjectDisposedException)
                {
                    // Nobody writes any more.
                }
            }

            return answered;
        }
        catch (Exception e)
        {
            stream?.Fail(new IOException("The call could not be sent.", e));
            throw;
        }
    }

    private static async Task DiscardAsync(Task<HttpResponseMessage> sending)
    {
        try
        {
            using HttpResponseMessage late = await sending.ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or HttpRequestException or IOException or ObjectDisposedException)
        {
            // Nobody waits for this call any more.
        }
    }

    private async ValueTask<bool> WaitSlowlyAsync()
    {
        await OpenAsync().ConfigureAwait(false);
        try
        {
            if (await reader!.WaitToReadAsync(lifetime.Token).ConfigureAwait(false)) { return true; }
            Conclude(response!.TrailingHeaders);
            return false;
        }
        catch (Exception e)
        {
            throw Fail(e);
        }
    }

    /// <summary>Waits for the response's headers, once.</summary>
    private async ValueTask OpenAsync()
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (failure is not null) { throw failure; }
        if (reader is not null) { return; }
        try
        {
            response = await sending.ConfigureAwait(false);
            CheckIsGrpc(response);
            headers = Read(response.Headers);
            if (response.Headers.NonValidated.Contains(HeaderNames.Status)) { Conclude(response.Headers); }
            string? encoding = Single(response.Headers, HeaderNames.Encoding);
            if (encoding is not (null or HeaderNames.Identity or HeaderNames.Gzip))
            {
                throw new GrpcException(GrpcStatusCode.Internal, $"the server answered in grpc-encoding {encoding}, which nobody asked for");
            }
            Stream body = await response.Content.ReadAsStreamAsync(lifetime.Token).ConfigureAwait(false);
            input = PipeReader.Create(body, ReaderOptions);
            reader = new MessageReader<TResponse>(input, method.Responses, limits.MaxReceiveBytes, encoding == HeaderNames.Gzip);
        }
        catch (Exception e)
        {
            throw Fail(e);
        }
    }

    private Exception Fail(Exception e)
    {
        Exception translated = lifetime.Translate(e);
        failure ??= translated as GrpcException;
        // Resets the stream now: the server is to know, even if whoever holds this call is slow to dispose it.
        if (!ended) { response?.Dispose(); }
        return translated;
    }

    private static void CheckIsGrpc(HttpResponseMessage response)
    {
        string? status = Single(response.Headers, HeaderNames.Status);
        if (status is not null) { return; }
        if (response.StatusCode != HttpStatusCode.OK)
        {
            throw new GrpcException(FailureStatus.Of(response.StatusCode), $"the server answered with HTTP {(int)response.StatusCode}");
        }
        if (!HeaderNames.IsGrpc(response.Content.Headers.ContentType?.MediaType))
        {
            throw new GrpcException(
                GrpcStatusCode.Unknown, $"the server answered with {response.Content.Headers.ContentType?.MediaType ?? "no media type"}");
        }
    }

    /// <summary>Takes the status from the trailers, or from the headers of an answer that has nothing else.</summary>
    private void Conclude(HttpResponseHeaders trailers)
    {
        if (ended) { return; }
        string text = Single(trailers, HeaderNames.Status)
            ?? throw new GrpcException(GrpcStatusCode.Unknown, "the server ended the call without a status");
        ended = true;
        Trailers = Read(trailers);
        GrpcStatusCode code = StatusText.Parse(text);
        if (code == GrpcStatusCode.Ok) { return; }
        string detail = StatusMessage.Decode(Single(trailers, HeaderNames.Message) ?? string.Empty);
        throw new GrpcException(new GrpcStatus(code, detail), Trailers);
    }

    private static string? Single(HttpResponseHeaders headers, string name) =>
        headers.NonValidated.TryGetValues(name, out HeaderStringValues values) ? values.ToString() : null;

    private static GrpcMetadata Read(HttpResponseHeaders headers)
    {
        GrpcMetadata read = [];
        foreach ((string name, HeaderStringValues values) in headers.NonValidated)
        {
            string lower = name.ToLowerInvariant();
            if (!GrpcMetadata.IsCustom(lower)) { continue; }
            foreach (string value in values)
            {
                if (!read.TryAddReceived(lower, value))
                {
                    throw new GrpcException(GrpcStatusCode.Internal, $"the header {lower} is not base64");
                }
            }
        }
        return read;
    }
}
