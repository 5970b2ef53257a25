using System.CommandLine;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs drive delete</c></summary>
internal static class DriveDeleteCommand
{
    private static readonly Argument<string> Drive = SharedOptions.Drive("The drive.");

    private static readonly Option<bool> Yes = SharedOptions.Yes();

    public static Command Build() => new Command("delete", "Deletes a drive with everything in it, its snapshots too.")
    {
        Drive, Yes,
    }
    .WithExamples(
        ("kvfs drive delete scratch", "asks first"),
        ("kvfs drive delete scratch --yes", "does not ask"))
    .Runs(RunAsync);

    private static async Task RunAsync(CommandContext context, CancellationToken cancel)
    {
        using ControlClient client = context.Connect();
        DriveReport drive = await client.GetDriveAsync(context.Get(Drive), cancel).ConfigureAwait(false);
        CommandContext.Confirm(
            $"Delete drive '{drive.Name}' with {SizeText.Format(drive.UsedBytes)} in {drive.UsedInodes} files and directories, "
            + $"and {DriveView.Snapshots(drive)} snapshots",
            context.Get(Yes));
        context.Show(await client.DeleteDriveAsync(drive.Name, cancel).ConfigureAwait(false));
    }
}
