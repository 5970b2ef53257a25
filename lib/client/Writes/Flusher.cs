using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>Which dirty files are gathered.</summary>
internal enum GatherScope
{
    /// <summary>Those that have been dirty for long.</summary>
    Aged,

    /// <summary>The oldest, a block's worth of them.</summary>
    Oldest,

    /// <summary>All.</summary>
    All,
}

/// <summary>Makes dirty data committed: captures it in batches, writes their blocks, commits them in order.</summary>
/// <remarks>
/// Thread safe. Any thread may flush; flush threads are only those that have nothing else to do. Who waits for data to
/// be committed takes part in the work that it waits for, so that an fsync of little data never changes threads.
/// Effects, in order: block durable (<see cref="IBlockService.WriteBlockAsync"/>), then commit (<see
/// cref="IDriveSession.CommitAsync"/>), then the data leaves the dirty map, so that readers see it all along.
/// </remarks>
internal sealed class Flusher : IAsyncDisposable
{
    private readonly ClientOptions options;
    private readonly TimeProvider time;
    private readonly DirtyMemory memory;
    private readonly BatchOrder order;
    private readonly BatchWriter writer;
    private readonly FlushQueue queue = new();
    private readonly Task[] threads;
    private readonly ITimer? timer;

    public Flusher(
        IDriveSession session,
        ClientOptions options,
        TimeProvider time,
        DirtyMemory memory,
        QuotaKeeper quota,
        Action<FileState> onIdle)
    {
        this.options = options;
        this.time = time;
        this.memory = memory;
        order = new(memory, quota, onIdle);

        // One for each thread, and one for callers, so that no block waits for another's buffer for long.
        writer = new(session, order, quota, options.BlockGrant, options.FlushThreads + 1);
        threads = BackgroundThreads.Start("flush", options.FlushThreads, Work);
        if (threads.Length > 0)
        {
            timer = time.CreateTimer(
                _ => queue.WantGather(aged: true), null, options.TickInterval, options.TickInterval);
        }
    }

    /// <summary>Why data of some file was dropped first, or Ok.</summary>
    public Status FirstLost
    {
        get
        {
            lock (order.Gate) { return order.FirstLost; }
        }
    }

    /// <summary>Each ends with the flusher, or fails with a bug that it met.</summary>
    public IReadOnlyList<Task> Ends => [.. threads, order.Completion];

    public int DirtyFiles => queue.DirtyCount;

    /// <summary>What else the timer is for, behind what it does here. Set it before the first write.</summary>
    public Func<ValueTask>? Ticked { get; set; }

    /// <summary>A file has dirty data; under its gate.</summary>
    public void NoteWritten(FileState file, bool wasClean)
    {
        if (wasClean) { file.DirtySince = time.GetTimestamp(); }
        if (!file.IsListedDirty)
        {
            file.IsListedDirty = true;
            queue.AddDirty(file);
        }

        if (file.Dirty.HasFullSegment && !file.IsListedFull)
        {
            file.IsListedFull = true;
            queue.AddFull(file);
        }

        if (memory.OpenBytes > options.BackgroundBytes && threads.Length > 0) { queue.WantGather(aged: false); }
    }

    /// <summary>Commits what is dirty of a file now. Ok, or why some of it is not committed.</summary>
    /// <param name="file">The file.</param>
    /// <param name="isOwner">The caller has the file for itself (<see cref="FileState.EnterExclusiveAsync"/>).</param>
    public ValueTask<Status> FlushAsync(FileState file, bool isOwner)
    {
        lock (file.Gate)
        {
            if (!file.IsDirty) { return new(Status.Ok); }
        }

        return CaptureAndRunAsync(file, isOwner);
    }

    /// <summary>As <see cref="FlushAsync"/>, for who wants what is dirty durable.</summary>
    /// <returns>With Ok: whether it is, and so all that was answered before; else the session's sync makes it so.</returns>
    public async ValueTask<Reply<bool>> FlushDurablyAsync(FileState file)
    {
        bool isDirty;
        lock (file.Gate) { isDirty = file.IsDirty; }
        if (!isDirty) { return new(Status.Ok, false); }
        DurableWish wish = new();
        Status status = await CaptureAndRunAsync(file, isOwner: false, wish);
        lock (order.Gate) { return new(status, status == Status.Ok && wish.Batch != 0 && file.DurableBatch >= wish.Batch); }
    }

    /// <summary>Waits for what was captured of a file, and captures nothing.</summary>
    public ValueTask<Status> DrainAsync(FileState file)
    {
        int errors;
        lock (order.Gate)
        {
            if (file.Batches.Count == 0) { return new(Status.Ok); }
            errors = ErrorsOf(file);
        }

        return RunUpToAsync(file, ulong.MaxValue, errors);
    }

