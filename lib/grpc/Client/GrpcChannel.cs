using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using KvFs.Grpc.Client;
using KvFs.Grpc.Wire;

namespace KvFs.Grpc;

/// <summary>Calls to one server, over as many HTTP/2 connections as they need.</summary>
/// <remarks>Thread safe; a program keeps one per server. Connections are made when they are needed and made again when they
/// break; a call is never repeated after the server may have seen it.</remarks>
public sealed class GrpcChannel : IDisposable
{
    private static readonly MediaTypeHeaderValue MediaType = new(HeaderNames.ContentType);

    private readonly GrpcTarget target;
    private readonly GrpcChannelOptions options;
    private readonly HttpMessageInvoker invoker;
    private readonly ConcurrentDictionary<string, Uri> addresses = new(StringComparer.Ordinal);

    public GrpcChannel(GrpcTarget target, GrpcChannelOptions options)
    {
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(options);
        this.target = target;
        this.options = options;
        SocketsHttpHandler handler = new()
        {
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            ConnectTimeout = options.ConnectTimeout,
            EnableMultipleHttp2Connections = options.MultipleConnections,
            InitialHttp2StreamWindowSize = options.StreamWindowBytes,
            KeepAlivePingDelay = options.KeepAlivePingDelay,
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
            KeepAlivePingTimeout = options.KeepAlivePingTimeout,
            PooledConnectionLifetime = options.MaxConnectionAge,
            UseCookies = false,
            UseProxy = false,
        };
        if (target.Tls is { } tls) { handler.SslOptions = tls.Options(); }
        if (target.Dialled is { } dialled) { handler.ConnectCallback = (_, cancellation) => ConnectAsync(dialled, cancellation); }
        invoker = new HttpMessageInvoker(handler);
    }

    /// <summary>Where it leads.</summary>
    public GrpcTarget Target => target;

    /// <summary>One request, one response.</summary>
    /// <exception cref="GrpcException">The call ended with another status than OK.</exception>
    /// <exception cref="OperationCanceledException">The caller's own token was cancelled.</exception>
    public async ValueTask<TResponse> UnaryAsync<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, TRequest request, GrpcCallOptions call, CancellationToken cancellation)
    {
        using GrpcCall<TRequest, TResponse> started = StartWith(method, GrpcMethodKind.Unary, request, call, cancellation);
        return await started.ReadOnlyOneAsync().ConfigureAwait(false);
    }

    /// <summary>One request, a stream of responses, which the call reads.</summary>
    public GrpcCall<TRequest, TResponse> ServerStreaming<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, TRequest request, GrpcCallOptions call, CancellationToken cancellation) =>
        StartWith(method, GrpcMethodKind.ServerStreaming, request, call, cancellation);

    /// <summary>A call of any kind, whose messages the caller writes and reads one by one.</summary>
    public GrpcCall<TRequest, TResponse> Start<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, GrpcCallOptions call, CancellationToken cancellation)
    {
        RequestStreamContent content = new();
        return Send(method, content, content, call, cancellation);
    }

    /// <summary>Closes the connections; calls under way end with UNAVAILABLE or as cancelled.</summary>
    public void Dispose() => invoker.Dispose();

    private static async ValueTask<Stream> ConnectAsync(EndPoint endpoint, CancellationToken cancellation)
    {
        Socket socket = endpoint is UnixDomainSocketEndPoint
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(endpoint, cancellation).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private GrpcCall<TRequest, TResponse> StartWith<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, GrpcMethodKind kind, TRequest request, GrpcCallOptions call, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(method);
        ArgumentNullException.ThrowIfNull(call);
        if (method.Kind != kind) { throw new ArgumentException($"{method.Path} is {method.Kind}, not {kind}", nameof(method)); }
        SingleContent content = SingleContent.Of(method.Requests, request, LimitsOf(call).MaxSendBytes, call.Gzip);
        return Send(method, content, stream: null, call, cancellation);
    }

    private GrpcCall<TRequest, TResponse> Send<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method,
        HttpContent content,
        RequestStreamContent? stream,
        GrpcCallOptions call,
        CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(method);
        ArgumentNullException.ThrowIfNull(call);
        content.Headers.ContentType = MediaType;
        HttpRequestMessage request = new(HttpMethod.Post, AddressOf(method.Path))
        {
            Content = content,
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        HttpRequestHeaders headers = request.Headers;
        headers.TryAddWithoutValidation("te", "trailers");
        headers.TryAddWithoutValidation(HeaderNames.AcceptEncoding, HeaderNames.Accepted);
        if (call.Gzip) { headers.TryAddWithoutValidation(HeaderNames.Encoding, HeaderNames.Gzip); }
        if (call.Timeout is { } timeout) { headers.TryAddWithoutValidation(HeaderNames.Timeout, GrpcTimeout.Format(timeout)); }
        foreach (GrpcMetadataEntry entry in call.Headers ?? [])
        {
            headers.TryAddWithoutValidation(entry.Name, entry.Text ?? BinaryValue.Encode(entry.Bytes!));
        }
        CallLifetime lifetime = new(call.Timeout, cancellation);
        return new GrpcCall<TRequest, TResponse>(method, LimitsOf(call), call.Gzip, lifetime, invoker, request, stream);
    }

    private GrpcCallLimits LimitsOf(GrpcCallOptions call) => call.Limits ?? options.CallLimits;

    private Uri AddressOf(string path) =>
        addresses.TryGetValue(path, out Uri? known) ? known : addresses.GetOrAdd(path, new Uri(target.Address, path));
}
