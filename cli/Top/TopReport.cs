using System.Globalization;
using KvFs.Protocol;

namespace KvFs.Cli.Top;

/// <summary>What went on between two samples.</summary>
/// <param name="Time">Of the later one.</param>
/// <param name="Summary">How the pool is, in one line.</param>
/// <param name="Health">Shards by condition; null: it is one node.</param>
/// <param name="Nodes">By name.</param>
/// <param name="Drives">By name.</param>
internal sealed record TopReport(
    DateTimeOffset Time, string Summary, PoolCondition? Health, IReadOnlyList<TopNode> Nodes, IReadOnlyList<TopDrive> Drives)
{
    /// <summary>What a node's own clock must at least have gone on for a rate that means something.</summary>
    private const double LeastMs = 1;

    public static TopReport Of(TopSample before, TopSample now, DateTimeOffset time)
    {
        Dictionary<string, TopNodeSample> earlier = before.Nodes.ToDictionary(static node => node.Name, StringComparer.Ordinal);
        List<TopNode> nodes = [];
        List<TopDrive> drives = [];
        foreach (TopNodeSample node in now.Nodes)
        {
            TopCounters? was = earlier.GetValueOrDefault(node.Name)?.Counters;
            TopDrive[] own = node.Counters is { } counters ? [.. counters.Drives.Select(drive => Of(node.Name, was, counters, drive))] : [];
            nodes.Add(Of(node, was, own));
            drives.AddRange(own);
        }

        return new(time, Summarize(now), now.Health, [.. nodes.OrderBy(static node => node.Name, StringComparer.Ordinal)], [.. drives.OrderBy(static drive => drive.Name, StringComparer.Ordinal)]);
    }

    private static TopNode Of(TopNodeSample node, TopCounters? was, IReadOnlyList<TopDrive> drives)
    {
        TopCounters? counters = node.Counters;
        string state = counters is null ? "silent" : !counters.Ok ? "failed" : node.State;
        double? seconds = counters is null ? null : Seconds(was, counters);
        double commits = drives.Sum(static drive => drive.CommitsPerSecond ?? 0);
        return new(
            node.Name,
            node.Zone,
            state,
            counters?.Trouble,
            node.Shards?.Primaries,
            node.Shards?.InSync,
            node.Shards?.Learning,
            counters is null ? null : counters.DiskBytes - Math.Min(counters.DiskBytes, counters.DiskFreeBytes),
            counters?.DiskBytes,
            seconds is null ? null : drives.Sum(static drive => drive.OperationsPerSecond ?? 0),
            Grown(was?.BytesRead, counters?.BytesRead) / seconds,
            Grown(was?.BytesWritten, counters?.BytesWritten) / seconds,
            seconds is null || commits == 0 ? null : drives.Sum(static drive => (drive.CommitMs * drive.CommitsPerSecond) ?? 0) / commits);
    }

    private static TopDrive Of(string node, TopCounters? was, TopCounters now, TopDriveCounters drive)
    {
        double? seconds = Seconds(was, now);

        // A drive that was not served here then, or was let go of in between, has counted from nothing.
        TopDriveCounters? earlier = was?.Drives.FirstOrDefault(one => one.Name == drive.Name);
        if (earlier is null || earlier.Requests > drive.Requests || earlier.Commits > drive.Commits)
        {
            earlier = drive with { Requests = 0, Commits = 0, CommitMs = 0, CommittedBytes = 0 };
        }

        double commits = Grown(earlier.Commits, drive.Commits) ?? 0;
        return new(
            drive.Name,
            node,
            drive.UsedBytes,
            drive.QuotaBytes == 0 ? null : drive.QuotaBytes,
            drive.Sessions,
            Grown(earlier.Requests, drive.Requests) / seconds,
            Grown(earlier.CommittedBytes, drive.CommittedBytes) / seconds,
            commits / seconds,
            seconds is null || commits == 0 ? null : Math.Max(0, drive.CommitMs - earlier.CommitMs) / commits);
    }

    /// <summary>What passed on a node's clock; null: it was started in between, or did not answer then.</summary>
    private static double? Seconds(TopCounters? was, TopCounters now) =>
        was is not null && was.Boot == now.Boot && now.ClockMs - was.ClockMs >= LeastMs ? (now.ClockMs - was.ClockMs) / 1000 : null;

    private static double? Grown(ulong? before, ulong? now) => before is { } was && now is { } counted ? counted - Math.Min(was, counted) : null;

    private static string Summarize(TopSample sample)
    {
        string[] silent = [.. sample.Nodes.Where(static node => node.Counters is null).Select(static node => node.Name)];
        string away = silent.Length == 0 ? string.Empty : $"; no answer from {string.Join(", ", silent)}";
        if (sample.Health is not { } health)
        {
            string? trouble = sample.Nodes.Select(static node => node.Counters?.Trouble).FirstOrDefault(static one => one is not null);
            return (trouble is null ? $"{sample.Nodes.Count} node, ok" : $"{sample.Nodes.Count} node: {trouble}") + away;
        }

        int shards = health.Full + health.Moving + health.Healing + health.MissingCopies + health.AtRisk + health.NoPrimary + health.Down;
        int wanted = shards * health.CopiesWanted;
        (int Count, string Words)[] conditions =
        [
            (health.Down, "down"), (health.NoPrimary, "without primary"), (health.AtRisk, "at risk"), (health.MissingCopies, "missing copies"),
            (health.Healing, "healing"), (health.Moving, "moving"), (health.Full, "full"),
        ];
        string list = string.Join(", ", conditions.Where(static one => one.Count > 0).Select(static one => $"{one.Count} {one.Words}"));
        string copies = health.CopiesMissing == 0
            ? "no copy missing"
            : string.Create(
                CultureInfo.InvariantCulture,
                $"{health.CopiesMissing} of {wanted} copies missing ({100.0 * (wanted - health.CopiesMissing) / wanted:0.#} % there)");
        string lack = health.CopiesPossible < health.CopiesWanted ? $"; nodes for {health.CopiesPossible} of {health.CopiesWanted} copies" : string.Empty;
        string word = health.Down + health.NoPrimary > 0 ? "not served" : health.AtRisk > 0 ? "at risk" : health.CopiesMissing > 0 ? "healing" : "healthy";
        return $"{word}: {shards} shards: {list}; {copies}{lack}{away}";
    }
}

