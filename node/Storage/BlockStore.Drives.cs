using System.Collections.Immutable;
using KvFs.Core;

namespace KvFs.Node.Storage;

public sealed partial class BlockStore
{
    /// <summary>Bytes of index entries kept in memory: some 20,000 blocks of 4 MiB.</summary>
    public const long EntryCacheBytes = 8L << 20;

    /// <summary>Takes the data folder, finishes what a crash interrupted, and looks around. Drives stay closed until
    /// <see cref="OpenDrive"/>.</summary>
    /// <param name="disk">The data folder.</param>
    /// <param name="store">The key-value store of the same folder; stays its owner's.</param>
    /// <param name="newDiskId">The identity that the disk gets if it has none yet.</param>
    /// <exception cref="StorageException">InUse: another process has the folder; else what the disk or the key-value store
    /// answered. The message says what to do.</exception>
    public static BlockStore Open(IDisk disk, IKeyValueStore store, DiskId newDiskId)
    {
        Status status = disk.TryLock(LockFile, out IDisposable? heldLock);
        if (heldLock is null)
        {
            throw new StorageException(status, status == Status.InUse
                ? "Another process uses this data folder. Stop it, or name another folder."
                : $"The data folder cannot be locked ({status}). Check its owner and rights.");
        }

        try
        {
            StoreContext context = new(
                disk, store, new SpaceGuard(disk), new FailureLatch(), new BlockEntryCache(EntryCacheBytes), new BlockCounters());
            BlockStore opened = new(context, LoadDiskId(store, newDiskId), heldLock);
            opened.MakeParent();
            opened.FinishInterrupted();
            opened.LookForUnknownFolders();
            heldLock = null;
            return opened;
        }
        finally
        {
            heldLock?.Dispose();
        }
    }

    /// <summary>The drives that this node has, open or not, in the order of their RUIDs.</summary>
    /// <exception cref="StorageException">The disk cannot give the records back.</exception>
    public ImmutableArray<DriveId> ListDrives() => [.. ListSpreads().Select(static known => known.Drive)];

    /// <summary>As <see cref="ListDrives"/>, each with its spread.</summary>
    /// <exception cref="StorageException">The disk cannot give the records back.</exception>
    internal ImmutableArray<(DriveId Drive, int Spread)> ListSpreads() =>
    [
        .. ReadRecords().Where(static known => known.Record.State == DriveFolderState.Active)
            .Select(static known => (known.Drive, known.Record.Spread)),
    ];

    /// <summary>Percent of the pool's shards over which a drive's blocks are spread; 0 also if this node has nothing of the drive.</summary>
    /// <exception cref="StorageException">The disk cannot give the records back.</exception>
    internal int SpreadOf(DriveId drive) =>
        Volatile.Read(ref open).TryGetValue(drive, out DriveStore? store) ? store.Spread : FindRecord(drive)?.Spread ?? 0;

    /// <summary>Makes an empty drive and opens it; it is durable when this returns.</summary>
    /// <param name="drive">Which one.</param>
    /// <param name="spread">Percent of the pool's shards over which its blocks are spread.</param>
    public StorageResult CreateDrive(DriveId drive, int spread = ShardOfBlock.DefaultSpread)
    {
        lock (admin)
        {
            if (IsFailed) { return Failed(); }
            DriveFolderRecord? known = FindRecord(drive);
            if (known is { State: DriveFolderState.Active }) { return new(Status.Exists, $"Drive {drive} exists."); }

            // An earlier try may have failed half way, on a full disk for example.
            Status status = known is null ? Status.Ok : FinishDelete(drive);
            List<string> folders = [];
            if (status == Status.Ok) { status = context.Disk.List(DriveFolder.Parent, folders); }
            if (status == Status.Ok && folders.Contains(drive.ToString()))
            {
                return new(Status.Exists, $"There is a folder '{DriveFolder.Parent}/{drive}' that this node did not make. "
                    + "Move it away.");
            }

            // 1. Say what is going to be made, so that a crash leaves nothing unexplained. 2. Make it. 3. Say that it is.
            if (status == Status.Ok) { status = context.Space.Check(Superblock.Size, SpaceUse.Data); }
            if (status == Status.Ok) { status = Record(drive, new(DriveFolderState.Creating, 0) { Spread = spread }); }
            if (status == Status.Ok) { status = MakeFolder(drive, spread); }
            if (status != Status.Ok) { return new(status, $"Drive {drive} could not be made ({status})."); }
            return OpenLocked(drive, readOnly: false);
        }
    }

