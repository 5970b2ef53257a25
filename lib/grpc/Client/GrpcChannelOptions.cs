namespace KvFs.Grpc;

/// <summary>How a channel behaves.</summary>
public sealed class GrpcChannelOptions
{
    /// <summary>For calls that do not say otherwise.</summary>
    public GrpcCallLimits CallLimits { get; init; } = GrpcCallLimits.Default;

    /// <summary>How long a connection may take to be there, TLS included.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A connection is used for new calls for so long; then another takes its place, with the certificates of that
    /// moment. Calls under way end on the old one. Infinite unless said otherwise.</summary>
    public TimeSpan MaxConnectionAge { get; init; } = Timeout.InfiniteTimeSpan;

    /// <summary>A server that was silent for so long during calls is asked whether it lives.</summary>
    public TimeSpan KeepAlivePingDelay { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>A server that does not answer for so long is gone: its calls end with UNAVAILABLE.</summary>
    public TimeSpan KeepAlivePingTimeout { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Bytes that the server may send on one call before the caller reads them.</summary>
    public int StreamWindowBytes { get; init; } = 1 << 20;

    /// <summary>More calls at once than the server takes on one connection open a further connection, or wait.</summary>
    public bool MultipleConnections { get; init; } = true;
}
