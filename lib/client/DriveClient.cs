using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>What an open of a new file answers.</summary>
public readonly record struct CreatedFile(NodeInfo Info, OpenFile File);

/// <summary>A drive as programs use it: files are opened, read and written through memory; names and attributes go to
/// the session, with what is still in memory merged into the answers.</summary>
/// <remarks>
/// Thread safe. Owns the session. Answers come on the caller's thread, at once, where memory, quota and session allow
/// it. What an Ok promises: of a write, that every later read of this client sees it; of <see cref="FsyncAsync"/>, that
/// it is on disk. A write is committed within some seconds, in batches; the order of the writes of one file is kept
/// where they overlap. If the session shares its drive, that holds for files whose writes are left with it (<see cref="Delegations"/>);
/// else a write is committed before it is answered, and a read asks what the file is now. Operations on names and attributes are in the log when they answer. Source: docs/design.md,
/// sections 6 and 8. What needs nothing of the client's memory (links, attributes by name, locks, snapshots) is asked
/// of <see cref="Session"/>.
/// </remarks>
public sealed partial class DriveClient : ISessionRecall, IAsyncDisposable
{
    private readonly IDriveSession session;
    private readonly DirtyMemory memory;
    private readonly QuotaKeeper quota;
    private readonly FileTable table;
    private readonly Flusher flusher;
    private readonly ReadAhead readAhead;
    private readonly FileReader reader;
    private readonly FileWriter writer;

    /// <summary>Null: the session has its drive for itself.</summary>
    private readonly ThroughWriter? through;

    /// <summary>Null, too.</summary>
    private readonly Delegations? delegations;

    private int openFiles;

    public DriveClient(IDriveSession session, ClientOptions options, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(session);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(time);
        this.session = session;
        memory = new(options.DirtyBytes);
        bool isShared = session.Access.IsShared();
        quota = new(session, isShared ? options.SharedReserveStepBytes : options.ReserveStepBytes);
        table = new(options.ClosedFiles, memory, quota, isShared);
        flusher = new(session, options, time, memory, quota, table.NoteIdle);
        readAhead = new(session.Blocks, options);
        reader = new(session, readAhead, flusher);
        writer = new(time, memory, quota, flusher, reader);
        if (isShared)
        {
            through = new(session, writer, quota, options.BlockGrant);
            delegations = new(session, table, flusher, time);
            flusher.Ticked = TidySharedAsync;
        }

        Completion = BackgroundThreads.EndOf([.. flusher.Ends, .. readAhead.Threads]);
        session.OnRecall(this);
    }

    public IDriveSession Session => session;

    /// <summary>Fails when a background thread or a flush meets a bug, which nothing can go on after: end the process, what
    /// was fsynced is safe. Else ends with the client.</summary>
    public Task Completion { get; }

    /// <summary>Why data of some file, or a change of a name, was dropped first, or Ok: also if a flush has told it already, or nobody who listened.
    /// </summary>
    public Status FirstLost => flusher.FirstLost == Status.Ok && session is BufferedDriveSession buffered
        ? buffered.FirstLost
        : flusher.FirstLost;

    /// <summary>Called when the primary asks for what is buffered, before the client commits it: the mount has the kernel
    /// write what it has, and answers whether all of it came. Set it before the first request.</summary>
    public Func<ValueTask<Status>>? Flushing { get; set; }

    /// <summary>Called when the drive was changed behind the session's back, after the client has dropped what it
    /// cached: the mount drops what the kernel has. Set it before the first request.</summary>
    public Func<ValueTask>? Invalidated { get; set; }

    /// <summary>Files that are open: as often as they are.</summary>
    public int OpenFiles => Volatile.Read(ref openFiles);

    /// <summary>The memory of dirty data, for gauges.</summary>
    public BufferPool DirtyMemory => memory.Pool;

    /// <summary>Buffers that hold what was read ahead, for gauges.</summary>
    public int ReadAheadBuffers => readAhead.Chunks.Buffers;

    /// <summary>Whether data that could not be stored for this reason is kept, and tried again; else it was given up.
    /// </summary>
    public static bool Keeps(Status status) => FlushRetry.MayRetry(status);

