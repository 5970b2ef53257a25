using KvFs.Core;
using KvFs.RocksDb;

namespace KvFs.Node.Storage;

/// <summary>The key-value store in a RocksDB.</summary>
/// <remarks>
/// Memory under load: block cache 64 MiB (indexes and filters included), memtables twice <see cref="MaxWalBytes"/> of log
/// entries and as much of the records that they led to, so less than 200 MiB. All families are flushed together
/// (<see cref="RocksOptions.AtomicFlush"/>): that keeps unlogged writes to one order, and lets go of whole logs. A full disk: the write is refused (NoSpace), RocksDB goes on by itself when there is space;
/// <see cref="SpaceGuard"/> sees to it that this does not happen in practice.
/// </remarks>
public sealed class RocksKeyValueStore : IKeyValueStore
{
    private const long BlockCacheBytes = 64L << 20;

    /// <summary>Bits per key of the bloom filters: one in a hundred absent keys costs a read.</summary>
    private const double BloomBits = 10;

    /// <summary>Bytes of logs above which RocksDB flushes: bounds the start after a crash, and memory.</summary>
    private const long MaxWalBytes = 20L << 20;

    /// <summary>Bytes that RocksDB may have to write for what it has accepted, without asking: 100 MiB.</summary>
    /// <remarks>Two sets of memtables, one that fills and one that is flushed, each with the entries of one log and the
    /// records that they led to, which are about as many bytes: 2 · 2 · 20 MiB of table files. And one log that is begun
    /// meanwhile, 20 MiB.</remarks>
    public const long MaxUnaskedBytes = 5 * MaxWalBytes;

    /// <summary>Bytes of a memtable that holds a copy of the log or what it led to: above the log's own bound, which
    /// comes first.</summary>
    private const long LargeMemtableBytes = 25L << 20;

    /// <summary>Bytes after which writeback of a table file is started, so that no sync stands behind a long one.</summary>
    private const long BytesPerSync = 1L << 20;

    /// <summary>Bytes of RocksDB's own text log, and files of it.</summary>
    private const long MaxInfoLogBytes = 4L << 20;

    private const int InfoLogFiles = 2;

    private static readonly string[] FamilyNames = ["log", "ns", "block", "sys"];

    [ThreadStatic]
    private static WriteBatch? t_batch;

    private readonly BlockCache cache;
    private readonly RocksDatabase database;
    private readonly ColumnFamily[] families;
    private readonly FailureLatch latch = new();
    private readonly GroupCommit syncs;

    // Logged writes that have returned, and how many of them a sync that has ended was started after. The first counts the
    // log that was found at the start.
    private long logged = 1;
    private long synced;
    private long logBytes;

    // Sequence numbers up to which everything logged is durable: known, and told in the log.
    private ulong durable;
    private ulong marked;

    private RocksKeyValueStore(BlockCache cache, RocksDatabase database)
    {
        this.cache = cache;
        this.database = database;
        families = [.. FamilyNames.Select(database.Family)];
        syncs = new GroupCommit(SyncOnce);
    }

    public bool IsFailed => latch.IsFailed;

    public string? Failure => latch.Reason;

    /// <summary>Opens the folder, or makes it.</summary>
    /// <exception cref="StorageException">InUse, Corrupt, NotSupported, NoSpace, IoError; the message says what to do.
    /// </exception>
    public static RocksKeyValueStore Open(string path)
    {
        ThrowIfRotten(path);
        BlockCache cache = new(BlockCacheBytes);
        try
        {
            return new RocksKeyValueStore(cache, RocksDatabase.Open(path, DatabaseOptions(cache), FamilyOptions()));
        }
        catch (RocksException failure)
        {
            cache.Dispose();
            Status status = ToStatus(failure);
            string advice = status switch
            {
                Status.InUse => "Another process uses it: stop that one, or name another data folder.",
                Status.NoSpace => "The disk is full: make room, then start again.",
                Status.Corrupt => "It is damaged: restore the data folder from a backup. Nothing was changed.",
                _ => "Check the folder's owner and rights, and the disk.",
            };
            throw new StorageException(status, $"The key-value store '{path}' cannot be opened. {advice} {failure.Message}", failure);
        }
    }

