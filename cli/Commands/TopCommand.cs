using System.CommandLine;
using System.Text.Json;
using KvFs.Authority;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Hosting;
using KvFs.Cli.Output;
using KvFs.Cli.Pool;
using KvFs.Cli.Top;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs top</c>: what nodes and drives do, live.</summary>
internal static class TopCommand
{
    private static readonly TimeSpan s_usualInterval = TimeSpan.FromSeconds(2);

    private static readonly Option<TimeSpan?> Interval = SharedOptions.Duration(
        "--interval", "The time between two reports, and that each is of. Default: 2s.");

    private static readonly Option<int?> Reports = new("--reports", "-n")
    {
        Description = "End after so many reports; 0: never. Default: never on a terminal, else 1.",
        HelpName = "COUNT",
    };

    private static readonly Option<bool> Once = new("--once") { Description = "One report: the same as -n 1." };

    public static Command Build()
    {
        Command command = new("top", "Shows what nodes and drives do, live: how the pool is, operations, bytes and times. q ends it.")
        {
            Interval, Reports, Once, PoolOptions.OtherAuthority, PoolOptions.Certificates, PoolOptions.Pool, PoolOptions.Insecure,
        };
        command.Validators.Add(static result =>
        {
            if (result.GetValue(Reports) is < 0) { result.AddError("--reports is 0 or more."); }
            if (result.GetValue(Once) && result.GetValue(Reports) is not (null or 1)) { result.AddError("--once and --reports contradict each other."); }
        });
        return command
            .WithExamples(
                ("kvfs top", "of what runs on the usual data folder"),
                ("kvfs top --authority http://127.0.0.1:2379 --pki client --pool main", "of the pool whose map is in that etcd"),
                ("kvfs top -n 10 --interval 1s --output json", "ten samples for a program, one on each line"))
            .Runs(RunAsync);
    }

    private static async Task RunAsync(CommandContext context, CancellationToken cancel)
    {
        if (context.Get(PoolOptions.OtherAuthority) is not { } authorityName)
        {
            using ControlClient client = context.Connect();
            await ShowAsync(context, client.GetSampleAsync, cancel).ConfigureAwait(false);
            return;
        }

        using PoolCalls calls = new(PoolOptions.OpenSecurity(context, NullLoggerFactory.Instance));
        IPoolAuthority authority = PoolOptions.OpenAuthority(authorityName);
        await using (authority.ConfigureAwait(false))
        {
            await ShowAsync(
                context,
                async inside => await calls.SampleAsync(
                    (await PoolOptions.ReadMapAsync(authority, inside).ConfigureAwait(false)).ToWire(), inside).ConfigureAwait(false),
                cancel).ConfigureAwait(false);
        }
    }

    private static async Task ShowAsync(
        CommandContext context, Func<CancellationToken, Task<TopSample>> takeSample, CancellationToken cancel)
    {
        TimeSpan interval = context.Get(Interval) ?? s_usualInterval;
        int reports = context.Get(Once) ? 1 : context.Get(Reports) ?? (Terminal.OutputIsTerminal ? 0 : 1);
        bool isLive = Terminal.OutputIsTerminal && !context.WantsJson && reports != 1;
        using StopSignals signals = new();
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(cancel, signals.First);
        try
        {
            // Before anything is drawn: what goes wrong at once is told in the usual way.
            TopSample before = await TakeAsync(takeSample, end.Token).ConfigureAwait(false);
            using LiveScreen? screen = isLive ? new() : null;
            if (screen is not null) { LiveScreen.Show("The first figures come in a moment; q ends it."); }
            for (int shown = 0; reports == 0 || shown < reports; shown++)
            {
                if (!await LiveScreen.WaitAsync(interval, end.Token).ConfigureAwait(false)) { return; }
                TopSample now = await TakeAsync(takeSample, end.Token).ConfigureAwait(false);
                Show(context, TopReport.Of(before, now, TimeProvider.System.GetUtcNow()), screen is not null, isFirst: shown == 0);
                before = now;
            }
        }
        catch (OperationCanceledException) when (signals.First.IsCancellationRequested)
        {
            // Ctrl-C is how it usually ends.
        }
    }

    /// <exception cref="CommandException">No node answers.</exception>
    private static async Task<TopSample> TakeAsync(Func<CancellationToken, Task<TopSample>> takeSample, CancellationToken cancel)
    {
        TopSample sample = await takeSample(cancel).ConfigureAwait(false);
        return sample.Nodes.Any(static node => node.Counters is not null)
            ? sample
            : throw new CommandException(
                ExitCode.NotRunning,
                $"None of the pool's nodes answers: {string.Join(", ", sample.Nodes.Select(static node => node.Name))}.",
                "Check that they run (`kvfs pool nodes`), and that the certificates are of that pool (`kvfs pki show`).");
    }

    private static void Show(CommandContext context, TopReport report, bool isLive, bool isFirst)
    {
        if (context.WantsJson)
        {
            // One line each: who reads them need not find out where one ends.
            Console.Out.WriteLine(JsonSerializer.Serialize(report, ControlJson.Default.TopReport));
        }
        else if (isLive)
        {
            using StringWriter text = new();
            TopView.Write(text, report);
            LiveScreen.Show(text.ToString());
        }
        else
        {
            if (!isFirst) { Console.Out.WriteLine(); }
            TopView.Write(Console.Out, report);
        }
    }
}
