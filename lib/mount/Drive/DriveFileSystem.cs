using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Mount;

/// <summary>A drive as the kernel's file system: answers every request from the client and its session.</summary>
/// <remarks>
/// Thread safe. A live node's id is its VNode id, so names cost no state; those of <c>.snapshots</c>: <see
/// cref="SnapshotNodes"/>. The kernel checks rights (default_permissions) and keeps one change of a directory, and one
/// write of a file that is not a parallel direct one, from another.
/// <para>Where client and session answer at once, the reply goes out on the worker's thread without any allocation;
/// else the rest runs wherever the answer comes, and a failure there is answered with EIO and reported, as the worker
/// does it.</para>
/// </remarks>
internal sealed partial class DriveFileSystem : IFuseHandler, IAsyncDisposable
{
    private readonly IDriveSession first;
    private readonly DriveMountOptions options;
    private readonly bool isLive;

    /// <summary>Others may change what this mount shows: the kernel keeps nothing of it.</summary>
    private readonly bool isShared;
    private readonly SnapshotNodes snapshots = new();
    private readonly KernelNodes kernelNodes = new();
    private readonly RemovedNodes removedNodes = new();
    private readonly FileHandleTable handles = new();
    private readonly RangeLockOwners lockOwners = new();
    private readonly Spares<ByteBuffer> buffers = new(static () => new ByteBuffer());
    private readonly Spares<DirectoryPage> pages = new(static () => new DirectoryPage());
    private readonly LateWork late = new();
    private readonly CancellationTokenSource ended = new();
    private volatile bool refusesWrites;
    private readonly Timestamp mounted;
    private readonly ulong attributeSeconds;
    private readonly uint attributeNanoseconds;
    private ulong entrySeconds;
    private uint entryNanoseconds;
    private ulong negativeSeconds;
    private uint negativeNanoseconds;

    // Set by Mounted, which comes before every request.
    private SuccessiveClients clients = null!;
    private AccessTimeNotes accessTimes = null!;
    private FuseConnection connection = null!;

