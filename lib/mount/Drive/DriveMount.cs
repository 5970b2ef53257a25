using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Mount;

/// <summary>A drive that is mounted.</summary>
/// <remarks>Thread safe. Several may be mounted in one process. Owns the session from the moment it is
/// mounted.</remarks>
public sealed class DriveMount : IAsyncDisposable
{
    private readonly DriveFileSystem fileSystem;
    private readonly FuseConnection connection;
    private readonly DriveMountOptions options;
    private readonly SemaphoreSlim flushing = new(1);
    private bool isClosed;

    /// <summary>Why some data was given up that a flush should have stored: it is told once, and no later one knows.</summary>

    private DriveMount(DriveFileSystem fileSystem, FuseConnection connection, DriveMountOptions options)
    {
        this.fileSystem = fileSystem;
        this.connection = connection;
        this.options = options;
        Completion = CompleteAsync();
    }

    /// <summary>Where it is mounted, without symbolic links.</summary>
    public string Path => connection.Path;

    /// <summary>What the kernel and this mount agreed on.</summary>
    public FuseNegotiated Negotiated => connection.Negotiated;

    /// <summary>What it keeps in memory, for gauges; another one once its session is over and the next one is open.</summary>
    public DriveClient Client => fileSystem.Client;

    /// <summary>Fails when the client's background work meets a bug: end the process, what was fsynced is safe. Else ends with the mount.</summary>
    public Task ClientCompletion => fileSystem.ClientCompletion;

    /// <summary>Ends when nothing is mounted any more, whoever unmounted it, and everything that was written is
    /// durable; fails with <see cref="DataNotStoredException"/> if some of it could not be stored.</summary>
    public Task Completion { get; }

    /// <summary>Mounts a drive, or one of its versions.</summary>
    /// <param name="session">Moves to the mount if that works; else it stays the caller's, unused.</param>
    /// <param name="path">An existing directory.</param>
    /// <param name="options">How.</param>
    /// <exception cref="FuseMountException">It did not work; the message says what to do.</exception>
    public static DriveMount Start(IDriveSession session, string path, DriveMountOptions options)
    {
        ArgumentNullException.ThrowIfNull(session);
        ArgumentNullException.ThrowIfNull(options);
        bool isReadOnly = options.ReadOnly || options.At != CowNumber.Head || session.Access.IsReadOnly();
        bool isShared = session.Access.IsShared();
        options = options with { ReadOnly = isReadOnly, WritebackCache = options.WritebackCache && !isReadOnly && !isShared };
        DriveFileSystem fileSystem = new(session, options);
        FuseConnection connection = FuseMount.Mount(path, fileSystem, ToFuse(options, isShared));
        return new(fileSystem, connection, options);
    }

    /// <summary>Writes everything back and unmounts.</summary>
    /// <param name="lazy">The path is free at once, also while files are open; <see cref="Completion"/> follows when
    /// the last is closed. Otherwise the mount has ended when this ends.</param>
    /// <exception cref="FuseMountException">Programs use it, and it was not to be lazy: it stays mounted.</exception>
    /// <exception cref="DataNotStoredException">What was written could not be stored. If that shows before it is
    /// unmounted, it stays mounted, so that nothing is lost yet; unless its session is over, and all is.</exception>
    public async ValueTask UnmountAsync(bool lazy)
    {
        try
        {
            await FlushAsync();
        }
        catch (DataNotStoredException) when (Client.Session.Expired.IsCompleted)
        {
            // To stay mounted would save nothing: what is lost the end tells.
        }

        // Unmounting waits for the kernel, which asks this mount for more: not on a caller's thread.
        await Task.Run(() => connection.Unmount(lazy ? FuseUnmountMode.Lazy : FuseUnmountMode.Normal));
        if (!lazy) { await Completion; }
    }

