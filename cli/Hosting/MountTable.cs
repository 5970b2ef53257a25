using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Client;
using KvFs.Core;
using KvFs.Mount;
using KvFs.Protocol;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Hosting;

/// <summary>What this process has mounted: each directory has one drive; a drive may have several.</summary>
/// <remarks>Thread safe; mounting and unmounting happen one after the other.</remarks>
internal sealed partial class MountTable(IDriveSource source, MountStart start, TimeProvider clock, ILogger<MountTable> log)
    : IAsyncDisposable
{
    /// <summary>Losses that are kept to be told; the log has all.</summary>
    private const int MostLosses = 16;

    /// <summary>How long a forced stop waits for the data of a mount that it cannot end: as long as
    /// <see cref="DriveMountOptions.StopTimeout"/>, and for the same reason.</summary>
    private static readonly TimeSpan StoreTimeout = TimeSpan.FromSeconds(60);

    private readonly SemaphoreSlim gate = new(1);
    private readonly CancellationTokenSource insisted = new();
    private readonly TaskCompletionSource broken = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock changes = new();
    private readonly List<string> losses = [];
    private readonly SortedDictionary<string, Entry> entries = new(StringComparer.Ordinal);

    /// <summary>Taken away from their directories, and still in use by programs that had files open.</summary>
    private readonly List<Entry> lingering = [];

    /// <summary>Nothing is mounted any more; under the gate.</summary>
    private bool isClosed;

    /// <summary>Ends when a mount met a bug: the process must end. What was synced is safe.</summary>
    public Task Broken => broken.Task;

    /// <summary>What was written and could not be stored, since the start; each a sentence.</summary>
    public IReadOnlyList<string> Losses
    {
        get
        {
            lock (changes) { return [.. losses]; }
        }
    }

    public IReadOnlyList<MountReport> List()
    {
        lock (changes) { return [.. entries.Values.Select(entry => entry.Report)]; }
    }

    public IReadOnlyList<string> DirectoriesOf(string drive)
    {
        lock (changes) { return [.. entries.Values.Where(entry => entry.Report.Drive == drive).Select(entry => entry.Report.Directory)]; }
    }

    public async Task<MountReport> MountAsync(MountRequest request, CancellationToken cancel)
    {
        NameRule.Check(request.Drive, "the name of a drive");
        MountStart.Check(request);
        await gate.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            if (isClosed) { throw RequestGate.Closed(); }
            DeadMount.Remove(MountDirectory.Absolute(request.Directory), log);
            string directory = MountDirectory.Prepare(request.Directory);
            return await MountOnAsync(directory, request, cancel).ConfigureAwait(false);
        }
        finally
        {
            gate.Release();
        }
    }

    public async Task<DoneReport> UnmountAsync(UnmountRequest request, CancellationToken cancel)
    {
        await gate.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            string directory = MountDirectory.Absolute(request.Directory);
            Entry entry = Find(directory) ?? Find(MountDirectory.Resolve(directory)) ?? throw new CommandException(
                ExitCode.NotFound, $"This kvfs has nothing mounted on {directory}.", "`kvfs status` lists what it has.");
            if (request.Lazy) { await TakeAwayAsync(entry).ConfigureAwait(false); }
            else { await UnmountAsync(entry).ConfigureAwait(false); }
            return new DoneReport($"Drive '{entry.Report.Drive}' is unmounted from {entry.Report.Directory}.");
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>A forced stop is to follow: who unmounts politely, and waits for something that may never come, gives
    /// way.</summary>
    public void Insist() => insisted.Cancel();

    /// <summary>Unmounts everything, or, if a mount is in use, nothing, unless forced: then those who use it get errors,
    /// after everything they wrote was stored. From then on nothing can be mounted.</summary>
    /// <remarks>A forced one never fails: see <see cref="Losses"/>. It ends within twice <see cref="StoreTimeout"/>.</remarks>
    /// <exception cref="CommandException">A mount is in use; the message says by whom.</exception>
    public async Task UnmountAllAsync(bool force, IProgress<ProgressReport> progress)
    {
        if (force) { Insist(); }
        await gate.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            if (!force) { ThrowIfInUse(); }
            Entry[] all = Everything();
            if (force)
            {
                progress.Report(new ProgressReport("unmounting", 0, all.Length));
                await Task.WhenAll(all.Select(EndAsync)).ConfigureAwait(false);
            }
            else { await UnmountAsync(all, progress).ConfigureAwait(false); }
            isClosed = true;
        }
        finally
        {
            gate.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await UnmountAllAsync(force: true, new Progress<ProgressReport>()).ConfigureAwait(false);
        gate.Dispose();
        insisted.Dispose();
    }

    private async Task UnmountAsync(Entry[] all, IProgress<ProgressReport> progress)
    {
        for (int at = 0; at < all.Length; at++)
        {
            progress.Report(new ProgressReport($"unmounting {all[at].Report.Directory}", at, all.Length));
            await UnmountAsync(all[at]).ConfigureAwait(false);
        }
    }

    /// <summary>Looks before anything is unmounted, so that a refused stop leaves everything as it is. Who is not seen here
    /// is met by the unmount itself.</summary>
    private void ThrowIfInUse()
    {
        lock (changes)
        {
            if (lingering is [var first, ..])
            {
                throw new CommandException(
                    ExitCode.InUse,
                    $"The mount that was taken away from {first.Report.Directory} is still in use.",
                    "End the programs that use it, or stop with --force.");
            }
        }
        foreach (MountReport mount in List())
        {
            if (MountHolders.Find(mount.Directory).Count > 0) { throw InUse(mount.Directory); }
        }
    }

    private async Task<MountReport> MountOnAsync(string directory, MountRequest request, CancellationToken cancel)
    {
        MountSessions sessions = new(source, request, directory, clock, log);
        Reply<IDriveSession> opened = await sessions.OpenFirstAsync(cancel).ConfigureAwait(false);
        if (opened.Status == Status.InUse)
        {
            throw new CommandException(
                ExitCode.InUse,
                $"The drive '{request.Drive}' is in use by a mount that this one cannot share it with.",
                "Unmount it there, or mount it everywhere with --shared.");
        }

        ControlErrors.ThrowIfFailed(opened.Status, $"drive '{request.Drive}'");
        DriveMount mount;
        try
        {
            mount = start.Start(opened.Value, request.Shared ? sessions : null, directory, request);
        }
        catch
        {
            await opened.Value.DisposeAsync().ConfigureAwait(false);
            throw;
        }
        MountReport report = new(
            request.Drive, directory, request.ReadOnly, request.Shared, request.Dev, request.Suid, request.NoAtime, request.Timeout,
            clock.GetUtcNow());
        Entry entry = new(report, mount);
        lock (changes)
        {
            // Somebody unmounted the earlier one from outside, lazily: it is served until its last user ends.
            if (entries.TryGetValue(directory, out Entry? earlier)) { lingering.Add(earlier); }
            entries[directory] = entry;
        }

        entry.Ended = WatchAsync(entry);
        entry.Health = WatchHealthAsync(entry);
        if (!request.Shared) { _ = sessions.WatchOnlyAsync(opened.Value, entry.Ended); }
        LogMounted(request.Drive, directory);
        return report;
    }

    private async Task UnmountAsync(Entry entry)
    {
        try
        {
            await entry.Mount.UnmountAsync(lazy: false).AsTask().WaitAsync(insisted.Token).ConfigureAwait(false);
            await entry.Ended.WaitAsync(insisted.Token).ConfigureAwait(false);
        }
        catch (FuseMountException e) when (e.Reason == FuseMountFailure.Busy)
        {
            throw InUse(entry.Report.Directory);
        }
        catch (OperationCanceledException)
        {
            throw GivesWay();
        }
    }

    private static CommandException GivesWay() => new(ExitCode.NotRunning, "A forced stop of this kvfs came in between.");

    /// <summary>Takes an entry off the table, unless its directory has another one by now; under the lock.</summary>
    private bool RemoveEntry(Entry entry) =>
        entries.TryGetValue(entry.Report.Directory, out Entry? present) && present == entry
            && entries.Remove(entry.Report.Directory);

    /// <summary>Frees the directory; the mount ends when the programs that use it do.</summary>
    private async Task TakeAwayAsync(Entry entry)
    {
        try
        {
            await entry.Mount.UnmountAsync(lazy: true).AsTask().WaitAsync(insisted.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            throw GivesWay();
        }
        lock (changes)
        {
            if (RemoveEntry(entry) && !entry.Ended.IsCompleted) { lingering.Add(entry); }
        }
    }

    private static CommandException InUse(string directory) => new(
        ExitCode.InUse,
        $"{directory} is in use{MountHolders.Describe(directory)}.",
        "End those programs, or take the mount away from them with --force.");

    /// <summary>Ends a mount whoever uses it. One that cannot be ended while a program has it open (it was taken away before,
    /// or the kernel offers no way) is given up: what was written is stored, later writes fail, and the kernel ends it with this
    /// process. What
    /// went wrong is noted; this never fails and never waits for long.</summary>
    private async Task EndAsync(Entry entry)
    {
        try
        {
            if (!IsLingering(entry)) { await entry.Mount.DisposeAsync().ConfigureAwait(false); }
            if (entry.Mount.Completion.IsCompleted)
            {
                await entry.Ended.ConfigureAwait(false);
                return;
            }
            LogAbandoned(entry.Report.Directory);
            await entry.Mount.StoreLastAsync().AsTask().WaitAsync(StoreTimeout, clock).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            NoteLoss(entry, e);
        }
    }

    /// <summary>Logs that data is lost, and keeps it to be told.</summary>
    private void NoteLoss(Entry entry, Exception e)
    {
        LogBroken(entry.Report.Drive, entry.Report.Directory, e);
        string why = e is TimeoutException
            ? $"What was written was not stored within {StoreTimeout.TotalSeconds} seconds." : e.Message;
        NoteLoss($"Drive '{entry.Report.Drive}' on {entry.Report.Directory}: {why}");
    }

    /// <summary>Keeps a sentence on what is lost, or may be, to be told.</summary>
    public void NoteLoss(string loss)
    {
        lock (changes)
        {
            if (losses.Count < MostLosses && !losses.Contains(loss)) { losses.Add(loss); }
        }
    }

    private bool IsLingering(Entry entry)
    {
        lock (changes) { return lingering.Contains(entry); }
    }

    /// <summary>Waits for a mount's end, whoever unmounts it. What could not be stored is noted here.</summary>
    private async Task WatchAsync(Entry entry)
    {
        try
        {
            await entry.Mount.Completion.ConfigureAwait(false);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            NoteLoss(entry, e);
        }
        lock (changes)
        {
            if (!lingering.Remove(entry)) { RemoveEntry(entry); }
        }
        await entry.Mount.DisposeAsync().ConfigureAwait(false);
        LogUnmounted(entry.Report.Drive, entry.Report.Directory);
    }

    /// <summary>A client that met a bug answers errors from then on: the process is to end, so that somebody hears of it.
    /// </summary>
    private async Task WatchHealthAsync(Entry entry)
    {
        try
        {
            await entry.Mount.ClientCompletion.ConfigureAwait(false);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            NoteLoss(entry, e);
            broken.TrySetResult();
        }
    }

    private Entry? Find(string directory)
    {
        lock (changes) { return entries.GetValueOrDefault(directory); }
    }

    private Entry[] Everything()
    {
        lock (changes) { return [.. entries.Values, .. lingering]; }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Drive {Drive} is mounted on {Directory}.")]
    private partial void LogMounted(string drive, string directory);

    [LoggerMessage(Level = LogLevel.Information, Message = "Drive {Drive} is unmounted from {Directory}.")]
    private partial void LogUnmounted(string drive, string directory);

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "Programs still use the mount that was taken away from {Directory}; they get errors.")]
    private partial void LogAbandoned(string directory);

    [LoggerMessage(Level = LogLevel.Error, Message = "The mount of drive {Drive} on {Directory} broke.")]
    private partial void LogBroken(string drive, string directory, Exception exception);

    private sealed class Entry(MountReport report, DriveMount mount)
    {
        public MountReport Report { get; } = report;

        public DriveMount Mount { get; } = mount;

        /// <summary>Ends when everything that belongs to the mount is given back.</summary>
        public Task Ended { get; set; } = Task.CompletedTask;

        /// <summary>Ends with the client.</summary>
        public Task Health { get; set; } = Task.CompletedTask;
    }
}
