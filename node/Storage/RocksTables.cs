using KvFs.Core;
using KvFs.RocksDb;

namespace KvFs.Node.Storage;

/// <summary>The tables in a RocksDB.</summary>
/// <remarks>
/// RocksDB's own write-ahead log is not used: <see cref="JournaledKeyValueStore"/> says why. A folder of an earlier version,
/// in which it was, is opened as RocksDB recovers it. All families are flushed together (<see cref="RocksOptions.AtomicFlush"/>):
/// that makes what is durable one moment of all of them. The mark is in a family of its own, <c>journal</c>, also so that an
/// earlier version, which knows of no journal, refuses the folder instead of leaving a part of it out.
/// <para>Memory under load: block cache 64 MiB (indexes and filters included), memtables twice
/// <see cref="JournalOptions.MaxBytes"/> of log entries and as much of the records that they led to. A full disk: the write is
/// refused (NoSpace), RocksDB goes on by itself when there is space; <see cref="SpaceGuard"/> sees to it that this does not
/// happen in practice.</para>
/// </remarks>
internal sealed class RocksTables : ITableStore
{
    private const long BlockCacheBytes = 64L << 20;

    /// <summary>Bits per key of the bloom filters: one in a hundred absent keys costs a read.</summary>
    private const double BloomBits = 10;

    /// <summary>Bytes of a memtable that holds a copy of what was logged or what it led to: above what the journal flushes
    /// at, which comes first.</summary>
    private const long LargeMemtableBytes = 25L << 20;

    /// <summary>Bytes of the memtable of marks: 100,000 of them, one for each record of the journal.</summary>
    private const long MarkMemtableBytes = 8L << 20;

    /// <summary>Bytes after which writeback of a table file is started, so that no sync stands behind a long one.</summary>
    private const long BytesPerSync = 1L << 20;

    /// <summary>Bytes of RocksDB's own text log, and files of it.</summary>
    private const long MaxInfoLogBytes = 4L << 20;

    private const int InfoLogFiles = 2;

    /// <summary>Bytes that must be free before RocksDB is let at a folder. It sets 4 MiB aside for a file that each opening begins,
    /// and ends the process where it gets less.</summary>
    private const long OpeningBytes = 16L << 20;

    private const string FullAdvice = "The disk is full: make room, then start again.";

    private const string MarkFamily = "journal";

    private static readonly string[] FamilyNames = ["log", "ns", "block", "sys"];

    [ThreadStatic]
    private static WriteBatch? t_batch;

    private readonly BlockCache cache;
    private readonly RocksDatabase database;
    private readonly ColumnFamily[] families;
    private readonly ColumnFamily marks;

    private RocksTables(BlockCache cache, RocksDatabase database)
    {
        this.cache = cache;
        this.database = database;
        families = [.. FamilyNames.Select(database.Family)];
        marks = database.Family(MarkFamily);
    }

    public string Path => database.Path;

    private static ReadOnlySpan<byte> MarkKey => "J\x01"u8;

    /// <summary>The file that says which of the others count.</summary>
    private static string HeadOf(string path) => $"{path}/CURRENT";

    /// <summary>Opens the folder, or makes it, and holds it for this process alone.</summary>
    /// <exception cref="StorageException">InUse, Corrupt, NotSupported, NoSpace, IoError; the message says what to do.
    /// </exception>
    internal static RocksTables Open(string path)
    {
        RefuseWithoutHead(path);
        RefuseWithoutRoom(path);
        BlockCache cache = new(BlockCacheBytes);
        try
        {
            return new RocksTables(cache, RocksDatabase.Open(path, DatabaseOptions(cache), FamilyOptions()));
        }
        catch (RocksException failure)
        {
            cache.Dispose();
            Status status = IsFileGone(path, failure) ? Status.Corrupt : ToStatus(failure);
            string advice = status switch
            {
                Status.InUse => "Another process uses it: stop that one, or name another data folder.",
                Status.NoSpace => FullAdvice,
                Status.Corrupt => StorageException.AdviceFor(status),
                _ => "Check the folder's owner and rights, and the disk.",
            };
            throw new StorageException(status, $"The key-value store '{path}' cannot be opened. {advice} {failure.Message}", failure);
        }
    }

    public bool TryReadMark(out JournalMark mark)
    {
        try
        {
            if (database.TryGetPinned(marks, MarkKey, out PinnedValue found)) { return TryReadMark(found, out mark); }
            mark = default;
            return false;
        }
        catch (RocksException failure)
        {
            throw ReadFailed(failure);
        }
    }

