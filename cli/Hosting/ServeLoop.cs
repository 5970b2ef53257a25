using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Hosting;

/// <summary>Serves until somebody stops it: <c>kvfs down</c>, or a signal.</summary>
internal static partial class ServeLoop
{
    /// <summary>Returns when the node is closed. The first signal stops politely: if a mount is in use, the server goes on
    /// and says who uses it. A further signal takes the mounts away.</summary>
    public static async Task RunAsync(NodeServer server, StopSignals signals, ILoggerFactory loggers)
    {
        ILogger log = loggers.CreateLogger("KvFs.Cli.Server");
        using CancellationTokenSource ended = new();
        for (int count = 1; !server.Stopped.IsCompleted; count++)
        {
            Task signal = signals.NextAsync(ended.Token);
            if (await Task.WhenAny(server.Stopped, signal).ConfigureAwait(false) == server.Stopped) { break; }
            await TryStopAsync(server, force: count > 1, log).ConfigureAwait(false);
        }
        await ended.CancelAsync().ConfigureAwait(false);
    }

    private static async Task TryStopAsync(NodeServer server, bool force, ILogger log)
    {
        try
        {
            await server.StopAsync(new StopRequest(force), new NoProgress(), CancellationToken.None).ConfigureAwait(false);
        }
        catch (CommandException e)
        {
            LogBusy(log, e.Message);
        }
        catch (IOException e)
        {
            // What was written cannot be stored, on a full disk for example: it goes on serving, so that nothing is lost yet.
            LogBusy(log, e.Message);
        }
    }

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "Not stopped: {Reason} A second signal takes the mounts away from them.")]
    private static partial void LogBusy(ILogger logger, string reason);

    private sealed class NoProgress : IProgress<ProgressReport>
    {
        public void Report(ProgressReport value)
        {
            // Nobody watches a signal's work.
        }
    }
}
