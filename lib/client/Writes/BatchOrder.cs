using KvFs.Core;

namespace KvFs.Client;

/// <summary>Which batches there are, who works on them, and when each may commit.</summary>
/// <remarks>
/// Thread safe. Of one file, batches commit in the order in which they were captured, because of two runs over the same
/// bytes the later commit wins; batches without a file in common commit in any order, at the same time. A batch goes
/// through: captured; claimed by one caller, who writes its block (<see cref="Written"/>); if it is the first of all
/// its files, he commits it (<see cref="Ended"/>), and after it those that waited for it.
/// </remarks>
internal sealed class BatchOrder(DirtyMemory memory, QuotaKeeper quota, Action<FileState> onIdle)
{
    private readonly List<FlushBatch> underWay = [];
    private readonly Signal progress = new();
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private Status lost = Status.Ok;

    /// <summary>The order lock: guards batches, <see cref="FileState.Batches"/> and <see cref="Capture"/>.</summary>
    public Lock Gate { get; } = new();

    public BatchCapture Capture { get; } = new();

    /// <summary>Why data of some file was dropped since the last call, or Ok: whoever flushes everything must hear of it,
    /// because the files' handles may be closed. Under the gate.</summary>
    public Status TakeLost()
    {
        Status told = lost;
        lost = Status.Ok;
        return told;
    }

    /// <summary>Why data of some file was dropped first, or Ok; stays, whoever else has heard of it.</summary>
    public Status FirstLost { get; private set; } = Status.Ok;

    /// <summary>Fails with what broke the order; else ends with <see cref="End()"/>.</summary>
    public Task Completion => ended.Task;

    /// <summary>A bug left a batch in the middle: nothing is claimed any more, and nobody waits for it.</summary>
    public bool IsBroken => ended.Task.IsFaulted;

    /// <summary>Whoever worked on a batch met a bug: its files wait for it in vain, and so may all others.</summary>
    public void Break(Exception exception)
    {
        lock (Gate)
        {
            ended.TrySetException(exception);
            progress.Raise();
        }

        memory.WakeWaiters();
    }

    /// <summary>There will be no more batches.</summary>
    public void End() => ended.TrySetResult();

    /// <summary>Ends when a batch has ended or failed after this call, or the order broke; under the gate.</summary>
    public Task WaitProgressAsync() => progress.WaitAsync();

    /// <summary>Ends the capture that was begun under this hold of the gate.</summary>
    public void EndCapture()
    {
        Capture.End();
        underWay.AddRange(Capture.Captured);
    }

    /// <summary>A batch is durable with its commit; it has not ended yet.</summary>
    public void NoteDurable(FlushBatch batch)
    {
        lock (Gate)
        {
            foreach (BatchFile entry in batch.Files) { entry.File.DurableBatch = batch.Number; }
        }
    }

    /// <summary>Claims a batch that nobody works on.</summary>
    public bool TryClaim(FlushBatch batch)
    {
        lock (Gate) { return TryClaimLocked(batch); }
    }

    /// <summary>The first batch that <paramref name="file"/> (or, if null, anything) up to a number waits for and
    /// nobody works on, claimed; null if there is none. <paramref name="pending"/>: something is still under
    /// way.</summary>
    public FlushBatch? ClaimFor(FileState? file, ulong upTo, out bool pending)
    {
        pending = false;
        foreach (FlushBatch batch in file is null ? underWay : file.Batches)
        {
            if (batch.Number > upTo) { continue; }
            pending = true;
            FlushBatch root = Root(batch);
            if (TryClaimLocked(root)) { return root; }
        }

        return null;
    }