    /// <summary>Opens a file; at <see cref="CowNumber.Head"/> it is held until it is closed, at a snapshot it is
    /// read-only. </summary>
    /// <remarks>One that is open already is held already; a session that shares its drive says first that it still is.</remarks>
    public async ValueTask<Reply<OpenFile>> OpenAsync(VNodeId id, CowNumber at)
    {
        if (table.Find(id, at) is { } known && IsOpen(known))
        {
            Status asked = through is null ? Status.Ok : await RefreshAsync(known);
            if (asked != Status.Ok) { return Reply.Failed<OpenFile>(asked); }
            if (TryOpenAgain(known) is { } again) { return Reply.Ok(again); }
        }

        bool isHead = at == CowNumber.Head;
        long changes = table.Changes;
        Reply<NodeInfo> info = isHead ? await session.HoldAsync(id) : await session.GetAsync(id, at);
        if (!info.IsOk) { return Reply.Failed<OpenFile>(info.Status); }
        OpenFile file = OpenHeld(at, info.Value, holds: isHead ? 1 : 0);

        // Something was changed between the answer and the state's being known.
        if (isHead && table.Changes != changes) { await RefreshAsync(file.State); }
        return Reply.Ok(file);
    }

    /// <summary>Makes a file and opens it.</summary>
    public ValueTask<Reply<CreatedFile>> CreateOpenAsync(in CreateRequest request)
    {
        if (delegations is not null && !session.Access.IsReadOnly() && delegations.TryBeginMaking())
        {
            DelegationWish wish = new();
            return OpenDelegatedAsync(delegations, session.CreateAsync(request with { OpenedBy = session.Id, Wish = wish }), wish);
        }

        ValueTask<Reply<NodeInfo>> created = session.CreateAsync(request with { OpenedBy = session.Id });

        // House: the answer is there.
        return created.IsCompletedSuccessfully ? new(OpenCreated(created.Result)) : OpenCreatedAsync(created);
    }

    /// <summary>Reads up to the file's end; answers the bytes read.</summary>
    public async ValueTask<Reply<int>> ReadAsync(OpenFile file, ulong offset, Memory<byte> destination)
    {
        Reply<FoundBytes> reply = await ReadOrLendAsync(file, offset, destination);
        if (!reply.IsOk) { return Reply.Failed<int>(reply.Status); }
        using FoundBytes found = reply.Value;
        found.Lent.CopyTo(destination.Span);
        return Reply.Ok(found.Length);
    }

    /// <summary>Reads up to the file's end into memory, or lends what was read ahead: the caller disposes it, before he disposes the
    /// client.</summary>
    public ValueTask<Reply<FoundBytes>> ReadOrLendAsync(OpenFile file, ulong offset, Memory<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(file);
        return through is null || !file.State.IsHead || delegations!.Has(file.State)
            ? reader.ReadOrLendAsync(file, offset, destination)
            : ReadSharedAsync(through, file, offset, destination);
    }

    /// <summary>Writes; answers the bytes written: fewer than given only where space runs out in the middle.</summary>
    public ValueTask<Reply<int>> WriteAsync(
        OpenFile file, ulong offset, ReadOnlyMemory<byte> data, WriteOptions options)
    {
        ArgumentNullException.ThrowIfNull(file);
        ValueTask<Reply<int>> written = through is null
            ? writer.WriteAsync(file.State, offset, data, options.KillSetId)
            : WriteSharedAsync(through, delegations!, file.State, offset, data, options);
        return options.Sync ? SyncWrittenAsync(file, written) : written;
    }

    /// <summary>Makes a file's data and attributes durable, and tells once what an earlier flush failed with.</summary>
    public async ValueTask<Status> FsyncAsync(OpenFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        if (!file.State.IsHead) { return Status.Ok; }
        (Status flushed, bool isDurable) = await flusher.FlushDurablyAsync(file.State);
        Status synced = isDurable ? Status.Ok : await session.SyncAsync();
        Status earlier = TakeError(file);
        if (flushed != Status.Ok) { return flushed; }
        return earlier != Status.Ok ? earlier : synced;
    }

    /// <summary>What close(2) asks: tells once what a flush failed with. Dirty data is left to be written
    /// behind.</summary>
    public ValueTask<Status> FlushAsync(OpenFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        Status earlier = TakeError(file);
        return new(Completion.IsFaulted ? Status.IoError : earlier);
    }

