using KvFs.Core;
using KvFs.Direct;

namespace KvFs.Node.Remote;

/// <summary>How a node serves clients in other processes.</summary>
public sealed record RemoteOptions
{
    /// <summary>How long a session lasts after the last message from its client.</summary>
    public TimeSpan Lease { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a client may take to do what it is recalled for; then its session is ended.</summary>
    public TimeSpan RecallTime { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Requests that are carried out at once, of all clients together: so many may share one sync of the disk. Each has a
    /// thread while it is.</summary>
    public int Threads { get; init; } = 64;

    /// <summary>Where clients may connect directly; stays the caller's. Null: they do with gRPC.</summary>
    public DirectListener? Direct { get; init; }

    /// <summary>The token of a session of a drive whose records may be elsewhere; the default: none is known. Null: only those of this node's
    /// records.</summary>
    internal Func<DriveId, SessionId, SessionToken>? FindSession { get; init; }
}
