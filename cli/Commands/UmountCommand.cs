using System.CommandLine;
using System.CommandLine.Completions;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Output;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs umount</c></summary>
internal static class UmountCommand
{
    private static readonly Argument<string> Place = new("directory") { Description = "Where it is mounted.", HelpName = "DIR" };

    private static readonly Option<bool> Force = new("--force")
    {
        Description = "Take it away from the programs that use it: it vanishes now, and ends when they do.",
    };

    public static Command Build()
    {
        Place.CompletionSources.Add(context =>
            LiveNames.MountDirectories(context).Select(directory => new CompletionItem(directory)));
        Command command = new Command("umount", "Unmounts a drive; the process goes on.") { Place, Force }
            .WithExamples(
                ("kvfs umount /mnt/experiment", "if nobody uses it; else it says who does"),
                ("kvfs umount /mnt/experiment --force", "whoever uses it"))
            .Runs(RunAsync);
        command.Aliases.Add("unmount");
        return command;
    }

    private static async Task RunAsync(CommandContext context, CancellationToken cancel)
    {
        using ControlClient client = context.Connect();
        UnmountRequest request = new(Path.GetFullPath(context.Get(Place)), context.Get(Force));
        DoneReport done;
        using (ProgressLine progress = new())
        {
            progress.Report(new ProgressReport("unmounting", 0, null));
            done = await client.UnmountAsync(request, cancel).ConfigureAwait(false);
        }
        context.Show(done);
    }
}
