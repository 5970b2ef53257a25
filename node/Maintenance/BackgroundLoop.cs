using System.Diagnostics;
using KvFs.Node.Storage;
using Microsoft.Extensions.Logging;

namespace KvFs.Node.Maintenance;

/// <summary>Runs a step again and again: at an interval, or at once when somebody signals that there is work.</summary>
/// <remarks>The step answers true if there is more to do now. Of a loop that is paced, a step is followed by a rest of five
/// times as long, unless the work presses: what copies for long leaves processors and disk to those who are waited for. A step
/// that throws is logged and tried again at the next
/// interval; <see cref="DisposeAsync"/> waits for the step that runs.</remarks>
public sealed partial class BackgroundLoop : IAsyncDisposable
{
    /// <summary>The nice value of the thread: where processors are short, one that answers a request gets ten times as
    /// much of them.</summary>
    private const int Niceness = 10;

    /// <summary>How much longer a paced loop rests than it works.</summary>
    private const int RestFactor = 5;

    private static readonly TimeSpan s_longestRest = TimeSpan.FromSeconds(5);

    private readonly CancellationTokenSource stop = new();
    private readonly SemaphoreSlim signal = new(0, 1);
    private readonly Task run;

    /// <param name="name">For the log.</param>
    /// <param name="interval">Between steps when there is no more to do.</param>
    /// <param name="logger">Is told of steps that fail.</param>
    /// <param name="step">The work.</param>
    /// <param name="presses">Given for a loop that is paced: whether the work presses now.</param>
    public BackgroundLoop(
        string name, TimeSpan interval, ILogger logger, Func<CancellationToken, bool> step, Func<bool>? presses = null)
    {
        ArgumentNullException.ThrowIfNull(step);
        run = Task.Factory.StartNew(
            () => Run(name, interval, logger, step, presses),
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

    private void Run(
        string name, TimeSpan interval, ILogger logger, Func<CancellationToken, bool> step, Func<bool>? presses)
    {
        Thread.CurrentThread.Name = $"kvfs-{name}";

        // Where it is refused the loop runs as everybody does.
        _ = LinuxCalls.setpriority(LinuxCalls.PRIO_PROCESS, 0, Niceness);
        _ = LinuxCalls.sched_setscheduler(0, LinuxCalls.SCHED_IDLE, 0);
        bool more = true;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                if (!more) { signal.Wait(interval, stop.Token); }
                long began = Stopwatch.GetTimestamp();
                more = step(stop.Token);
                if (more && presses is not null && !presses()) { Rest(Stopwatch.GetElapsedTime(began)); }
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

    private void Rest(TimeSpan worked)
    {
        TimeSpan rest = worked * RestFactor;
        stop.Token.WaitHandle.WaitOne(rest < s_longestRest ? rest : s_longestRest);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The background work '{Name}' failed; it is tried again.")]
    private static partial void LogFailed(ILogger logger, string name, Exception exception);
}
