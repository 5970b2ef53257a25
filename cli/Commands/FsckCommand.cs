using System.CommandLine;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Hosting;
using KvFs.Cli.Output;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs fsck</c>: online in the running process, or offline on a data folder that nobody serves.</summary>
internal static class FsckCommand
{
    private static readonly Option<bool> Offline = new("--offline")
    {
        Description = "Open the data folder itself; no kvfs may run on it.",
    };

    private static readonly Option<bool> Repair = new("--repair")
    {
        Description = "With --offline: repair what can be repaired without discarding anything that may be alive.",
    };

    private static readonly Option<bool> ReadBytes = new("--read-bytes")
    {
        Description = "Also compare every stored byte with its checksum. Takes as long as reading the disk.",
    };

    public static Command Build() => new Command("fsck", "Checks drives: their names, files, blocks and free space.")
    {
        Offline, Repair, ReadBytes,
    }
    .WithExamples(
        ("kvfs fsck", "while it runs"),
        ("kvfs fsck --read-bytes", "every byte, too"),
        ("kvfs fsck --data /srv/kvfs --offline --repair", "repair; what may be alive is never discarded"))
    .Runs(RunAsync);

    private static async Task<ExitCode> RunAsync(CommandContext context, CancellationToken cancel)
    {
        if (context.Get(Repair) && !context.Get(Offline))
        {
            throw new CommandException(
                ExitCode.Usage, "--repair needs --offline.", "Stop kvfs first (kvfs down), then: kvfs fsck --offline --repair");
        }
        using StopSignals signals = new();
        CheckReport report;
        using (ProgressLine progress = new())
        {
            report = context.Get(Offline)
                ? await CheckOfflineAsync(context, progress, signals.First).ConfigureAwait(false)
                : await CheckOnlineAsync(context, progress, signals.First).ConfigureAwait(false);
        }
        context.Show(report, ControlJson.Readable.CheckReport, output => Write(output, report));
        return report.Clean ? ExitCode.Ok : ExitCode.Damaged;
    }

    private static async Task<CheckReport> CheckOnlineAsync(
        CommandContext context, ProgressLine progress, CancellationToken cancel)
    {
        using ControlClient client = context.Connect();
        return await client.CheckAsync(new CheckRequest(context.Get(ReadBytes)), progress, cancel).ConfigureAwait(false);
    }

    private static async Task<CheckReport> CheckOfflineAsync(
        CommandContext context, ProgressLine progress, CancellationToken cancel)
    {
        DataDirectory.MustExist(context.DataPath);
        using ILoggerFactory loggers = Logs.Create(LogFormat.Text, LogLevel.Warning);
        return await EmbeddedNode.CheckOfflineAsync(
            context.DataPath, context.Get(ReadBytes), context.Get(Repair), progress, loggers, cancel).ConfigureAwait(false);
    }

    private static void Write(TextWriter output, CheckReport report)
    {
        string read = report.Bytes > 0 ? $", {SizeText.Format((ulong)report.Bytes)} read" : string.Empty;
        string what = $"{report.Drives} drives, {report.Blocks} blocks{read}";
        if (report.ProblemCount == 0)
        {
            output.WriteLine($"Clean: {what}.");
            return;
        }
        TableView table = new(new("Drive"), new("Problem"), new("Where"), new("Repaired"));
        foreach (CheckProblem problem in report.Problems)
        {
            table.Add(problem.Drive, problem.Problem, problem.Place, problem.Repaired ? "yes" : "no");
        }
        table.Write(output);
        if (report.ProblemCount > report.Problems.Count)
        {
            output.WriteLine($"… and {report.ProblemCount - report.Problems.Count} more.");
        }
        output.WriteLine($"{(report.Clean ? "Repaired" : "Damaged")}: {report.ProblemCount} problems in {what}.");
    }
}