    /// <summary>Ends a handle. The data of a file that has no name and no other handle goes with it.</summary>
    public async ValueTask<Status> CloseAsync(OpenFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        FileState state = file.State;
        int holds = 0;
        lock (state.Gate)
        {
            Invariant.Check(state.Opens > 0);
            state.Opens--;
            Interlocked.Decrement(ref openFiles);
            if (state.Opens == 0)
            {
                holds = state.Holds;
                state.Holds = 0;
                if (state.IsHead && state.Info.VNode.Nlink == 0) { state.MarkRemoved(); }
            }

            table.NoteIdle(state);
        }

        Status status = Status.Ok;
        for (; holds > 0; holds--)
        {
            Status released = await session.ReleaseAsync(state.Id);
            if (released != Status.Ok) { status = released; }
        }

        table.Trim();
        return status;
    }

    /// <summary>Commits all dirty data and makes everything durable (syncfs).</summary>
    public async ValueTask<Status> SyncAllAsync()
    {
        Status flushed = await FlushAsync();
        Status synced = await session.SyncAsync();
        return flushed != Status.Ok ? flushed : synced;
    }

    async ValueTask<Status> ISessionRecall.FlushAsync()
    {
        Status asked = Flushing is { } flushing ? await flushing() : Status.Ok;
        Status flushed = await FlushAsync();
        quota.ReleaseSurplus();
        return asked != Status.Ok ? asked : flushed;
    }

    /// <summary>Commits everything that is dirty now.</summary>
    public async ValueTask<Status> FlushAsync()
    {
        List<FileState> skipped = [];
        Status flushed = await flusher.FlushAllAsync(skipped);
        foreach (FileState file in skipped)
        {
            Status status = await flusher.FlushAsync(file, isOwner: false);
            if (status != Status.Ok) { flushed = status; }
        }

        return flushed;
    }

    /// <summary>The drive was changed behind the session's back: forgets what is cached.</summary>
    public async ValueTask InvalidateAsync()
    {
        foreach (FileState state in table.All)
        {
            if (!state.IsHead) { continue; }
            Reply<NodeInfo> info = await session.GetAsync(state.Id, CowNumber.Head);
            lock (state.Gate)
            {
                state.Maps.Clear();
                if (info.IsOk) { state.Learn(info.Value); }
            }
        }

        if (Invalidated is { } invalidated) { await invalidated(); }
    }

    /// <summary>What the timer does: commits what has been dirty for long, tries again what failed.</summary>
    public async ValueTask TickAsync()
    {
        await flusher.TickAsync();
        if (memory.Pool.RentedBuffers == 0) { quota.ReleaseSurplus(); }
    }

    ValueTask<Status> ISessionRecall.ReturnAsync(IReadOnlyCollection<VNodeId> nodes) => delegations?.ReturnAsync(nodes) ?? new(Status.Ok);

    /// <summary>Adds all dirty data as flat records.</summary>
    public void CopyDirtyRecords(ICollection<DirtyRecord> records)
    {
        ArgumentNullException.ThrowIfNull(records);
        foreach (FileState state in table.All)
        {
            lock (state.Gate)
            {
                foreach (ref readonly DirtyRun run in state.Dirty.Runs)
                {
                    int start = (int)(run.Offset - run.Segment.FileStart);
                    records.Add(new(state.Id, run.Offset, run.Length, run.Segment.Buffer.Slot, start));
                }
            }
        }
    }

    /// <summary>Commits what it can, ends the threads and the session, and frees the memory. Who must know whether all
    /// is durable calls <see cref="SyncAllAsync"/> before.</summary>
    public async ValueTask DisposeAsync()
    {
        await flusher.FlushAllAsync(null);
        await flusher.DisposeAsync();
        await readAhead.DisposeAsync();
        through?.Dispose();
        quota.ReleaseSurplus();
        await session.DisposeAsync();
        memory.Dispose();
    }

