using KvFs.Core;
using KvFs.Memory;

namespace KvFs.Node.Storage;

internal sealed partial class DriveStore
{
    /// <summary>Records of bad blocks that one drive keeps: a disk that has more of them is to be replaced, not written to.</summary>
    private const int MaxQuarantined = 4096;

    /// <summary>Puts a good copy in the place of a bad one. The bad bytes stay where they are, and are given to nobody.</summary>
    /// <remarks>In order: (1) the good bytes are written elsewhere and synced; (2) one batch has the new index entry and the record of
    /// what is bad: only if the block is as it was found, because it may have been dropped meanwhile; (3) that is synced. A crash
    /// before (3) leaves the block as bad as it was, and nothing else is lost.</remarks>
    /// <param name="id">Which block.</param>
    /// <param name="bad">Its entry, whose bytes are bad; null: the entry itself cannot be read.</param>
    /// <param name="content">The good bytes.</param>
    /// <param name="quarantineBytes">Bytes of bad blocks that the drive may keep.</param>
    /// <returns>Ok: durable; NotFound: it was dropped meanwhile; Busy: it is being written; TooLarge: more is kept of bad blocks
    /// than may be; NoSpace; ReadOnly; IoError: the store is latched.</returns>
    internal Status Replace(BlockId id, BlockIndexEntry? bad, ReadOnlySpan<byte> content, long quarantineBytes)
    {
        if (IsReadOnly) { return Status.ReadOnly; }
        if (context.Latch.IsFailed) { return Status.IoError; }

        // What is bad before it was indexed is indexed first: a pending block has one state less to think of.
        if (pending.ContainsKey(id.Value) && Sync() is var synced and not Status.Ok) { return synced; }
        lock (gate)
        {
            if (writing.ContainsKey(id.Value) || pending.ContainsKey(id.Value)) { return Status.Busy; }
            if (quarantine.Blocks >= MaxQuarantined || quarantine.Bytes + RoomOf(bad) > quarantineBytes) { return Status.TooLarge; }
            writing.Add(id.Value, []);
        }

        // 1.
        Extent[] extents = [];
        Status status = context.Space.Take(content.Length, SpaceUse.Data);
        bool isTaken = status == Status.Ok;
        try
        {
            if (isTaken) { status = TakeRoom(id, content.Length, out extents); }
            if (status == Status.Ok) { status = BlockBytes.Write(idvd, extents, content); }
            if (status == Status.Ok) { status = idvd.Sync(); }
        }
        finally
        {
            if (isTaken) { context.Space.Taken(content.Length, SpaceUse.Data); }
        }

        if (status != Status.Ok)
        {
            lock (gate)
            {
                writing.Remove(id.Value);
                if (status == Status.NoSpace) { Free(extents); }
            }

            return status == Status.NoSpace
                ? status
                : context.Latch.Fail($"Writing block {new BlockName(drive, id)} to '{folder.IdvdPath}' failed: {status}.");
        }

        // 2, 3.
        status = Swap(id, bad, new(content.Length, extents, BlockBytes.Checksum(content)));
        if (status != Status.Ok) { return status; }
        status = context.Store.SyncLog();
        return status == Status.Ok ? status : context.Latch.Fail($"Syncing the block index failed: {status}.");
    }

    /// <summary>What is kept of bad blocks.</summary>
    internal QuarantineTotals Quarantine
    {
        get
        {
            lock (gate) { return quarantine; }
        }
    }

    /// <summary>Gives the room of bad blocks back whose place a good copy has taken, or that were dropped since.</summary>
    /// <remarks>A record goes durably before its room is free, as with a block that is dropped.</remarks>
    /// <param name="released">Gets the blocks whose bad bytes are gone.</param>
    /// <returns>Ok, also if some stay because their block is not good; ReadOnly; NoSpace; IoError.</returns>
    internal Status ReleaseQuarantine(List<BlockName> released)
    {
        if (IsReadOnly) { return Status.ReadOnly; }
        if (context.Latch.IsFailed) { return Status.IoError; }
        List<QuarantineRecord> gone = [];
        KeyValueBatch batch = new();
        using (QuarantineCursor cursor = new(context.Store, drive))
        {
            while (cursor.MoveNext())
            {
                if (cursor.Record is null || !IsGoodOrGone(cursor.Block.Id)) { continue; }
                batch.Delete(Family.Block, cursor.Key);
                gone.Add(cursor.Record);
                released.Add(cursor.Block);
            }
        }

        if (gone.Count == 0) { return Status.Ok; }
        Status status = context.Store.Write(batch, logged: true);
        if (status == Status.NoSpace)
        {
            released.Clear();
            return status;
        }

        if (status == Status.Ok) { status = context.Store.SyncLog(); }
        if (status != Status.Ok) { return context.Latch.Fail($"Writing the block index failed: {status}."); }
        foreach (QuarantineRecord record in gone)
        {
            foreach (Extent extent in record.Extents) { idvd.PunchHole(extent.Offset, extent.Length); }
        }

        lock (gate)
        {
            foreach (QuarantineRecord record in gone)
            {
                Free(record.Extents);
                quarantine = new(quarantine.Blocks - 1, quarantine.Bytes - record.Bytes);
            }

            return GiveBackEnd();
        }
    }

