using System.CommandLine;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs snapshot create</c></summary>
internal static class SnapshotCreateCommand
{
    private static readonly Argument<string> Drive = SharedOptions.Drive("The drive.");

    private static readonly Argument<string> Snapshot =
        SharedOptions.Name("snapshot", "SNAPSHOT", "The new snapshot's name. " + NameRule.Rule, "the name of a snapshot");

    public static Command Build() => new Command(
        "create", "Keeps a drive as it is now. It takes no space until the drive changes.")
    {
        Drive, Snapshot,
    }
    .WithExamples(("kvfs snapshot create main before-upgrade", "then see .snapshots/before-upgrade in its mount"))
    .Runs(RunAsync);

    private static async Task RunAsync(CommandContext context, CancellationToken cancel)
    {
        using ControlClient client = context.Connect();
        SnapshotReport snapshot = await client.CreateSnapshotAsync(
            context.Get(Drive), new CreateSnapshotRequest(context.Get(Snapshot)), cancel).ConfigureAwait(false);
        context.Show(snapshot, ControlJson.Readable.SnapshotReport, output =>
            output.WriteLine($"Snapshot '{snapshot.Name}' keeps drive '{snapshot.Drive}' as it is now."));
    }
}
