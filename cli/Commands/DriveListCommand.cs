using System.CommandLine;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs drive list</c></summary>
internal static class DriveListCommand
{
    public static Command Build()
    {
        Command command = new Command("list", "Lists all drives.")
            .WithExamples(
                ("kvfs drive list", "as a table"),
                ("kvfs drive list -o json", "for programs"))
            .Runs(RunAsync);
        command.Aliases.Add("ls");
        return command;
    }

    private static async Task RunAsync(CommandContext context, CancellationToken cancel)
    {
        using ControlClient client = context.Connect();
        DriveList list = await client.ListDrivesAsync(cancel).ConfigureAwait(false);
        context.Show(list, ControlJson.Readable.DriveList, output => DriveView.WriteTable(output, list.Drives));
    }
}
