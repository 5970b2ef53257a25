using KvFs.Grpc.Server;

namespace KvFs.Grpc;

/// <summary>The methods that a server answers, and who handles them. One line per method.</summary>
/// <remarks>Filled before the server starts, not changed after. Handlers end a call with another status than OK by throwing a
/// <see cref="GrpcException"/>; anything else that they throw is logged and becomes UNKNOWN without its text.</remarks>
public sealed class GrpcServices
{
    private readonly Dictionary<string, MethodHandler> handlers = new(StringComparer.Ordinal);

    /// <exception cref="ArgumentException">The method is of another kind, or has a handler already.</exception>
    public void Unary<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, Func<TRequest, ServerCall, ValueTask<TResponse>> handler) =>
        Add(method, GrpcMethodKind.Unary, new UnaryHandler<TRequest, TResponse>(method, handler));

    /// <inheritdoc cref="Unary"/>
    public void ClientStreaming<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, Func<MessageReader<TRequest>, ServerCall, ValueTask<TResponse>> handler) =>
        Add(method, GrpcMethodKind.ClientStreaming, new ClientStreamingHandler<TRequest, TResponse>(method, handler));

    /// <inheritdoc cref="Unary"/>
    public void ServerStreaming<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, Func<TRequest, MessageWriter<TResponse>, ServerCall, ValueTask> handler) =>
        Add(method, GrpcMethodKind.ServerStreaming, new ServerStreamingHandler<TRequest, TResponse>(method, handler));

    /// <inheritdoc cref="Unary"/>
    public void Duplex<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method,
        Func<MessageReader<TRequest>, MessageWriter<TResponse>, ServerCall, ValueTask> handler) =>
        Add(method, GrpcMethodKind.Duplex, new DuplexHandler<TRequest, TResponse>(method, handler));

    internal IReadOnlyDictionary<string, MethodHandler> Handlers => handlers;

    private void Add<TRequest, TResponse>(GrpcMethod<TRequest, TResponse> method, GrpcMethodKind kind, MethodHandler handler)
    {
        if (method.Kind != kind) { throw new ArgumentException($"{method.Path} is {method.Kind}, not {kind}", nameof(method)); }
        if (!handlers.TryAdd(method.Path, handler))
        {
            throw new ArgumentException($"{method.Path} has a handler already", nameof(method));
        }
    }
}
