using System.Collections.Concurrent;
using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>What the drives of a block store share.</summary>
internal sealed record StoreContext(
    IDisk Disk, IKeyValueStore Store, SpaceGuard Space, FailureLatch Latch, BlockEntryCache Cache, BlockCounters Counters)
{
    /// <summary>Large reads of late.</summary>
    public SeenReads Seen { get; } = new();
}

/// <summary>The blocks of one open drive.</summary>
/// <remarks>
/// Thread safe. A block is, in this order: being written (room taken, id reserved), pending (its bytes are written, but
/// perhaps not durable; readable, known to memory only), indexed (durable bytes, entry in the key-value log), and, when
/// dropped, releasing (entry deleted, perhaps not durably; its room not free yet). <c>gate</c> guards the allocator and
/// these states, and is held over index writes, which only go to memory; never over syncs and data. Reads do not take it.
/// </remarks>
internal sealed partial class DriveStore
{
    /// <summary>Pieces into which a block is split without need; more, and the idvd rather grows.</summary>
    private const int PreferredExtents = 8;

    /// <summary>Pending blocks above which a writer syncs by itself: bounds what a crash discards, and memory.</summary>
    private const int MaxPending = 1024;

    /// <summary>Extents from so many bytes on are given back to the file system when freed: below, the hole costs more
    /// than it saves, and writing into it again must allocate.</summary>
    private const int PunchBytes = 1 << 20;

    /// <summary>Free chunks that stay at the end, so that a drive that breathes does not resize its file.</summary>
    private const int SpareChunks = 4;

    private readonly object gate = new();
    private readonly StoreContext context;
    private readonly DriveId drive;
    private readonly DriveFolder folder;
    private readonly IDiskFile idvd;
    private readonly BuddyAllocator allocator;
    private readonly ulong generation;
    private readonly ConcurrentDictionary<ulong, BlockIndexEntry> pending = new();
    private readonly Dictionary<ulong, Extent[]> writing = [];
    private readonly List<Extent> releasing = [];
    private readonly GroupCommit sync;
    private readonly Rundown users = new();
    private readonly List<KeyValuePair<ulong, BlockIndexEntry>> syncing = [];
    private readonly KeyValueBatch indexBatch = new();
    private readonly ByteBuffer recordBuffer = new();
    private readonly bool isSealed;
    private QuarantineTotals quarantine;
    private int pendingCount;

    internal DriveStore(
        StoreContext context, DriveId drive, DriveFolder folder, IDiskFile idvd, DriveRoom room, DriveFolderRecord record, bool isReadOnly)
    {
        this.context = context;
        this.drive = drive;
        this.folder = folder;
        this.idvd = idvd;
        generation = record.Generation;
        Spread = record.Spread;
        allocator = room.Allocator;
        isSealed = room.IsSealed;
        quarantine = room.Quarantine;
        IsReadOnly = isReadOnly;
        sync = new GroupCommit(SyncPending);
    }

    /// <summary>Percent of the pool's shards over which the drive's blocks are spread; 0: they are with the drive.</summary>
    internal int Spread { get; }

    /// <summary>Opened to look at, perhaps damaged: nothing may change.</summary>
    internal bool IsReadOnly { get; }

    /// <summary>Keeps the drive open until <see cref="Leave"/>; false once it is closing.</summary>
    internal bool TryEnter() => users.TryEnter();

    internal void Leave() => users.Leave();

    /// <summary>Writes a block's bytes and makes it readable; nothing is durable, nothing may refer to it yet.</summary>
    internal Status Write(BlockId id, ReadOnlySpan<byte> content, SpaceUse use)
    {
        if (IsReadOnly) { return Status.ReadOnly; }
        if (content.Length is 0 or > Limits.BlockBytes) { return Status.Invalid; }
        if (context.Latch.IsFailed) { return Status.IoError; }
        if (Volatile.Read(ref pendingCount) >= MaxPending && Sync() is var synced and not Status.Ok) { return synced; }

        uint[] checksums = BlockBytes.Checksum(content);
        Status reserved = ReserveId(id, content.Length, checksums, out bool isThere);
        if (reserved != Status.Ok || isThere) { return reserved; }
        Extent[] extents = [];
        Status status = context.Space.Take(content.Length, use);
        bool isTaken = status == Status.Ok;
        try
        {
            if (isTaken) { status = TakeRoom(id, content.Length, out extents); }
            if (status == Status.Ok) { status = BlockBytes.Write(idvd, extents, content); }
        }
        finally
        {
            if (isTaken) { context.Space.Taken(content.Length, use); }
        }

        return EndWrite(id, extents, status == Status.Ok ? new(content.Length, extents, checksums) : null, status);
    }