    /// <summary>Takes every batch of a file, and those that they wait for, so that none of them commits before <see
    /// cref="LetGo"/>. Under the gate.</summary>
    /// <remarks>All or none, and none is no progress: two that want to hold what a third works on would wake each other
    /// again and again.</remarks>
    /// <returns>False: somebody works on one; nothing is held, wait for progress.</returns>
    public bool TryHold(FileState file, List<FlushBatch> held)
    {
        foreach (FlushBatch batch in file.Batches)
        {
            if (!IsClaimable(Root(batch))) { return false; }
        }

        foreach (FlushBatch batch in file.Batches)
        {
            FlushBatch root = Root(batch);
            if (!held.Contains(root) && TryClaimLocked(root)) { held.Add(root); }
        }

        return true;
    }

    /// <summary>Whoever held them lets others try again.</summary>
    /// <param name="held">What <see cref="TryHold"/> took.</param>
    /// <param name="failure">Why they are not done.</param>
    public void LetGo(List<FlushBatch> held, Status failure)
    {
        lock (Gate)
        {
            foreach (FlushBatch batch in held)
            {
                batch.State = BatchState.Parked;
                batch.Failure = failure;
            }

            held.Clear();
            progress.Raise();
            memory.WakeWaiters();
        }
    }

    /// <summary>Why a batch that was run is parked; Ok if it is not. It may be in use again, under another number.
    /// </summary>
    public Status FailureOf(FlushBatch batch, ulong number)
    {
        lock (Gate)
        {
            return batch.Number == number && batch.State == BatchState.Parked ? batch.Failure : Status.Ok;
        }
    }

    /// <summary>Lists the parked batches, for another try.</summary>
    public void ListParked(List<FlushBatch> parked)
    {
        lock (Gate)
        {
            foreach (FlushBatch batch in underWay)
            {
                if (batch.State == BatchState.Parked) { parked.Add(batch); }
            }
        }
    }

    /// <summary>A claimed batch's block is written, or could not be. Returns the batches to commit now, in a
    /// chain.</summary>
    public FlushBatch? Written(FlushBatch batch, Status status)
    {
        lock (Gate)
        {
            Invariant.Check(batch.State == BatchState.Running);
            if (status == Status.Ok)
            {
                batch.State = BatchState.Written;
                FlushBatch? ready = TryStartCommit(batch, null);

                // Whoever wants to hold a file's batches can hold those before it now.
                if (ready is null) { progress.Raise(); }
                return ready;
            }

            if (FlushRetry.MayRetry(status))
            {
                Park(batch, status);
                return null;
            }

            foreach (BatchFile entry in batch.Files) { entry.Outcome ??= status; }
            return End(batch);
        }
    }

    /// <summary>A commit was answered: what is done leaves its files; what may be retried is parked. Returns the
    /// batches that waited for it and may commit now, in a chain.</summary>
    /// <param name="batch">A batch that was returned as ready to commit.</param>
    /// <param name="retry">Why some of its files have no outcome yet; Ok if all have one.</param>
    public FlushBatch? Ended(FlushBatch batch, Status retry)
    {
        lock (Gate)
        {
            Invariant.Check(batch.State == BatchState.Committing);
            if (retry == Status.Ok) { return End(batch); }
            Park(batch, retry);
            return null;
        }
    }

    private bool TryClaimLocked(FlushBatch batch)
    {
        if (!IsClaimable(batch)) { return false; }
        batch.State = BatchState.Running;
        return true;
    }

    private bool IsClaimable(FlushBatch batch) =>
        !IsBroken && batch.State is (BatchState.Captured or BatchState.Parked);

    private static bool IsFirst(FlushBatch batch)
    {
        foreach (BatchFile entry in batch.Files)
        {
            if (entry.File.Batches[0] != batch) { return false; }
        }

        return true;
    }

    /// <summary>The batch that keeps a written one from committing; itself if none does.</summary>
    private static FlushBatch Root(FlushBatch batch)
    {
        while (batch.State == BatchState.Written)
        {
            FlushBatch? blocker = null;
            foreach (BatchFile entry in batch.Files)
            {
                if (entry.File.Batches[0] == batch) { continue; }
                blocker = entry.File.Batches[0];
                break;
            }

            if (blocker is null) { break; }
            batch = blocker;
        }

        return batch;
    }

