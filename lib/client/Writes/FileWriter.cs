using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>Takes writes into memory.</summary>
/// <remarks>
/// Thread safe. The common case takes quota and memory that are at hand, copies, and answers on the spot. Else, in
/// order: (1) wait for whoever changes the whole file; (2) reserve quota; (3) make memory free by flushing. Near a full
/// quota bytes are counted exactly: what only overwrites needs none, the rest is reserved to the byte, and what cannot
/// be is refused here, never by a later flush.
/// </remarks>
internal sealed class FileWriter(
    TimeProvider time, DirtyMemory memory, QuotaKeeper quota, Flusher flusher, FileReader reader)
{
    /// <summary>Bytes that are asked for when a whole piece is refused: a page, the least that a file is backed
    /// with.</summary>
    private const int LeastBytes = 4096;

    /// <summary>How scarce quota is: what a writer does about it, one after the other.</summary>
    private enum Shortage
    {
        None,

        /// <summary>Only what is not backed yet is reserved.</summary>
        Exact,

        /// <summary>Everything dirty was committed, and what was reserved for it beyond need was returned.</summary>
        Released,

        /// <summary>A page at a time.</summary>
        Least,
    }

    /// <summary>Buffers a write; answers the bytes taken: fewer than given only where space runs out, or the file is not left with the session any
    /// more. Locked: it is not, and nothing was taken.</summary>
    /// <param name="file">Which file.</param>
    /// <param name="offset">Where.</param>
    /// <param name="data">What.</param>
    /// <param name="killSetId">Set-id bits go.</param>
    /// <param name="appends">Not there, but behind the end that the file has.</param>
    public ValueTask<Reply<int>> WriteAsync(
        FileState file, ulong offset, ReadOnlyMemory<byte> data, bool killSetId, bool appends = false)
    {
        if (!file.IsHead) { return new(Reply.Failed<int>(Status.ReadOnly)); }
        if (!Fits(offset, data.Length)) { return new(Reply.Failed<int>(Status.TooLarge)); }

        int done = 0;
        WriteStep step = Take(file, ref offset, data.Span, killSetId, reserve: true, appends, ref done);
        return step == WriteStep.Done
            ? new(Reply.Ok(done))
            : WriteOnAsync(file, offset, data, killSetId, appends, done);
    }

    /// <summary>Whether a file may have bytes there.</summary>
    public static bool Fits(ulong offset, int length) =>
        offset <= Limits.FileBytes && (ulong)length <= Limits.FileBytes - offset;

    /// <summary>The present time.</summary>
    public Timestamp Now() => Timestamp.At(time.GetUtcNow());

    /// <summary>Takes as much as there is quota and memory for. Of an append nothing of which was taken yet, <paramref name="offset"/> becomes the
    /// file's end.</summary>
    private WriteStep Take(
        FileState file, ref ulong offset, ReadOnlySpan<byte> data, bool killSetId, bool reserve, bool appends, ref int done)
    {
        lock (file.Gate)
        {
            if (file.IsExclusive) { return WriteStep.NeedTurn; }
            if (!file.MayBuffer) { return WriteStep.NotDelegated; }
            if (appends && done == 0) { offset = file.Size; }
            if (!Fits(offset, data.Length)) { return WriteStep.TooLarge; }
            bool wasClean = file.Dirty.OpenBytes == 0;
            int before = done;
            WriteStep step = file.Dirty.Write(offset + (ulong)done, data[done..], reserve, ref done);
            if (done > before)
            {
                file.NoteWritten(Now(), killSetId);
                flusher.NoteWritten(file, wasClean);
            }

            return step;
        }
    }

    private async ValueTask<Reply<int>> WriteOnAsync(
        FileState file, ulong offset, ReadOnlyMemory<byte> data, bool killSetId, bool appends, int done)
    {
        Shortage shortage = Shortage.None;
        for (; ; )
        {
            Task freed = memory.WaitFreedAsync();
            int length = shortage == Shortage.Least ? Math.Min(data.Length, done + LeastBytes) : data.Length;
            bool reserve = true;
            if (shortage != Shortage.None)
            {
                Reply<(int Length, bool IsBacked)> piece =
                    await NextPieceAsync(file, offset + (ulong)done, length - done);
                if (!piece.IsOk) { return Answer(done, piece.Status); }
                length = done + piece.Value.Length;
                reserve = appends || !piece.Value.IsBacked;
            }

            WriteStep step = Take(file, ref offset, data.Span[..length], killSetId, reserve, appends, ref done);
            if (done == data.Length) { return Reply.Ok(done); }
            Status status = Status.Ok;
            switch (step)
            {
                case WriteStep.NeedTurn:
                    await WaitTurnAsync(file);
                    break;
                case WriteStep.NotDelegated:
                    return Answer(done, Status.Locked);
                case WriteStep.TooLarge:
                    return Answer(done, Status.TooLarge);
                case WriteStep.NeedMemory:
                    status = await flusher.RelieveAsync(freed);
                    break;
                case WriteStep.NeedQuota:
                    status = await quota.EnsureAsync((ulong)Math.Min(length - done, BufferPool.SlabBytes));
                    if (status == Status.NoSpace && shortage < Shortage.Least)
                    {
                        shortage++;
                        if (shortage == Shortage.Released) { await ReleaseAllAsync(); }
                        status = Status.Ok;
                    }

                    break;
                default:
                    break;
            }

            if (status != Status.Ok) { return Answer(done, status); }
        }
    }

    private static Reply<int> Answer(int done, Status status) =>
        done > 0 ? Reply.Ok(done) : Reply.Failed<int>(status);

    /// <summary>Commits everything, so that what was reserved and not needed comes back.</summary>
    private async ValueTask ReleaseAllAsync()
    {
        await flusher.FlushAllAsync(null);
        quota.ReleaseSurplus();
    }

    private static async ValueTask WaitTurnAsync(FileState file)
    {
        Task turn;
        lock (file.Gate)
        {
            if (!file.IsExclusive) { return; }
            turn = file.WaitTurnAsync();
        }

        await turn;
    }

    /// <summary>How many bytes from an offset on are all backed, or all not.</summary>
    private async ValueTask<Reply<(int Length, bool IsBacked)>> NextPieceAsync(FileState file, ulong offset, int length)
    {
        uint cluster = (uint)(offset / Limits.ClusterBytes);
        uint from = (uint)(offset % Limits.ClusterBytes);
        Reply<ClusterMap> map = await reader.GetMapAsync(file, cluster);
        if (!map.IsOk) { return new(map.Status, default); }
        uint end = (uint)Math.Min(from + (ulong)length, Limits.ClusterBytes);
        int at = map.Value.FirstEndingAfter(from);
        if (at == map.Value.Runs.Count || map.Value.Runs[at].Offset >= end)
        {
            return Reply.Ok(((int)(end - from), false));
        }

        Slice run = map.Value.Runs[at];
        return run.Offset > from
            ? Reply.Ok(((int)(run.Offset - from), false))
            : Reply.Ok(((int)(Math.Min(run.End, end) - from), true));
    }
}
