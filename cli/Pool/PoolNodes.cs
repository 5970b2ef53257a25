using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using KvFs.Cli.Hosting;
using KvFs.Cli.Native;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Pool;

/// <summary>The nodes of a pool on this machine, each a process: started, started again when one ends, and stopped together.
/// </summary>
/// <remarks>A node ends by itself when this process does, however that ends: it notices that its standard input does. Thread safe.
/// </remarks>
internal sealed partial class PoolNodes : IAsyncDisposable
{
    private static readonly TimeSpan s_minPause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_maxPause = TimeSpan.FromSeconds(10);

    /// <summary>A node that ran for so long did not fail to start.</summary>
    private static readonly TimeSpan s_goodTime = TimeSpan.FromSeconds(30);

    /// <summary>How long a node may take to stop; then it is killed, which loses nothing that was synced.</summary>
    private static readonly TimeSpan s_stopTime = TimeSpan.FromSeconds(20);

    /// <summary>Enough for a drive or two on each node; each costs a little to take over and to bring up to date.</summary>
    private const string Shards = "16";

    private readonly OwnPool pool;
    private readonly bool isInsecure;
    private readonly ILogger log;
    private readonly CancellationTokenSource stop = new();
    private readonly ConcurrentDictionary<int, int> running = new();
    private readonly Task[] tasks;

    public PoolNodes(OwnPool pool, int count, bool isInsecure, ILogger log)
    {
        this.pool = pool;
        this.isInsecure = isInsecure;
        this.log = log;
        Addresses = [.. ServerPorts.Find(IPAddress.Loopback, count).Select(static port => $"{IPAddress.Loopback}:{port}")];
        BackgroundProcess.InheritNothing();
        tasks = [.. Enumerable.Range(1, count).Select(number => Task.Run(() => KeepRunningAsync(number)))];
    }

    /// <summary>Where they listen, by number less one; a node that is started again listens there again.</summary>
    public IReadOnlyList<string> Addresses { get; }

    /// <summary>Process ids of the nodes that run, by number.</summary>
    public IReadOnlyDictionary<int, int> Running => running;

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(tasks).ConfigureAwait(false);
        stop.Dispose();
    }

    private async Task KeepRunningAsync(int number)
    {
        TimeSpan pause = s_minPause;
        while (!stop.IsCancellationRequested)
        {
            long began = TimeProvider.System.GetTimestamp();
            try
            {
                await RunAsync(number).ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or System.ComponentModel.Win32Exception or UnauthorizedAccessException)
            {
                LogNotStarted(number, e);
            }

            if (stop.IsCancellationRequested) { return; }
            bool wasGood = TimeProvider.System.GetElapsedTime(began) > s_goodTime;
            pause = wasGood ? s_minPause : TimeSpan.FromTicks(Math.Min(2 * pause.Ticks, s_maxPause.Ticks));
            await Task.Delay(pause, stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Runs a node until it ends, or until all are to stop.</summary>
    private async Task RunAsync(int number)
    {
        ProcessStartInfo start = new(Environment.ProcessPath!, [.. BackgroundProcess.OwnPrefix(), .. ArgumentsOf(number)])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };
        FileStream said = new(
            pool.LogOf(number), new FileStreamOptions { Mode = FileMode.Append, Access = FileAccess.Write, Share = FileShare.ReadWrite });
        await using (said.ConfigureAwait(false))
        {
            using Process process = Process.Start(start)!;
            running[number] = process.Id;
            using SemaphoreSlim line = new(1);
            Task[] copies =
            [
                CopyAsync(process.StandardOutput.BaseStream, said, line),
                CopyAsync(process.StandardError.BaseStream, said, line),
            ];
            await process.WaitForExitAsync(stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!process.HasExited) { await EndAsync(process, number).ConfigureAwait(false); }
            else { LogEnded(number, process.ExitCode, pool.LogOf(number)); }
            running.TryRemove(number, out _);
            await Task.WhenAll(copies).ConfigureAwait(false);
        }
    }

    /// <summary>Has a node stop without handing over: all of them stop.</summary>
    private async Task EndAsync(Process process, int number)
    {
        process.StandardInput.Close();
        using CancellationTokenSource late = new(s_stopTime);
        await process.WaitForExitAsync(late.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (process.HasExited) { return; }
        LogKilled(number, s_stopTime);
        _ = Posix.kill(process.Id, Posix.SigKill);
        await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
    }

    private List<string> ArgumentsOf(int number)
    {
        List<string> arguments =
        [
            "node", "--name", OwnPool.NodeName(number), "--data", pool.DataOf(number), "--authority", "file:" + pool.MapPath,
            "--listen", Addresses[number - 1], "--with-parent",
        ];
        arguments.AddRange(isInsecure ? ["--insecure"] : ["--pki", pool.CertificatesOf(number), "--pool", OwnPool.Name]);
        if (number == 1) { arguments.AddRange(["--found", "--shards", Shards]); }
        return arguments;
    }

    private static async Task CopyAsync(Stream from, FileStream to, SemaphoreSlim line)
    {
        byte[] buffer = new byte[16 << 10];
        while (await from.ReadAsync(buffer).ConfigureAwait(false) is var read and > 0)
        {
            await line.WaitAsync().ConfigureAwait(false);
            try
            {
                await to.WriteAsync(buffer.AsMemory(0, read)).ConfigureAwait(false);
                await to.FlushAsync().ConfigureAwait(false);
            }
            catch (IOException)
            {
                // A full disk takes the log, not the node.
            }
            finally
            {
                line.Release();
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Node n{Number} ended with code {Code}, and is started again; see {LogPath}.")]
    private partial void LogEnded(int number, int code, string logPath);

    [LoggerMessage(Level = LogLevel.Error, Message = "Node n{Number} cannot be started.")]
    private partial void LogNotStarted(int number, Exception exception);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Node n{Number} did not stop within {Time} and is killed.")]
    private partial void LogKilled(int number, TimeSpan time);
}
