using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>Writes of a session that shares its drive: each is committed before it is answered, so that everybody who reads after
/// that sees it.</summary>
/// <remarks>Thread safe. Nothing is buffered, so there is nothing to lose and no quota to set aside: who is refused hears it from the
/// write itself. Effects, in order: block durable, then commit. A piece of more than <see cref="BatchCapture.PackBytes"/> is
/// several writes.</remarks>
internal sealed class ThroughWriter(IDriveSession session, FileWriter writer, QuotaKeeper quota, uint blockGrant) : IDisposable
{
    /// <summary>Others that append at the same time, each of which may be first, before it is called a failure.</summary>
    private const int AppendAttempts = 1024;

    /// <summary>Pieces at once: each may wait for what another client has of its file, and must leave room for what others wait for here.</summary>
    private const int MaxPieces = 64;

    private readonly BlockIds blockIds = new(session, blockGrant);
    private readonly SemaphoreSlim turns = new(MaxPieces);

    /// <summary>Writes at an offset, or, if it appends, behind the end that the file has then.</summary>
    /// <returns>The bytes written: fewer than given only where some were, before it failed. Unknown: nobody knows whether it was
    /// done.</returns>
    public async ValueTask<Reply<int>> WriteAsync(
        FileState file, ulong offset, ReadOnlyMemory<byte> data, bool killSetId, bool appends)
    {
        if (!file.IsHead) { return Reply.Failed<int>(Status.ReadOnly); }
        int done = 0;
        while (done < data.Length)
        {
            ReadOnlyMemory<byte> piece = data.Slice(done, Math.Min(data.Length - done, BatchCapture.PackBytes));
            Status status = await WritePieceAsync(file, offset + (ulong)done, piece, killSetId, appends);
            if (status != Status.Ok) { return done > 0 ? Reply.Ok(done) : Reply.Failed<int>(status); }
            done += piece.Length;
        }

        return Reply.Ok(done);
    }

    public void Dispose() => turns.Dispose();

    private async ValueTask<Status> WritePieceAsync(
        FileState file, ulong offset, ReadOnlyMemory<byte> piece, bool killSetId, bool appends)
    {
        Task turn = turns.WaitAsync();
        if (!turn.IsCompletedSuccessfully) { await turn; }
        try
        {
            // A block that was stored under another primary than the one that is to name it is stored anew, under another number.
            Status status = Status.NotFound;
            for (int lost = 0; status == Status.NotFound && lost <= FlushRetry.LostBlocks; lost++)
            {
                status = appends ? await AppendAsync(file, piece, killSetId) : await PutAsync(file, offset, piece, killSetId);
            }

            return status == Status.NotFound ? Status.IoError : status;
        }
        finally
        {
            turns.Release();
        }
    }

    private async ValueTask<Status> PutAsync(FileState file, ulong offset, ReadOnlyMemory<byte> piece, bool killSetId)
    {
        if (!FileWriter.Fits(offset, piece.Length)) { return Status.TooLarge; }
        Reply<BlockName?> block = await StoreAsync(piece);
        if (!block.IsOk) { return block.Status; }
        FileCommit commit = Build(file, offset, piece.Span, block.Value, killSetId);
        Status status = await CommitAsync(file, commit);
        await ReturnAsync(status, block.Value);
        return status;
    }

    /// <summary>Commits behind the file's end, if nobody has moved it; else behind the new one.</summary>
    private async ValueTask<Status> AppendAsync(FileState file, ReadOnlyMemory<byte> piece, bool killSetId)
    {
        Reply<BlockName?> block = await StoreAsync(piece);
        if (!block.IsOk) { return block.Status; }
        Status status = Status.Conflict;
        for (int attempt = 0; status == Status.Conflict && attempt < AppendAttempts; attempt++)
        {
            status = await RefreshAsync(file);
            if (status != Status.Ok) { break; }
            ulong end;
            lock (file.Gate) { end = file.Info.VNode.Size; }
            status = Status.TooLarge;
            if (!FileWriter.Fits(end, piece.Length)) { break; }
            FileCommit commit = Build(file, end, piece.Span, block.Value, killSetId);
            commit.SizeBefore = end;
            status = await CommitAsync(file, commit);
        }

        await ReturnAsync(status, block.Value);
        return status == Status.Conflict ? Status.Busy : status;
    }

    /// <summary>Asks what the file is now.</summary>
    public async ValueTask<Status> RefreshAsync(FileState file)
    {
        Reply<NodeInfo> info = await session.GetAsync(file.Id, CowNumber.Head);
        if (info.IsOk)
        {
            lock (file.Gate) { file.Learn(info.Value); }
        }

        return info.Status;
    }

    /// <summary>Stores a piece in a block, if it is not small enough for the transaction itself.</summary>
    private async ValueTask<Reply<BlockName?>> StoreAsync(ReadOnlyMemory<byte> piece)
    {
        if (piece.Length <= BatchCapture.InlineBytes) { return Reply.Ok<BlockName?>(null); }
        Reply<BlockId> id = await blockIds.TakeAsync();
        if (!id.IsOk) { return Reply.Failed<BlockName?>(id.Status); }
        BlockName name = new(session.Drive, id.Value);
        Status status = Status.Busy;
        for (int attempt = 0; status == Status.Busy && attempt < FlushRetry.BusyAttempts; attempt++)
        {
            status = await session.Blocks.WriteBlockAsync(name, piece);
        }

        if (status == Status.Ok) { return Reply.Ok<BlockName?>(name); }
        await ReturnAsync(status, name);
        return Reply.Failed<BlockName?>(status);
    }

    private FileCommit Build(FileState file, ulong offset, ReadOnlySpan<byte> piece, BlockName? block, bool killSetId)
    {
        FileCommit commit = new()
        {
            Node = file.Id,
            MinSize = offset + (ulong)piece.Length,
            ModifyTime = writer.Now(),
            KillSetId = killSetId,
        };
        if (block is { } name) { commit.AddBlock(offset, piece.Length, name, 0); }
        else { commit.AddInline(offset, piece); }
        return commit;
    }

    private async ValueTask<Status> CommitAsync(FileState file, FileCommit commit)
    {
        List<NodeInfo> results = new(1);
        Status status = Status.Busy;
        for (int attempt = 0; status == Status.Busy && attempt < FlushRetry.BusyAttempts; attempt++)
        {
            results.Clear();
            status = await session.CommitAsync([commit], results);
        }

        // Who asks to have it set aside gets what others have set aside and do not need.
        ulong most = commit.Runs.Aggregate(0UL, static (sum, run) => sum + run.Length);
        if (status == Status.NoSpace && await quota.EnsureAsync(most) == Status.Ok)
        {
            results.Clear();
            status = await session.CommitAsync([commit], results);
        }

        if (status == Status.Ok)
        {
            lock (file.Gate)
            {
                // Of the maps of other clusters nobody knows what others did to them since.
                file.Maps.Clear();
                file.Learn(results[0]);
            }
        }

        return status;
    }

    /// <summary>Gives a block back that no commit named. One that may be named stays until the session ends.</summary>
    private async ValueTask ReturnAsync(Status status, BlockName? block)
    {
        if (block is { } name && status is not (Status.Ok or Status.Unknown)) { await session.ReturnBlocksAsync(name.Id, 1); }
    }
}