    /// <summary>Opens a drive for use; Ok if it is open already.</summary>
    /// <param name="drive">Which one.</param>
    /// <param name="readOnly">Opens it to look at, even if it is damaged; nothing is changed.</param>
    public StorageResult OpenDrive(DriveId drive, bool readOnly = false)
    {
        lock (admin)
        {
            return IsFailed && !readOnly ? Failed() : OpenLocked(drive, readOnly);
        }
    }

    /// <summary>Opens a drive for use, and makes it if it is not there: for who keeps copies, whose blocks may come before anything
    /// else of it.</summary>
    /// <param name="drive">Which one.</param>
    /// <param name="spread">Percent of the pool's shards over which its blocks are spread.</param>
    public StorageResult OpenOrCreateDrive(DriveId drive, int spread)
    {
        StorageResult opened = OpenDrive(drive);
        if (opened.Status == Status.NotFound) { opened = CreateDrive(drive, spread); }

        // Somebody was faster.
        if (opened.Status == Status.Exists) { opened = OpenDrive(drive); }
        return !opened.IsOk || SpreadOf(drive) == spread
            ? opened
            : new(Status.Conflict, $"Drive {drive} is on this disk with another spread than {spread} percent. Say so to who makes KvFs: nothing was changed.");
    }

    /// <summary>Closes a drive when the last one who uses it is done; Ok if it is not open.</summary>
    public Status CloseDrive(DriveId drive)
    {
        lock (admin) { return CloseLocked(drive); }
    }

    /// <summary>Removes a drive with all its blocks for good: durable when this returns. A folder that is not this node's
    /// is left alone.</summary>
    /// <param name="drive">Which one.</param>
    /// <param name="spread">Percent of the pool's shards over which its blocks are spread; null: as this node's folder says, which may
    /// be gone when others still have theirs.</param>
    public StorageResult DeleteDrive(DriveId drive, int? spread = null)
    {
        if (Copies is { } copies) { copies.Drop(drive, spread ?? SpreadOf(drive), []); }
        return DeleteOwnCopy(drive);
    }

    /// <summary>As <see cref="DeleteDrive"/>, but here alone.</summary>
    public StorageResult DeleteOwnCopy(DriveId drive)
    {
        lock (admin)
        {
            if (IsFailed) { return Failed(); }
            if (FindRecord(drive) is not { } record) { return new(Status.NotFound, $"There is no drive {drive}."); }
            Mender.Forget(drive);
            if (open.TryGetValue(drive, out DriveStore? store))
            {
                Volatile.Write(ref open, open.Remove(drive));
                store.StopUsers();
                store.Close(saveBitmap: false);
            }

            Status status = Record(drive, record with { State = DriveFolderState.Deleting });
            if (status == Status.Ok) { status = FinishDelete(drive); }
            return status == Status.Ok ? StorageResult.Ok : new(status, $"Drive {drive} could not be removed ({status}).");
        }
    }

    private static DiskId LoadDiskId(IKeyValueStore store, DiskId newDiskId)
    {
        ByteBuffer value = new();
        if (store.TryGet(Family.System, DiskIdentityRecord.Key, value))
        {
            Status read = DiskIdentityRecord.Read(value.Span, out DiskId known);
            return read == Status.Ok
                ? known
                : throw new StorageException(
                    read, $"The disk's identity in the key-value store cannot be read. {StorageException.AdviceFor(read)}");
        }

        Span<byte> record = stackalloc byte[DiskIdentityRecord.Size];
        DiskIdentityRecord.Write(newDiskId, record);
        KeyValueBatch batch = new();
        batch.Put(Family.System, DiskIdentityRecord.Key, record);
        Require(store.Write(batch, logged: true), "write the disk's identity");
        Require(store.SyncLog(), "write the disk's identity");
        return newDiskId;
    }

    private static void Require(Status status, string what)
    {
        if (status != Status.Ok) { throw new StorageException(status, $"Could not {what} ({status})."); }
    }

    private StorageResult Failed() => new(Status.IoError, $"The disk failed, so nothing is changed any more: {Failure}");

    private void MakeParent()
    {
        Status made = context.Disk.CreateDirectory(DriveFolder.Parent);
        if (made == Status.Exists) { return; }
        Require(made, $"make the folder '{DriveFolder.Parent}'");
        Require(context.Disk.SyncDirectory(""), "sync the data folder");
    }

    private void FinishInterrupted()
    {
        foreach ((DriveId drive, DriveFolderRecord record) in ReadRecords())
        {
            // A creation was not acknowledged, so its folder goes too; the blocks' index is empty then.
            if (record.State != DriveFolderState.Active) { Require(FinishDelete(drive), $"remove drive {drive}"); }
        }
    }

