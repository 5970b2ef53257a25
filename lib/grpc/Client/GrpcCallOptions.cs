namespace KvFs.Grpc;

/// <summary>What one call wants. Immutable: the same object may serve many calls.</summary>
public sealed class GrpcCallOptions
{
    /// <summary>No deadline, no metadata.</summary>
    public static GrpcCallOptions None { get; } = new();

    /// <summary>The time for the whole call, from its start to the last message. It is the call's only deadline, and travels
    /// to the server. Null: none.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Metadata for the server.</summary>
    public GrpcMetadata? Headers { get; init; }

    /// <summary>Instead of the channel's.</summary>
    public GrpcCallLimits? Limits { get; init; }

    /// <summary>Compresses what is sent. What comes back compressed is read in any case.</summary>
    public bool Gzip { get; init; }
}