    private static FlushBatch? TryStartCommit(FlushBatch batch, FlushBatch? chain)
    {
        if (batch.State != BatchState.Written || !IsFirst(batch)) { return chain; }
        batch.State = BatchState.Committing;
        batch.Next = chain;
        return batch;
    }

    private void Park(FlushBatch batch, Status status)
    {
        batch.State = BatchState.Parked;
        batch.Failure = status;
        foreach (BatchFile entry in batch.Files)
        {
            if (batch.IsFailureNoted || entry.Outcome is not null) { continue; }
            lock (entry.File.Gate) { entry.File.AddError(status); }
        }

        batch.IsFailureNoted = true;
        progress.Raise();
        memory.WakeWaiters();
    }

    /// <summary>Every file of the batch has its outcome: data leaves the dirty maps, the batch its files.</summary>
    private FlushBatch? End(FlushBatch batch)
    {
        FlushBatch? ready = null;
        foreach (BatchFile entry in batch.Files) { EndFile(batch, entry); }
        foreach (BatchFile entry in batch.Files)
        {
            entry.File.Batches.Remove(batch);
            if (entry.File.Batches.Count > 0) { ready = TryStartCommit(entry.File.Batches[0], ready); }
        }

        foreach (BatchFile entry in batch.Files)
        {
            lock (entry.File.Gate) { onIdle(entry.File); }
        }

        foreach (DirtySegment segment in batch.Segments)
        {
            Invariant.Check(segment.Runs == 0);
            memory.Return(segment);
        }

        underWay.Remove(batch);
        Capture.Recycle(batch);
        progress.Raise();
        return ready;
    }

    private void EndFile(FlushBatch batch, BatchFile entry)
    {
        FileState file = entry.File;
        ulong charged = 0;
        lock (file.Gate)
        {
            Invariant.Check(entry.Outcome is not null);
            if (entry.Outcome == Status.Ok)
            {
                ulong before = file.Info.VNode.AllocatedBytes;
                ulong after = entry.Answer.VNode.AllocatedBytes;
                charged = after > before ? after - before : 0;
                DropMaps(file, entry);
                file.LearnCommitted(entry.Answer);
            }
            else if (!file.IsRemoved)
            {
                file.AddError(entry.Outcome.Value);

                // Stale: the VNode went behind the session's back (a restore). Its handles hear of it, nobody else misses it.
                if (entry.Outcome != Status.Stale)
                {
                    if (lost == Status.Ok) { lost = entry.Outcome.Value; }
                    if (FirstLost == Status.Ok) { FirstLost = entry.Outcome.Value; }
                }
            }

            if (entry.Kept is { } kept) { file.Kept.OnEnded(kept.Version); }
            file.Dirty.RemoveBatch(batch);
            if (file.Dirty.IsEmpty)
            {
                file.WriteTime = null;
                file.KillSetId = false;
            }
        }

        quota.Committed(entry.Reserved, charged);
    }

    private static void DropMaps(FileState file, BatchFile entry)
    {
        ulong from = ulong.MaxValue;
        ulong to = 0;
        foreach (BatchPiece piece in entry.Pieces)
        {
            from = Math.Min(from, piece.Offset);
            to = Math.Max(to, piece.Offset + (ulong)piece.Length);
        }

        file.Maps.Drop(from, to);
    }
}

/// <summary>Which failures of a flush may pass.</summary>
internal static class FlushRetry
{
    /// <summary>Attempts at once, for what says that it is just busy.</summary>
    public const int BusyAttempts = 16;

    /// <summary>Blocks of one write that may have to be stored anew, one after the other: each needs another primary between its two requests.
    /// </summary>
    public const int LostBlocks = 8;

    /// <summary>Whether the data is kept for another attempt: nothing was applied, or applying it again does no harm
    /// (the same runs of the same blocks, by the only writer).</summary>
    public static bool MayRetry(Status status) =>
        status is Status.NoSpace or Status.QuotaExceeded or Status.NoInodes or Status.Busy or Status.StaleEpoch
            or Status.Unknown;
}
