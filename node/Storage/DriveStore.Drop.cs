using KvFs.Core;

namespace KvFs.Node.Storage;

internal sealed partial class DriveStore
{
    /// <summary>Blocks of one round of a drop: bounds how long the gate is held.</summary>
    private const int DropBatch = 256;

    /// <summary>Removes blocks; their room may be used again only when their removal is durable. Unknown ones are gone
    /// already.</summary>
    internal Status Drop(ReadOnlySpan<BlockId> ids)
    {
        if (IsReadOnly) { return Status.ReadOnly; }
        while (!ids.IsEmpty)
        {
            ReadOnlySpan<BlockId> round = ids[..Math.Min(DropBatch, ids.Length)];
            ids = ids[round.Length..];
            Status status = DropRound(round);
            if (status != Status.Ok) { return status; }
        }

        return Status.Ok;
    }

    private Status DropRound(ReadOnlySpan<BlockId> ids)
    {
        if (context.Latch.IsFailed) { return Status.IoError; }

        // 1. Delete the entries, and remember whose room they were.
        List<Extent> freed = [];
        Status status = DeleteEntries(ids, freed);
        if (status != Status.Ok || freed.Count == 0) { return status; }

        // 2. Nobody may use the room before a crash can no longer bring the entries back.
        status = context.Store.SyncLog();
        if (status != Status.Ok) { return context.Latch.Fail($"Syncing the block index failed: {status}."); }

        // 3. Give large runs back to the file system, all if it has little left, while nobody else may write there. One
        //    that cannot be given back stays ours to write to, so the outcome does not matter.
        bool isShort = context.Space.IsShort();
        foreach (Extent extent in freed)
        {
            if (isShort || extent.Length >= PunchBytes) { idvd.PunchHole(extent.Offset, extent.Length); }
        }

        // 4. Only now they are free.
        lock (gate)
        {
            foreach (Extent extent in freed)
            {
                releasing.Remove(extent);
                allocator.Free(extent);
            }

            return GiveBackEnd();
        }
    }

    private Status DeleteEntries(ReadOnlySpan<BlockId> ids, List<Extent> freed)
    {
        Span<byte> key = stackalloc byte[BlockKey.Size];
        KeyValueBatch batch = new();
        lock (gate)
        {
            foreach (BlockId id in ids)
            {
                if (pending.TryRemove(id.Value, out BlockIndexEntry? unindexed))
                {
                    // Nothing durable names it, so its room is free at once.
                    pendingCount--;
                    foreach (Extent extent in unindexed.Extents) { allocator.Free(extent); }
                    context.Cache.Remove(new BlockName(drive, id));
                    continue;
                }

                Status found = ReadEntry(id, out BlockIndexEntry? entry);

                // Nobody knows what room a damaged entry names: it was counted, stays for a check to find, and keeps no
                // other block.
                if (found is Status.NotFound or Status.Corrupt) { continue; }

                if (entry is null) { return Forget(freed, found); }
                if (ContainsAny(freed, entry)) { continue; }
                BlockKey.Write(new BlockName(drive, id), key);
                batch.Delete(Family.Block, key);
                freed.AddRange(entry.Extents);
            }

            if (batch.Count == 0) { return Status.Ok; }
            Status status = context.Store.Write(batch, logged: true);
            if (status == Status.NoSpace) { return Forget(freed, status); }
            if (status != Status.Ok) { return context.Latch.Fail($"Writing the block index failed: {status}."); }
            releasing.AddRange(freed);
            foreach (BlockId id in ids) { context.Cache.Remove(new BlockName(drive, id)); }
            return Status.Ok;
        }
    }

    /// <summary>A round that is not carried out frees nothing.</summary>
    private static Status Forget(List<Extent> freed, Status status)
    {
        freed.Clear();
        return status;
    }

    /// <summary>Whether the caller named the block twice.</summary>
    private static bool ContainsAny(List<Extent> freed, BlockIndexEntry entry) => freed.Contains(entry.Extents[0]);

    /// <summary>Cuts free chunks off the end of the idvd, but for some spare ones.</summary>
    private Status GiveBackEnd()
    {
        int chunks = allocator.TrailingFreeChunks - SpareChunks;
        if (chunks <= 0) { return Status.Ok; }
        long length = allocator.CapacityBytes - ((long)chunks * BuddyAllocator.ChunkBytes);
        Status status = idvd.SetLength(length);
        if (status != Status.Ok) { return context.Latch.Fail($"Cutting '{folder.IdvdPath}' failed: {status}."); }
        allocator.Shrink(chunks);
        return Status.Ok;
    }
}
