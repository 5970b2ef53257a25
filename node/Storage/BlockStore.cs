using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using KvFs.Core;
using KvFs.Memory;

namespace KvFs.Node.Storage;

/// <summary>Keeps the blocks of a node's drives: bytes in <c>drives/&lt;RUID&gt;/idvd</c>, the index in the key-value
/// store's <c>block</c> family.</summary>
/// <remarks>
/// Thread safe. What is durable when (design section 4):
/// <list type="number">
/// <item><see cref="WriteBlockUnsynced"/>: the bytes are written and readable; only this process knows of the block.</item>
/// <item><see cref="SyncBlocks"/>: the bytes are durable, and the index entry is in the key-value log. Only now may
/// anything that is written down refer to the block: what enters that log later can be durable only if the entry is.</item>
/// <item><see cref="IKeyValueStore.SyncLog"/>, the caller's own for its log entry: all of it is durable.</item>
/// </list>
/// So a transaction with data costs one fdatasync and one sync of the log, both shared with whoever else waits.
/// <see cref="WriteBlock"/> does the three at once. A failed write or sync latches the store: it acknowledges nothing any
/// more, reads go on.
/// </remarks>
public sealed partial class BlockStore : IDisposable
{
    private const string LockFile = "LOCK";

    /// <summary>How often a read looks a block up again that moved or vanished under it.</summary>
    private const int ReadAttempts = 3;

    private readonly object admin = new();
    private readonly StoreContext context;
    private readonly DiskId diskId;
    private readonly IDisposable heldLock;
    private ImmutableDictionary<DriveId, DriveStore> open = ImmutableDictionary<DriveId, DriveStore>.Empty;
    private bool disposed;

    private BlockStore(StoreContext context, DiskId diskId, IDisposable heldLock)
    {
        this.context = context;
        this.diskId = diskId;
        this.heldLock = heldLock;
        Mender = new(this, context.Counters);
    }

    /// <summary>The identity of this disk.</summary>
    public DiskId DiskId => diskId;

    /// <summary>Whether a write or sync has failed for good; the node must stop acknowledging.</summary>
    public bool IsFailed => context.Latch.IsFailed || context.Store.IsFailed;

    /// <summary>What failed, for people; null while nothing has.</summary>
    public string? Failure => context.Latch.Reason ?? context.Store.Failure;

    /// <summary>Asked before work is accepted, so that the key-value store never meets a full disk.</summary>
    public SpaceGuard Space => context.Space;

    /// <summary>Where else blocks are kept; null: nowhere.</summary>
    public IBlockCopies? Copies { get; set; }

    /// <summary>Sees to blocks that are bad here.</summary>
    public BlockMender Mender { get; }

    /// <summary>What opening found that needs a person: folders of unknown drives, left alone.</summary>
    public ImmutableArray<string> Findings { get; private set; } = [];

    /// <summary>Writes a block; it is durable when this returns.</summary>
    /// <param name="block">Its name. A name stands for one content only.</param>
    /// <param name="content">1 byte to 16 MiB; in <see cref="AlignedMemory"/> it is not copied.</param>
    /// <returns>Ok, also if it was there with the same content; Exists: there with other content; NotFound: no such open
    /// drive; NoSpace; Busy: somebody is writing it now; Invalid; ReadOnly; IoError: the store is latched.</returns>
    public Status WriteBlock(BlockName block, ReadOnlySpan<byte> content)
    {
        Status status = WriteBlockSynced(block, content);
        return status == Status.Ok ? SyncIndex() : status;
    }

    /// <summary>Writes a block's bytes; nothing may refer to it before <see cref="SyncBlocks"/>.</summary>
    /// <returns>As <see cref="WriteBlock"/>.</returns>
    public Status WriteBlockUnsynced(BlockName block, ReadOnlySpan<byte> content, SpaceUse use = SpaceUse.Data)
    {
        if (IsSpread(block.Owner, out int spread)) { return Copies!.StoreSpread(block, spread, content, use); }
        Status status = WriteOwnCopy(block, content, use);
        return status == Status.Ok && Copies is { } copies ? copies.Store(block, content, static () => Status.Ok) : status;
    }

    /// <summary>As <see cref="WriteBlockUnsynced"/> and <see cref="SyncBlocks"/>: this disk syncs while the other copies get the
    /// block.</summary>
    public Status WriteBlockSynced(BlockName block, ReadOnlySpan<byte> content)
    {
        if (IsSpread(block.Owner, out int spread)) { return Copies!.StoreSpread(block, spread, content, SpaceUse.Data); }
        Status status = WriteOwnCopy(block, content, SpaceUse.Data);
        if (status != Status.Ok) { return status; }
        return Copies is { } copies ? copies.Store(block, content, () => SyncBlocks(block.Owner)) : SyncBlocks(block.Owner);
    }

