using System.CommandLine;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs drive show</c></summary>
internal static class DriveShowCommand
{
    private static readonly Argument<string> Drive = SharedOptions.Drive("The drive.");

    public static Command Build() => new Command("show", "Shows everything about a drive.") { Drive }
        .WithExamples(("kvfs drive show main", "its size, quota, snapshots, mounts"))
        .Runs(RunAsync);

    private static async Task RunAsync(CommandContext context, CancellationToken cancel)
    {
        using ControlClient client = context.Connect();
        DriveReport drive = await client.GetDriveAsync(context.Get(Drive), cancel).ConfigureAwait(false);
        context.Show(drive, ControlJson.Readable.DriveReport, output => DriveView.WriteOne(output, drive));
    }
}
