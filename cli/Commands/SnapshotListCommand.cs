using System.CommandLine;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Output;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs snapshot list</c></summary>
internal static class SnapshotListCommand
{
    private static readonly Argument<string> Drive = SharedOptions.Drive("The drive.");

    public static Command Build()
    {
        Command command = new Command("list", "Lists a drive's snapshots.") { Drive }
            .WithExamples(("kvfs snapshot list main", "as a table"))
            .Runs(RunAsync);
        command.Aliases.Add("ls");
        return command;
    }

    private static async Task RunAsync(CommandContext context, CancellationToken cancel)
    {
        using ControlClient client = context.Connect();
        SnapshotList list = await client.ListSnapshotsAsync(context.Get(Drive), cancel).ConfigureAwait(false);
        context.Show(list, ControlJson.Readable.SnapshotList, output =>
        {
            if (list.Snapshots.Count == 0)
            {
                output.WriteLine($"Drive '{context.Get(Drive)}' has no snapshots.");
                return;
            }
            TableView table = new(new("Name"), new("Created"), new("Version", IsNumber: true));
            foreach (SnapshotReport snapshot in list.Snapshots)
            {
                table.Add(snapshot.Name, DriveView.Time(snapshot.Created), DriveView.Number(snapshot.Version));
            }
            table.Write(output);
        });
    }
}
