using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Pool;
using KvFs.Cli.Top;
using KvFs.Core;
using KvFs.Node.Storage;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Hosting;

/// <summary>The process that <c>kvfs up</c> starts: a node or a pool, its mounts, the control channel and the metrics page.</summary>
/// <remarks>Thread safe. Order of a start: node (its lock on the data folder comes first), control channel, drive, mount,
/// metrics page. A stop goes the other way round; the socket's name goes before the node's lock does, so that a successor
/// never loses its own.</remarks>
internal sealed partial class NodeServer : IAsyncDisposable
{
    private const string Starting = "starting";
    private const string Running = "running";
    private const string Stopping = "stopping";

    private readonly ServerOptions options;
    private readonly ILogger log;
    private readonly DateTimeOffset started;
    private readonly SemaphoreSlim stopping = new(1);
    private readonly CancellationTokenSource insisted = new();
    private readonly TaskCompletionSource startEnded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly IDriveSource source;
    private readonly TimeProvider clock;
    private ControlServer? control;
    private MonitorServer? monitor;
    private volatile string state = Starting;
    private bool nodeClosed;

    private NodeServer(ServerOptions options, IDriveSource source, ILoggerFactory loggers, TimeProvider clock)
    {
        this.options = options;
        this.source = source;
        this.clock = clock;
        log = loggers.CreateLogger("KvFs.Cli.Server");
        started = clock.GetUtcNow();
        Mounts = new MountTable(source, new MountStart(loggers), clock, loggers.CreateLogger<MountTable>());
        Drives = new DriveDesk(options.DataPath, source, Mounts);
    }

    public MountTable Mounts { get; }

    public DriveDesk Drives { get; }

    /// <summary>Whatever uses the node for somebody outside goes through here.</summary>
    public RequestGate Requests { get; } = new();

    public bool IsRunning => state == Running;

    /// <summary>Ends when the node is closed: the process has nothing left to do.</summary>
    public Task Stopped => stopped.Task;

    /// <summary>Opens the node and serves; the drive is mounted when this returns.</summary>
    /// <exception cref="CommandException">It cannot; nothing is left behind.</exception>
    /// <exception cref="StorageException">The data folder cannot be used.</exception>
    /// <exception cref="Mount.FuseMountException">The drive cannot be mounted.</exception>
    public static async Task<NodeServer> StartAsync(
        ServerOptions options, ILoggerFactory loggers, IProgress<ProgressReport> progress, CancellationToken cancel)
    {
        NativeHeap.GiveBack();
        IDriveSource source = await OpenSourceAsync(options, loggers, progress, cancel).ConfigureAwait(false);
        NodeServer server = new(options, source, loggers, TimeProvider.System);
        try
        {
            using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancel, server.insisted.Token);
            await server.ServeAsync(loggers, progress, either.Token).ConfigureAwait(false);
            server.startEnded.TrySetResult();
            return server;
        }
        catch
        {
            await server.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async Task<StatusReport> GetStatusAsync(CancellationToken cancel) => new(
        state,
        Environment.ProcessId,
        ProductVersion.Text,
        options.DataPath,
        started,
        await source.GetStatusAsync(cancel).ConfigureAwait(false),
        source.Nodes,
        monitor?.Address,
        (await Drives.ListAsync(cancel).ConfigureAwait(false)).Drives,
        Mounts.List());

    /// <summary>What its node, or those of its pool, have done so far.</summary>
    public Task<TopSample> SampleAsync(CancellationToken cancel) => source.SampleAsync(cancel);

    public ValueTask<NodeReport> GetNodeStatusAsync(CancellationToken cancel) => source.GetStatusAsync(cancel);

    public Task<CheckReport> CheckAsync(
        CheckRequest request, IProgress<ProgressReport> progress, CancellationToken cancel) =>
        source.CheckAsync(request.ReadBytes, progress, cancel);

    /// <summary>Unmounts everything and closes the node. If a mount is in use it goes on serving, unless forced. A forced
    /// stop overtakes a polite one that is stuck. A stop during the start comes behind it; a forced one ends it.</summary>
    /// <exception cref="CommandException">A mount is in use; the message says by whom.</exception>
    public async Task<StopReport> StopAsync(
        StopRequest request, IProgress<ProgressReport> progress, CancellationToken cancel)
    {
        if (request.Force)
        {
            Mounts.Insist();
            await insisted.CancelAsync().ConfigureAwait(false);
        }
        if (!startEnded.Task.IsCompleted)
        {
            progress.Report(new ProgressReport("waiting for the start to end", 0, null));
            TimeSpan limit = request.Force ? NodeClosing.Limit : Timeout.InfiniteTimeSpan;
            try
            {
                await startEnded.Task.WaitAsync(limit, clock, cancel).ConfigureAwait(false);
            }
            catch (TimeoutException)
            {
                throw new CommandException(
                    ExitCode.Failure,
                    $"The start did not end within {limit.TotalSeconds} seconds, because the disk does not answer. What was "
                    + $"fsynced is safe: end the process {Environment.ProcessId}.");
            }
        }
        await stopping.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            if (nodeClosed) { return Done(); }
            state = Stopping;
            await Mounts.UnmountAllAsync(request.Force, progress).ConfigureAwait(false);
            progress.Report(new ProgressReport("closing the node", 0, null));
            await CloseNodeAsync().ConfigureAwait(false);
            return Done();
        }
        finally
        {
            if (!nodeClosed) { state = Running; }
            stopping.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!nodeClosed)
        {
            await Mounts.UnmountAllAsync(force: true, new Progress<ProgressReport>()).ConfigureAwait(false);
            await CloseNodeAsync().ConfigureAwait(false);
        }
        startEnded.TrySetResult();
        if (monitor is not null) { await monitor.DisposeAsync().ConfigureAwait(false); }
        if (control is not null) { await control.DisposeAsync().ConfigureAwait(false); }
        await Mounts.DisposeAsync().ConfigureAwait(false);
        Requests.Dispose();
        stopping.Dispose();
        insisted.Dispose();
    }

