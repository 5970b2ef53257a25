using System.CommandLine;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Output;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs snapshot restore</c></summary>
internal static class SnapshotRestoreCommand
{
    private static readonly Argument<string> Drive = SharedOptions.Drive("The drive.");

    private static readonly Argument<string> Snapshot = SharedOptions.Snapshot("The snapshot.", Drive);

    private static readonly Option<string> What = new("--path")
    {
        Description = "The file or directory to restore, from the drive's root. Default: the whole drive.",
        HelpName = "PATH",
        DefaultValueFactory = _ => "/",
    };

    private static readonly Option<bool> Yes = SharedOptions.Yes();

    public static Command Build() => new Command("restore", "Makes a drive, or a path in it, as a snapshot shows it.")
    {
        Drive, Snapshot, What, Yes,
    }
    .WithExamples(
        ("kvfs snapshot restore main before-upgrade", "the whole drive; asks first"),
        ("kvfs snapshot restore main before-upgrade --path /etc/app.conf", "one file"))
    .Runs(RunAsync);

    private static async Task RunAsync(CommandContext context, CancellationToken cancel)
    {
        string path = context.Get(What);
        string what = path == "/" ? $"drive '{context.Get(Drive)}'" : $"{path} in drive '{context.Get(Drive)}'";
        CommandContext.Confirm(
            $"Make {what} as snapshot '{context.Get(Snapshot)}' shows it, and lose what changed since", context.Get(Yes));
        using ControlClient client = context.Connect();
        using ProgressLine progress = new();
        progress.Report(new ProgressReport("restoring", 0, null));
        DoneReport done = await client.RestoreAsync(
            context.Get(Drive), context.Get(Snapshot), new RestoreRequest(path), cancel).ConfigureAwait(false);
        progress.Dispose();
        context.Show(done);
    }
}
