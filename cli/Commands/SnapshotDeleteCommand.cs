using System.CommandLine;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs snapshot delete</c></summary>
internal static class SnapshotDeleteCommand
{
    private static readonly Argument<string> Drive = SharedOptions.Drive("The drive.");

    private static readonly Argument<string> Snapshot = SharedOptions.Snapshot("The snapshot.", Drive);

    private static readonly Option<bool> Yes = SharedOptions.Yes();

    public static Command Build() => new Command("delete", "Deletes a snapshot; what only it showed is gone.")
    {
        Drive, Snapshot, Yes,
    }
    .WithExamples(
        ("kvfs snapshot delete main before-upgrade", "asks first"),
        ("kvfs snapshot delete main before-upgrade --yes", "does not ask"))
    .Runs(RunAsync);

    private static async Task RunAsync(CommandContext context, CancellationToken cancel)
    {
        CommandContext.Confirm(
            $"Delete snapshot '{context.Get(Snapshot)}' of drive '{context.Get(Drive)}'", context.Get(Yes));
        using ControlClient client = context.Connect();
        context.Show(await client.DeleteSnapshotAsync(context.Get(Drive), context.Get(Snapshot), cancel).ConfigureAwait(false));
    }
}
