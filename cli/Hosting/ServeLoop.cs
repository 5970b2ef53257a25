using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Hosting;

/// <summary>Serves until somebody stops it: <c>kvfs down</c>, or a signal.</summary>
internal static partial class ServeLoop
{
    /// <summary>Returns when the node is closed. The first signal stops politely: if a mount is in use, the server goes on
    /// and says who uses it. A further signal takes the mounts away, also while the first one's stop is stuck. A bug in a
    /// mount stops by force.</summary>
    /// <returns>What the process ends with: a failure if something that was written is lost.</returns>
    public static async Task<ExitCode> RunAsync(NodeServer server, StopSignals signals, ILoggerFactory loggers)
    {
        ILogger log = loggers.CreateLogger("KvFs.Cli.Server");
        using CancellationTokenSource ended = new();
        List<Task> stops = [];
        while (!server.Stopped.IsCompleted)
        {
            Task signal = signals.NextAsync(ended.Token);
            Task first = await Task.WhenAny(server.Stopped, server.Mounts.Broken, signal).ConfigureAwait(false);
            if (first == server.Stopped) { break; }
            if (first == server.Mounts.Broken)
            {
                LogBroken(log);
                await TryStopAsync(server, force: true, log).ConfigureAwait(false);
                break;
            }
            stops.Add(TryStopAsync(server, force: stops.Count > 0, log));
        }
        await Task.WhenAll(stops).ConfigureAwait(false);
        await ended.CancelAsync().ConfigureAwait(false);
        return server.Mounts.Losses.Count == 0 ? ExitCode.Ok : ExitCode.Failure;
    }

    /// <summary>Never fails: the log says what came of it.</summary>
    private static async Task TryStopAsync(NodeServer server, bool force, ILogger log)
    {
        try
        {
            await server.StopAsync(new StopRequest(force), new Progress<ProgressReport>(), CancellationToken.None)
                .ConfigureAwait(false);
        }
        catch (Exception e) when (e is CommandException or IOException)
        {
            // In use; or what was written cannot be stored, on a full disk for example: it goes on serving, so that nothing
            // is lost yet.
            LogBusy(log, e.Message);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            LogFailed(log, e);
        }
    }

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "Not stopped: {Reason} A second signal takes the mounts away from them.")]
    private static partial void LogBusy(ILogger logger, string reason);

    [LoggerMessage(
        Level = LogLevel.Critical,
        Message = "A mount met a bug, and can store nothing any more; this process ends. What was synced is safe.")]
    private static partial void LogBroken(ILogger logger);

    [LoggerMessage(Level = LogLevel.Error, Message = "Stopping failed.")]
    private static partial void LogFailed(ILogger logger, Exception exception);
}