    /// <summary>As <see cref="WriteBlockUnsynced"/>, but here alone: for who keeps a copy for another node.</summary>
    public Status WriteOwnCopy(BlockName block, ReadOnlySpan<byte> content, SpaceUse use)
    {
        if (!TryEnter(block.Owner, out DriveStore? drive)) { return Status.NotFound; }
        try
        {
            return drive!.Write(block.Id, content, use);
        }
        finally
        {
            drive!.Leave();
        }
    }

    /// <summary>Makes the bytes of every block of the drive durable whose write returned before, and puts their entries
    /// into the key-value log.</summary>
    /// <returns>Ok; NoSpace: some are not indexed yet, and another call tries again; NotFound; IoError.</returns>
    public Status SyncBlocks(DriveId owner)
    {
        if (!TryEnter(owner, out DriveStore? drive)) { return Status.NotFound; }
        try
        {
            return drive!.Sync();
        }
        finally
        {
            drive!.Leave();
        }
    }

    /// <summary>Reads a range of a block. Every 64 KiB that it touches is checked; what is bad here, or lies elsewhere, is fetched from who
    /// has it.</summary>
    /// <returns>Ok: the destination is full; NotFound; Invalid: the range exceeds the block; Busy: it is not here, and who has it does
    /// not answer now; Corrupt: the disk does not give back what was written, nobody else has it, and the destination is undefined.
    /// </returns>
    public Status ReadBlock(BlockName block, int offset, Span<byte> destination)
    {
        Status status = ReadOwnCopy(block, offset, destination);
        return status is Status.Corrupt or Status.NotFound ? Mender.Read(block, offset, destination, status) : status;
    }

    /// <summary>As <see cref="ReadBlock"/>, but here alone.</summary>
    public Status ReadOwnCopy(BlockName block, int offset, Span<byte> destination)
    {
        if (!TryEnter(block.Owner, out DriveStore? drive)) { return Status.NotFound; }
        try
        {
            return Read(drive!, block, offset, destination);
        }
        finally
        {
            drive!.Leave();
        }
    }

    /// <summary>Reads a range of a block within 64 KiB that are checked, if its entry and its bytes are in memory. False: they are not, or not
    /// good.</summary>
    public bool TryReadCached(BlockName block, int offset, Span<byte> destination)
    {
        if (!context.Cache.TryGet(block, out BlockIndexEntry? entry) || entry is null) { return false; }
        if (offset < 0 || offset > entry.Length - destination.Length || !TryEnter(block.Owner, out DriveStore? drive)) { return false; }
        try
        {
            if (!drive.TryReadCached(entry, offset, destination)) { return false; }
            context.Counters.OnRead(destination.Length);
            return true;
        }
        finally
        {
            drive.Leave();
        }
    }

    /// <summary>The length of a block: Ok, NotFound, or Corrupt. Who asks may do so to find out whether it has the block: what was used lately
    /// may have been dropped since, so the index is asked.</summary>
    public Status GetBlockLength(BlockName block, out int length)
    {
        length = 0;
        if (!TryEnter(block.Owner, out DriveStore? drive)) { return Status.NotFound; }
        try
        {
            Status status = drive!.Find(block.Id, useCache: false, out BlockIndexEntry? entry);
            length = entry?.Length ?? 0;
            return status;
        }
        finally
        {
            drive!.Leave();
        }
    }

    /// <summary>How long blocks of a spread drive are that are not kept here, as far as somebody tells; by number.</summary>
    internal IReadOnlyDictionary<ulong, uint> ListLengthsElsewhere(DriveId owner, ulong first, ulong last) =>
        IsSpread(owner, out int spread) && Mender.Source is { } source
            ? source.ListLengths(owner, spread, first, last)
            : ImmutableDictionary<ulong, uint>.Empty;

    /// <summary>Starts bringing a range of a block into memory; never fails, may do nothing.</summary>
    public void Prefetch(BlockName block, int offset, int length)
    {
        if (!TryEnter(block.Owner, out DriveStore? drive)) { return; }
        try
        {
            if (drive!.Find(block.Id, useCache: true, out BlockIndexEntry? entry) != Status.Ok || entry is null) { return; }
            if (offset < 0 || offset >= entry.Length) { return; }
            drive.Prefetch(entry, offset, Math.Min(length, entry.Length - offset));
        }
        finally
        {
            drive!.Leave();
        }
    }

