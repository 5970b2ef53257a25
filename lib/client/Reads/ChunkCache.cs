using KvFs.Core;

namespace KvFs.Client;

/// <summary>Parts of blocks that are read before they are asked for.</summary>
/// <remarks>
/// Thread safe. Blocks never change, so a chunk is right for as long as it is kept, whatever becomes of the file. A
/// chunk whose bytes were all handed out goes at once: the reader's kernel keeps them from now on; else the oldest goes
/// when memory is needed. A reader who needs a chunk that no thread has begun takes it out and reads himself.
/// </remarks>
internal sealed class ChunkCache(long maxBytes) : IDisposable
{
    /// <summary>Bytes of a chunk: long enough for a disk's full speed, short enough that a reader seldom
    /// waits.</summary>
    public const uint ChunkBytes = 1 << 20;

    private readonly BufferPool pool = new(maxBytes);
    private readonly object gate = new();
    private readonly Dictionary<ChunkKey, Chunk> chunks = [];
    private readonly Queue<Chunk> queue = new();
    private readonly Stack<Chunk> idle = new();
    private Chunk? oldest;
    private Chunk? newest;
    private bool stopped;
    private volatile int count;

    /// <summary>Buffers in use.</summary>
    public int Buffers => pool.RentedBuffers;

    /// <summary>Has a part of a block read, if it is not there and there is memory; false if there is none.</summary>
    public bool TryQueue(BlockName block, uint from, uint to)
    {
        ChunkKey key = new(block, from / ChunkBytes);
        lock (gate)
        {
            if (stopped) { return false; }
            if (chunks.ContainsKey(key)) { return true; }
            PoolBuffer? buffer = RentLocked();
            if (buffer is null) { return false; }
            if (!idle.TryPop(out Chunk? chunk)) { chunk = new(); }
            chunk.Key = key;
            chunk.From = from;
            chunk.To = to;
            chunk.Buffer = buffer;
            chunk.State = ChunkState.Queued;
            chunk.IsListed = true;
            chunks.Add(key, chunk);
            count = chunks.Count;
            Append(chunk);
            queue.Enqueue(chunk);
            Monitor.Pulse(gate);
            return true;
        }
    }

    /// <summary>Copies what is there of a part of a block; returns the bytes copied, 0 if none.</summary>
    /// <param name="block">The block.</param>
    /// <param name="offset">First byte in it.</param>
    /// <param name="destination">Where to.</param>
    /// <param name="loading">If nothing was copied because a thread is just reading it: ends when it is there.</param>
    public int Copy(BlockName block, uint offset, Span<byte> destination, out Task? loading)
    {
        if (!TryLend(block, offset, destination.Length, 1, out ChunkLoan loan, out loading)) { return 0; }
        loan.Span.CopyTo(destination);
        Return(loan);
        return loan.Length;
    }

    /// <summary>Lends what is there of a part of a block, if any is; <see cref="Return"/> takes it back.</summary>
    /// <param name="block">The block.</param>
    /// <param name="offset">First byte in it.</param>
    /// <param name="length">Bytes from there; fewer are lent where the chunk ends before.</param>
    /// <param name="least">Bytes that must be there: else nothing is lent.</param>
    /// <param name="loan">The bytes, which stay as they are until they are given back.</param>
    /// <param name="loading">If nothing is lent because a thread is just reading it: ends when it is there.</param>
    public bool TryLend(
        BlockName block, uint offset, int length, int least, out ChunkLoan loan, out Task? loading)
    {
        loan = default;
        loading = null;
        if (count == 0) { return false; }
        lock (gate)
        {
            if (!chunks.TryGetValue(new(block, offset / ChunkBytes), out Chunk? chunk)) { return false; }
            if (offset < chunk.From || offset + (long)least > chunk.To) { return false; }
            if (chunk.State == ChunkState.Loading)
            {
                loading = chunk.Loaded.WaitAsync();
                return false;
            }

            if (chunk.State == ChunkState.Queued)
            {
                RemoveLocked(chunk);
                return false;
            }

            chunk.Pins++;
            loan = new(chunk, (int)(offset - chunk.From), (int)Math.Min((uint)length, chunk.To - offset));
            return true;
        }
    }

