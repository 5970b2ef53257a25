using System.CommandLine;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Hosting;
using KvFs.Cli.Output;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs down</c>: unmounts everything, closes the node, and waits until the process is gone.</summary>
internal static class DownCommand
{
    private static readonly Option<bool> Force = new("--force")
    {
        Description = "Take busy mounts away from the programs that use them.",
    };

    public static Command Build() => new Command("down", "Unmounts everything and stops the node; its data stays.") { Force }
        .WithExamples(
            ("kvfs down", "stop; if a mount is in use, say who uses it and go on"),
            ("kvfs down --force", "stop whatever uses it"))
        .Runs(RunAsync);

    /// <summary>How long the process may take to end once it has stopped: it has nothing left to do. One that does not is held
    /// by the kernel, for a disk that does not answer.</summary>
    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(30);

    private static async Task RunAsync(CommandContext context, CancellationToken cancel)
    {
        using ControlClient client = context.Connect();
        StatusReport status = await client.GetStatusAsync(cancel).ConfigureAwait(false);
        StopReport done;
        using (ProgressLine progress = new())
        {
            done = await client.StopAsync(new StopRequest(context.Get(Force)), progress, cancel).ConfigureAwait(false);
            progress.Report(new ProgressReport("waiting for the process to end", 0, null));
            await WaitForEndAsync(status.Pid, cancel).ConfigureAwait(false);
        }
        context.Show(new DoneReport(done.Done));
        if (done.Losses.Count > 0)
        {
            throw new CommandException(
                ExitCode.Failure, $"Not everything that was written could be stored. {string.Join(' ', done.Losses)}",
                "The log of the process that ended has the details.");
        }
    }

    private static async Task WaitForEndAsync(int pid, CancellationToken cancel)
    {
        try
        {
            await ProcessEnd.WaitAsync(pid, cancel).WaitAsync(EndLimit, cancel).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw new CommandException(
                ExitCode.Failure,
                $"kvfs has stopped, but its process (pid {pid}) has not ended within {EndLimit.TotalSeconds} seconds: the kernel "
                + "holds it for a disk that does not answer.",
                "What was fsynced is safe. The process ends when the disk answers, or with the machine.");
        }
    }
}
