using KvFs.Protocol;

namespace KvFs.Client.Remote;

/// <summary>How a client deals with a node in another process.</summary>
public sealed record RemoteClientOptions
{
    /// <summary>Leases are counted with it.</summary>
    public TimeProvider Clock { get; init; } = SuspendClock.Instance;

    /// <summary>Attempts are counted with it: a client that was asleep, and has not tried, gives up no earlier than another one.</summary>
    public TimeProvider AwakeClock { get; init; } = TimeProvider.System;

    /// <summary>How long a request of the administration of drives is tried, from when it is asked for: to find who serves the drive, to reach it, its
    /// answer, and all attempts. A snapshot waits for all clients to flush.</summary>
    public TimeSpan AdminTime { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>How long opening a session may take, the connection included; and how long a pool is asked again for who serves a drive: longer than a
    /// takeover takes.</summary>
    public TimeSpan OpenTime { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long one node of several may take to say what it has; then the next one is asked.</summary>
    public TimeSpan LookTime { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long a client goes on to look for whoever serves the session's drive in a pool: then its requests fail. For ever, unless set: a
    /// session does not expire while nobody serves it, however long the pool is away.</summary>
    public TimeSpan ResumeTime { get; init; } = TimeSpan.MaxValue;

    /// <summary>After a failure the next attempt waits for this at the least; twice as long each time, up to
    /// <see cref="MaxPause"/>.</summary>
    public TimeSpan MinPause { get; init; } = TimeSpan.FromMilliseconds(20);

    public TimeSpan MaxPause { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>The same bound where a primary is about to be there again: as long as one takes to be replaced.</summary>
    public TimeSpan MaxPauseAtFirst { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>A primary that says nothing for so long while it is waited for is asked whether it is there; and others, whether it still is
    /// the primary.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Between two such looks.</summary>
    public TimeSpan LookPause { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>Where this client is, beside the nodes of a pool: blocks are read from the nearest that has them.</summary>
    public NearOptions Near { get; init; } = new();

    /// <summary>A near node that did not give what it was asked for is not asked for so long; and the pool map is looked at again after as
    /// much.</summary>
    public TimeSpan NearPause { get; init; } = TimeSpan.FromSeconds(5);
}

/// <summary>Where a client is.</summary>
public sealed record NearOptions
{
    /// <summary>The name of the node that runs on the same machine; null: any whose address is one of this machine's.</summary>
    public string? Node { get; init; }

    /// <summary>The zone that the client is in; null: that of <see cref="Node"/>, if it is named.</summary>
    public string? Zone { get; init; }
}
