using System.Collections.Immutable;

namespace KvFs.Bench;

/// <summary>What is measured, of which pool, and how hard.</summary>
internal sealed record BenchOptions
{
    public required ImmutableArray<string> Servers { get; init; }

    /// <summary>The folder of the certificates; null: plain text.</summary>
    public required string? Certificates { get; init; }

    /// <summary>The name that the certificates are of.</summary>
    public required string? Pool { get; init; }

    /// <summary>The processes of the nodes, of which disk, network and processor time are counted; none: nothing is counted.</summary>
    public required ImmutableArray<int> Processes { get; init; }

    public required ImmutableArray<string> Rows { get; init; }

    public required TimeSpan Warm { get; init; }

    public required TimeSpan Time { get; init; }

    /// <summary>Drives, each with a session of its own.</summary>
    public required int Drives { get; init; }

    /// <summary>Requests that are on their way at any time, over all drives.</summary>
    public required int Concurrency { get; init; }

    /// <summary>Operations of a transaction.</summary>
    public required int Batch { get; init; }

    /// <summary>Files of 4 KiB on each drive that are read.</summary>
    public required int Files { get; init; }

    /// <summary>Files to which the drive of the row `growth` grows.</summary>
    public required int GrowTo { get; init; }

    /// <summary>Bytes of each of those.</summary>
    public required int GrowBytes { get; init; }
}
