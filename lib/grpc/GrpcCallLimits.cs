namespace KvFs.Grpc;

/// <summary>How long messages may be. A longer one ends its call with RESOURCE_EXHAUSTED.</summary>
/// <param name="MaxReceiveBytes">Bytes of a message that comes in, after decompression.</param>
/// <param name="MaxSendBytes">Bytes of a message that goes out, before compression.</param>
public sealed record GrpcCallLimits(int MaxReceiveBytes, int MaxSendBytes)
{
    /// <summary>4 MiB, which is what every gRPC library takes unless told otherwise.</summary>
    public const int DefaultBytes = 4 << 20;

    public static GrpcCallLimits Default { get; } = new(DefaultBytes, DefaultBytes);
}
