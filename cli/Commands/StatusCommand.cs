using System.CommandLine;
using System.Globalization;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Output;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs status</c>: what runs, and how it is.</summary>
internal static class StatusCommand
{
    public static Command Build() => new Command("status", "Shows the running process, its node, drives and mounts.")
        .WithExamples(
            ("kvfs status", "of the usual data folder"),
            ("kvfs status --data /srv/kvfs --output json", "of another one, for programs"))
        .Runs(RunAsync);

    private static async Task<ExitCode> RunAsync(CommandContext context, CancellationToken cancel)
    {
        using ControlClient client = context.Connect();
        StatusReport status = await client.GetStatusAsync(cancel).ConfigureAwait(false);
        context.Show(status, ControlJson.Readable.StatusReport, output => Write(output, status));
        return status.Node.Ok ? ExitCode.Ok : ExitCode.Failure;
    }

    private static void Write(TextWriter output, StatusReport status)
    {
        output.WriteLine($"state    {status.State} (pid {status.Pid}, since {DriveView.Time(status.Started)})");
        output.WriteLine($"version  {status.Version}");
        output.WriteLine($"data     {status.DataPath}");
        output.WriteLine($"node     {status.Node.Name}: {(status.Node.Ok ? "ok" : "acknowledges nothing")}");
        if (status.Node.Trouble is not null) { output.WriteLine($"         {status.Node.Trouble}"); }
        foreach (RunningNode node in status.Nodes) { output.WriteLine($"         {node.Name} (pid {node.Pid}), log {node.LogPath}"); }
        output.WriteLine($"metrics  {(status.Metrics is null ? "off" : status.Metrics + "/metrics")}");
        output.WriteLine();
        DriveView.WriteTable(output, status.Drives);
        if (status.Mounts.Count == 0) { return; }
        output.WriteLine();
        TableView mounts = new(new("Mounted on"), new("Drive"), new("Mode"), new("Since"));
        foreach (MountReport mount in status.Mounts)
        {
            string mode = (mount.ReadOnly ? "read-only" : "read-write") + (mount.Shared ? ", shared" : "")
                + (mount.Dev ? ", dev" : "") + (mount.Suid ? ", suid" : "") + (mount.NoAtime ? ", noatime" : "")
                + (mount.Timeout is { } timeout ? $", timeout {DurationText.Format(timeout)}" : "");
            mounts.Add(mount.Directory, mount.Drive, mode, DriveView.Time(mount.Since));
        }
        mounts.Write(output);
    }
}