    /// <summary>Makes the bytes of every block durable whose write returned before, then puts their entries into the
    /// key-value log. A sync of that log makes them durable, before anything that is written to it afterwards.</summary>
    internal Status Sync() => context.Latch.IsFailed ? Status.IoError : sync.Commit();

    /// <summary>Finds a block's entry: its bytes may be read at once.</summary>
    internal Status Find(BlockId id, bool useCache, out BlockIndexEntry? entry)
    {
        BlockName name = new(drive, id);
        if (useCache && context.Cache.TryGet(name, out entry)) { return Status.Ok; }

        // Pending first: a block leaves it only when its entry is in the key-value store.
        if (pending.TryGetValue(id.Value, out entry)) { return Status.Ok; }
        Status status = ReadEntry(id, out entry);
        if (status == Status.Ok) { context.Cache.Put(name, entry!); }
        return status;
    }

    internal Status Read(BlockIndexEntry entry, int offset, Span<byte> destination) =>
        BlockBytes.Read(
            idvd, entry, offset, destination, entry.Extents.Length > 0 && context.Seen.IsFirst(drive, entry.Extents[0].Offset + offset, destination.Length));

    internal bool TryReadCached(BlockIndexEntry entry, int offset, Span<byte> destination) =>
        BlockBytes.TryReadCached(idvd, entry, offset, destination);

    internal void Prefetch(BlockIndexEntry entry, int offset, int length) =>
        BlockBytes.Prefetch(idvd, entry, offset, length);

    internal long UsedBytes
    {
        get
        {
            lock (gate) { return allocator.CapacityBytes - allocator.FreeBytes; }
        }
    }

    internal DriveStatistics GetStatistics()
    {
        lock (gate)
        {
            return new DriveStatistics(
                allocator.CapacityBytes, allocator.FreeBytes, pending.Count, sync.Runs, allocator.CountFreeBuddies(),
                quarantine.Blocks, quarantine.Bytes);
        }
    }

    /// <summary>Index and bitmap as they are together at one moment.</summary>
    internal DriveMoment TakeMoment()
    {
        lock (gate)
        {
            List<Extent> unindexed = [.. releasing];
            foreach (BlockIndexEntry entry in pending.Values) { unindexed.AddRange(entry.Extents); }
            foreach (Extent[] extents in writing.Values) { unindexed.AddRange(extents); }
            return new DriveMoment(context.Store.CreateSnapshot(), allocator.Clone(), unindexed);
        }
    }

    /// <summary>Waits until nobody uses the drive, and lets nobody in any more.</summary>
    internal void StopUsers() => users.CloseAndWait();

    /// <summary>Closes the files. An orderly close leaves a bitmap that the next opening may believe.</summary>
    internal Status Close(bool saveBitmap)
    {
        Status status = Status.Ok;
        if (saveBitmap && !IsReadOnly && !context.Latch.IsFailed)
        {
            status = Sync();
            if (status == Status.Ok) { status = context.Store.SyncLog(); }

            // The length that the bitmap tells of must be there, even if the last growth was for nothing.
            if (status == Status.Ok) { status = idvd.Sync(); }
            Invariant.Check(writing.Count == 0);

            // A sealed drive's bitmap says that all is used: the next opening looks again.
            if (status == Status.Ok && releasing.Count == 0 && !isSealed) { status = folder.SaveBitmap(generation, allocator); }
        }

        idvd.Dispose();
        return status;
    }

    /// <summary>Reserves the id for this writer, unless the block is there already.</summary>
    private Status ReserveId(BlockId id, int length, uint[] checksums, out bool isThere)
    {
        isThere = false;
        lock (gate)
        {
            if (writing.ContainsKey(id.Value)) { return Status.Busy; }
            if (pending.TryGetValue(id.Value, out BlockIndexEntry? same))
            {
                isThere = true;
                return same.HasContent(length, checksums) ? Status.Ok : Status.Exists;
            }

            writing.Add(id.Value, []);
        }

        Status status = ReadEntry(id, out BlockIndexEntry? indexed);
        if (status == Status.NotFound) { return Status.Ok; }
        lock (gate) { writing.Remove(id.Value); }
        if (indexed is null) { return status; }
        isThere = true;
        return indexed.HasContent(length, checksums) ? Status.Ok : Status.Exists;
    }