    /// <summary>Commits everything that was written and makes it durable; the mount goes on.</summary>
    /// <exception cref="DataNotStoredException">Some of it could not be stored.</exception>
    public async ValueTask FlushAsync()
    {
        await flushing.WaitAsync();
        try
        {
            if (isClosed) { return; }
            Status status = await fileSystem.SyncAllAsync();
            if (status == Status.Ok) { return; }
            throw new DataNotStoredException(status);
        }
        finally
        {
            flushing.Release();
        }
    }

    /// <summary>Stores what was written, mapped pages too, for the last time: later writes fail, so that none is answered and
    /// lost. For a mount that cannot be ended, because a program has it open after it was unmounted lazily.</summary>
    /// <exception cref="DataNotStoredException">Some of it could not be stored.</exception>
    public async ValueTask StoreLastAsync()
    {
        await StorePagesAsync(options.StopTimeout / 3);
        fileSystem.RefuseWrites();
        await FlushAsync();
    }

    /// <summary>Unmounts, whatever is open or stuck, and waits for the end no longer than
    /// <see cref="DriveMountOptions.StopTimeout"/>.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await EndAsync().WaitAsync(options.StopTimeout, options.Time);
        }
        catch (Exception e) when (e is TimeoutException or IOException)
        {
            string message = $"The mount on {Path} did not end well: {e.Message}";
            options.OnFault?.Invoke(new FuseFault(FuseFaultKind.DeviceFailed, FuseOpcode.None, 0, 0, message, e));
        }
    }

    private static FuseMountOptions ToFuse(DriveMountOptions options, bool isShared) => new()
    {
        FsName = options.FsName,
        ReadOnly = options.ReadOnly,
        AllowOther = options.AllowOther,
        AllowSetId = options.AllowSetId,
        AllowDevices = options.AllowDevices,
        AllowNonEmpty = options.AllowNonEmpty,
        Method = options.Method,
        Workers = options.Workers,
        MaxRequestBytes = options.MaxRequestBytes,
        OnFault = options.OnFault,
        Features = new()
        {
            // Every change goes through this kernel, which knows its own writes; what the node changes it recalls. To
            // drop pages over each new mtime would drop what was just written. Where others write, too, that is all the better.
            DataInvalidation = isShared ? DataInvalidation.Automatic : DataInvalidation.Explicit,
            WritebackCache = options.WritebackCache,
        },
    };

    private async Task EndAsync()
    {
        if (!Completion.IsCompleted)
        {
            // Whatever hangs here, the force below must come.
            TimeSpan patience = options.StopTimeout / 3;
            try
            {
                await UnmountAsync(lazy: false).AsTask().WaitAsync(patience, options.Time);
                return;
            }
            catch (Exception e) when (e is IOException or TimeoutException)
            {
                // In use, or not to be stored: it ends all the same, and Completion says what was lost.
                await StorePagesAsync(patience);
                await Task.Run(() => connection.Unmount(FuseUnmountMode.Force));
            }
        }

        await Completion;
    }

    /// <summary>Has the kernel write the pages that programs changed through maps, and stores them: a force would drop them.
    /// </summary>
    private async Task StorePagesAsync(TimeSpan patience)
    {
        try
        {
            Task<Status> flushed = ((ISessionRecall)Client).FlushAsync().AsTask();
            await flushed.WaitAsync(patience, options.Time);
            await FlushAsync().AsTask().WaitAsync(patience, options.Time);
        }
        catch (Exception e) when (e is IOException or TimeoutException)
        {
            string message = $"Not everything that programs wrote on {Path} is stored: {e.Message}";
            options.OnFault?.Invoke(new FuseFault(FuseFaultKind.DeviceFailed, FuseOpcode.None, 0, 0, message, e));
        }
    }

    private async Task CompleteAsync()
    {
        await connection.Ended;
        await flushing.WaitAsync();
        Status status;
        try
        {
            isClosed = true;
            status = await fileSystem.CloseAsync();
            if (status == Status.Ok) { status = Client.FirstLost; }
            await fileSystem.DisposeAsync();
        }
        finally
        {
            flushing.Release();
        }

        if (status != Status.Ok) { throw new DataNotStoredException(status); }
    }
}
