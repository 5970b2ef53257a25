namespace KvFs.Core;

/// <summary>How long nodes of a pool wait for one another. All nodes of a pool have the same.</summary>
/// <remarks>Source: docs/design.md, section 7.</remarks>
public sealed record ReplicationTimes
{
    public static readonly ReplicationTimes Default = new();

    /// <summary>Between two beacons to a peer.</summary>
    public TimeSpan Beacon { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>How long a primary serves after it sent the last beacon that all in-sync replicas acknowledged; and how long
    /// a replica may owe an acknowledgement of the log.</summary>
    public TimeSpan Lease { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>What a successor waits beyond the lease: more than clocks drift apart within it.</summary>
    public TimeSpan Margin { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>Without a beacon for so long, a node is suspected to be gone.</summary>
    public TimeSpan Suspicion { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Between one candidate for a takeover and the next.</summary>
    public TimeSpan Candidate { get; init; } = TimeSpan.FromMilliseconds(300);

    /// <summary>After which what was sent and not answered is sent again: log, votes, proposals.</summary>
    public TimeSpan Resend { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>A disk that has not answered a write or a sync for so long is not counted on. Longer than a disk takes that others
    /// keep busy: who is left out has to catch up.</summary>
    public TimeSpan DiskPatience { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>After which any disk of the last in-sync set may begin anew, if the others do not come: counted from when the last process
    /// of that set was there.</summary>
    public TimeSpan ColdStartWait { get; init; } = TimeSpan.FromSeconds(30);
}