    public bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value) => TryGet(family, key, value, null);

    public IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
        OpenCursor(family, from, to, null);

    public IKeyValueSnapshot CreateSnapshot() => new Snapshot(this);

    public Status Write(KeyValueBatch batch, bool logged)
    {
        if (latch.IsFailed) { return Status.IoError; }
        if (batch.Count == 0) { return Status.Ok; }
        WriteBatch native = t_batch ??= new WriteBatch();
        try
        {
            if (logged) { Mark(native); }
            Translate(batch, native);
            database.Write(native, logged ? WriteFlags.None : WriteFlags.DisableWal);
            if (!logged) { return Status.Ok; }
            Interlocked.Increment(ref this.logged);
            Interlocked.Add(ref logBytes, native.DataSize);
            return Status.Ok;
        }
        catch (RocksException failure)
        {
            return OnFailure(failure, "Writing to");
        }
        finally
        {
            native.Clear();
        }
    }

    public Status SyncLog()
    {
        if (latch.IsFailed) { return Status.IoError; }

        // Many an fsync follows another, or comes from a file that did not change: that costs nothing.
        return Interlocked.Read(ref synced) == Interlocked.Read(ref logged) ? Status.Ok : syncs.Commit();
    }

    public KeyValueStatistics GetStatistics() => new(
        Sum("rocksdb.cur-size-all-mem-tables"), cache.Usage, Sum("rocksdb.estimate-table-readers-mem"),
        Sum("rocksdb.live-sst-files-size"), Sum("rocksdb.estimate-num-keys"), syncs.Runs,
        Interlocked.Read(ref logBytes));

    public void Dispose()
    {
        database.Dispose();
        cache.Dispose();
    }

    private static void ThrowIfRotten(string path)
    {
        LogDamage? found;
        try
        {
            found = WriteAheadLogCheck.Find(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StorageException(
                e is UnauthorizedAccessException ? Status.AccessDenied : Status.IoError,
                $"The log of the key-value store '{path}' cannot be read: {e.Message}", e);
        }

        if (found is not { } damage) { return; }
        throw new StorageException(
            Status.Corrupt,
            $"The log '{damage.Path}' is damaged at byte {damage.Offset}, and has intact records behind that: they may have "
            + "been acknowledged, and would be lost. Nothing was changed. Restore the data folder from a backup; or, to give "
            + $"up everything from there on, keep a copy and cut the log: truncate -s {damage.Offset} '{damage.Path}'.");
    }

    /// <remarks>Recovery to a point in time: what a power cut leaves of the log is a prefix. That no rot passes for such a
    /// cut is <see cref="WriteAheadLogCheck"/>'s to see.</remarks>
    private static RocksOptions DatabaseOptions(BlockCache cache) => new()
    {
        BlockCache = cache,
        WalRecovery = WalRecoveryMode.PointInTime,
        MaxTotalWalBytes = MaxWalBytes,
        AtomicFlush = true,
        BytesPerSync = BytesPerSync,
        InfoLogLevel = InfoLogLevel.Warn,
        KeepInfoLogFiles = InfoLogFiles,
        MaxInfoLogBytes = MaxInfoLogBytes,
    };

    private static ColumnFamilyOptions[] FamilyOptions() =>
    [
        Options(Family.Log, memtableBytes: LargeMemtableBytes, bloom: null),
        Options(Family.Namespace, memtableBytes: LargeMemtableBytes, bloom: BloomBits),
        Options(Family.Block, memtableBytes: 8L << 20, bloom: BloomBits),
        Options(Family.System, memtableBytes: 2L << 20, bloom: null),
    ];

    /// <remarks>Two memtables each: one fills while the other is flushed.</remarks>
    private static ColumnFamilyOptions Options(Family family, long memtableBytes, double? bloom) =>
        new(FamilyNames[(int)family])
        {
            WriteBufferBytes = memtableBytes,
            MaxWriteBuffers = 2,
            BloomBitsPerKey = bloom,
            CacheIndexAndFilter = true,
            PartitionIndexAndFilter = true,
            PinLevel0IndexAndFilter = true,
            DynamicLevelBytes = true,
        };

    private static Status ToStatus(RocksException failure) => failure.Code switch
    {
        RocksErrorCode.Corruption => Status.Corrupt,
        RocksErrorCode.NoSpace => Status.NoSpace,
        RocksErrorCode.Locked => Status.InUse,
        RocksErrorCode.NotSupported => Status.NotSupported,
        RocksErrorCode.InvalidArgument => Status.Invalid,
        _ => Status.IoError,
    };

    private Status OnFailure(RocksException failure, string doing) => ToStatus(failure) == Status.NoSpace
        ? Status.NoSpace
        : latch.Fail($"{doing} the key-value store '{database.Path}' failed: {failure.Message}");

    /// <remarks>A sync that fails for want of space is a failed sync: what the log holds is unknown.</remarks>
    private Status SyncOnce()
    {
        long covered = Interlocked.Read(ref logged);
        ulong sequence = database.LatestSequenceNumber;
        try
        {
            database.FlushWal(sync: true);
            Volatile.Write(ref durable, sequence);
            Interlocked.Exchange(ref synced, covered);
            return Status.Ok;
        }
        catch (RocksException failure)
        {
            return latch.Fail($"Syncing the log of '{database.Path}' failed: {failure.Message}");
        }
    }

    /// <summary>The first write after a sync says how far it reached: <see cref="WriteAheadLogCheck"/>.</summary>
    private void Mark(WriteBatch native)
    {
        ulong known = Volatile.Read(ref durable);
        if (known == Volatile.Read(ref marked)) { return; }
        Volatile.Write(ref marked, known);
        Span<byte> mark = stackalloc byte[WriteAheadLogCheck.MarkBytes];
        WriteAheadLogCheck.WriteMark(mark, known);
        native.PutLogData(mark);
    }

    private void Translate(KeyValueBatch batch, WriteBatch native)
    {
        foreach (KeyValueBatch.Change change in batch)
        {
            ColumnFamily family = families[(int)change.Family];
            switch (change.Operation)
            {
                case KeyValueOperation.Put:
                    native.Put(family, change.Key, change.Value);
                    break;
                case KeyValueOperation.Delete:
                    native.Delete(family, change.Key);
                    break;
                default:
                    native.DeleteRange(family, change.Key, change.Value);
                    break;
            }
        }
    }

    private bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value, RocksSnapshot? snapshot)
    {
        value.Clear();
        try
        {
            if (!database.TryGetPinned(families[(int)family], key, out PinnedValue found, snapshot)) { return false; }
            using (found) { value.Set(found.Span); }
            return true;
        }
        catch (RocksException failure)
        {
            throw ReadFailed(failure);
        }
    }

    private Cursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to, RocksSnapshot? snapshot)
    {
        ReadOptions options = new() { LowerBound = from, UpperBound = to, Snapshot = snapshot };
        try
        {
            return new Cursor(this, database.CreateIterator(families[(int)family], options));
        }
        catch (RocksException failure)
        {
            throw ReadFailed(failure);
        }
    }

    private StorageException ReadFailed(RocksException failure) => new(
        ToStatus(failure), $"Reading from the key-value store '{database.Path}' failed: {failure.Message}", failure);

    private long Sum(string property)
    {
        ulong sum = 0;
        foreach (ColumnFamily family in families) { sum += database.GetIntProperty(property, family) ?? 0; }
        return (long)sum;
    }

    private sealed class Snapshot(RocksKeyValueStore store) : IKeyValueSnapshot
    {
        private readonly RocksSnapshot native = store.database.CreateSnapshot();

        public bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value) =>
            store.TryGet(family, key, value, native);

        public IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
            store.OpenCursor(family, from, to, native);

        public void Dispose() => native.Dispose();
    }

    private sealed class Cursor(RocksKeyValueStore store, RocksIterator native) : IRecordCursor
    {
        private bool started;

        public ReadOnlySpan<byte> Key => native.Key;

        public ReadOnlySpan<byte> Value => native.Value;

        public bool MoveNext()
        {
            // The bounds hold the walk to its range.
            if (!started)
            {
                started = true;
                native.SeekToFirst();
            }
            else if (native.IsValid)
            {
                native.Next();
            }

            if (native.IsValid) { return true; }
            try
            {
                native.ThrowIfFailed();
            }
            catch (RocksException failure)
            {
                throw store.ReadFailed(failure);
            }

            return false;
        }

        public void Dispose() => native.Dispose();
    }
}
