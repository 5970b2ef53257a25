namespace KvFs.Client;

/// <summary>A window of one file's dirty bytes: [FileStart, FileStart + Used), in one buffer.</summary>
/// <remarks>Open: bytes within it may be overwritten and appended. Sealed: a batch has captured it, and its bytes do
/// not change until they are committed; newer writes hide parts of it. The file's gate guards it.</remarks>
internal sealed class DirtySegment
{
    private PoolBuffer? buffer;

    public PoolBuffer Buffer
    {
        get => buffer ?? throw new InvalidOperationException("The segment is not in use.");
        set => buffer = value;
    }

    public ulong FileStart { get; set; }

    public int Used { get; set; }

    /// <summary>Runs of the file's map that show a part of it.</summary>
    public int Runs { get; set; }

    /// <summary>The batch that captured it.</summary>
    public FlushBatch? Batch { get; set; }

    public bool IsSealed => Batch is not null;

    public bool IsFull => Used == Buffer.Capacity;

    public ulong End => FileStart + (ulong)Used;

    public Span<byte> Bytes(ulong offset, int length) => Buffer.Span.Slice((int)(offset - FileStart), length);

    public PoolBuffer Clear()
    {
        PoolBuffer held = Buffer;
        buffer = null;
        FileStart = 0;
        Used = 0;
        Runs = 0;
        Batch = null;
        return held;
    }
}

/// <summary>The bounded memory of written data that is not committed.</summary>
internal sealed class DirtyMemory(long maxBytes) : IDisposable
{
    private readonly BufferPool pool = new(maxBytes);
    private readonly Lock gate = new();
    private readonly Stack<DirtySegment> idle = new();
    private readonly Signal freed = new();

    private long openBytes;

    public BufferPool Pool => pool;

    /// <summary>Dirty bytes of all files that no batch has captured.</summary>
    public long OpenBytes => Interlocked.Read(ref openBytes);

    public void AddOpen(long delta) => Interlocked.Add(ref openBytes, delta);

    public DirtySegment? TryRent(ulong fileStart, int minBytes)
    {
        PoolBuffer? buffer = pool.TryRent(minBytes);
        if (buffer is null) { return null; }
        DirtySegment? segment;
        lock (gate) { idle.TryPop(out segment); }
        segment ??= new();
        segment.Buffer = buffer;
        segment.FileStart = fileStart;
        return segment;
    }

    public void Return(DirtySegment segment)
    {
        pool.Return(segment.Clear());
        lock (gate)
        {
            idle.Push(segment);
            freed.Raise();
        }
    }

    /// <summary>Ends when memory comes back after this call.</summary>
    public Task WaitFreedAsync()
    {
        lock (gate) { return freed.WaitAsync(); }
    }

    /// <summary>Wakes those who wait, though nothing was freed: what they wait for failed.</summary>
    public void WakeWaiters()
    {
        lock (gate) { freed.Raise(); }
    }

    public void Dispose() => pool.Dispose();
}
