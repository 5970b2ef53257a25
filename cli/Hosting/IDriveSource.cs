using KvFs.Cli.Control;
using KvFs.Cli.Top;
using KvFs.Protocol;

namespace KvFs.Cli.Hosting;

/// <summary>Where the drives are that this process serves: a node of its own, or a pool of several.</summary>
/// <remarks>Thread safe. Disposing it may block while a disk does not answer.</remarks>
internal interface IDriveSource : IAsyncDisposable
{
    IDriveAdmin Admin { get; }

    /// <summary>How long a drive may seem to be in use by a client that is gone.</summary>
    TimeSpan LeaseTime { get; }

    /// <summary>Processes of nodes that this one has started.</summary>
    IReadOnlyList<RunningNode> Nodes { get; }

    /// <summary>How it is.</summary>
    ValueTask<NodeReport> GetStatusAsync(CancellationToken cancel);

    /// <summary>What the nodes have done so far.</summary>
    Task<TopSample> SampleAsync(CancellationToken cancel);

    /// <summary>The disk that everything is on; null: it is on those of other machines.</summary>
    DiskSpaceReport? GetDisk();

    /// <summary>Checks every drive while it is in use.</summary>
    /// <exception cref="CommandLine.CommandException">Not from here.</exception>
    Task<CheckReport> CheckAsync(bool readBytes, IProgress<ProgressReport> progress, CancellationToken cancel);
}

/// <param name="TotalBytes">Of the file system.</param>
/// <param name="FreeBytes">What drives could still take of it.</param>
internal readonly record struct DiskSpaceReport(ulong TotalBytes, ulong FreeBytes);
