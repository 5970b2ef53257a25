namespace KvFs.Grpc;

/// <summary>How a server behaves towards all its clients.</summary>
public sealed class GrpcServerOptions
{
    /// <summary>Where it listens. At least one.</summary>
    public required IReadOnlyList<GrpcEndpoint> Endpoints { get; init; }

    public GrpcCallLimits CallLimits { get; init; } = GrpcCallLimits.Default;

    /// <summary>Asked before every call's handler; throws a <see cref="GrpcException"/> to refuse. Null: all may call.</summary>
    public Func<ServerCall, ValueTask>? Admit { get; init; }

    /// <summary>Connections at once; a further one is closed. Each costs buffers of some 10 KiB at rest.</summary>
    public int MaxConnections { get; init; } = 4096;

    /// <summary>Calls at once on one connection; clients hold back further ones, or open another connection. Below 100,
    /// which clients take for granted until they have heard, the first ones may be refused as UNAVAILABLE.</summary>
    public int MaxCallsPerConnection { get; init; } = 1000;

    /// <summary>Bytes that a client may send on one call before the handler reads them: what a call can cost in memory.</summary>
    public int StreamWindowBytes { get; init; } = 1 << 20;

    /// <summary>Bytes that a client may send on one connection before handlers read them.</summary>
    public int ConnectionWindowBytes { get; init; } = 16 << 20;

    /// <summary>A client that was silent for so long is asked whether it lives.</summary>
    public TimeSpan KeepAlivePingDelay { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>A client that does not answer for so long is gone, and its calls are cancelled.</summary>
    public TimeSpan KeepAlivePingTimeout { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>A connection that has no call for so long, or does not even begin to speak HTTP/2, is closed; clients connect
    /// again when they need to. At most a year.</summary>
    public TimeSpan IdleTime { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How long calls may go on after the server was told to stop. Then they are cancelled.</summary>
    public TimeSpan DrainTime { get; init; } = TimeSpan.FromSeconds(10);
}
