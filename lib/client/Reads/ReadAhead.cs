using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>Reads ahead of streams, on threads of its own.</summary>
internal sealed class ReadAhead : IAsyncDisposable
{
    private readonly IBlockService blocks;
    private readonly Task[] threads;

    public ReadAhead(IBlockService blocks, ClientOptions options)
    {
        this.blocks = blocks;
        Chunks = new(options.ReadAheadBytes);
        threads = BackgroundThreads.Start("read-ahead", options.ReadAheadThreads, Work);
    }

    public ChunkCache Chunks { get; }

    public IReadOnlyList<Task> Threads => threads;

    /// <summary>Notes a read that is about to be served, and has the next ones read if it is one of a stream.</summary>
    /// <param name="state">What is known of the handle's reads.</param>
    /// <param name="offset">Where the read starts.</param>
    /// <param name="length">Its bytes.</param>
    /// <param name="size">The file's size.</param>
    /// <param name="cluster">The cluster of <paramref name="map"/>.</param>
    /// <param name="map">The cluster of the read, if it is known: only what lies in it is read ahead.</param>
    public void Note(ReadAheadState state, ulong offset, int length, ulong size, uint cluster, ClusterMap? map)
    {
        if (!state.Note(offset, length, size, out ulong from, out ulong to) || map is null || threads.Length == 0)
        {
            return;
        }

        ulong start = (ulong)cluster * Limits.ClusterBytes;
        to = Math.Min(to, start + Limits.ClusterBytes);
        if (from < start || from >= to) { return; }
        state.Started(Queue(map, start, from, to));
    }

    public async ValueTask DisposeAsync()
    {
        Chunks.Stop();

        // What a thread failed with was told by the client's Completion.
        await Task.WhenAll(threads).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Chunks.Dispose();
    }

    /// <summary>Queues the chunks behind [from, to) of the file; returns how far memory lasted.</summary>
    private ulong Queue(ClusterMap map, ulong start, ulong from, ulong to)
    {
        uint end = (uint)(to - start);
        for (int at = map.FirstEndingAfter((uint)(from - start)); at < map.Runs.Count; at++)
        {
            Slice run = map.Runs[at];
            if (run.Offset >= end) { break; }
            if (run.Kind != SliceKind.Block) { continue; }
            uint position = Math.Max(run.Offset, (uint)(from - start));
            while (position < Math.Min(run.End, end))
            {
                uint source = run.SourceOffset + (position - run.Offset);
                uint chunk = source / ChunkCache.ChunkBytes * ChunkCache.ChunkBytes;
                uint first = Math.Max(chunk, run.SourceOffset);
                uint last = Math.Min(chunk + ChunkCache.ChunkBytes, run.SourceOffset + run.Length);
                if (!Chunks.TryQueue(run.Block, first, last)) { return start + position; }
                position = run.Offset + (last - run.SourceOffset);
            }
        }

        return to;
    }

    private void Work()
    {
        while (Chunks.WaitAndTake() is { } chunk)
        {
            Memory<byte> bytes = chunk.Buffer!.Memory[..(int)(chunk.To - chunk.From)];
            bool success = false;
            try
            {
                ValueTask<Status> read = blocks.ReadBlockAsync(chunk.Key.Block, chunk.From, bytes);

                // House: a thread of its own, with nothing else to do until the answer is there.
                Status status = read.IsCompletedSuccessfully ? read.Result : read.AsTask().GetAwaiter().GetResult();
                success = status == Status.Ok;
            }
            finally
            {
                Chunks.Loaded(chunk, success);
            }
        }
    }
}
