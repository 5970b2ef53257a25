using System.CommandLine;
using System.CommandLine.Invocation;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Cli;

internal static class Program
{
    public static async Task<int> Main(string[] arguments)
    {
        RootCommand root = KvfsCommandLine.Build();
        ParseResult parsed = root.Parse(arguments);
        InvocationConfiguration invocation = new()
        {
            EnableDefaultExceptionHandler = false,

            // Signals end a command as they end any program; those that have something to finish handle them themselves.
            ProcessTerminationTimeout = null,
        };
        if (parsed.Action is ParseErrorAction) { return ErrorOutput.ShowUsage(parsed); }
        try
        {
            return await parsed.InvokeAsync(invocation).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return (int)ExitCode.Interrupted;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            ControlError error = ControlErrors.From(e, NullLoggerFactory.Instance);
            ErrorOutput.Show(error, new CommandContext(parsed).WantsJson);
            return (int)error.Code;
        }
    }
}
