using System.CommandLine;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs clone</c></summary>
internal static class CloneCommand
{
    private static readonly Argument<string> Drive = SharedOptions.Drive("The drive to clone.");

    private static readonly Argument<string> Clone =
        SharedOptions.Name("clone", "CLONE", "The new drive's name. " + NameRule.Rule, "the name of a drive");

    private static readonly Option<string?> Snapshot = new("--snapshot")
    {
        Description = "Start as this snapshot shows the drive. Default: as the drive is now.",
        HelpName = "SNAPSHOT",
    };

    public static Command Build() => new Command(
        "clone", "Makes a new drive that starts as another one is. Nothing is copied; each changes for itself.")
    {
        Drive, Clone, Snapshot,
    }
    .WithExamples(
        ("kvfs clone main experiment", "as main is now"),
        ("kvfs clone main old --snapshot before-upgrade", "as main was"))
    .Runs(RunAsync);

    private static async Task RunAsync(CommandContext context, CancellationToken cancel)
    {
        using ControlClient client = context.Connect();
        CloneRequest request = new(context.Get(Clone), context.Get(Snapshot));
        DriveReport clone = await client.CloneAsync(context.Get(Drive), request, cancel).ConfigureAwait(false);
        context.Show(clone, ControlJson.Readable.DriveReport, output =>
            output.WriteLine($"Drive '{clone.Name}' is made. Mount it: kvfs mount {clone.Name} DIR"));
    }
}