    private void LookForUnknownFolders()
    {
        List<string> folders = [];
        Require(context.Disk.List(DriveFolder.Parent, folders), $"list '{DriveFolder.Parent}'");
        HashSet<string> known = [.. ReadRecords().Select(static record => record.Drive.ToString())];
        Findings =
        [
            .. folders.Where(folder => !known.Contains(folder)).Select(static folder =>
                $"'{DriveFolder.Parent}/{folder}' belongs to no drive of this node. It is left alone: move it to where it "
                + "came from, or away."),
        ];
    }

    private Status MakeFolder(DriveId drive, int spread)
    {
        Status status = new DriveFolder(context.Disk, drive).Create(diskId);
        return status == Status.Ok ? Record(drive, new(DriveFolderState.Active, 0) { Spread = spread }) : status;
    }

    /// <summary>Removes what is left of a drive. Each step may have been done before.</summary>
    private Status FinishDelete(DriveId drive)
    {
        Span<byte> from = stackalloc byte[BlockKey.PrefixSize];
        Span<byte> to = stackalloc byte[BlockKey.PrefixSize];
        BlockKey.WritePrefix(drive, from);
        BlockKey.WriteEnd(drive, to);
        KeyValueBatch batch = new();
        batch.DeleteRange(Family.Block, from, to);
        QuarantineRecord.WritePrefix(drive, from);
        QuarantineRecord.WriteEnd(drive, to);
        batch.DeleteRange(Family.Block, from, to);
        Status status = Commit(batch);
        if (status != Status.Ok) { return status; }

        Status removed = new DriveFolder(context.Disk, drive).Remove();
        if (removed is not (Status.Ok or Status.NotEmpty)) { return removed; }
        batch.Clear();
        Span<byte> key = stackalloc byte[DriveFolderRecord.KeySize];
        DriveFolderRecord.WriteKey(drive, key);
        batch.Delete(Family.System, key);
        return Commit(batch);
    }

    private Status Commit(KeyValueBatch batch)
    {
        Status status = context.Store.Write(batch, logged: true);
        return status == Status.Ok ? context.Store.SyncLog() : status;
    }

    private StorageResult OpenLocked(DriveId drive, bool readOnly)
    {
        if (disposed) { return new(Status.Stale, "The store is closed."); }
        if (open.TryGetValue(drive, out DriveStore? store))
        {
            return store.IsReadOnly && !readOnly
                ? new(Status.InUse, $"Drive {drive} is open for reading only. Close it first.")
                : StorageResult.Ok;
        }

        if (FindRecord(drive) is not { State: DriveFolderState.Active } record)
        {
            return new(Status.NotFound, $"There is no drive {drive}.");
        }

        StorageResult result = DriveOpening.Open(
            context, drive, diskId, record, readOnly, mayMend: Mender.Source is not null, out store);
        if (store is not null) { Volatile.Write(ref open, open.Add(drive, store)); }
        return result;
    }

    private Status CloseLocked(DriveId drive)
    {
        if (!open.TryGetValue(drive, out DriveStore? store)) { return Status.Ok; }
        Volatile.Write(ref open, open.Remove(drive));
        store.StopUsers();
        return store.Close(saveBitmap: true);
    }

    private Status Record(DriveId drive, DriveFolderRecord record) => DriveOpening.WriteRecord(context, drive, record);

    private DriveFolderRecord? FindRecord(DriveId drive)
    {
        Span<byte> key = stackalloc byte[DriveFolderRecord.KeySize];
        DriveFolderRecord.WriteKey(drive, key);
        ByteBuffer value = new();
        return context.Store.TryGet(Family.System, key, value) ? Decode(drive, value.Span) : null;
    }

    private static DriveFolderRecord Decode(DriveId drive, ReadOnlySpan<byte> value)
    {
        Status status = DriveFolderRecord.Read(value, out DriveFolderRecord record);
        return status == Status.Ok ? record : throw UnreadableRecord(drive, status);
    }

    private static StorageException UnreadableRecord(DriveId drive, Status status) => new(
        status, $"The record of drive {drive} in the key-value store cannot be read. {StorageException.AdviceFor(status)}");

    private List<(DriveId Drive, DriveFolderRecord Record)> ReadRecords()
    {
        List<(DriveId, DriveFolderRecord)> records = [];
        using IRecordCursor cursor = context.Store.OpenCursor(
            Family.System, DriveFolderRecord.FirstKey, DriveFolderRecord.EndKey);
        while (cursor.MoveNext())
        {
            if (!DriveFolderRecord.TryReadKey(cursor.Key, out DriveId drive)) { throw UnreadableRecord(drive, Status.Corrupt); }
            records.Add((drive, Decode(drive, cursor.Value)));
        }

        return records;
    }
}
