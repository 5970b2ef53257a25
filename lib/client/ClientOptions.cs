namespace KvFs.Client;

/// <summary>What a client may hold, and when it lets go.</summary>
public sealed record ClientOptions
{
    /// <summary>Bytes of memory for written data that is not committed yet: at some 500 MB/s a quarter of a second of
    /// disk time, so that writers and disk overlap.</summary>
    public long DirtyBytes { get; init; } = 128L << 20;

    /// <summary>Bytes of memory for data that was read ahead.</summary>
    public long ReadAheadBytes { get; init; } = 64L << 20;

    /// <summary>Bytes of dirty data that is still open to change above which the oldest is flushed: four packed blocks.
    /// </summary>
    public long BackgroundBytes { get; init; } = 16L << 20;

    /// <summary>Threads that write blocks; each has one block under way. With 0, callers do all work themselves and
    /// <see cref="DriveClient.TickAsync"/> stands for the timer: every run is then repeatable.</summary>
    public int FlushThreads { get; init; } = 4;

    /// <summary>Threads that read ahead; each has one chunk under way.</summary>
    public int ReadAheadThreads { get; init; } = 4;

    /// <summary>How long written data may stay uncommitted.</summary>
    public TimeSpan DirtyAge { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How often the age of dirty data is looked at.</summary>
    public TimeSpan TickInterval { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Bytes of quota that are reserved at once: a few blocks, so that it is asked for seldom.</summary>
    public ulong ReserveStepBytes { get; init; } = 16UL << 20;

    /// <summary>The same of a drive that is shared: what one has set aside others do not get.</summary>
    public ulong SharedReserveStepBytes { get; init; } = 1UL << 20;

    /// <summary>Closed files whose state is kept for the next open.</summary>
    public int ClosedFiles { get; init; } = 4096;

    /// <summary>Block ids that are granted at once: 16 GiB of stream, or one grant per 4,096 small flushes.</summary>
    public uint BlockGrant { get; init; } = 4096;
}

/// <summary>What comes with a write.</summary>
/// <param name="KillSetId">Clears set-id bits, as a write by somebody without privilege does.</param>
/// <param name="Sync">Answers only once the data is durable (O_SYNC, O_DSYNC).</param>
/// <param name="Append">The offset is only where the writer believes the file's end to be (O_APPEND): where others write, too, the
/// data goes behind the end that it has.</param>
public readonly record struct WriteOptions(bool KillSetId, bool Sync, bool Append = false);

/// <summary>A run of dirty data as a flat record: enough, with the buffer's bytes, to commit it after a
/// restart.</summary>
/// <param name="Node">The file.</param>
/// <param name="Offset">First byte in the file.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Slot">The buffer: its place in the pool, in units of 4 KiB.</param>
/// <param name="SlotOffset">First byte in the buffer.</param>
public readonly record struct DirtyRecord(
    Core.VNodeId Node, ulong Offset, int Length, int Slot, int SlotOffset);