    /// <summary>Takes the batches of a file that could not be committed and are kept; the caller has the file for itself.
    /// Then <see cref="CutHeld"/>, if it was cut, and <see cref="LetGoAsync"/>.</summary>
    /// <returns>Null after a bug.</returns>
    public async ValueTask<List<FlushBatch>?> HoldAsync(FileState file)
    {
        List<FlushBatch> held = [];
        for (; ; )
        {
            Task wait;
            lock (order.Gate)
            {
                if (order.IsBroken) { return null; }
                if (order.TryHold(file, held)) { return held; }
                wait = order.WaitProgressAsync();
            }

            await wait;
        }
    }

    /// <summary>The file was cut: what its held batches have behind its new size goes, and what is dirty there.</summary>
    /// <returns>The VNode with what is dirty merged into it.</returns>
    public NodeInfo CutHeld(FileState file, ulong size, in NodeInfo cut)
    {
        lock (order.Gate)
        {
            lock (file.Gate)
            {
                foreach (FlushBatch batch in file.Batches) { batch.CutFrom(file, size, cut); }
                return file.LearnCut(size, cut, setsModifyTime: true);
            }
        }
    }

    /// <summary>Lets others have held batches, and tries once more: those that have nothing left are done.</summary>
    public async ValueTask LetGoAsync(FileState file, List<FlushBatch> held, Status failure)
    {
        order.LetGo(held, failure);
        await DrainAsync(file);
    }

    /// <summary>Commits everything that is dirty now, but for files that somebody has for himself.</summary>
    /// <param name="skipped">Gets those files, if given.</param>
    public async ValueTask<Status> FlushAllAsync(List<FileState>? skipped)
    {
        while (Gather(GatherScope.All, skipped)) { await HelpAsync(); }
        ulong upTo;
        lock (order.Gate) { upTo = order.Capture.LastNumber; }
        return await RunUpToAsync(null, upTo, errors: 0);
    }

    /// <summary>What the timer does: flushes what is old, and tries again what failed.</summary>
    public async ValueTask TickAsync()
    {
        while (Gather(GatherScope.Aged, null)) { await HelpAsync(); }
        List<FlushBatch> parked = [];
        order.ListParked(parked);
        foreach (FlushBatch batch in parked)
        {
            if (order.TryClaim(batch)) { await writer.RunAsync(batch); }
        }

        if (Ticked is { } ticked) { await ticked(); }
    }

    /// <summary>Does a part of what must be done before memory comes back, or waits for it. Ok: try again; else memory
    /// is full of what cannot be written.</summary>
    /// <param name="freed">Ends when memory comes back; taken before the attempt that failed.</param>
    public async ValueTask<Status> RelieveAsync(Task freed)
    {
        if (await TryDoNextAsync()) { return Status.Ok; }
        if (Gather(GatherScope.Oldest, null) && await TryDoNextAsync()) { return Status.Ok; }
        FlushBatch? batch;
        lock (order.Gate) { batch = order.ClaimFor(null, ulong.MaxValue, out _); }
        if (batch is null)
        {
            if (!order.IsBroken) { await freed; }
            return order.IsBroken ? Status.IoError : Status.Ok;
        }

        ulong number = batch.Number;
        await writer.RunAsync(batch);
        return order.FailureOf(batch, number);
    }

    /// <summary>Lets others at a file again that the caller had for itself.</summary>
    public void LeaveExclusive(FileState file)
    {
        file.LeaveExclusive();
        memory.WakeWaiters();
    }

    public async ValueTask DisposeAsync()
    {
        if (timer is not null) { await timer.DisposeAsync(); }
        queue.Stop();

        // What a thread failed with was told by the client's Completion.
        await Task.WhenAll(threads).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        order.End();
        writer.Dispose();
    }

    private async ValueTask<Status> CaptureAndRunAsync(FileState file, bool isOwner, DurableWish? wish = null)
    {
        for (; ; )
        {
            Task? turn = null;
            ulong upTo;
            int errors;
            lock (order.Gate)
            {
                order.Capture.Begin();
                lock (file.Gate)
                {
                    // Now: as soon as others may have a batch, it may have failed.
                    errors = file.ErrorSequence;
                    if (file.IsExclusive && !isOwner) { turn = file.WaitTurnAsync(); }
                    else { order.Capture.Capture(file, withTails: true); }
                }

                order.EndCapture();

                // A file's batches commit in their order: when the last one is durable, so are all others.
                if (wish is not null && file.Batches is [.., var last] && order.Capture.Captured.Contains(last))
                {
                    last.WantsDurable = true;
                    wish.Batch = last.Number;
                }

                upTo = order.Capture.LastNumber;
                ShareOut(first: 1);
            }

            if (turn is null) { return await RunUpToAsync(file, upTo, errors); }
            await turn;
        }
    }

    /// <summary>Which batch was to be durable; 0: there was none.</summary>
    private sealed class DurableWish
    {
        public ulong Batch { get; set; }
    }

    /// <summary>Lets the threads have what was captured, from a place on; under the order lock.</summary>
    private void ShareOut(int first)
    {
        for (int at = first; at < order.Capture.Captured.Count; at++) { queue.AddBatch(order.Capture.Captured[at]); }
    }

