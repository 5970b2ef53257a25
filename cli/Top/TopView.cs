using System.Globalization;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Output;

namespace KvFs.Cli.Top;

/// <summary>A report for people: one line that says how it is, the nodes, the drives.</summary>
internal static class TopView
{
    private const string Unknown = "-";

    public static void Write(TextWriter output, TopReport report)
    {
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{report.Time.ToLocalTime():HH:mm:ss}  {report.Summary}"));
        foreach (TopNode node in report.Nodes.Where(static node => node.Trouble is not null)) { output.WriteLine($"          {node.Name}: {node.Trouble}"); }
        output.WriteLine();
        WriteNodes(output, report.Nodes);
        if (report.Drives.Count == 0) { return; }
        output.WriteLine();
        WriteDrives(output, report.Drives);
    }

    private static void WriteNodes(TextWriter output, IReadOnlyList<TopNode> nodes)
    {
        bool hasZones = nodes.Any(static node => node.Zone.Length > 0);
        bool isPool = nodes.Any(static node => node.Primaries is not null);
        TableView table = new(
        [
            new("Node"), .. When(hasZones, new TableView.Column("Zone")), new("State"),
            .. When(isPool, new TableView.Column("Primary", true), new TableView.Column("Copies", true)),
            new("Disk used", true), new("Disk", true), new("Ops/s", true), new("Read/s", true), new("Write/s", true), new("Commit", true),
        ]);
        foreach (TopNode node in nodes)
        {
            string copies = Number(node.InSync) + (node.Learning > 0 ? $"+{Number(node.Learning)}" : string.Empty);
            table.Add(
            [
                node.Name, .. When(hasZones, node.Zone.Length == 0 ? Unknown : node.Zone), node.State,
                .. When(isPool, Number(node.Primaries), copies),
                Size(node.UsedBytes), Size(node.TotalBytes), Rate(node.OperationsPerSecond), SizeRate(node.ReadBytesPerSecond),
                SizeRate(node.WriteBytesPerSecond), Milliseconds(node.CommitMs),
            ]);
        }

        table.Write(output);
    }

    private static void WriteDrives(TextWriter output, IReadOnlyList<TopDrive> drives)
    {
        TableView table = new(
            new("Drive"), new("Node"), new("Used", true), new("Quota", true), new("Sessions", true), new("Ops/s", true), new("Write/s", true),
            new("Commits/s", true), new("Commit", true));
        foreach (TopDrive drive in drives)
        {
            table.Add(
                drive.Name, drive.Node, Size(drive.UsedBytes), drive.QuotaBytes is null ? "none" : Size(drive.QuotaBytes), Number(drive.Sessions),
                Rate(drive.OperationsPerSecond), SizeRate(drive.WriteBytesPerSecond), Rate(drive.CommitsPerSecond), Milliseconds(drive.CommitMs));
        }

        table.Write(output);
    }

    private static T[] When<T>(bool isShown, params T[] cells) => isShown ? cells : [];

    private static string Number(int? number) => number?.ToString(CultureInfo.InvariantCulture) ?? Unknown;

    private static string Size(ulong? bytes) => bytes is { } known ? SizeText.Format(known) : Unknown;

    private static string SizeRate(double? bytes) => bytes is { } known ? SizeText.Format((ulong)known) : Unknown;

    private static string Rate(double? rate) => rate?.ToString(rate < 10 ? "0.#" : "0", CultureInfo.InvariantCulture) ?? Unknown;

    private static string Milliseconds(double? time) => time is { } ms ? ms.ToString(ms < 10 ? "0.00" : "0", CultureInfo.InvariantCulture) + " ms" : Unknown;
}
