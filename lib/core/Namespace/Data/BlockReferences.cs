using System.Runtime.InteropServices;

namespace KvFs.Core;

/// <summary>Counts what refers to a drive's own blocks; the part of a transaction that knows when a block dies.</summary>
/// <remarks>
/// A reference is one run of one slice or base record, present or in history. Every id that was ever issued is in exactly
/// one of these states: granted (in a session's grant), live (some reference), dead (a dead record waits for the store), or
/// gone. Changes are summed up per block and written once, when the transaction is built, in the order of ids: a block that loses
/// and gains references in one transaction does not die. Blocks of other drives (a clone's origins) are not counted: the
/// pin on the origin keeps what the clone can see. Not thread safe.
/// </remarks>
public sealed class BlockReferences
{
    /// <summary>Bytes of a batch that one changed block costs at the most: two records.</summary>
    private const int EntryBatchBytes = 160;

    private readonly DriveTransaction transaction;
    private readonly Dictionary<ulong, int> places = [];
    private readonly List<Change> changes = [];
    private readonly ByteBuffer payload = new(64);
    private readonly List<Slice> baseRuns = [];

    internal BlockReferences(DriveTransaction transaction)
    {
        this.transaction = transaction;
    }

    /// <summary>What the changes so far will add to the batch, at the most.</summary>
    internal int BatchBytes => changes.Count * EntryBatchBytes;

    internal bool HasChanges => changes.Count > 0;

    internal void Clear()
    {
        places.Clear();
        changes.Clear();
    }

    /// <summary>A record refers to a part of a block. <see cref="Status.Conflict"/>: the block is not live, and the session
    /// has no grant for it (any more); its content is gone or was never promised.</summary>
    public Status Add(BlockName block, uint length, SessionId session)
    {
        if (block.Owner != transaction.Drive) { return Status.Ok; }
        ref Change change = ref Find(block.Id);
        if (!change.WasLive && !change.Taken)
        {
            if (!GrantBlocks.TryTake(session, block.Id, transaction)) { return Status.Conflict; }
            change.Taken = true;
        }

        change.References++;
        change.LiveBytes += length;
        return Status.Ok;
    }

    /// <summary>Whether nothing referred to a block of this drive before this transaction.</summary>
    internal bool IsNew(BlockId block) => Find(block).Taken;

    /// <summary>A record that referred to a part of a block is gone, and no history of it is kept.</summary>
    public void Drop(BlockName block, uint length)
    {
        if (block.Owner != transaction.Drive) { return; }
        ref Change change = ref Find(block.Id);
        if (change.References == 0 || change.LiveBytes < length) { throw Corrupt(block.Id); }
        change.References--;
        change.LiveBytes -= length;
    }

    /// <summary>The same for all that the payload of a slice or base record names: for a present record whose history is
    /// not kept, and for a history record when it is reaped. A whiteout's payload is empty and names nothing.</summary>
    public void DropRecord(ReadOnlySpan<byte> slicePayload)
    {
        if (slicePayload.IsEmpty) { return; }
        if (ClusterBase.IsBase(slicePayload))
        {
            baseRuns.Clear();
            if (!ClusterBase.TryDecode(slicePayload, baseRuns)) { throw new RecordCorruptException("A base is damaged."); }
            foreach (Slice run in baseRuns)
            {
                if (run.Kind == SliceKind.Block) { Drop(run.Block, run.Length); }
            }

            return;
        }

        if (!Slice.TryDecode(slicePayload, out Slice slice, out _))
        {
            throw new RecordCorruptException("A slice is damaged.");
        }

        if (slice.Kind == SliceKind.Block) { Drop(slice.Block, slice.Length); }
    }

    /// <summary>A slice or base record comes back from history, which keeps what it names live.</summary>
    internal void AddRecord(ReadOnlySpan<byte> slicePayload)
    {
        baseRuns.Clear();
        if (ClusterBase.IsBase(slicePayload))
        {
            if (!ClusterBase.TryDecode(slicePayload, baseRuns)) { throw new RecordCorruptException("A base is damaged."); }
        }
        else if (Slice.TryDecode(slicePayload, out Slice slice, out _)) { baseRuns.Add(slice); }
        else { throw new RecordCorruptException("A slice is damaged."); }

        foreach (Slice run in baseRuns)
        {
            if (run.Kind != SliceKind.Block || run.Block.Owner != transaction.Drive) { continue; }
            ref Change change = ref Find(run.Block.Id);
            if (!change.WasLive) { throw Corrupt(run.Block.Id); }
            change.References++;
            change.LiveBytes += run.Length;
        }
    }

    /// <summary>Writes the sums as records of the transaction.</summary>
    internal void Flush()
    {
        changes.Sort(static (left, right) => left.Block.CompareTo(right.Block));
        Span<byte> bytes = stackalloc byte[BlockUse.PayloadBytes];
        foreach (Change change in changes)
        {
            RecordKey live = RecordKey.Numbered(RecordKind.BlockLive, change.Block);
            if (change.References > 0)
            {
                if (!change.IsChanged) { continue; }
                transaction.LooseBytes += change.LostBytes;
                new BlockUse(change.References, change.LiveBytes).Encode(bytes);
                transaction.Put(ref live, bytes[..BlockUse.PayloadBytes]);
            }
            else if (change.WasLive || change.Taken)
            {
                if (change.WasLive) { transaction.Delete(ref live); }
                RecordKey dead = RecordKey.Numbered(RecordKind.BlockDead, change.Block);
                new DeadBlocks(transaction.Cow, 1).Encode(bytes);
                transaction.Put(ref dead, bytes[..DeadBlocks.PayloadBytes]);
                transaction.FreedBlocks = true;
            }
        }

        Clear();
    }

    private ref Change Find(BlockId block)
    {
        if (!places.TryGetValue(block.Value, out int at))
        {
            RecordKey key = RecordKey.Numbered(RecordKind.BlockLive, block.Value);
            BlockUse use = default;
            bool live = transaction.TryGet(ref key, payload);
            if (live && !BlockUse.TryDecode(payload.Span, out use)) { throw Corrupt(block); }
            at = changes.Count;
            places.Add(block.Value, at);
            changes.Add(new(block.Value, live, use));
        }

        return ref CollectionsMarshal.AsSpan(changes)[at];
    }

    private RecordCorruptException Corrupt(BlockId block)
    {
        RecordKey key = RecordKey.Numbered(RecordKind.BlockLive, block.Value);
        return new(Status.Corrupt, key.In(transaction.Drive));
    }

    private struct Change(ulong block, bool wasLive, BlockUse use)
    {
        public ulong Block { get; } = block;

        public bool WasLive { get; } = wasLive;

        /// <summary>It came from a grant in this transaction.</summary>
        public bool Taken { get; set; }

        public ulong References { get; set; } = use.References;

        public ulong LiveBytes { get; set; } = use.LiveBytes;

        /// <summary>Bytes less that are referred to than before.</summary>
        public readonly ulong LostBytes => use.LiveBytes > LiveBytes ? use.LiveBytes - LiveBytes : 0;

        public readonly bool IsChanged => References != use.References || LiveBytes != use.LiveBytes;
    }
}