    /// <summary>Removes blocks for good: durable when this returns. The caller knows that nothing refers to them, that
    /// this is durable, and that no reader will ask for them. Unknown ones are gone already; one whose index entry is damaged
    /// is counted and stays.</summary>
    /// <returns>Ok; NoSpace, IoError: some may be left, call again.</returns>
    public Status DropBlocks(DriveId owner, ReadOnlySpan<BlockId> ids)
    {
        if (Copies is { } copies) { copies.Drop(owner, SpreadOf(owner), ids); }
        return DropOwnCopies(owner, ids);
    }

    /// <summary>As <see cref="DropBlocks"/>, but here alone, and also if nobody has asked for anything of the drive since the start.</summary>
    public Status DropOwnCopies(DriveId owner, ReadOnlySpan<BlockId> ids)
    {
        Mender.Forget(owner, ids);
        if (!TryOpenAndEnter(owner, out DriveStore? drive)) { return Status.NotFound; }
        try
        {
            return drive!.Drop(ids);
        }
        finally
        {
            drive!.Leave();
        }
    }

    /// <summary>Walks the indexed blocks of a drive, from an id on.</summary>
    /// <exception cref="StorageException">The disk cannot give the index back.</exception>
    public BlockCursor OpenBlockCursor(DriveId drive, BlockId from = default) => new(context.Store, drive, from);

    /// <summary>Walks what is kept of a drive's bad blocks.</summary>
    /// <exception cref="StorageException">The disk cannot give the records back.</exception>
    internal QuarantineCursor OpenQuarantineCursor(DriveId drive) => new(context.Store, drive);

    /// <summary>Checks a drive, while it is in use: every entry, bounds, overlaps, the bitmap and, if asked, every byte.
    /// </summary>
    /// <returns>What was found; null if the drive is not open.</returns>
    /// <exception cref="StorageException">The disk cannot give the index back.</exception>
    /// <exception cref="OperationCanceledException">The caller has had enough.</exception>
    public DriveReport? VerifyDrive(
        DriveId owner, bool readBytes, Action<VerifyProgress>? onProgress, CancellationToken cancellation)
    {
        if (!TryEnter(owner, out DriveStore? drive)) { return null; }
        try
        {
            using DriveMoment moment = drive!.TakeMoment();
            return new DriveVerifier(context, owner, drive, moment, readBytes, onProgress).Run(cancellation);
        }
        finally
        {
            drive!.Leave();
        }
    }

    /// <summary>Gives the room of bad blocks back whose place a good copy has taken.</summary>
    /// <param name="owner">Of which drive; it must be open.</param>
    /// <param name="released">Gets the blocks whose bad bytes are gone.</param>
    /// <returns>Ok, also if some stay because their block is not good; NotFound: it is not open; ReadOnly; NoSpace; IoError.</returns>
    public Status ReleaseQuarantine(DriveId owner, List<BlockName> released)
    {
        if (!TryEnter(owner, out DriveStore? drive)) { return Status.NotFound; }
        try
        {
            return drive!.ReleaseQuarantine(released);
        }
        finally
        {
            drive!.Leave();
        }
    }

    public BlockStatistics GetStatistics() => context.Counters.Snapshot();

    /// <summary>Figures of an open drive; null if there is none.</summary>
    public DriveStatistics? GetStatistics(DriveId owner)
    {
        if (!TryEnter(owner, out DriveStore? drive)) { return null; }
        try
        {
            return drive!.GetStatistics();
        }
        finally
        {
            drive!.Leave();
        }
    }

    /// <summary>Closes every drive in order, so that the next opening finds its bitmaps, then releases the folder. The
    /// key-value store stays open: its owner closes it afterwards.</summary>
    public void Dispose()
    {
        lock (admin)
        {
            if (disposed) { return; }
            disposed = true;
            foreach (DriveId drive in open.Keys.Order()) { CloseLocked(drive); }
            heldLock.Dispose();
        }
    }

    /// <summary>Makes the index entries durable of all blocks that <see cref="SyncBlocks"/> was called for before.</summary>
    /// <returns>Ok; IoError: the store is latched.</returns>
    public Status SyncIndex()
    {
        Status status = context.Store.SyncLog();
        return status == Status.Ok ? status : context.Latch.Fail($"Syncing the key-value log failed: {status}.");
    }

    /// <summary>What is kept of bad blocks, of all drives that are open.</summary>
    internal QuarantineTotals Quarantine
    {
        get
        {
            QuarantineTotals sum = default;
            foreach (DriveStore drive in Volatile.Read(ref open).Values)
            {
                QuarantineTotals totals = drive.Quarantine;
                sum = new(sum.Blocks + totals.Blocks, sum.Bytes + totals.Bytes);
            }

            return sum;
        }
    }

