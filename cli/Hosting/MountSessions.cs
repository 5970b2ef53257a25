using KvFs.Cli.Control;
using KvFs.Client;
using KvFs.Client.Remote;
using KvFs.Core;
using KvFs.Protocol;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Hosting;

/// <summary>The sessions of one mount: opens the first, and those after it where the drive is shared; and logs what becomes of them.</summary>
/// <param name="source">Where the drive is.</param>
/// <param name="request">What is mounted, and how.</param>
/// <param name="directory">Where.</param>
/// <param name="clock">The clock.</param>
/// <param name="log">Is told.</param>
internal sealed partial class MountSessions(IDriveSource source, MountRequest request, string directory, TimeProvider clock, ILogger log)
    : ISessionSource
{
    private static readonly TimeSpan OpenPause = TimeSpan.FromMilliseconds(250);

    private readonly SessionAccess access = SessionAccesses.Of(request.ReadOnly, request.Shared);

    /// <summary>Opens the first one; waits for one of a client that is gone to expire.</summary>
    public async Task<Reply<IDriveSession>> OpenFirstAsync(CancellationToken cancel)
    {
        long began = clock.GetTimestamp();
        while (true)
        {
            Reply<IDriveSession> opened = await OpenAsync(cancel).ConfigureAwait(false);
            if (opened.Status != Status.InUse || clock.GetElapsedTime(began) >= source.LeaseTime) { return opened; }
            await Task.Delay(OpenPause, clock, cancel).ConfigureAwait(false);
        }
    }

    public async ValueTask<Reply<IDriveSession>> OpenAsync(CancellationToken cancellation)
    {
        Reply<IDriveSession> opened = await source.Admin.OpenSessionAsync(request.Drive, access, cancellation).ConfigureAwait(false);
        if (!opened.IsOk) { return opened; }
        if (request.Timeout is { } time && opened.Value is RemoteDriveSession remote) { remote.RequestTime = time; }
        IDriveSession session = SessionMemory.Around(opened.Value, clock);
        if (session is BufferedDriveSession buffered)
        {
            buffered.Lost = (status, operations) => LogLost(operations.Count, request.Drive, status, operations[0]);
        }

        return Reply.Ok(session);
    }

    /// <summary>Logs that the only session of a mount has expired, unless the mount ends before.</summary>
    public async Task WatchOnlyAsync(IDriveSession session, Task mountEnded)
    {
        if (await Task.WhenAny(session.Expired, mountEnded).ConfigureAwait(false) == session.Expired) { LogOver(request.Drive, directory); }
    }

    public void OnExpired(int openFiles) => LogExpired(request.Drive, directory, openFiles);

    public void OnRefused(Status why)
    {
        if (why == Status.Stale) { LogGone(request.Drive, directory); }
        else { LogRefused(request.Drive, directory, why); }
    }

    public void OnOpened() => LogOpened(request.Drive, directory);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "{Count} changes of names or attributes that programs of drive {Drive} were answered are lost: {Status}. The first: {First}")]
    private partial void LogLost(int count, string drive, Status status, TransactOperation first);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "The session of drive {Drive} on {Directory} is over: the mount was cut off for longer than its lease, and others may have changed the "
            + "drive since. Everything there fails with EIO, and what was not synced is lost. Mount it again: "
            + "kvfs umount {Directory}; kvfs mount {Drive} {Directory}")]
    private partial void LogOver(string drive, string directory);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The session of drive {Drive} on {Directory} is over: the mount was cut off for longer than its lease. {Count} open files and their "
            + "locks are lost: programs get EIO, and must open them again. All else goes on under a new session.")]
    private partial void LogExpired(string drive, string directory, int count);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "There is no new session with drive {Drive} on {Directory} now: {Status}. Programs get EIO there until there is one; it is tried again.")]
    private partial void LogRefused(string drive, string directory, Status status);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "Drive {Drive} on {Directory} was deleted: programs get ESTALE there. Unmount it: kvfs umount {Directory}")]
    private partial void LogGone(string drive, string directory);

    [LoggerMessage(Level = LogLevel.Information, Message = "Drive {Drive} on {Directory} has a new session.")]
    private partial void LogOpened(string drive, string directory);
}