    public DriveFileSystem(IDriveSession session, DriveMountOptions options)
    {
        first = session;
        this.options = options;
        isLive = options.At == CowNumber.Head;
        isShared = isLive && first.Access.IsShared();
        mounted = new((options.Time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick);
        (attributeSeconds, attributeNanoseconds) = Split(isShared ? TimeSpan.Zero : options.AttributeTimeout);
    }

    /// <summary>The client, with the session that is open now; valid once the drive is mounted. What belongs to an open file is asked of that
    /// file's own client.</summary>
    public DriveClient Client => clients.Current.Client;

    /// <summary>As <see cref="SuccessiveClients.Completion"/>.</summary>
    public Task ClientCompletion => clients.Completion;

    private IDriveSession Session => Client.Session;

    /// <remarks>Only now the session is in use: a mount that fails leaves it to whoever wanted to mount.</remarks>
    public void Mounted(FuseConnection connection)
    {
        this.connection = connection;

        // Without a way to recall all names, they are not kept for long.
        bool recallsNames = connection.Negotiated.KernelMinor >= FuseNotifier.DropAllNamesMinor;
        TimeSpan longest = recallsNames || !isLive ? TimeSpan.MaxValue : DriveMountOptions.LongestUnrecalled;
        if (isShared) { longest = TimeSpan.Zero; }
        (entrySeconds, entryNanoseconds) = Split(Min(options.EntryTimeout, longest));
        (negativeSeconds, negativeNanoseconds) = Split(Min(options.NegativeTimeout, longest));
        clients = new(first, options.Sessions, MakeClient, options.Time);
        accessTimes = new(() => Client, options.Time, (message, e) => Report(FuseOpcode.None, 0, message, e));
        _ = ReportClientAsync();
    }

    public void Unmounted(FuseEnd end) => ended.Cancel();

    /// <summary>Commits all dirty data and makes everything durable, under the next session if the present one is over.</summary>
    public async ValueTask<Status> SyncAllAsync()
    {
        Status status;
        do
        {
            status = await Client.SyncAllAsync();
        }
        while (status == Status.SessionExpired && await clients.WaitAsync(ended.Token) == Status.Ok);
        return status;
    }

    /// <summary>From here on no write is answered well: nobody will store it.</summary>
    public void RefuseWrites() => refusesWrites = true;

    /// <summary>After the end of the mount: waits for the requests that are not done yet, which a forced end leaves, closes
    /// what the kernel left open, and makes everything durable.</summary>
    /// <returns>Ok, or why some data could not be stored.</returns>
    public async Task<Status> CloseAsync()
    {
        await late.WaitAsync();
        Status closed = Status.Ok;
        foreach (FileHandle handle in handles.ListOpen())
        {
            OpenFile file = handle.File!;
            Status status = await file.Client.FlushAsync(file);
            if (closed == Status.Ok) { closed = status; }
            await CloseAsync(file);
        }

        await accessTimes.WriteAsync();
        Status synced = await SyncAllAsync();
        return synced != Status.Ok ? synced : closed;
    }

    /// <summary>Ends clients and sessions.</summary>
    public async ValueTask DisposeAsync()
    {
        await accessTimes.DisposeAsync();
        await clients.DisposeAsync();
        ended.Dispose();
    }

    /// <summary>Has the kernel write what only its pages have: changes through shared maps, and all of the writeback
    /// cache. When it ends, all that programs wrote before it began has been answered here.</summary>
    /// <remarks>
    /// Never on a thread that serves requests. Only a file that is open for writing can have dirty pages: a map keeps
    /// its file open, the kernel writes them when the map or the file is closed, and every write in flight puts the
    /// RELEASE off.
    /// <para>Why not syncfs(2): for FUSE it waits for no answer, in later kernels not even for the begin of the writing,
    /// and requests may stay behind in the kernel's queues (the background limit, a truncate of the same file), where
    /// no request of ours can be put behind them. To invalidate pages, the kernel walks over all of them; each that is
    /// being written it waits for, each that is dirty it writes and waits for, wherever the request is queued. That
    /// also costs the clean pages of these files, which are read again; a recall is rare. Before Linux 6.16 a page that
    /// the kernel was writing by itself at that moment had been copied and counts as clean: it may come just after the
    /// recall.</para>
    /// <para>Source: fuse_reverse_inval_inode and invalidate_inode_pages2_range in the kernel.</para>
    /// </remarks>
    private ValueTask<Status> FlushKernelAsync() => new(Task.Run(() =>
    {
        Status status = Status.Ok;
        foreach (VNodeId node in handles.ListWritten())
        {
            FuseNotifyOutcome outcome = connection.Notifier.InvalidateInode(node.Value, 0, 0);
            if (outcome is FuseNotifyOutcome.Failed or FuseNotifyOutcome.NotSupported) { status = Status.IoError; }
        }

        return status;
    }));

    /// <summary>The drive was changed behind the kernel's back: makes it ask for everything anew.</summary>
    /// <remarks>Never on a thread that serves requests. In order: names, so that none leads back to what is dropped;
    /// then attributes and pages, node by node.</remarks>
    private ValueTask DropKernelCachesAsync() => new(Task.Run(() =>
    {
        connection.Notifier.DropAllNames();
        kernelNodes.ForEach(node => connection.Notifier.InvalidateInode(node, 0, 0));
    }));

    public void Access(FuseRequest request, AccessMask mask) => request.ReplyOk();

    public void Bmap(FuseRequest request, in FuseBmapIn body) => request.ReplyError(Errno.ENOSYS);

    public void Ioctl(FuseRequest request, in FuseIoctlIn body, ReadOnlySpan<byte> data) =>
        request.ReplyError(Errno.ENOTTY);

    public void Poll(FuseRequest request, in FusePollIn body) => request.ReplyError(Errno.ENOSYS);

    public void Statfs(FuseRequest request) =>
        Finish(request, Client.StatfsAsync(), static (self, asked, reply) => self.AnswerStatfs(asked, reply));

    /// <remarks>Kernels to 6.18, at least, ask it of virtiofs and fuseblk only: syncfs(2) on this mount comes back at once, and nothing
    /// is durable because of it. Whoever wants that syncs files, or the root. Source: fuse_sync_fs in the kernel.</remarks>
    public void Syncfs(FuseRequest request) => Run(request, SyncfsAsync(request));

    private void AnswerStatfs(FuseRequest request, in Reply<DriveUsage> reply)
    {
        const uint UnitBytes = 4096;
        if (!reply.IsOk)
        {
            Refuse(request, reply.Status);
            return;
        }

        DriveUsage usage = reply.Value;
        request.ReplyStatfs(new FuseKstatfs
        {
            Blocks = usage.TotalBytes / UnitBytes,
            Bfree = usage.FreeBytes / UnitBytes,
            Bavail = usage.FreeBytes / UnitBytes,
            Files = usage.TotalInodes,
            Ffree = usage.TotalInodes - Math.Min(usage.UsedInodes, usage.TotalInodes),
            Bsize = UnitBytes,
            Frsize = UnitBytes,
            Namelen = Limits.NameBytes,
        });
    }

    /// <summary>A client that has a bug answers errors from then on; the log says why, once.</summary>
    private async Task ReportClientAsync()
    {
        try
        {
            await clients.Completion;
        }
        catch (Exception e)
        {
            Report(FuseOpcode.None, 0, "The client's background work ended.", e);
        }
    }

    private async ValueTask SyncfsAsync(FuseRequest request)
    {
        await accessTimes.WriteAsync();
        Answer(request, await SyncAllAsync());
    }

    private static (ulong Seconds, uint Nanoseconds) Split(TimeSpan time) => (
        (ulong)(time.Ticks / TimeSpan.TicksPerSecond),
        (uint)(time.Ticks % TimeSpan.TicksPerSecond * TimeSpan.NanosecondsPerTick));

    private static TimeSpan Min(TimeSpan left, TimeSpan right) => left < right ? left : right;

    private void Answer(FuseRequest request, Status status)
    {
        if (status == Status.Ok) { request.ReplyOk(); }
        else { Refuse(request, status); }
    }

    /// <summary>Answers with what a call brings: at once, or when it comes.</summary>
    private void Finish<T>(FuseRequest request, ValueTask<T> pending, Action<DriveFileSystem, FuseRequest, T> answer)
    {
        // House: it has ended; its exception, if any, reaches the worker, which answers and reports it.
        if (pending.IsCompleted) { answer(this, request, pending.GetAwaiter().GetResult()); }
        else { _ = FinishLaterAsync(request, pending, answer); }
    }

    /// <summary>Watches over work that answers by itself.</summary>
    private void Run(FuseRequest request, ValueTask work)
    {
        // House: it has ended, as above.
        if (work.IsCompleted) { work.GetAwaiter().GetResult(); }
        else { _ = RunLaterAsync(request, work.AsTask()); }
    }

    private async Task FinishLaterAsync<T>(
        FuseRequest request, ValueTask<T> pending, Action<DriveFileSystem, FuseRequest, T> answer)
    {
        (FuseOpcode opcode, ulong unique) = (request.Opcode, request.Unique);
        late.Begin();
        try
        {
            answer(this, request, await pending);
        }
        catch (Exception e)
        {
            Fail(request, opcode, unique, e);
        }
        finally
        {
            late.End();
        }
    }

    private async Task RunLaterAsync(FuseRequest request, Task work)
    {
        late.Begin();
        try
        {
            await work;
        }
        catch (Exception e)
        {
            Fail(request, FuseOpcode.None, 0, e);
        }
        finally
        {
            late.End();
        }
    }

    /// <summary>An answer that came later did not work out.</summary>
    private void Fail(FuseRequest request, FuseOpcode opcode, ulong unique, Exception exception)
    {
        bool answered = !request.TryReply(Errno.EIO);
        string outcome = answered ? "after its answer" : "and was answered with EIO";
        Report(opcode, unique, $"A request failed {outcome}.", exception);
    }

    private void Report(FuseOpcode opcode, ulong unique, string message, Exception exception) =>
        options.OnFault?.Invoke(
            new FuseFault(FuseFaultKind.HandlerThrew, opcode, unique, Errno.EIO, message, exception));
}