    /// <summary>Writes to memory, if the file's writes are left with the session; what is not taken there, is committed.</summary>
    private async ValueTask<Reply<int>> WriteSharedAsync(
        ThroughWriter shared, Delegations left, FileState file, ulong offset, ReadOnlyMemory<byte> data, WriteOptions options)
    {
        int done = 0;
        while (!await left.TryBeginThroughAsync(file))
        {
            // What is in memory must not be overtaken: as long as the file is left with the session, all goes there. Whether it still is, only the
            // primary can tell when the lease may be over.
            if (!session.HoldsLease && await shared.RefreshAsync(file) is var asked && asked != Status.Ok) { return Reply.Failed<int>(asked); }
            Reply<int> taken = await writer.WriteAsync(file, offset + (ulong)done, data[done..], options.KillSetId, options.Append);
            if (taken.Status == Status.Locked) { continue; }
            if (!taken.IsOk) { return done == 0 ? taken : Reply.Ok(done); }
            done += taken.Value;
            if (done == data.Length || Delegations.IsLeft(file)) { return Reply.Ok(done); }
        }

        try
        {
            Reply<int> rest = await shared.WriteAsync(file, offset + (ulong)done, data[done..], options.KillSetId, options.Append);
            return rest.IsOk || done == 0 ? new(rest.Status, rest.Value + done) : Reply.Ok(done);
        }
        finally
        {
            Delegations.EndThrough(file);
        }
    }

    /// <summary>What the timer does of a drive that is shared: gives back what others may want.</summary>
    private async ValueTask TidySharedAsync()
    {
        await delegations!.TickAsync();
        if (memory.Pool.RentedBuffers == 0) { quota.ReleaseSurplus(); }
    }

    private async ValueTask<Reply<CreatedFile>> OpenDelegatedAsync(
        Delegations left, ValueTask<Reply<NodeInfo>> created, DelegationWish wish)
    {
        FileState? made = null;
        try
        {
            Reply<CreatedFile> opened = OpenCreated(await created);
            if (opened.IsOk && wish.IsGranted) { made = opened.Value.File.State; }
            return opened;
        }
        finally
        {
            left.EndMaking(made);
        }
    }

    /// <summary>Reads what is there now, whoever wrote it.</summary>
    private async ValueTask<Reply<FoundBytes>> ReadSharedAsync(
        ThroughWriter shared, OpenFile file, ulong offset, Memory<byte> destination)
    {
        Status status = await shared.RefreshAsync(file.State);
        return status == Status.Ok
            ? await reader.ReadOrLendAsync(file, offset, destination)
            : Reply.Failed<FoundBytes>(status);
    }

    private static Status TakeError(OpenFile file)
    {
        lock (file.State.Gate) { return file.TakeError(); }
    }

    private static bool IsOpen(FileState state)
    {
        lock (state.Gate) { return state.Opens > 0; }
    }

    private OpenFile? TryOpenAgain(FileState state)
    {
        lock (state.Gate)
        {
            if (state.Opens == 0) { return null; }
            return OpenHeld(state);
        }
    }

    private OpenFile OpenHeld(CowNumber at, in NodeInfo info, int holds)
    {
        for (; ; )
        {
            FileState state = table.GetOrAdd(at, info);
            lock (state.Gate)
            {
                if (state.IsEvicted) { continue; }
                state.Learn(info);
                state.Holds += holds;
                return OpenHeld(state);
            }
        }
    }

    /// <summary>Opens a file that is held; under its gate.</summary>
    private OpenFile OpenHeld(FileState state)
    {
        state.Opens++;
        Interlocked.Increment(ref openFiles);
        return new(this, state);
    }

    /// <summary>Asks what a file is now.</summary>
    private async ValueTask<Status> RefreshAsync(FileState state)
    {
        Reply<NodeInfo> info = await session.GetAsync(state.Id, state.At);
        if (info.IsOk)
        {
            lock (state.Gate) { state.Learn(info.Value); }
        }

        return info.Status;
    }

    private Reply<CreatedFile> OpenCreated(in Reply<NodeInfo> created) => created.IsOk
        ? Reply.Ok<CreatedFile>(new(created.Value, OpenHeld(CowNumber.Head, created.Value, holds: 1)))
        : Reply.Failed<CreatedFile>(created.Status);

    private async ValueTask<Reply<CreatedFile>> OpenCreatedAsync(ValueTask<Reply<NodeInfo>> created) =>
        OpenCreated(await created);

    private async ValueTask<Reply<int>> SyncWrittenAsync(OpenFile file, ValueTask<Reply<int>> written)
    {
        Reply<int> reply = await written;
        if (!reply.IsOk) { return reply; }
        Status status = await FsyncAsync(file);
        return status == Status.Ok ? reply : Reply.Failed<int>(status);
    }
}
