using KvFs.Core;
using KvFs.Grpc;

namespace KvFs.Client.Remote;

/// <summary>Knows where a session is served.</summary>
internal interface ISessionRoute
{
    /// <summary>How long a client tries to go on with a session before it gives it up by itself; null: after two leases, because
    /// then it has expired.</summary>
    TimeSpan? ResumeTime { get; }

    /// <summary>A channel to whoever serves a drive now, as far as is known; null: nobody can tell. The channel stays the route's.
    /// </summary>
    ValueTask<GrpcChannel?> FindAsync(DriveId drive, CancellationToken cancellation);

    /// <summary>Copies of blocks that may be nearer than their primary; null: there is only one node.</summary>
    NearCopies? Near { get; }
}

/// <summary>One node that serves everything.</summary>
internal sealed class SingleRoute(GrpcChannel channel) : ISessionRoute
{
    public TimeSpan? ResumeTime => null;

    public NearCopies? Near => null;

    public ValueTask<GrpcChannel?> FindAsync(DriveId drive, CancellationToken cancellation) => new(channel);
}
