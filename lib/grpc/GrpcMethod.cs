namespace KvFs.Grpc;

/// <summary>How many messages go each way.</summary>
public enum GrpcMethodKind
{
    /// <summary>One request, one response.</summary>
    Unary,

    /// <summary>A stream of requests, one response.</summary>
    ClientStreaming,

    /// <summary>One request, a stream of responses.</summary>
    ServerStreaming,

    /// <summary>A stream each way, independent of each other.</summary>
    Duplex,
}

/// <summary>A method of a service, the same object on both sides of the wire.</summary>
/// <remarks>Immutable. <c>static readonly GrpcMethod&lt;Ping, Pong&gt; Ping = GrpcMethod.Unary("demo.Echo", "Ping",
/// Marshaller.Protobuf(demo.Ping.Parser), …)</c> is all that a service needs per method.</remarks>
public sealed class GrpcMethod<TRequest, TResponse>
{
    /// <param name="kind">How many messages go each way.</param>
    /// <param name="service">Package and name, as in the .proto file: <c>grpc.health.v1.Health</c>.</param>
    /// <param name="name">The method alone: <c>Check</c>.</param>
    /// <param name="requests">Bytes of requests.</param>
    /// <param name="responses">Bytes of responses.</param>
    public GrpcMethod(
        GrpcMethodKind kind, string service, string name, Marshaller<TRequest> requests, Marshaller<TResponse> responses)
    {
        ArgumentException.ThrowIfNullOrEmpty(service);
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(requests);
        ArgumentNullException.ThrowIfNull(responses);
        Kind = kind;
        Service = service;
        Name = name;
        Requests = requests;
        Responses = responses;
        Path = $"/{service}/{name}";
    }

    public GrpcMethodKind Kind { get; }

    public string Service { get; }

    public string Name { get; }

    /// <summary>The request's <c>:path</c>: <c>/service/name</c>.</summary>
    public string Path { get; }

    public Marshaller<TRequest> Requests { get; }

    public Marshaller<TResponse> Responses { get; }
}
