using KvFs.Core;

namespace KvFs.Client;

/// <summary>Seals dirty data and makes batches of it: large segments alone, small runs of many files packed.</summary>
/// <remarks>Used under the flusher's order lock, from <see cref="Begin"/> to <see cref="End"/>. The order in which a
/// file gets its batches is the order in which they commit; a batch of many files is closed before the next one is
/// begun, so that no two batches wait for each other.</remarks>
internal sealed class BatchCapture
{
    /// <summary>Bytes of a packed block: large enough that its sync costs little, small enough to be
    /// repacked.</summary>
    public const int PackBytes = 4 << 20;

    /// <summary>Bytes of a batch up to which they go into the transaction itself: one sync for data and metadata, and
    /// no block write. Above that a block is cheaper, because the log would write them twice.</summary>
    public const int InlineBytes = 64 << 10;

    /// <summary>Runs of one batch: with some 256 bytes of records each, a quarter of a transaction's bound.</summary>
    private const int MaxPieces = Limits.TransactionBytes / 4 / 256;

    /// <summary>Pieces of at least a page begin on a page of the block, so that reading one back touches no
    /// other.</summary>
    private const int PageBytes = 4096;

    /// <summary>Batches kept for use again: more than are under way at once, most of the time. One that has packed a
    /// thousand files keeps half a mebibyte.</summary>
    private const int IdleBatches = 16;

    private readonly Stack<FlushBatch> idle = new();
    private readonly List<FlushBatch> captured = [];
    private FlushBatch? pack;
    private ulong lastNumber;

    /// <summary>The number of the batch that was begun last.</summary>
    public ulong LastNumber => lastNumber;

    /// <summary>What was captured since <see cref="Begin"/>.</summary>
    public IReadOnlyList<FlushBatch> Captured => captured;

    public long CapturedBytes { get; private set; }

    public void Begin()
    {
        captured.Clear();
        CapturedBytes = 0;
    }

    public void End() => ClosePack();

    public void Recycle(FlushBatch batch)
    {
        batch.Clear();
        if (idle.Count < IdleBatches) { idle.Push(batch); }
    }

    /// <summary>Captures what is open of a file; under its gate.</summary>
    /// <param name="file">The file.</param>
    /// <param name="withTails">Also large segments that are still being filled.</param>
    public void Capture(FileState file, bool withTails)
    {
        FlushBatch? direct = null;
        foreach (ref readonly DirtyRun run in file.Dirty.Runs)
        {
            DirtySegment segment = run.Segment;
            if (direct is not null && segment.Batch == direct)
            {
                Take(direct, file, run, (int)(run.Offset - segment.FileStart));
            }
            else if (segment.IsSealed && segment.Batch != pack)
            {
                continue;
            }
            else if (!withTails && !segment.IsFull && segment.Buffer.Capacity >= DirtyMap.StreamBytes)
            {
                continue;
            }
            else if (!segment.IsSealed && segment.Used >= DirtyMap.DirectBytes)
            {
                direct = BeginBatch(direct: true);
                Take(direct, file, run, (int)(run.Offset - segment.FileStart));
            }
            else
            {
                TakePacked(file, run);
            }
        }

        file.Dirty.HasFullSegment = false;
    }

    private void TakePacked(FileState file, in DirtyRun run)
    {
        bool follows = pack is not null && run.Segment.Batch == pack;
        if (pack is not null && !follows
            && (pack.Bytes + PageBytes + run.Segment.Used > PackBytes || pack.PieceCount >= MaxPieces))
        {
            ClosePack();
        }

        pack ??= BeginBatch(direct: false);
        Take(pack, file, run, PlaceFor(pack, file, run));
    }

    private static int PlaceFor(FlushBatch pack, FileState file, in DirtyRun run)
    {
        BatchFile entry = pack.For(file);
        bool goesOn = entry.Pieces.Count > 0
            && entry.Pieces[^1].Offset + (ulong)entry.Pieces[^1].Length == run.Offset;
        return goesOn || run.Length < PageBytes ? pack.Bytes : (pack.Bytes + PageBytes - 1) / PageBytes * PageBytes;
    }

    private void Take(FlushBatch batch, FileState file, in DirtyRun run, int blockOffset)
    {
        BatchFile entry = batch.For(file);
        if (entry.Pieces.Count == 0)
        {
            entry.WriteTime = file.WriteTime;
            entry.KillSetId = file.KillSetId;
            entry.Kept = file.Kept.Capture();
            file.Batches.Add(batch);
        }

        batch.Add(entry, run, blockOffset);
        file.Dirty.Sealed(run);
        CapturedBytes += run.Length;
    }

    private FlushBatch BeginBatch(bool direct)
    {
        if (!idle.TryPop(out FlushBatch? batch)) { batch = new(); }
        batch.Begin(++lastNumber, direct);
        captured.Add(batch);
        return batch;
    }

    private void ClosePack()
    {
        if (pack is null) { return; }
        pack.IsInline = pack.Bytes <= InlineBytes;
        pack = null;
    }
}
