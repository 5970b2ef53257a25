using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>Opens a drive's folder: checks whose it is, and takes or rebuilds its bitmap.</summary>
/// <remarks>For writing, everything must fit together, because what is not known to be used could be given away. For
/// reading only, as verification needs it, damage is passed over: reads will find it.</remarks>
internal static class DriveOpening
{
    internal static StorageResult Open(
        StoreContext context, DriveId drive, DiskId diskId, ulong lastGeneration, bool readOnly, out DriveStore? opened)
    {
        opened = null;
        DriveFolder folder = new(context.Disk, drive);
        StorageResult superblock = folder.CheckSuperblock(diskId);
        if (!superblock.IsOk) { return superblock; }
        Status status = folder.OpenIdvd(out IDiskFile? idvd);
        if (idvd is null)
        {
            return new(status, $"'{folder.IdvdPath}' cannot be opened ({status}). Restore it from a backup of the data "
                + "folder, or drop the drive.");
        }

        StorageResult allocated = LoadAllocator(context, drive, folder, idvd, lastGeneration, readOnly, out var allocator);
        if (allocated.IsOk && !readOnly) { allocated = RaiseGeneration(context, drive, lastGeneration + 1); }
        if (!allocated.IsOk)
        {
            idvd.Dispose();
            return allocated;
        }

        opened = new DriveStore(context, drive, folder, idvd, allocator, lastGeneration + 1, readOnly);
        return StorageResult.Ok;
    }

    /// <summary>Writes a drive's record and makes it durable.</summary>
    internal static Status WriteRecord(StoreContext context, DriveId drive, DriveFolderRecord record)
    {
        Span<byte> key = stackalloc byte[DriveFolderRecord.KeySize];
        Span<byte> value = stackalloc byte[DriveFolderRecord.Size];
        DriveFolderRecord.WriteKey(drive, key);
        record.Write(value);
        KeyValueBatch batch = new();
        batch.Put(Family.System, key, value);
        Status status = context.Store.Write(batch, logged: true);
        return status == Status.Ok ? context.Store.SyncLog() : status;
    }

    /// <remarks>Before the first allocation: from now on the bitmap on disk is older than its drive's record.</remarks>
    private static StorageResult RaiseGeneration(StoreContext context, DriveId drive, ulong generation)
    {
        Status status = WriteRecord(context, drive, new DriveFolderRecord(DriveFolderState.Active, generation));
        return status == Status.Ok
            ? StorageResult.Ok
            : new(status, $"The record of drive {drive} could not be written ({status}).");
    }

    private static StorageResult LoadAllocator(
        StoreContext context, DriveId drive, DriveFolder folder, IDiskFile idvd, ulong lastGeneration, bool readOnly,
        out BuddyAllocator allocator)
    {
        Status status = folder.LoadBitmap(out ulong generation, out allocator);
        Status measured = idvd.GetLength(out long length);
        if (measured != Status.Ok) { return new(measured, $"'{folder.IdvdPath}' cannot be measured ({measured})."); }
        if (status == Status.Ok && generation == lastGeneration && allocator.CapacityBytes <= length)
        {
            return StorageResult.Ok;
        }

        // An unclean stop, or a bitmap that cannot be believed: the index is the truth.
        allocator = new BuddyAllocator();
        int chunks = (int)Math.Min(length / BuddyAllocator.ChunkBytes, BuddyAllocator.MaxChunks);
        bool grew = allocator.TryGrow(chunks);
        Invariant.Check(grew);
        return Rebuild(context, drive, folder, allocator, readOnly);
    }

    private static StorageResult Rebuild(
        StoreContext context, DriveId drive, DriveFolder folder, BuddyAllocator allocator, bool readOnly)
    {
        try
        {
            using BlockCursor blocks = new(context.Store, drive);
            while (blocks.MoveNext())
            {
                if (blocks.Entry is null)
                {
                    if (readOnly) { continue; }
                    return new(blocks.Status, $"The index entry of block {blocks.Name} cannot be read ({blocks.Status}), so "
                        + $"it is not known which bytes of '{folder.IdvdPath}' are free. Run fsck; nothing was changed.");
                }

                foreach (Extent extent in blocks.Entry.Extents)
                {
                    if (allocator.TryReserve(extent) || readOnly) { continue; }
                    string problem = extent.End * Extent.UnitBytes > allocator.CapacityBytes
                        ? $"'{folder.IdvdPath}' is shorter than block {blocks.Name} says: it was cut"
                        : $"Block {blocks.Name} overlaps another block in '{folder.IdvdPath}'";
                    return new(Status.Corrupt, problem + ". Run fsck, or restore a backup; nothing was changed.");
                }
            }
        }
        catch (StorageException failure)
        {
            return new(failure.Status, $"The block index cannot be read. {failure.Message}");
        }

        return StorageResult.Ok;
    }
}