/// <summary>A node. What is null is not known, or means nothing of a node that is alone.</summary>
/// <param name="Name">What people call it.</param>
/// <param name="Zone">What fails together with it.</param>
/// <param name="State">up, draining, failed (acknowledges nothing) or silent (does not answer).</param>
/// <param name="Trouble">What a person should look at.</param>
/// <param name="Primaries">Shards that it serves.</param>
/// <param name="InSync">Shards of which it has a copy that counts.</param>
/// <param name="Learning">Shards of which it is brought up to date.</param>
/// <param name="UsedBytes">Of its file system.</param>
/// <param name="TotalBytes">Of its file system.</param>
/// <param name="OperationsPerSecond">Requests of clients.</param>
/// <param name="ReadBytesPerSecond">Bytes of blocks.</param>
/// <param name="WriteBytesPerSecond">Bytes of blocks: those of clients, of other nodes, and copies of its own.</param>
/// <param name="CommitMs">How long a commit took, on average.</param>
internal sealed record TopNode(
    string Name,
    string Zone,
    string State,
    string? Trouble,
    int? Primaries,
    int? InSync,
    int? Learning,
    ulong? UsedBytes,
    ulong? TotalBytes,
    double? OperationsPerSecond,
    double? ReadBytesPerSecond,
    double? WriteBytesPerSecond,
    double? CommitMs);

/// <summary>A drive. What is null is not known.</summary>
/// <param name="Name">As its user named it.</param>
/// <param name="Node">Who serves it.</param>
/// <param name="UsedBytes">Backed bytes of its files.</param>
/// <param name="QuotaBytes">Null: none.</param>
/// <param name="Sessions">Those that are open.</param>
/// <param name="OperationsPerSecond">Requests of clients.</param>
/// <param name="WriteBytesPerSecond">Data that clients committed.</param>
/// <param name="CommitsPerSecond">Transactions.</param>
/// <param name="CommitMs">How long one took, on average.</param>
internal sealed record TopDrive(
    string Name,
    string Node,
    ulong UsedBytes,
    ulong? QuotaBytes,
    int Sessions,
    double? OperationsPerSecond,
    double? WriteBytesPerSecond,
    double? CommitsPerSecond,
    double? CommitMs);