    /// <summary>Takes back what was lent: the borrower has handed it on.</summary>
    public void Return(ChunkLoan loan)
    {
        Chunk chunk = loan.Chunk;
        lock (gate)
        {
            chunk.Pins--;
            chunk.Consumed += loan.Length;
            bool isUsedUp = chunk.Consumed >= chunk.To - chunk.From;
            if (chunk.State != ChunkState.Gone && isUsedUp) { RemoveLocked(chunk); }
            else { RecycleIfUnused(chunk); }
        }
    }

    /// <summary>The next chunk to load, pinned; waits for one; null once the cache is stopped.</summary>
    public Chunk? WaitAndTake()
    {
        lock (gate)
        {
            for (; ; )
            {
                if (stopped) { return null; }
                while (queue.TryDequeue(out Chunk? chunk))
                {
                    chunk.IsListed = false;
                    if (chunk.State == ChunkState.Queued)
                    {
                        chunk.State = ChunkState.Loading;
                        chunk.Pins++;
                        return chunk;
                    }

                    RecycleIfUnused(chunk);
                }

                Monitor.Wait(gate);
            }
        }
    }

    /// <summary>A chunk was read, or could not be: then whoever needs it reads, and is told why, himself.</summary>
    public void Loaded(Chunk chunk, bool success)
    {
        lock (gate)
        {
            chunk.Pins--;
            chunk.Loaded.Raise();
            if (success && chunk.State == ChunkState.Loading) { chunk.State = ChunkState.Ready; }
            else if (chunk.State != ChunkState.Gone) { RemoveLocked(chunk); }
            else { RecycleIfUnused(chunk); }
        }
    }

    /// <summary>Forgets everything that no thread is busy with.</summary>
    public void Clear()
    {
        lock (gate)
        {
            for (Chunk? chunk = oldest; chunk is not null;)
            {
                Chunk? next = chunk.Newer;
                if (chunk.State != ChunkState.Loading) { RemoveLocked(chunk); }
                chunk = next;
            }
        }
    }

    public void Stop()
    {
        lock (gate)
        {
            stopped = true;
            Monitor.PulseAll(gate);
        }
    }

    public void Dispose()
    {
        Clear();
        pool.Dispose();
    }

    private PoolBuffer? RentLocked()
    {
        PoolBuffer? buffer = pool.TryRent((int)ChunkBytes);
        for (Chunk? chunk = oldest; buffer is null && chunk is not null;)
        {
            Chunk? next = chunk.Newer;
            if (chunk.State == ChunkState.Ready && chunk.Pins == 0)
            {
                RemoveLocked(chunk);
                buffer = pool.TryRent((int)ChunkBytes);
            }

            chunk = next;
        }

        return buffer;
    }

    private void RemoveLocked(Chunk chunk)
    {
        chunk.State = ChunkState.Gone;
        chunks.Remove(chunk.Key);
        count = chunks.Count;
        if (chunk.Older is null) { oldest = chunk.Newer; }
        else { chunk.Older.Newer = chunk.Newer; }
        if (chunk.Newer is null) { newest = chunk.Older; }
        else { chunk.Newer.Older = chunk.Older; }
        chunk.Older = null;
        chunk.Newer = null;
        RecycleIfUnused(chunk);
    }

    private void RecycleIfUnused(Chunk chunk)
    {
        if (chunk.State != ChunkState.Gone || chunk.Pins > 0) { return; }
        if (chunk.Buffer is { } buffer)
        {
            pool.Return(buffer);
            chunk.Buffer = null;
        }

        if (chunk.IsListed) { return; }
        chunk.Consumed = 0;
        idle.Push(chunk);
    }

    private void Append(Chunk chunk)
    {
        chunk.Older = newest;
        if (newest is null) { oldest = chunk; }
        else { newest.Newer = chunk; }
        newest = chunk;
    }
}
