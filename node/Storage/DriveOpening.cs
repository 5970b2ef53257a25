using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>Opens a drive's folder: checks whose it is, and takes or rebuilds its bitmap.</summary>
/// <remarks>For writing, everything must fit together, because what is not known to be used could be given away. For
/// reading only, as verification needs it, damage is passed over: reads will find it. Where blocks can be had from other nodes, an
/// index entry that cannot be read does not keep the drive closed, or nobody could mend it: see <see cref="DriveRoom"/>.</remarks>
internal static class DriveOpening
{
    internal static StorageResult Open(
        StoreContext context, DriveId drive, DiskId diskId, DriveFolderRecord record, bool readOnly, bool mayMend, out DriveStore? opened)
    {
        opened = null;
        ulong lastGeneration = record.Generation;
        DriveFolder folder = new(context.Disk, drive);
        StorageResult superblock = folder.CheckSuperblock(diskId);
        if (!superblock.IsOk) { return superblock; }
        Status status = folder.OpenIdvd(out IDiskFile? idvd);
        if (idvd is null)
        {
            return new(status, $"'{folder.IdvdPath}' cannot be opened ({status}). Restore it from a backup of the data "
                + "folder, or drop the drive.");
        }

        StorageResult allocated = LoadRoom(context, drive, folder, idvd, lastGeneration, readOnly, mayMend, out DriveRoom? room);
        if (allocated.IsOk && !readOnly) { allocated = RaiseGeneration(context, drive, record with { Generation = lastGeneration + 1 }); }
        if (!allocated.IsOk)
        {
            idvd.Dispose();
            return allocated;
        }

        opened = new DriveStore(context, drive, folder, idvd, room!, record with { Generation = lastGeneration + 1 }, readOnly);
        return StorageResult.Ok;
    }

    /// <summary>Writes a drive's record and makes it durable.</summary>
    internal static Status WriteRecord(StoreContext context, DriveId drive, DriveFolderRecord record)
    {
        Span<byte> key = stackalloc byte[DriveFolderRecord.KeySize];
        Span<byte> value = stackalloc byte[DriveFolderRecord.MaxSize];
        DriveFolderRecord.WriteKey(drive, key);
        record.Write(value);
        KeyValueBatch batch = new();
        batch.Put(Family.System, key, value[..record.Size]);
        Status status = context.Store.Write(batch, logged: true);
        return status == Status.Ok ? context.Store.SyncLog() : status;
    }

    /// <remarks>Before the first allocation: from now on the bitmap on disk is older than its drive's record.</remarks>
    private static StorageResult RaiseGeneration(StoreContext context, DriveId drive, DriveFolderRecord record)
    {
        Status status = WriteRecord(context, drive, record);
        return status == Status.Ok
            ? StorageResult.Ok
            : new(status, $"The record of drive {drive} could not be written ({status}).");
    }

    private static StorageResult LoadRoom(
        StoreContext context, DriveId drive, DriveFolder folder, IDiskFile idvd, ulong lastGeneration, bool readOnly, bool mayMend,
        out DriveRoom? room)
    {
        room = null;
        Status status = folder.LoadBitmap(out ulong generation, out BuddyAllocator allocator);
        Status measured = idvd.GetLength(out long length);
        if (measured != Status.Ok) { return new(measured, $"'{folder.IdvdPath}' cannot be measured ({measured})."); }
        bool isBelieved = status == Status.Ok && generation == lastGeneration && allocator.CapacityBytes <= length;
        try
        {
            // An unclean stop, or a bitmap that cannot be believed: the index is the truth.
            bool isSealed = false;
            StorageResult rebuilt = StorageResult.Ok;
            if (!isBelieved)
            {
                allocator = Grown(length);
                rebuilt = Rebuild(context, drive, folder, allocator, readOnly, mayMend, out isSealed);
            }

            if (!rebuilt.IsOk) { return rebuilt; }
            StorageResult kept = ReserveQuarantine(
                context, drive, folder, isBelieved ? null : allocator, readOnly, mayMend, out QuarantineTotals totals, out bool isUnknown);
            if (!kept.IsOk) { return kept; }
            isSealed |= isUnknown && !isBelieved;
            room = new(isSealed ? Used(allocator.ChunkCount) : allocator, isSealed, totals);
            return StorageResult.Ok;
        }
        catch (StorageException failure)
        {
            return new(failure.Status, $"The block index cannot be read. {failure.Message}");
        }
    }

