using System.Globalization;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Output;

namespace KvFs.Cli.Pool;

/// <summary>What is at risk in a pool, and how far its healing is, for people. Nothing is written where nothing is.</summary>
internal static class PoolStatusView
{
    private const double SecondsOfMinute = 60;
    private const double SecondsOfHour = 3600;

    public static void Write(TextWriter output, PoolReport report)
    {
        if (report.Drives is { Count: > 0 } drives) { Write(output, drives, report.Replicas); }
        if (report.Healing is { } healing) { Write(output, healing); }
    }

    /// <summary>A time as people say it: some 40 s, 3 min, 2.5 h.</summary>
    public static string Describe(double seconds) => seconds switch
    {
        < SecondsOfMinute => string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(seconds):0} s"),
        < SecondsOfHour => string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(seconds / SecondsOfMinute):0} min"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{seconds / SecondsOfHour:0.#} h"),
    };

    private static void Write(TextWriter output, IReadOnlyList<DriveRisk> drives, int wanted)
    {
        output.WriteLine();
        TableView table = new(new("Drive"), new("Copies"), new("Condition"), new("Shards"));
        foreach (DriveRisk drive in drives) { table.Add(drive.Name, $"{drive.Copies} of {wanted}", drive.Condition, string.Join(',', drive.Shards)); }
        table.Write(output);
    }

    private static void Write(TextWriter output, HealingReport healing)
    {
        output.WriteLine();
        string left = healing.RemainingSeconds is { } seconds ? $", about {Describe(seconds)} left" : string.Empty;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Healing: {healing.Percent:0} %{left}"));
        foreach (NodeHealingReport node in healing.Nodes)
        {
            output.WriteLine($"  {node.Node}: {node.Done} of {node.Done + node.Left} copies, {SizeText.Format(node.Bytes)} in {node.Blocks} blocks fetched");
        }

        foreach (CopyHealingReport copy in healing.Copies)
        {
            if (copy is not { MissingBlocks: { } missing, FetchedBlocks: { } fetched }) { continue; }
            string behind = copy.EntriesBehind is { } entries and > 0 ? $", {entries} entries behind" : string.Empty;
            output.WriteLine($"  shard {copy.Shard} on {copy.Node}: {fetched} of {missing} blocks{behind}");
        }

        foreach (IGrouping<string, CopyHealingReport> waiting in healing.Copies.Where(static copy => copy.MissingBlocks is null).GroupBy(static copy => copy.Node))
        {
            string why = waiting.All(static copy => copy.EntriesBehind is null) ? ": it does not answer" : string.Empty;
            output.WriteLine($"  {waiting.Count()} copies of {waiting.Key} wait{why}");
        }
    }
}