    private Status TakeRoom(BlockId id, int length, out Extent[] extents)
    {
        extents = [];
        List<Extent> found = [];
        lock (gate)
        {
            if (!allocator.TryAllocate(length, PreferredExtents, found))
            {
                Status status = Grow();
                if (status != Status.Ok && status != Status.NoSpace) { return status; }

                // Without growth, take what pieces there are.
                if (!allocator.TryAllocate(length, Extent.MaxUnits, found)) { return Status.NoSpace; }
            }

            extents = [.. found];
            writing[id.Value] = extents;
        }

        return Status.Ok;
    }

    private Status Grow()
    {
        if (!allocator.TryGrow(1)) { return Status.NoSpace; }
        Status status = idvd.SetLength(allocator.CapacityBytes);
        if (status != Status.Ok) { allocator.Shrink(1); }
        return status == Status.TooLarge ? Status.NoSpace : status;
    }

    private Status EndWrite(BlockId id, Extent[] extents, BlockIndexEntry? written, Status status)
    {
        lock (gate)
        {
            writing.Remove(id.Value);
            if (written is not null)
            {
                pending[id.Value] = written;
                pendingCount++;
                context.Cache.Put(new BlockName(drive, id), written);
            }
            else if (status == Status.NoSpace)
            {
                foreach (Extent extent in extents) { allocator.Free(extent); }
            }
        }

        if (written is not null)
        {
            context.Counters.OnWritten(written.Length);
            return Status.Ok;
        }

        // What a failed write left in the extents is unknown, so they stay taken until the bitmap is rebuilt.
        return status == Status.NoSpace
            ? status
            : context.Latch.Fail($"Writing block {new BlockName(drive, id)} to '{folder.IdvdPath}' failed: {status}.");
    }

    /// <summary>The group commit's work; one thread at a time.</summary>
    private Status SyncPending()
    {
        lock (gate)
        {
            syncing.Clear();
            foreach (KeyValuePair<ulong, BlockIndexEntry> block in pending) { syncing.Add(block); }
        }

        if (syncing.Count == 0) { return Status.Ok; }

        // The index lists blocks in the order of their ids whatever the dictionary's order was.
        syncing.Sort(static (left, right) => left.Key.CompareTo(right.Key));
        if (idvd.Sync() is var synced and not Status.Ok)
        {
            return context.Latch.Fail($"Syncing '{folder.IdvdPath}' failed: {synced}.");
        }

        return IndexSynced();
    }

    private Status IndexSynced()
    {
        Span<byte> key = stackalloc byte[BlockKey.Size];
        lock (gate)
        {
            indexBatch.Clear();
            foreach ((ulong id, BlockIndexEntry entry) in syncing)
            {
                // A block that was dropped meanwhile was never indexed, and is not now.
                if (!pending.TryGetValue(id, out BlockIndexEntry? current) || current != entry) { continue; }
                BlockKey.Write(new BlockName(drive, new BlockId(id)), key);
                entry.Write(recordBuffer);
                indexBatch.Put(Family.Block, key, recordBuffer.Span);
            }

            Status status = context.Store.Write(indexBatch, logged: true);
            if (status == Status.NoSpace) { return status; }
            if (status != Status.Ok) { return context.Latch.Fail($"Writing the block index failed: {status}."); }
            foreach ((ulong id, BlockIndexEntry entry) in syncing)
            {
                if (pending.TryRemove(new KeyValuePair<ulong, BlockIndexEntry>(id, entry))) { pendingCount--; }
            }
        }

        return Status.Ok;
    }

    private Status ReadEntry(BlockId id, out BlockIndexEntry? entry)
    {
        entry = null;
        Span<byte> key = stackalloc byte[BlockKey.Size];
        BlockKey.Write(new BlockName(drive, id), key);
        ByteBuffer value = t_value ??= new ByteBuffer();
        value.Clear();
        try
        {
            if (!context.Store.TryGet(Family.Block, key, value)) { return Status.NotFound; }
        }
        catch (StorageException failure)
        {
            context.Counters.OnReadError();
            return failure.Status;
        }

        Status status = BlockIndexEntry.Read(value.Span, out entry);
        if (status != Status.Ok) { context.Counters.OnCorrupt(); }
        return status;
    }

    [ThreadStatic]
    private static ByteBuffer? t_value;
}