    private StopReport Done() => new($"kvfs on {options.DataPath} is down.", Mounts.Losses);

    private static async Task<IDriveSource> OpenSourceAsync(
        ServerOptions options, ILoggerFactory loggers, IProgress<ProgressReport> progress, CancellationToken cancel)
    {
        DataDirectory.Prepare(options.DataPath);
        try
        {
            if (options.Pool is not null)
            {
                return await PoolSource.OpenAsync(options.DataPath, options.Pool, loggers, progress, cancel).ConfigureAwait(false);
            }

            OwnPool.CheckIsNone(options.DataPath);
            progress.Report(new ProgressReport("opening the node", 0, null));
            return EmbeddedNode.Open(options.DataPath, Environment.MachineName, loggers);
        }
        catch (StorageException e) when (e.Status == Status.InUse)
        {
            throw await InUseAsync(options.DataPath, e, cancel).ConfigureAwait(false);
        }
    }

    /// <summary>Names the process that has the data folder, if it can be asked.</summary>
    private static async Task<CommandException> InUseAsync(string dataPath, StorageException lockTaken, CancellationToken cancel)
    {
        const string hint = "Stop it with `kvfs down`, or use another folder with --data.";
        try
        {
            using ControlClient client = new(dataPath);
            StatusReport other = await client.GetStatusAsync(cancel).ConfigureAwait(false);
            return new CommandException(
                ExitCode.InUse, $"A kvfs runs on {dataPath} already (pid {other.Pid}).", $"See `kvfs status`. {hint}");
        }
        catch (CommandException)
        {
            return new CommandException(ExitCode.InUse, lockTaken.Message, hint);
        }
    }

    private async Task ServeAsync(ILoggerFactory loggers, IProgress<ProgressReport> progress, CancellationToken cancel)
    {
        control = await ControlServer.StartAsync(options.DataPath, new ControlRoutes(this, loggers), loggers, cancel)
            .ConfigureAwait(false);
        await EnsureDriveAsync(progress, cancel).ConfigureAwait(false);
        if (options.MountPath is not null)
        {
            progress.Report(new ProgressReport($"mounting {options.MountPath}", 0, null));
            MountRequest request = new(
                options.Drive, options.MountPath, options.ReadOnly, options.Shared, options.Dev, options.Suid, options.NoAtime,
                options.Timeout);
            await Mounts.MountAsync(request, cancel).ConfigureAwait(false);
        }
        monitor = await MonitorServer.StartAsync(options.Metrics, this, loggers, cancel).ConfigureAwait(false);
        state = Running;
        LogServing(options.DataPath, monitor?.Address ?? "off");
    }

    private async Task EnsureDriveAsync(IProgress<ProgressReport> progress, CancellationToken cancel)
    {
        DriveList list = await Drives.ListAsync(cancel).ConfigureAwait(false);
        if (list.Drives.Any(drive => drive.Name == options.Drive)) { return; }
        progress.Report(new ProgressReport($"making drive {options.Drive}", 0, null));
        NewDriveRequest request = new(options.Drive, options.QuotaBytes ?? 0);
        await Drives.CreateAsync(request, cancel).ConfigureAwait(false);
        LogDriveMade(options.Drive);
    }

    private async Task CloseNodeAsync()
    {
        control?.Withdraw();
        nodeClosed = true;
        try
        {
            NodeClosing closing = new(Requests, source.DisposeAsync);
            string? abandoned = await closing.RunAsync(NodeClosing.Limit, clock).ConfigureAwait(false);
            if (abandoned is null) { LogClosed(options.DataPath); }
            else
            {
                LogAbandoned(abandoned);
                Mounts.NoteLoss(abandoned);
            }
        }
        finally
        {
            stopped.TrySetResult();
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Serving {DataPath}; metrics: {Metrics}.")]
    private partial void LogServing(string dataPath, string metrics);

    [LoggerMessage(Level = LogLevel.Information, Message = "Drive {Drive} is new.")]
    private partial void LogDriveMade(string drive);

    [LoggerMessage(Level = LogLevel.Error, Message = "{What}")]
    private partial void LogAbandoned(string what);

    [LoggerMessage(Level = LogLevel.Information, Message = "The node on {DataPath} is closed.")]
    private partial void LogClosed(string dataPath);
}
