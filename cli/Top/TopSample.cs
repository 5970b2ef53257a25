using KvFs.Protocol;

namespace KvFs.Cli.Top;

/// <summary>Nodes and drives as they are at one moment, with what they have counted: rates are of two of these.</summary>
/// <param name="Health">How the shards of a pool are; null: it is one node, or none answers.</param>
/// <param name="Nodes">By number.</param>
internal sealed record TopSample(PoolCondition? Health, IReadOnlyList<TopNodeSample> Nodes);

/// <summary>A node.</summary>
/// <param name="Name">What people call it.</param>
/// <param name="Zone">What fails together with it; empty: nothing was said.</param>
/// <param name="State">What the pool wants of it: up or draining.</param>
/// <param name="Shards">What it has of them; null: it is alone.</param>
/// <param name="Counters">What it has counted; null: it does not answer.</param>
internal sealed record TopNodeSample(string Name, string Zone, string State, TopShards? Shards, TopCounters? Counters);

/// <param name="Primaries">Shards that it serves.</param>
/// <param name="InSync">Shards of which it has a copy that counts.</param>
/// <param name="Learning">Shards of which it is brought up to date.</param>
internal sealed record TopShards(int Primaries, int InSync, int Learning);

/// <summary>What a node has counted since its process started.</summary>
/// <param name="Boot">The process.</param>
/// <param name="ClockMs">When, in ms on a clock of its own that only goes on.</param>
/// <param name="Trouble">What a person should look at; null: nothing.</param>
internal sealed record TopCounters(
    string Boot,
    double ClockMs,
    bool Ok,
    string? Trouble,
    ulong DiskBytes,
    ulong DiskFreeBytes,
    ulong BlocksRead,
    ulong BytesRead,
    ulong BlocksWritten,
    ulong BytesWritten,
    IReadOnlyList<TopDriveCounters> Drives)
{
    public static TopCounters Of(NodeActivity activity) => new(
        activity.Boot.ToString(),
        activity.Clock.TotalMilliseconds,
        activity.IsOk,
        activity.Trouble,
        activity.DiskBytes,
        activity.DiskFreeBytes,
        activity.BlocksRead,
        activity.BytesRead,
        activity.BlocksWritten,
        activity.BytesWritten,
        [
            .. activity.Drives.Select(static drive => new TopDriveCounters(
                drive.Name,
                drive.UsedBytes,
                drive.QuotaBytes,
                drive.Sessions,
                drive.Requests,
                drive.Commits,
                drive.CommitTime.TotalMilliseconds,
                drive.CommittedBytes)),
        ]);
}

/// <summary>What a node has counted for a drive since it began to serve it.</summary>
/// <param name="QuotaBytes">0: none.</param>
/// <param name="CommitMs">Time of all commits together.</param>
internal sealed record TopDriveCounters(
    string Name, ulong UsedBytes, ulong QuotaBytes, int Sessions, ulong Requests, ulong Commits, double CommitMs, ulong CommittedBytes);