    public bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value) => TryGet(family, key, value, null);

    public IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
        OpenCursor(family, from, to, null);

    public IKeyValueSnapshot CreateSnapshot() => new Snapshot(this);

    public Status Write(KeyValueBatch batch, JournalMark? mark, out string? failure)
    {
        WriteBatch native = t_batch ??= new WriteBatch();
        failure = null;
        try
        {
            Translate(batch, native);
            if (mark is { } told)
            {
                Span<byte> value = stackalloc byte[JournalMark.Size];
                told.Write(value);
                native.Put(marks, MarkKey, value);
            }

            database.Write(native, WriteFlags.DisableWal);
            return Status.Ok;
        }
        catch (RocksException thrown)
        {
            failure = thrown.Message;
            return ToStatus(thrown);
        }
        finally
        {
            native.Clear();
        }
    }

    /// <remarks>That RocksDB did it is only known from the mark: each flush makes one durable that was written after the one
    /// before.</remarks>
    public Status Flush(out string? failure)
    {
        failure = null;
        try
        {
            bool isMarked = TryReadMark(out JournalMark wanted);
            database.FlushAll(database.DefaultFamily);
            if (isMarked && HasPersisted(wanted)) { return Status.Ok; }
            if (IsOutOfSpace()) { return Status.NoSpace; }

            // It may have been out of space until a moment ago, and have gone on by itself.
            database.FlushAll(database.DefaultFamily);
            if (isMarked && HasPersisted(wanted)) { return Status.Ok; }
            failure = "RocksDB did not write its tables; its own file LOG says why.";
            return IsOutOfSpace() ? Status.NoSpace : Status.IoError;
        }
        catch (RocksException thrown)
        {
            failure = thrown.Message;
            return ToStatus(thrown);
        }
        catch (StorageException damaged)
        {
            failure = damaged.Message;
            return damaged.Status;
        }
    }

    public KeyValueStatistics GetStatistics() => new(
        Sum("rocksdb.cur-size-all-mem-tables"), cache.Usage, Sum("rocksdb.estimate-table-readers-mem"),
        Sum("rocksdb.live-sst-files-size"), Sum("rocksdb.estimate-num-keys"), 0, 0);

    public void Dispose()
    {
        database.Dispose();
        cache.Dispose();
    }

    /// <summary>Refuses what has lost its head. RocksDB would take it for new, and remove the tables that it knows nothing of then.
    /// </summary>
    /// <remarks>A store that is being made has neither tables nor a journal before it has a head.</remarks>
    private static void RefuseWithoutHead(string path)
    {
        EnumerationOptions whatCanBeSeen = new() { IgnoreInaccessible = true };
        string journal = $"{path}/{JournaledKeyValueStore.JournalFolder}";
        bool isLost = Directory.Exists(path) && IsGone(HeadOf(path))
            && (Directory.EnumerateFiles(path, "*.sst", whatCanBeSeen).Any()
                || new DirectoryInfo(path).EnumerateFiles("*.log", whatCanBeSeen).Any(static log => log is { Exists: true, Length: > 0 })
                || (Directory.Exists(journal) && Directory.EnumerateFiles(journal, "*.segment", whatCanBeSeen).Any()));
        if (!isLost) { return; }
        throw new StorageException(
            Status.Corrupt,
            $"The key-value store '{path}' cannot be opened. The file '{HeadOf(path)}' is gone, which says what is in it: put it back, or "
            + "restore the data folder from a backup. Nothing was changed.");
    }

    /// <summary>Whether a file is not there; one that cannot be looked at may be.</summary>
    private static bool IsGone(string file)
    {
        try
        {
            File.GetAttributes(file);
            return false;
        }
        catch (FileNotFoundException)
        {
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static void RefuseWithoutRoom(string path)
    {
        string folder = Directory.Exists(path) ? path : System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!;
        bool isFull = Directory.Exists(folder) && new LinuxDisk(folder).GetSpace(out DiskSpace space) == Status.Ok
            && space.FreeBytes < OpeningBytes;
        if (isFull) { throw new StorageException(Status.NoSpace, $"The key-value store '{path}' cannot be opened. {FullAdvice}"); }
    }

    /// <summary>Whether a file that the head leads to is not there.</summary>
    private static bool IsFileGone(string path, RocksException failure) =>
        failure.Message.EndsWith("No such file or directory", StringComparison.Ordinal) && File.Exists(HeadOf(path));

    /// <remarks>Recovery to a point in time, of a folder that an earlier version did not close in order: what a power cut
    /// leaves of RocksDB's own log is a prefix.</remarks>
    private static RocksOptions DatabaseOptions(BlockCache cache) => new()
    {
        BlockCache = cache,
        WalRecovery = WalRecoveryMode.PointInTime,
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
        Options(MarkFamily, memtableBytes: MarkMemtableBytes, bloom: null),
    ];

    private static ColumnFamilyOptions Options(Family family, long memtableBytes, double? bloom) =>
        Options(FamilyNames[(int)family], memtableBytes, bloom);

    /// <remarks>Two memtables each: one fills while the other is flushed.</remarks>
    private static ColumnFamilyOptions Options(string name, long memtableBytes, double? bloom) =>
        new(name)
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

    private bool TryReadMark(PinnedValue found, out JournalMark mark)
    {
        Status status;
        using (found) { status = JournalMark.Read(found.Span, out mark); }
        if (status == Status.Ok) { return true; }
        throw new StorageException(
            status, $"The journal's mark in the key-value store '{Path}' cannot be read. {StorageException.AdviceFor(status)}");
    }

    private bool HasPersisted(JournalMark wanted) =>
        database.TryGetPersisted(marks, MarkKey, out PinnedValue found)
        && TryReadMark(found, out JournalMark persisted) && persisted.Number >= wanted.Number;

    /// <summary>Whether RocksDB has stopped in the background, and by a write says that the disk is full.</summary>
    private bool IsOutOfSpace()
    {
        using WriteBatch nothing = new();
        try
        {
            database.Write(nothing, WriteFlags.DisableWal);
            return false;
        }
        catch (RocksException failure)
        {
            return failure.Code == RocksErrorCode.NoSpace;
        }
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

    private sealed class Snapshot(RocksTables store) : IKeyValueSnapshot
    {
        private readonly RocksSnapshot native = store.database.CreateSnapshot();

        public bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value) =>
            store.TryGet(family, key, value, native);

        public IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
            store.OpenCursor(family, from, to, native);

        public void Dispose() => native.Dispose();
    }

    private sealed class Cursor(RocksTables store, RocksIterator native) : IRecordCursor
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