    private static BuddyAllocator Grown(long length)
    {
        BuddyAllocator allocator = new();
        int chunks = (int)Math.Min(length / BuddyAllocator.ChunkBytes, BuddyAllocator.MaxChunks);
        bool grew = allocator.TryGrow(chunks);
        Invariant.Check(grew);
        return allocator;
    }

    /// <summary>An allocator that gives nothing away but what it grows by.</summary>
    private static BuddyAllocator Used(int chunks)
    {
        BuddyAllocator allocator = new();
        bool isUsed = allocator.TryGrow(chunks);
        for (int chunk = 0; chunk < chunks; chunk++)
        {
            const uint Units = BuddyAllocator.ChunkBytes / Extent.UnitBytes;
            isUsed &= allocator.TryReserve(new((uint)chunk * Units, Units));
        }

        Invariant.Check(isUsed);
        return allocator;
    }

    /// <summary>Marks what blocks use.</summary>
    /// <param name="context">Has the index.</param>
    /// <param name="drive">Whose.</param>
    /// <param name="folder">Names the files, for people.</param>
    /// <param name="allocator">Gets the marks.</param>
    /// <param name="readOnly">Damage is passed over.</param>
    /// <param name="mayMend">An entry that cannot be read may come from elsewhere.</param>
    /// <param name="isSealed">There is such an entry: nobody knows what is free.</param>
    private static StorageResult Rebuild(
        StoreContext context, DriveId drive, DriveFolder folder, BuddyAllocator allocator, bool readOnly, bool mayMend, out bool isSealed)
    {
        isSealed = false;
        using BlockCursor blocks = new(context.Store, drive);
        while (blocks.MoveNext())
        {
            if (blocks.Entry is null)
            {
                if (readOnly) { continue; }
                isSealed = true;
                if (mayMend && blocks.Status == Status.Corrupt) { continue; }
                return new(blocks.Status, $"The index entry of block {blocks.Name} cannot be read ({blocks.Status}), so "
                    + $"it is not known which bytes of '{folder.IdvdPath}' are free. Run fsck; nothing was changed.");
            }

            if (!Reserve(folder, allocator, blocks.Entry.Extents, blocks.Name, readOnly, out StorageResult problem)) { return problem; }
        }

        return StorageResult.Ok;
    }

    /// <summary>Counts what is kept of bad blocks, and marks it as used, if there is an allocator that does not know it.</summary>
    private static StorageResult ReserveQuarantine(
        StoreContext context, DriveId drive, DriveFolder folder, BuddyAllocator? allocator, bool readOnly, bool mayMend,
        out QuarantineTotals totals, out bool isUnknown)
    {
        totals = default;
        isUnknown = false;
        using QuarantineCursor kept = new(context.Store, drive);
        while (kept.MoveNext())
        {
            if (kept.Record is null)
            {
                if (readOnly) { continue; }
                isUnknown = true;
                if (mayMend && kept.Status == Status.Corrupt) { continue; }
                return new(kept.Status, $"What is kept of block {kept.Block}, which was bad, cannot be read ({kept.Status}), so "
                    + $"it is not known which bytes of '{folder.IdvdPath}' are free. Run fsck; nothing was changed.");
            }

            totals = new(totals.Blocks + 1, totals.Bytes + kept.Record.Bytes);
            if (allocator is null) { continue; }
            if (!Reserve(folder, allocator, kept.Record.Extents, kept.Block, readOnly, out StorageResult problem)) { return problem; }
        }

        return StorageResult.Ok;
    }

    private static bool Reserve(
        DriveFolder folder, BuddyAllocator allocator, ReadOnlySpan<Extent> extents, BlockName block, bool readOnly,
        out StorageResult problem)
    {
        problem = StorageResult.Ok;
        foreach (Extent extent in extents)
        {
            if (allocator.TryReserve(extent) || readOnly) { continue; }
            string what = extent.End * Extent.UnitBytes > allocator.CapacityBytes
                ? $"'{folder.IdvdPath}' is shorter than block {block} says: it was cut"
                : $"Block {block} overlaps another block in '{folder.IdvdPath}'";
            problem = new(Status.Corrupt, what + ". Run fsck, or restore a backup; nothing was changed.");
            return false;
        }

        return true;
    }
}

/// <summary>Which bytes of an idvd are free.</summary>
/// <param name="Allocator">Knows them.</param>
/// <param name="IsSealed">An index entry cannot be read, so nothing that was there is taken for free: what is written goes behind it,
/// until a good copy has taken the entry's place and the drive is opened again.</param>
/// <param name="Quarantine">What is kept of bad blocks.</param>
internal sealed record DriveRoom(BuddyAllocator Allocator, bool IsSealed, QuarantineTotals Quarantine);