    /// <summary>Bytes that the blocks of all open drives use.</summary>
    internal long UsedBytes
    {
        get
        {
            long bytes = 0;
            foreach (DriveStore drive in Volatile.Read(ref open).Values) { bytes += drive.UsedBytes; }
            return bytes;
        }
    }

    /// <summary>Reads a part of a block from the disk itself, and compares it with its checksums.</summary>
    /// <param name="block">Which; its drive is opened if it is not.</param>
    /// <param name="entry">Its entry, as it was a moment ago.</param>
    /// <param name="offset">A multiple of 64 KiB.</param>
    /// <param name="length">To the end of the block, or a multiple of 64 KiB.</param>
    /// <param name="buffer">Gets the bytes.</param>
    /// <returns>Ok; Corrupt, IoError: it is bad, or was dropped and its room used again; NotFound: its drive is not open.
    /// </returns>
    internal Status VerifyOwnCopy(BlockName block, BlockIndexEntry entry, int offset, int length, AlignedMemory buffer)
    {
        if (!TryOpenAndEnter(block.Owner, out DriveStore? drive)) { return Status.NotFound; }
        try
        {
            return drive.Verify(entry, offset, length, buffer);
        }
        finally
        {
            drive.Leave();
        }
    }

    /// <summary>Forgets what is remembered of a block's index entry: the next read asks the index.</summary>
    internal void ForgetEntry(BlockName block) => context.Cache.Remove(block);

    /// <summary>Whether a record says that something refers to a block. Ids never come to life again.</summary>
    internal bool IsReferredTo(BlockName block)
    {
        RecordKey key = RecordKey.Numbered(RecordKind.BlockLive, block.Id.Value);
        return context.Store.TryGet(Family.Namespace, key.In(block.Owner), new ByteBuffer());
    }

    /// <summary>Those of some blocks for which the records of this node know no use, as of one moment: neither referred to, granted, nor waiting
    /// to be dropped.</summary>
    internal List<ulong> FindUnknown(DriveId owner, IReadOnlyCollection<ulong> ids)
    {
        if (ids.Count == 0) { return []; }
        using IKeyValueSnapshot moment = context.Store.CreateSnapshot();
        return KnownBlocks.FindUnknown(new StoredDriveView(moment.Reader(Family.Namespace), [new(owner, CowNumber.Head)]), ids);
    }

    /// <summary>Whether blocks of an open drive may have to be kept on other nodes than those that keep its records.</summary>
    private bool IsSpread(DriveId owner, out int spread)
    {
        spread = Copies is not null && Volatile.Read(ref open).TryGetValue(owner, out DriveStore? drive) ? drive.Spread : 0;
        return spread != 0;
    }

    /// <summary>Keeps an open drive open until its Leave.</summary>
    internal bool TryEnter(DriveId owner, [NotNullWhen(true)] out DriveStore? drive) =>
        Volatile.Read(ref open).TryGetValue(owner, out drive) && drive.TryEnter();

    /// <summary>The same, also if nobody has asked for anything of the drive since the start. One that cannot be opened says nothing of its
    /// blocks.</summary>
    private bool TryOpenAndEnter(DriveId owner, [NotNullWhen(true)] out DriveStore? drive) =>
        TryEnter(owner, out drive) || (OpenDrive(owner).IsOk && TryEnter(owner, out drive));

    private Status Read(DriveStore drive, BlockName block, int offset, Span<byte> destination)
    {
        Status status = drive.Find(block.Id, useCache: true, out BlockIndexEntry? entry);
        for (int attempt = 1; status == Status.Ok; attempt++)
        {
            if (offset < 0 || offset > entry!.Length - destination.Length) { return Status.Invalid; }
            status = drive.Read(entry, offset, destination);
            if (status == Status.Ok)
            {
                context.Counters.OnRead(destination.Length);
                return Status.Ok;
            }

            // Perhaps the block was dropped meanwhile, and its room used again. The index knows.
            context.Cache.Remove(block);
            Status again = drive.Find(block.Id, useCache: false, out BlockIndexEntry? current);
            if (again != Status.Ok) { return again; }
            if (current!.Extents.SequenceEqual(entry.Extents) || attempt == ReadAttempts) { return OnBadRead(status); }
            entry = current;
            status = Status.Ok;
        }

        return status;
    }

    /// <summary>To the reader a sector that cannot be read is a wrong one: another replica has it.</summary>
    private Status OnBadRead(Status status)
    {
        if (status == Status.Corrupt) { context.Counters.OnCorrupt(); }
        else { context.Counters.OnReadError(); }
        return Status.Corrupt;
    }
}