    /// <summary>Whether all bytes of a block have their checksums.</summary>
    /// <returns>Ok; Corrupt; or what the disk answered.</returns>
    internal Status Verify(BlockIndexEntry entry)
    {
        byte[] buffer = t_unit ??= new byte[Limits.ChecksumUnitBytes];
        for (int offset = 0; offset < entry.Length; offset += buffer.Length)
        {
            Status status = Read(entry, offset, buffer.AsSpan(0, Math.Min(buffer.Length, entry.Length - offset)));
            if (status != Status.Ok) { return status; }
        }

        return Status.Ok;
    }

    /// <summary>As <see cref="BlockBytes.Verify"/>.</summary>
    internal Status Verify(BlockIndexEntry entry, int offset, int length, AlignedMemory buffer) =>
        BlockBytes.Verify(idvd, entry, offset, length, buffer);

    private bool IsGoodOrGone(BlockId id)
    {
        Status found = Find(id, useCache: false, out BlockIndexEntry? entry);
        return found == Status.NotFound || (found == Status.Ok && Verify(entry!) == Status.Ok);
    }

    /// <summary>One batch: the new entry, and what is kept of the old one.</summary>
    private Status Swap(BlockId id, BlockIndexEntry? bad, BlockIndexEntry good)
    {
        BlockName name = new(drive, id);
        Span<byte> key = stackalloc byte[QuarantineRecord.KeySize];
        KeyValueBatch batch = new();
        lock (gate)
        {
            writing.Remove(id.Value);
            Status found = ReadEntry(id, out BlockIndexEntry? present);
            bool isAsFound = bad is null
                ? found is not (Status.Ok or Status.NotFound)
                : found == Status.Ok && present!.Extents.SequenceEqual(bad.Extents);
            if (!isAsFound)
            {
                Free(good.Extents);
                return found == Status.NotFound ? found : Status.Busy;
            }

            // An entry that RocksDB itself cannot give back leaves nothing to keep.
            byte[] damaged = found is Status.Corrupt ? t_value!.Span[..Math.Min(t_value.Length, QuarantineRecord.MaxDamagedBytes)].ToArray() : [];
            QuarantineRecord kept = new(bad is null ? [] : bad.Extents.ToArray(), damaged);
            BlockKey.Write(name, key);
            good.Write(recordBuffer);
            batch.Put(Family.Block, key[..BlockKey.Size], recordBuffer.Span);
            kept.WriteKey(name, key);
            kept.Write(recordBuffer);
            batch.Put(Family.Block, key, recordBuffer.Span);
            Status status = context.Store.Write(batch, logged: true);
            if (status == Status.NoSpace)
            {
                Free(good.Extents);
                return status;
            }

            if (status != Status.Ok) { return context.Latch.Fail($"Writing the block index failed: {status}."); }
            context.Cache.Put(name, good);
            quarantine = new(quarantine.Blocks + 1, quarantine.Bytes + kept.Bytes);
            return Status.Ok;
        }
    }

    /// <summary>With the gate held.</summary>
    private void Free(ReadOnlySpan<Extent> extents)
    {
        foreach (Extent extent in extents) { allocator.Free(extent); }
    }

    private static long RoomOf(BlockIndexEntry? entry) => entry is null ? 0 : (long)Extent.UnitsOf(entry.Length) * Extent.UnitBytes;

    [ThreadStatic]
    private static byte[]? t_unit;
}

/// <summary>What is kept of bad blocks whose place good copies have taken.</summary>
/// <param name="Blocks">Records.</param>
/// <param name="Bytes">Bytes that nobody gets.</param>
internal readonly record struct QuarantineTotals(int Blocks, long Bytes);
