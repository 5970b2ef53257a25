using System.Collections.Immutable;
using KvFs.Authority;
using KvFs.Core;
using KvFs.Direct;
using KvFs.Grpc;
using KvFs.Node.Remote;

namespace KvFs.Node;

/// <summary>A storage node that is one of several.</summary>
public sealed record PoolNodeOptions
{
    /// <summary>Its data folder and its name.</summary>
    public required StorageNodeOptions Storage { get; init; }

    /// <summary>Where the pool map lives; stays the caller's.</summary>
    public required IPoolAuthority Authority { get; init; }

    /// <summary>Where other nodes and clients reach it, best first: "host:port", or "unix:path".</summary>
    public required ImmutableArray<string> Addresses { get; init; }

    /// <summary>Makes a channel to another node: knows how addresses and certificates are used.</summary>
    public required Func<PoolNode, GrpcChannel> Dial { get; init; }

    /// <summary>Where other nodes and clients may connect directly; stays the caller's. Null: they do with gRPC.</summary>
    public DirectListener? Direct { get; init; }

    /// <summary>What fails together with it; empty is a zone, too.</summary>
    public string Zone { get; init; } = string.Empty;

    /// <summary>Its share of the pool, in percent.</summary>
    public uint Weight { get; init; } = PoolLimits.NormalWeight;

    /// <summary>Makes the pool if there is none yet: what it asks of every shard. Null: there must be one.</summary>
    public PoolSettings? Found { get; init; }

    /// <summary>The name of a node whose place it takes when it joins, so that exactly that one's copies come to it; null: a place of its own.
    /// </summary>
    public string? Replaces { get; init; }

    /// <summary>How clients are served.</summary>
    public RemoteOptions Remote { get; init; } = new();

    public ReplicationTimes Times { get; init; } = ReplicationTimes.Default;
}
