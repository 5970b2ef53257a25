using KvFs.Cli.Control;
using KvFs.Mount;
using KvFs.Node;
using KvFs.Node.Checking;
using KvFs.Node.Storage;
using KvFs.Protocol;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Hosting;

/// <summary>The one place where the storage node and the mount are put together.</summary>
/// <remarks>Thread safe.</remarks>
internal sealed partial class EmbeddedNode : IAsyncDisposable
{
    private const string FuseConfiguration = "/etc/fuse.conf";

    private readonly StorageNode node;
    private readonly ILogger log;

    private EmbeddedNode(StorageNode node, ILogger log)
    {
        this.node = node;
        this.log = log;
    }

    public IDriveAdmin Admin => node.Admin;

    /// <exception cref="StorageException">The data folder cannot be used; the message says what to do.</exception>
    public static EmbeddedNode Open(string dataPath, string nodeName, ILoggerFactory loggers)
    {
        StorageNode node = StorageNode.Open(new StorageNodeOptions { DataPath = dataPath, NodeName = nodeName }, loggers);
        return new EmbeddedNode(node, loggers.CreateLogger("KvFs.Mount"));
    }

    public NodeReport GetStatus()
    {
        NodeStatus status = node.GetStatus();
        return new(status.Name, status.DiskId, status.IsOk, status.Trouble);
    }

    /// <param name="session">Moves to the mount if that works; else it stays the caller's.</param>
    /// <param name="drive">What mount(8) shows as the source.</param>
    /// <param name="directory">Existing.</param>
    /// <param name="readOnly">Nobody can write.</param>
    /// <exception cref="FuseMountException">It did not work; the message says what to do.</exception>
    public DriveMount StartMount(IDriveSession session, string drive, string directory, bool readOnly) =>
        DriveMount.Start(session, directory, new DriveMountOptions
        {
            FsName = drive,
            ReadOnly = readOnly,
            AllowOther = MayAllowOthers(),
            OnFault = LogFault,
        });

    /// <summary>Checks every drive while it is in use.</summary>
    public Task<CheckReport> CheckAsync(bool readBytes, IProgress<ProgressReport> progress, CancellationToken cancel) =>
        Task.Run(() => Check(new NodeCheckOptions(readBytes, Repair: false), progress, cancel), cancel);

    /// <summary>Opens a data folder that nobody serves, and checks it.</summary>
    /// <exception cref="StorageException">It cannot be opened; the message says what to do.</exception>
    public static async Task<CheckReport> CheckOfflineAsync(
        string dataPath, bool readBytes, bool repair, IProgress<ProgressReport> progress, ILoggerFactory loggers,
        CancellationToken cancel)
    {
        progress.Report(new ProgressReport("opening the node", 0, null));
        EmbeddedNode offline = Open(dataPath, Environment.MachineName, loggers);
        await using (offline.ConfigureAwait(false))
        {
            return offline.Check(new NodeCheckOptions(readBytes, repair), progress, cancel);
        }
    }

    public ValueTask DisposeAsync() => node.DisposeAsync();

    private CheckReport Check(NodeCheckOptions options, IProgress<ProgressReport> progress, CancellationToken cancel)
    {
        NodeCheckReport report = node.Check(
            options,
            step => progress.Report(new ProgressReport($"drive {step.Drive}: {step.Activity}", step.Blocks, null)),
            cancel);
        return new(
            report.IsClean, report.Drives, report.Blocks, report.Bytes, report.ProblemCount,
            [.. report.Problems.Select(found => new CheckProblem(found.Drive, found.Problem, found.Place, found.Repaired))]);
    }

    /// <summary>fusermount3 refuses to let other users in unless the administrator allowed it.</summary>
    private static bool MayAllowOthers() =>
        Environment.IsPrivilegedProcess
            || (File.Exists(FuseConfiguration)
                && File.ReadLines(FuseConfiguration).Any(line => line.Trim() == "user_allow_other"));

    private void LogFault(FuseFault fault) => LogFault(fault.Message, fault.Exception);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Fault}")]
    private partial void LogFault(string fault, Exception? exception);
}
