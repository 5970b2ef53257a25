using System.CommandLine;
using System.Globalization;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Output;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs df</c></summary>
internal static class DfCommand
{
    public static Command Build() => new Command("df", "Shows the space of every drive, and of the disk under them.")
        .WithExamples(
            ("kvfs df", "as a table"),
            ("kvfs df -o json", "in bytes, for programs"))
        .Runs(RunAsync);

    private static async Task RunAsync(CommandContext context, CancellationToken cancel)
    {
        using ControlClient client = context.Connect();
        SpaceReport space = await client.GetSpaceAsync(cancel).ConfigureAwait(false);
        context.Show(space, ControlJson.Readable.SpaceReport, output => Write(output, space));
    }

    private static void Write(TextWriter output, SpaceReport space)
    {
        TableView table = new(
            new("Drive"), new("Size", IsNumber: true), new("Used", IsNumber: true), new("Free", IsNumber: true),
            new("Use%", IsNumber: true), new("Files", IsNumber: true), new("Mounted on"));
        foreach (DriveSpace drive in space.Drives)
        {
            table.Add(
                drive.Drive, SizeText.Format(drive.TotalBytes), SizeText.Format(drive.UsedBytes),
                SizeText.Format(drive.FreeBytes), Percent(drive.UsedBytes, drive.UsedBytes + drive.FreeBytes),
                DriveView.Number(drive.UsedInodes), DriveView.Places(drive.MountedAt));
        }
        if (space is { DiskTotalBytes: { } total, DiskFreeBytes: { } free })
        {
            table.Add(
                "(disk)", SizeText.Format(total), SizeText.Format(total - free), SizeText.Format(free), Percent(total - free, total), "-",
                space.DataPath);
        }

        table.Write(output);
    }

    /// <summary>Rounded up, as df(1) does: 100 % says that nothing is left.</summary>
    private static string Percent(ulong part, ulong whole) => whole == 0
        ? "-"
        : Math.Ceiling(part * 100.0 / whole).ToString("0", CultureInfo.InvariantCulture) + "%";
}
