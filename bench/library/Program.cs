using System.CommandLine;
using System.CommandLine.Invocation;

namespace KvFs.Bench;

/// <summary>Measures a pool through the client library: <c>--help</c> says what, <c>bench/library.sh</c> starts the pools.</summary>
/// <remarks>Exit codes: those of <see cref="BenchException"/>; 130 after Ctrl-C.</remarks>
internal static class Program
{
    private const int Interrupted = 130;

    public static async Task<int> Main(string[] arguments)
    {
        ParseResult parsed = new BenchCommandLine().Build(RunAsync).Parse(arguments);
        if (parsed.Action is ParseErrorAction)
        {
            foreach (var error in parsed.Errors) { Results.Say(error.Message); }
            Results.Say("--help says what can be asked for");
            return BenchException.Usage;
        }

        try
        {
            return await parsed.InvokeAsync(new() { EnableDefaultExceptionHandler = false });
        }
        catch (BenchException e)
        {
            Results.Say(e.Message);
            return e.ExitCode;
        }
        catch (OperationCanceledException)
        {
            return Interrupted;
        }
    }

    private static async Task RunAsync(BenchOptions options, CancellationToken cancel)
    {
        UsageMeter meter = new(options.Processes);
        await meter.ReadAsync();
        foreach (string row in options.Rows)
        {
            // A pool that is whole again may have other primaries.
            await using PoolUnderTest pool = await PoolUnderTest.ConnectAsync(options, cancel);
            Results.Say($"{row}, {pool.Nodes} nodes, {pool.Copies} copies");
            Results results = new(options, pool.Nodes, pool.Copies);
            await BenchCommandLine.Rows.First(one => one.Name == row).Run(new(pool, options, meter, results, cancel));
        }
    }
}
