using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>A column family: keys of one kind of use, with their own memory and files.</summary>
/// <remarks>The names on disk are <c>log</c>, <c>ns</c>, <c>block</c> and <c>sys</c>. Never renumber: batches name
/// families by number.</remarks>
public enum Family : byte
{
    /// <summary>Log entries: (shard, index).</summary>
    Log = 0,

    /// <summary>The namespaces of drives, design section 5.</summary>
    Namespace = 1,

    /// <summary>Where the bytes of blocks are: (drive, block) → extents and checksums.</summary>
    Block = 2,

    /// <summary>What the node knows of itself: disk identity, drives, generations.</summary>
    System = 3,
}

/// <summary>Reads of every family, at one moment (a snapshot) or as of each call (the store).</summary>
/// <remarks>Thread safe. A cursor belongs to one thread, sees the moment at which it was opened, and must be disposed
/// before the store.</remarks>
public interface IKeyValueReader
{
    /// <summary>Copies the value of a key into <paramref name="value"/>, or returns false and leaves it empty.</summary>
    /// <exception cref="StorageException">The disk cannot give the value back (IoError, Corrupt).</exception>
    bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value);

    /// <summary>Walks the keys of [<paramref name="from"/>, <paramref name="to"/>) upwards; an empty
    /// <paramref name="to"/> is "no end".</summary>
    /// <exception cref="StorageException">The disk cannot give the records back; also from the cursor's moves.</exception>
    IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to);
}

/// <summary>The content of every family at the moment the snapshot was taken.</summary>
public interface IKeyValueSnapshot : IKeyValueReader, IDisposable;

/// <summary>The ordered map that a node keeps on its disk.</summary>
/// <remarks>
/// Thread safe. What is durable when:
/// <list type="bullet">
/// <item>A logged write is in the journal, handed to the operating system, when it returns: it survives the end of the
/// process, not of the machine.</item>
/// <item>Logged writes become durable in the order in which they were written, over all families: what a crash leaves is
/// a prefix. <see cref="SyncLog"/> makes all of them durable that returned before the call.</item>
/// <item>An unlogged write is in memory only, until the store flushes. It does so by itself, before it has much in memory
/// or in the journal, and when it is closed; a flush makes all families durable as they were at one moment, or changes nothing.
/// What is durable of the unlogged writes is so a prefix of them, over all families, and no longer than that of the logged
/// ones.</item>
/// </list>
/// A failed write or sync latches the store: <see cref="IsFailed"/>; every later write and sync answers
/// <see cref="Status.IoError"/>, reads go on. Nothing is retried: after a failed sync nobody knows what is on the disk.
/// </remarks>
public interface IKeyValueStore : IKeyValueReader, IDisposable
{
    /// <summary>Whether a write or a sync has failed for good; the node must stop acknowledging.</summary>
    bool IsFailed { get; }

    /// <summary>What failed, for people; null while nothing has.</summary>
    string? Failure { get; }

    IKeyValueSnapshot CreateSnapshot();

    /// <summary>Applies all of the batch or nothing of it, over all families.</summary>
    /// <returns>Ok; NoSpace: not applied, and the store goes on once there is space; IoError: applied or not, and the
    /// store is latched; TooLarge: not applied, above 17 MiB.</returns>
    Status Write(KeyValueBatch batch, bool logged);

    /// <summary>Makes every logged write durable that returned before the call. Concurrent callers share one sync.</summary>
    /// <returns>Ok, or IoError: the store is latched.</returns>
    Status SyncLog();

    /// <summary>Figures for metrics and for <c>kvfs status</c>. Not for hot paths.</summary>
    KeyValueStatistics GetStatistics();
}

/// <summary>Sizes of a store, in bytes.</summary>
/// <param name="MemtableBytes">Writes not yet in files.</param>
/// <param name="CacheBytes">The block cache's content.</param>
/// <param name="TableReaderBytes">Indexes and filters held outside the cache.</param>
/// <param name="FileBytes">Live table files.</param>
/// <param name="EstimatedKeys">Keys, roughly: overwritten and deleted ones may count.</param>
/// <param name="Syncs">Syncs of the journal that the disk was asked for.</param>
/// <param name="LogBytes">Bytes that were appended to the journal since the start.</param>
public readonly record struct KeyValueStatistics(
    long MemtableBytes, long CacheBytes, long TableReaderBytes, long FileBytes, long EstimatedKeys, long Syncs,
    long LogBytes);
