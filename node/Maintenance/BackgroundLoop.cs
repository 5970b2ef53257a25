using KvFs.Node.Storage;
using Microsoft.Extensions.Logging;

namespace KvFs.Node.Maintenance;

/// <summary>Runs a step again and again: at an interval, or at once when somebody signals that there is work.</summary>
/// <remarks>The step answers true if there is more to do now. A step that throws is logged and tried again at the next
/// interval; <see cref="DisposeAsync"/> waits for the step that runs.</remarks>
public sealed partial class BackgroundLoop : IAsyncDisposable
{
    /// <summary>The nice value of the thread: where processors are short, one that answers a request gets ten times as
    /// much of them.</summary>
    private const int Niceness = 10;

    private readonly CancellationTokenSource stop = new();
    private readonly SemaphoreSlim signal = new(0, 1);
    private readonly Task run;

    public BackgroundLoop(string name, TimeSpan interval, ILogger logger, Func<CancellationToken, bool> step)
    {
        ArgumentNullException.ThrowIfNull(step);
        run = Task.Factory.StartNew(
            () => Run(name, interval, logger, step),
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
    }

    /// <summary>Says that there is work.</summary>
    public void Signal()
    {
        if (signal.CurrentCount == 0)
        {
            try { signal.Release(); }
            catch (SemaphoreFullException) { }  // Somebody else signalled at the same moment: once is enough.
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await run;
        stop.Dispose();
        signal.Dispose();
    }

    private void Run(string name, TimeSpan interval, ILogger logger, Func<CancellationToken, bool> step)
    {
        Thread.CurrentThread.Name = $"kvfs-{name}";

        // Where it is refused the loop runs as everybody does.
        _ = LinuxCalls.setpriority(LinuxCalls.PRIO_PROCESS, 0, Niceness);
        bool more = true;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                if (!more) { signal.Wait(interval, stop.Token); }
                more = step(stop.Token);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
#pragma warning disable CA1031 // Whatever went wrong, the loop must live on: its work is what keeps the node healthy.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                LogFailed(logger, name, exception);
                more = false;
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The background work '{Name}' failed; it is tried again.")]
    private static partial void LogFailed(ILogger logger, string name, Exception exception);
}
