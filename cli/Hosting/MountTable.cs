using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Mount;
using KvFs.Protocol;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Hosting;

/// <summary>What this process has mounted: each directory has one drive; a drive may have several.</summary>
/// <remarks>Thread safe; mounting and unmounting happen one after the other.</remarks>
internal sealed partial class MountTable(EmbeddedNode node, TimeProvider clock, ILogger<MountTable> log) : IAsyncDisposable
{
    private readonly SemaphoreSlim gate = new(1);
    private readonly Lock changes = new();
    private readonly SortedDictionary<string, Entry> entries = new(StringComparer.Ordinal);

    /// <summary>Taken away from their directories, and still in use by programs that had files open.</summary>
    private readonly List<Entry> lingering = [];

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
        await gate.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
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

    /// <summary>Unmounts everything, or, if a mount is in use, nothing, unless forced: then those who use it get errors,
    /// after everything they wrote was stored.</summary>
    /// <exception cref="CommandException">A mount is in use; the message says by whom.</exception>
    public async Task UnmountAllAsync(bool force, IProgress<ProgressReport> progress)
    {
        await gate.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            if (!force) { ThrowIfInUse(); }
            Entry[] all = Everything();
            for (int at = 0; at < all.Length; at++)
            {
                progress.Report(new ProgressReport($"unmounting {all[at].Report.Directory}", at, all.Length));
                await (force ? EndAsync(all[at]) : UnmountAsync(all[at])).ConfigureAwait(false);
            }
        }
        finally
        {
            gate.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (Entry entry in Everything()) { await EndAsync(entry).ConfigureAwait(false); }
        gate.Dispose();
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
        Reply<IDriveSession> opened =
            await node.Admin.OpenSessionAsync(request.Drive, request.ReadOnly, cancel).ConfigureAwait(false);
        ControlErrors.ThrowIfFailed(opened.Status, $"drive '{request.Drive}'");
        IDriveSession session = opened.Value;
        DriveMount mount;
        try
        {
            mount = node.StartMount(session, request.Drive, directory, request.ReadOnly);
        }
        catch
        {
            await session.DisposeAsync().ConfigureAwait(false);
            throw;
        }
        MountReport report = new(request.Drive, directory, request.ReadOnly, clock.GetUtcNow());
        Entry entry = new(report, mount);
        lock (changes)
        {
            // Somebody unmounted the earlier one from outside, lazily: it is served until its last user ends.
            if (entries.TryGetValue(directory, out Entry? earlier)) { lingering.Add(earlier); }
            entries[directory] = entry;
        }

        entry.Ended = WatchAsync(entry);
        LogMounted(request.Drive, directory);
        return report;
    }

    private static async Task UnmountAsync(Entry entry)
    {
        try
        {
            await entry.Mount.UnmountAsync(lazy: false).ConfigureAwait(false);
        }
        catch (FuseMountException e) when (e.Reason == FuseMountFailure.Busy)
        {
            throw InUse(entry.Report.Directory);
        }
        await entry.Ended.ConfigureAwait(false);
    }

    /// <summary>Takes an entry off the table, unless its directory has another one by now; under the lock.</summary>
    private bool RemoveEntry(Entry entry) =>
        entries.TryGetValue(entry.Report.Directory, out Entry? present) && present == entry
            && entries.Remove(entry.Report.Directory);

    /// <summary>Frees the directory; the mount ends when the programs that use it do.</summary>
    private async Task TakeAwayAsync(Entry entry)
    {
        await entry.Mount.UnmountAsync(lazy: true).ConfigureAwait(false);
        lock (changes)
        {
            if (RemoveEntry(entry) && !entry.Ended.IsCompleted) { lingering.Add(entry); }
        }
    }

    private static CommandException InUse(string directory) => new(
        ExitCode.InUse,
        $"{directory} is in use{MountHolders.Describe(directory)}.",
        "End those programs, or take the mount away from them with --force.");

    /// <summary>Ends a mount whoever uses it. One that was taken away before cannot be ended while a program has it open:
    /// what was written is stored, and the kernel ends it with this process.</summary>
    private async Task EndAsync(Entry entry)
    {
        if (IsLingering(entry))
        {
            LogAbandoned(entry.Report.Directory);
            await entry.Mount.FlushAsync().ConfigureAwait(false);
            return;
        }
        await entry.Mount.DisposeAsync().ConfigureAwait(false);
        await entry.Ended.ConfigureAwait(false);
    }

    private bool IsLingering(Entry entry)
    {
        lock (changes) { return lingering.Contains(entry); }
    }

    /// <summary>Waits for a mount's end, whoever unmounts it. What could not be stored is logged here, once.</summary>
    private async Task WatchAsync(Entry entry)
    {
        try
        {
            await entry.Mount.Completion.ConfigureAwait(false);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            LogBroken(entry.Report.Drive, entry.Report.Directory, e);
        }
        lock (changes)
        {
            if (!lingering.Remove(entry)) { RemoveEntry(entry); }
        }
        await entry.Mount.DisposeAsync().ConfigureAwait(false);
        LogUnmounted(entry.Report.Drive, entry.Report.Directory);
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
    }
}
