using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>Carries a claimed batch out: its block, then its commit, then those that waited for it.</summary>
/// <remarks>Thread safe. Bounded by <paramref name="packs"/>: that many packed blocks are built at once.</remarks>
internal sealed class BatchWriter(
    IDriveSession session, BatchOrder order, QuotaKeeper quota, uint blockGrant, int packs) : IDisposable
{
    private readonly BlockIds blockIds = new(session, blockGrant);
    private readonly BufferPool packBuffers = new((long)packs * BatchCapture.PackBytes);
    private readonly SemaphoreSlim packTurns = new(packs, packs);

    /// <summary>Writes and, if it is its turn, commits a batch that the caller claimed. The batch tells what came of
    /// it. An exception is a bug: it also ends the waiting of all others.</summary>
    public async ValueTask RunAsync(FlushBatch batch)
    {
        try
        {
            Status status = batch.IsInline || batch.IsBlockWritten ? Status.Ok : await WriteBlockAsync(batch);
            bool hasFailed = status != Status.Ok && !FlushRetry.MayRetry(status);
            IReadOnlyList<BlockName> unnamed = hasFailed ? batch.TakeUnnamed() : [];
            if (hasFailed) { await SaveAttributesAsync(batch, status); }
            FlushBatch? ready = order.Written(batch, status);
            await ReturnAsync(unnamed);
            while (ready is not null)
            {
                FlushBatch current = ready;
                ready = current.Next;
                current.Next = null;
                Status retry = await CommitAsync(current);
                if (retry == Status.Ok) { await SaveAttributesAsync(current, Status.Ok); }
                unnamed = retry == Status.Ok ? current.TakeUnnamed() : [];
                ready = Join(order.Ended(current, retry), ready);
                await ReturnAsync(unnamed);
            }
        }
        catch (Exception e)
        {
            order.Break(e);
            throw;
        }

        quota.ReleaseExcess();
    }

    public void Dispose()
    {
        Invariant.Check(packBuffers.RentedBuffers == 0);
        packBuffers.Dispose();
        packTurns.Dispose();
    }

    private static FlushBatch? Join(FlushBatch? first, FlushBatch? second)
    {
        if (first is null) { return second; }
        FlushBatch last = first;
        while (last.Next is not null) { last = last.Next; }
        last.Next = second;
        return first;
    }

    /// <summary>The data of some files is lost for good; attributes that went along need not be. What they meet, the next who
    /// asks for the file meets, too.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="outcome">Of the files that have none.</param>
    private async ValueTask SaveAttributesAsync(FlushBatch batch, Status outcome)
    {
        for (int at = 0; at < batch.FileCount; at++)
        {
            BatchFile entry = batch.File(at);
            bool isLost = (entry.Outcome ?? outcome) is not (Status.Ok or Status.Stale);
            if (isLost && entry.Kept is { } kept) { await session.SetAttributesAsync(kept.Attributes); }
        }
    }

    /// <summary>Gives blocks back that nobody names. What fails has time: it goes with the session.</summary>
    private async ValueTask ReturnAsync(IReadOnlyList<BlockName> blocks)
    {
        for (int at = 0; at < blocks.Count; at++) { await session.ReturnBlocksAsync(blocks[at].Id, 1); }
    }

    private async ValueTask<Status> WriteBlockAsync(FlushBatch batch)
    {
        if (batch.Block is null)
        {
            Reply<BlockId> id = await blockIds.TakeAsync();
            if (!id.IsOk) { return id.Status; }
            batch.Block = new(session.Drive, id.Value);
        }

        Status status = batch.IsDirect
            ? await WriteBlockAsync(batch.Block.Value, batch.Segments[0].Buffer.Memory[..batch.Bytes])
            : await PackAndWriteAsync(batch);
        batch.IsBlockWritten = status == Status.Ok;
        return status;
    }

    private async ValueTask<Status> PackAndWriteAsync(FlushBatch batch)
    {
        await packTurns.WaitAsync();
        PoolBuffer? buffer = packBuffers.TryRent(BatchCapture.PackBytes);
        try
        {
            Invariant.Check(buffer is not null);
            batch.Pack(buffer.Span);
            return await WriteBlockAsync(batch.Block!.Value, buffer.Memory[..batch.Bytes]);
        }
        finally
        {
            if (buffer is not null) { packBuffers.Return(buffer); }
            packTurns.Release();
        }
    }

    private async ValueTask<Status> WriteBlockAsync(BlockName name, ReadOnlyMemory<byte> content)
    {
        Status status = Status.Busy;
        for (int attempt = 0; status == Status.Busy && attempt < FlushRetry.BusyAttempts; attempt++)
        {
            status = await session.Blocks.WriteBlockAsync(name, content);
        }

        return status;
    }

    /// <summary>Commits the files that have no outcome yet. Ok: all have one now; else why some have none.</summary>
    /// <remarks>Where files of a batch commit apart, one may be removed before the next commits, and the block dies with
    /// it: the rest of the batch takes another block. So does a batch whose block was stored under one primary, and is to be named under the
    /// next one: a power cut of all nodes may have taken it at some.</remarks>
    private async ValueTask<Status> CommitAsync(FlushBatch batch)
    {
        for (int lost = 0; ;)
        {
            Status status = await CommitRestAsync(batch);
            if (status is not (Status.Conflict or Status.NotFound)) { return status; }
            if (status == Status.NotFound)
            {
                if (lost++ == FlushRetry.LostBlocks) { return batch.FailRest(status); }
                batch.LoseBlock();
            }
            else
            {
                if (!batch.IsBlockNamed) { return batch.FailRest(status); }
                batch.LeaveBlock();
            }

            status = await WriteBlockAsync(batch);
            if (status == Status.Ok) { continue; }
            return FlushRetry.MayRetry(status) ? status : batch.FailRest(status);
        }
    }

    /// <summary>Conflict: the block of the files that have no outcome is not theirs to name. NotFound: it is not there.</summary>
    private async ValueTask<Status> CommitRestAsync(FlushBatch batch)
    {
        List<FileCommit> commits = batch.BuildCommits();
        if (commits.Count == 0) { return Status.Ok; }
        (Status status, bool isDurable) = await CommitAsync(commits, batch.Results, batch.WantsDurable);
        if (status == Status.Ok)
        {
            if (isDurable) { order.NoteDurable(batch); }
            batch.TakeResults();
            return Status.Ok;
        }

        if (status == Status.Unknown) { batch.MayHaveNamed(); }
        if (FlushRetry.MayRetry(status) || IsOfBlock(batch, status)) { return status; }
        return commits.Count == 1 ? batch.FailRest(status) : await CommitEachAsync(batch);
    }

    private static bool IsOfBlock(FlushBatch batch, Status status) =>
        status == Status.Conflict || (status == Status.NotFound && !batch.IsInline);

    /// <summary>One file's refusal is not the others' fault: each commits alone.</summary>
    private async ValueTask<Status> CommitEachAsync(FlushBatch batch)
    {
        FileCommit[] one = new FileCommit[1];
        for (int at = 0; at < batch.FileCount; at++)
        {
            BatchFile entry = batch.File(at);
            if (entry.Outcome is not null) { continue; }
            one[0] = entry.Commit;
            batch.Results.Clear();
            (Status status, _) = await CommitAsync(one, batch.Results, durably: false);
            if (status == Status.Unknown) { batch.MayHaveNamed(); }
            if (FlushRetry.MayRetry(status) || IsOfBlock(batch, status)) { return status; }
            if (status == Status.Ok) { batch.TakeResult(entry, batch.Results[0]); }
            else { entry.Outcome = status; }
        }

        return Status.Ok;
    }

    private async ValueTask<(Status Status, bool IsDurable)> CommitAsync(
        IReadOnlyList<FileCommit> commits, List<NodeInfo> results, bool durably)
    {
        Reply<bool> reply = new(Status.Busy, false);
        for (int attempt = 0; reply.Status == Status.Busy && attempt < FlushRetry.BusyAttempts; attempt++)
        {
            results.Clear();
            reply = durably ? await session.CommitDurablyAsync(commits, results) : new(await session.CommitAsync(commits, results), false);
        }

        return (reply.Status, reply.Value);
    }
}
