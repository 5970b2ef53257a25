using System.Globalization;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Output;

namespace KvFs.Cli.Commands;

/// <summary>How drives look to people.</summary>
internal static class DriveView
{
    public static void WriteTable(TextWriter output, IReadOnlyList<DriveReport> drives)
    {
        if (drives.Count == 0)
        {
            output.WriteLine("There are no drives. Make one: kvfs drive create NAME");
            return;
        }
        TableView table = new(
            new("Name"), new("Used", IsNumber: true), new("Quota", IsNumber: true), new("Files", IsNumber: true),
            new("Snapshots", IsNumber: true), new("Clone of"), new("Mounted on"));
        foreach (DriveReport drive in drives)
        {
            table.Add(
                drive.Name, SizeText.Format(drive.UsedBytes), Quota(drive.QuotaBytes), Number(drive.UsedInodes),
                Snapshots(drive), drive.Origin ?? "-", Places(drive.MountedAt));
        }
        table.Write(output);
    }

    public static void WriteOne(TextWriter output, DriveReport drive)
    {
        output.WriteLine($"name       {drive.Name}");
        output.WriteLine($"id         {drive.Id}");
        output.WriteLine($"used       {SizeText.Format(drive.UsedBytes)} of {Quota(drive.QuotaBytes)}");
        output.WriteLine($"files      {Number(drive.UsedInodes)} of {(drive.QuotaInodes is { } most ? Number(most) : "any number")}");
        output.WriteLine($"snapshots  {Snapshots(drive)}");
        output.WriteLine($"spread     {(drive.Spread == 0 ? "-" : $"over {Number((ulong)drive.Spread)} % of the shards")}");
        output.WriteLine($"clone of   {drive.Origin ?? "-"}");
        output.WriteLine($"created    {Time(drive.Created)}");
        output.WriteLine($"mounted    {Places(drive.MountedAt)}");
    }

    /// <summary>How many; "?" where damage keeps them from being counted.</summary>
    public static string Snapshots(DriveReport drive) => drive.Snapshots is { } count ? Number((ulong)count) : "?";

    public static string Time(DateTimeOffset time) =>
        time.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);

    public static string Number(ulong number) => number.ToString(CultureInfo.InvariantCulture);

    public static string Places(IReadOnlyList<string> directories) =>
        directories.Count == 0 ? "-" : string.Join(", ", directories);

    private static string Quota(ulong? bytes) => bytes is { } quota ? SizeText.Format(quota) : "no quota";
}
