using KvFs.Cli.Control;
using KvFs.Cli.Top;
using KvFs.Node;
using KvFs.Node.Checking;
using KvFs.Node.Storage;
using KvFs.Protocol;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Hosting;

/// <summary>A storage node in this process, which has all drives.</summary>
/// <remarks>Thread safe.</remarks>
internal sealed class EmbeddedNode : IDriveSource
{
    private readonly StorageNode node;

    private EmbeddedNode(StorageNode node) => this.node = node;

    public IDriveAdmin Admin => node.Admin;

    public TimeSpan LeaseTime => TimeSpan.Zero;

    public IReadOnlyList<RunningNode> Nodes => [];

    /// <exception cref="StorageException">The data folder cannot be used; the message says what to do.</exception>
    public static EmbeddedNode Open(string dataPath, string nodeName, ILoggerFactory loggers)
    {
        return new EmbeddedNode(StorageNode.Open(new StorageNodeOptions { DataPath = dataPath, NodeName = nodeName }, loggers));
    }

    public ValueTask<NodeReport> GetStatusAsync(CancellationToken cancel)
    {
        NodeStatus status = node.GetStatus();
        return new(new NodeReport(status.Name, status.DiskId, status.IsOk, status.Trouble));
    }

    public Task<TopSample> SampleAsync(CancellationToken cancel)
    {
        NodeActivity activity = node.GetActivity() with { Boot = new(node.Identity.Starts) };
        return Task.FromResult(new TopSample(null, [new(node.Options.NodeName, string.Empty, "up", null, TopCounters.Of(activity))]));
    }

    public DiskSpaceReport? GetDisk()
    {
        System.IO.DriveInfo disk = new(node.Options.DataPath);
        return new((ulong)disk.TotalSize, (ulong)disk.AvailableFreeSpace);
    }

    public Task<CheckReport> CheckAsync(bool readBytes, IProgress<ProgressReport> progress, CancellationToken cancel) =>
        Task.Run(() => Check(new NodeCheckOptions(readBytes, Repair: false), progress, cancel), cancel);

    /// <summary>Opens a data folder that nobody serves, and checks it.</summary>
    /// <exception cref="StorageException">It cannot be opened; the message says what to do.</exception>
    public static async Task<CheckReport> CheckOfflineAsync(
        string dataPath, bool readBytes, bool repair, IProgress<ProgressReport> progress, ILoggerFactory loggers,
        CancellationToken cancel)
    {
        progress.Report(new ProgressReport("opening the node", 0, null));
        NodeCheckOptions options = new(readBytes, repair);
        if (await Task.Run(() => MemberFolderChecker.Check(dataPath, options, Tell(progress), cancel), cancel).ConfigureAwait(false) is { } ofMember)
        {
            return ReportOf(ofMember);
        }

        EmbeddedNode offline = Open(dataPath, Environment.MachineName, loggers);
        await using (offline.ConfigureAwait(false))
        {
            return offline.Check(options, progress, cancel);
        }
    }

    public ValueTask DisposeAsync() => node.DisposeAsync();

    private CheckReport Check(NodeCheckOptions options, IProgress<ProgressReport> progress, CancellationToken cancel) =>
        ReportOf(node.Check(options, Tell(progress), cancel));

    private static Action<NodeCheckProgress> Tell(IProgress<ProgressReport> progress) =>
        step => progress.Report(new ProgressReport($"drive {step.Drive}: {step.Activity}", step.Blocks, null));

    private static CheckReport ReportOf(NodeCheckReport report) => new(
        report.IsClean, report.Drives, report.Blocks, report.Bytes, report.ProblemCount,
        [.. report.Problems.Select(found => new CheckProblem(found.Drive, found.Problem, found.Place, found.Repaired))]);
}
