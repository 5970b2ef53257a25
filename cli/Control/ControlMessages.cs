using System.Text.Json.Serialization;
using KvFs.Cli.CommandLine;

namespace KvFs.Cli.Control;

/// <summary>A drive to be made.</summary>
/// <param name="QuotaBytes">0: none.</param>
/// <param name="QuotaInodes">0: none.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record NewDriveRequest(string Name, ulong QuotaBytes = 0, ulong QuotaInodes = 0, int Spread = 0);

/// <summary>New quotas; null leaves one as it is, 0 removes it.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record ResizeDriveRequest(ulong? QuotaBytes = null, ulong? QuotaInodes = null);

[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record CreateSnapshotRequest(string Name);

/// <param name="Path">From the drive's root; "/" is all of it.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record RestoreRequest(string Path);

/// <param name="Name">The new drive.</param>
/// <param name="Snapshot">Where it starts; null: as the drive is now.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record CloneRequest(string Name, string? Snapshot = null);

/// <param name="Directory">Absolute; made if it is missing.</param>
/// <param name="Dev">Device nodes work.</param>
/// <param name="Suid">Set-id bits work.</param>
/// <param name="NoAtime">Reading never moves access times.</param>
/// <param name="Timeout">How long programs wait for a pool that does not answer; null: for ever. Only of a shared mount.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record MountRequest(
    string Drive,
    string Directory,
    bool ReadOnly = false,
    bool Shared = false,
    bool Dev = false,
    bool Suid = false,
    bool NoAtime = false,
    TimeSpan? Timeout = null);

[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record UnmountRequest(string Directory, bool Lazy = false);

/// <param name="ReadBytes">Also compares every stored byte with its checksum.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record CheckRequest(bool ReadBytes = false);

/// <param name="Force">Takes busy mounts away from the programs that use them.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record StopRequest(bool Force = false);

/// <summary>A drive.</summary>
/// <param name="QuotaBytes">Null: none.</param>
/// <param name="QuotaInodes">Null: none.</param>
/// <param name="Snapshots">How many; null: their records are damaged.</param>
/// <param name="Origin">The name of the drive that this one is a clone of; its id, if it was deleted since.</param>
/// <param name="Spread">Percent of the pool's shards over which its blocks are spread.</param>
/// <param name="MountedAt">Directories where the running process shows it.</param>
internal sealed record DriveReport(
    string Name,
    string Id,
    string Kind,
    ulong? QuotaBytes,
    ulong? QuotaInodes,
    ulong UsedBytes,
    ulong UsedInodes,
    DateTimeOffset Created,
    int? Snapshots,
    string? Origin,
    int Spread,
    IReadOnlyList<string> MountedAt);

internal sealed record DriveList(IReadOnlyList<DriveReport> Drives);

/// <param name="Version">The drive's version (CoW number) that the snapshot keeps.</param>
internal sealed record SnapshotReport(string Name, string Drive, ulong Version, DateTimeOffset Created);

internal sealed record SnapshotList(IReadOnlyList<SnapshotReport> Snapshots);

internal sealed record MountReport(
    string Drive, string Directory, bool ReadOnly, bool Shared, bool Dev, bool Suid, bool NoAtime, TimeSpan? Timeout, DateTimeOffset Since);

/// <summary>What a drive holds, and what it may still take.</summary>
/// <param name="TotalInodes">Null: no bound.</param>
internal sealed record DriveSpace(
    string Drive,
    ulong TotalBytes,
    ulong UsedBytes,
    ulong FreeBytes,
    ulong? TotalInodes,
    ulong UsedInodes,
    IReadOnlyList<string> MountedAt);

/// <param name="DiskTotalBytes">The file system that holds the data folder; null: the data is on other machines.</param>
/// <param name="DiskFreeBytes">What it could still give.</param>
internal sealed record SpaceReport(
    string DataPath, ulong? DiskTotalBytes, ulong? DiskFreeBytes, IReadOnlyList<DriveSpace> Drives);

/// <summary>How the node is.</summary>
/// <param name="Ok">It acknowledges writes.</param>
/// <param name="Trouble">Why not, or what a person should look at: a sentence.</param>
internal sealed record NodeReport(string Name, string? DiskId, bool Ok, string? Trouble);

/// <summary>A node of a pool that this process runs.</summary>
/// <param name="LogPath">What it said.</param>
internal sealed record RunningNode(string Name, int Pid, string LogPath);

/// <param name="State">starting, running or stopping.</param>
/// <param name="Nodes">The processes of its own pool's nodes that run; empty if it has none.</param>
/// <param name="Metrics">The address of the metrics page; null: off.</param>
internal sealed record StatusReport(
    string State,
    int Pid,
    string Version,
    string DataPath,
    DateTimeOffset Started,
    NodeReport Node,
    IReadOnlyList<RunningNode> Nodes,
    string? Metrics,
    IReadOnlyList<DriveReport> Drives,
    IReadOnlyList<MountReport> Mounts);

/// <summary>Something that was done and has nothing else to say.</summary>
internal sealed record DoneReport(string Done);

/// <summary>The end of the process.</summary>
/// <param name="Losses">What was written since its start and could not be stored, each a sentence; empty if all is
/// well.</param>
internal sealed record StopReport(string Done, IReadOnlyList<string> Losses);

/// <param name="Problem">What is wrong: a sentence.</param>
/// <param name="Place">Where: a drive, file, block or record.</param>
/// <param name="Repaired">It was, and nothing that may be alive was discarded for it.</param>
internal sealed record CheckProblem(string Drive, string Problem, string Place, bool Repaired);

/// <param name="Problems">The first ones; <paramref name="ProblemCount"/> has all.</param>
internal sealed record CheckReport(
    bool Clean, long Drives, long Blocks, long Bytes, long ProblemCount, IReadOnlyList<CheckProblem> Problems);

/// <summary>What went wrong with a request.</summary>
internal sealed record ControlError(ExitCode Code, string Message, string? Hint);

internal sealed record ErrorReport(ControlError Error);

/// <summary>How far a long request is.</summary>
/// <param name="Activity">What is being done.</param>
/// <param name="Total">Null: not known.</param>
internal sealed record ProgressReport(string Activity, long Done, long? Total);

/// <summary>A line of the answer to a long request: progress, and at last a result or an error.</summary>
internal sealed record AnswerLine<T>(ProgressReport? Progress = null, T? Result = null, ControlError? Error = null)
    where T : class;
