namespace KvFs.Grpc.Server;

/// <summary>Reads what a method's form says, asks the service, writes the answer. The status is the dispatcher's business.
/// </summary>
internal abstract class MethodHandler
{
    public abstract ValueTask RunAsync(ServerCall call);

    /// <summary>A handler that did not look at the token must not answer a call that is over.</summary>
    protected static void WriteOnlyOne<T>(ServerCall call, Marshaller<T> marshaller, T response)
    {
        call.Cancellation.ThrowIfCancellationRequested();
        call.Writer(marshaller).Write(response);
    }
}

internal sealed class UnaryHandler<TRequest, TResponse>(
    GrpcMethod<TRequest, TResponse> method, Func<TRequest, ServerCall, ValueTask<TResponse>> handler) : MethodHandler
{
    public override async ValueTask RunAsync(ServerCall call)
    {
        TRequest request = await call.Reader(method.Requests).ReadOnlyOneAsync(call.Cancellation).ConfigureAwait(false);
        WriteOnlyOne(call, method.Responses, await handler(request, call).ConfigureAwait(false));
    }
}

internal sealed class ClientStreamingHandler<TRequest, TResponse>(
    GrpcMethod<TRequest, TResponse> method, Func<MessageReader<TRequest>, ServerCall, ValueTask<TResponse>> handler) : MethodHandler
{
    public override async ValueTask RunAsync(ServerCall call) =>
        WriteOnlyOne(call, method.Responses, await handler(call.Reader(method.Requests), call).ConfigureAwait(false));
}

internal sealed class ServerStreamingHandler<TRequest, TResponse>(
    GrpcMethod<TRequest, TResponse> method, Func<TRequest, MessageWriter<TResponse>, ServerCall, ValueTask> handler) : MethodHandler
{
    public override async ValueTask RunAsync(ServerCall call)
    {
        TRequest request = await call.Reader(method.Requests).ReadOnlyOneAsync(call.Cancellation).ConfigureAwait(false);
        await handler(request, call.Writer(method.Responses), call).ConfigureAwait(false);
    }
}

internal sealed class DuplexHandler<TRequest, TResponse>(
    GrpcMethod<TRequest, TResponse> method,
    Func<MessageReader<TRequest>, MessageWriter<TResponse>, ServerCall, ValueTask> handler) : MethodHandler
{
    public override ValueTask RunAsync(ServerCall call) => handler(call.Reader(method.Requests), call.Writer(method.Responses), call);
}
