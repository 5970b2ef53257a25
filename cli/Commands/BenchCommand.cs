using System.CommandLine;
using System.Globalization;
using KvFs.Cli.Bench;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Hosting;
using KvFs.Cli.Output;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs bench</c>: a quick look at the speed of a directory, and of another one beside it.</summary>
internal static class BenchCommand
{
    /// <summary>The largest number of files that still is a quick look.</summary>
    private const int MaxFiles = 1_000_000;

    private static readonly Argument<string> Place = new("directory")
    {
        Description = "A directory, for example on a mount.",
        HelpName = "DIR",
    };

    private static readonly Option<string?> Compare = new("--compare")
    {
        Description = "Another directory, for example on the disk under the data folder; measured in the same run.",
        HelpName = "DIR",
    };

    private static readonly Option<ulong?> Size = SharedOptions.Size("--size", "Size of the large file. Default: 256MiB.");

    private static readonly Option<int> Files = new("--files")
    {
        Description = "Number of small files.",
        HelpName = "NUMBER",
        DefaultValueFactory = _ => 2000,
    };

    public static Command Build()
    {
        Files.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() is < 1 or > MaxFiles)
            {
                result.AddError($"The number of files must be from 1 to {MaxFiles}.");
            }
        });
        return new Command("bench", "Measures a directory: large files, small files, random reads and writes.")
        {
            Place, Compare, Size, Files,
        }
        .WithExamples(
            ("kvfs bench /mnt/kvfs --compare /var/tmp", "the mount beside the disk itself"),
            ("kvfs bench /mnt/kvfs --size 1GiB -o json", "a larger file; for programs"))
        .Runs(RunAsync);
    }

    private static async Task RunAsync(CommandContext context, CancellationToken cancel)
    {
        BenchPlan plan = PlanOf(context);
        string directory = Existing(context.Get(Place));
        string? compared = context.Get(Compare) is { } other ? Existing(other) : null;
        using StopSignals signals = new();
        BenchReport report;
        using (ProgressLine progress = new())
        {
            report = await Task.Run(() => Measure(plan, directory, compared, progress, signals.First), CancellationToken.None)
                .ConfigureAwait(false);
        }
        context.Show(report, ControlJson.Readable.BenchReport, output => Write(output, report));
    }

    private static BenchPlan PlanOf(CommandContext context)
    {
        ulong bytes = context.Get(Size) ?? 256UL << 20;
        if (bytes is < BenchPlan.BlockBytes or > 1UL << 40)
        {
            throw new CommandException(ExitCode.Usage, "The size must be from 1MiB to 1TiB.");
        }
        return new BenchPlan((long)(bytes - (bytes % BenchPlan.BlockBytes)), context.Get(Files));
    }

    private static string Existing(string directory)
    {
        string path = Path.GetFullPath(directory);
        return Directory.Exists(path) ? path : throw new CommandException(ExitCode.NotFound, $"There is no directory {path}.");
    }

    private static BenchReport Measure(
        BenchPlan plan, string directory, string? compared, ProgressLine progress, CancellationToken cancel)
    {
        var own = new BenchRun(directory, plan, progress, cancel).Measure();
        var others = compared is null ? null : new BenchRun(compared, plan, progress, cancel).Measure();
        List<BenchFigure> figures = [];
        for (int at = 0; at < own.Count; at++)
        {
            double? other = others?[at].Value;
            figures.Add(new(own[at].Step, own[at].Unit, own[at].Value, other, own[at].Value / other));
        }
        return new(directory, compared, (ulong)plan.FileBytes, plan.Files, figures);
    }

    private static void Write(TextWriter output, BenchReport report)
    {
        TableView table = report.ComparedWith is null
            ? new(new("Step"), new("Unit"), new("Measured", IsNumber: true))
            : new(
                new("Step"), new("Unit"), new("Measured", IsNumber: true), new("Compared", IsNumber: true),
                new("Ratio", IsNumber: true));
        foreach (BenchFigure figure in report.Figures)
        {
            string[] cells = [figure.Step, figure.Unit, Number(figure.Value)];
            table.Add(report.ComparedWith is null
                ? cells
                : [.. cells, Number(figure.Compared!.Value), figure.Ratio!.Value.ToString("0.00", CultureInfo.InvariantCulture)]);
        }
        table.Write(output);
        output.WriteLine($"Measured: {report.Directory}");
        if (report.ComparedWith is not null) { output.WriteLine($"Compared: {report.ComparedWith}"); }
        output.WriteLine(
            $"One file of {SizeText.Format(report.FileBytes)}, {report.Files} files of 4 KiB, one thread. A first look; "
            + "`make bench` measures with care.");
    }

    private static string Number(double value) => value.ToString(value < 100 ? "0.0" : "0", CultureInfo.InvariantCulture);
}