    /// <summary>Works, and waits, until all batches of a file (null: of all files) up to a number have ended.</summary>
    /// <param name="file">The file, or null.</param>
    /// <param name="upTo">The number of the last batch.</param>
    /// <param name="errors">The file's failures before any of these batches was run.</param>
    /// <returns>Ok, or the first failure since.</returns>
    private async ValueTask<Status> RunUpToAsync(FileState? file, ulong upTo, int errors)
    {
        for (; ; )
        {
            FlushBatch? batch;
            Task? wait = null;
            lock (order.Gate)
            {
                if (order.IsBroken) { return Status.IoError; }
                batch = order.ClaimFor(file, upTo, out bool pending);
                if (batch is null && pending) { wait = order.WaitProgressAsync(); }
            }

            if (batch is not null)
            {
                ulong number = batch.Number;
                await writer.RunAsync(batch);
                Status failure = order.FailureOf(batch, number);
                if (failure != Status.Ok) { return failure; }
            }
            else if (wait is not null)
            {
                await wait;
            }
            else
            {
                if (file is null)
                {
                    lock (order.Gate) { return order.TakeLost(); }
                }

                return ErrorsOf(file) == errors ? Status.Ok : LastErrorOf(file);
            }
        }
    }

    /// <summary>Captures dirty files; false if there was nothing to capture.</summary>
    /// <remarks>One call captures some blocks' worth, so that the order lock is held for moments.</remarks>
    private bool Gather(GatherScope scope, List<FileState>? skipped)
    {
        const long EnoughBytes = 4L * BatchCapture.PackBytes;
        long oldest = time.GetTimestamp() - (long)(options.DirtyAge.TotalSeconds * time.TimestampFrequency);
        lock (order.Gate)
        {
            order.Capture.Begin();
            long enough = scope == GatherScope.Oldest ? BatchCapture.PackBytes : EnoughBytes;
            for (int left = queue.DirtyCount; left > 0 && order.Capture.CapturedBytes < enough; left--)
            {
                if (!queue.TryTakeDirty(out FileState? file) || file is null) { break; }
                CaptureListed(file, scope == GatherScope.Aged ? oldest : long.MaxValue, skipped);
            }

            order.EndCapture();
            ShareOut(first: 0);
            return order.Capture.Captured.Count > 0;
        }
    }

    /// <summary>Captures a file that was taken off the list of dirty ones, or lists it again.</summary>
    private void CaptureListed(FileState file, long dirtyBefore, List<FileState>? skipped)
    {
        lock (file.Gate)
        {
            if (file.IsExclusive) { skipped?.Add(file); }
            file.IsListedDirty = file.Dirty.OpenBytes > 0 && (file.IsExclusive || file.DirtySince > dirtyBefore);
            if (file.IsListedDirty) { queue.AddDirty(file); }
            else { order.Capture.Capture(file, withTails: true); }
        }
    }

    private void CaptureFull(FileState file)
    {
        lock (order.Gate)
        {
            order.Capture.Begin();
            lock (file.Gate)
            {
                file.IsListedFull = false;
                if (!file.IsExclusive) { order.Capture.Capture(file, withTails: false); }
            }

            order.EndCapture();
            ShareOut(first: 0);
        }
    }

    /// <summary>Does whatever waits to be done; false if nothing does.</summary>
    private async ValueTask<bool> TryDoNextAsync()
    {
        while (queue.TryTake(out FlushWork work))
        {
            if (await DoAsync(work)) { return true; }
        }

        return false;
    }

    private async ValueTask HelpAsync()
    {
        while (await TryDoNextAsync()) { }
    }

    /// <summary>Does one piece of work; false if there was nothing to it after all.</summary>
    private async ValueTask<bool> DoAsync(FlushWork work)
    {
        if (work.Batch is { } batch)
        {
            if (!order.TryClaim(batch)) { return false; }
            await writer.RunAsync(batch);
            return true;
        }

        if (work.File is { } file)
        {
            CaptureFull(file);
            return false;
        }

        if (!work.Aged)
        {
            bool goesOn = Gather(GatherScope.Oldest, null) && memory.OpenBytes > options.BackgroundBytes;
            if (goesOn) { queue.WantGather(aged: false); }
            return false;
        }

        await TickAsync();
        return true;
    }

    private void Work()
    {
        while (queue.WaitAndTake(out FlushWork work))
        {
            ValueTask<bool> done = DoAsync(work);

            // House: a thread of its own, with nothing else to do until the answer is there.
            if (!done.IsCompletedSuccessfully) { done.AsTask().GetAwaiter().GetResult(); }
        }
    }

    private static int ErrorsOf(FileState file)
    {
        lock (file.Gate) { return file.ErrorSequence; }
    }

    private static Status LastErrorOf(FileState file)
    {
        lock (file.Gate) { return file.LastError; }
    }
}
