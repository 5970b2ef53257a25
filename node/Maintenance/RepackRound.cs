using KvFs.Core;
using KvFs.Memory;
using KvFs.Node.Drives;
using KvFs.Node.Storage;

namespace KvFs.Node.Maintenance;

/// <summary>One round over one drive: which blocks are half dead, which of these can be emptied, and emptying them.</summary>
/// <remarks>
/// In order: (1) walk the index of blocks beside the records that say how much of each is live, and choose
/// (<see cref="RepackPlanner"/>); (2) walk the drive's slices and see who refers to the chosen ones
/// (<see cref="RepackTally"/>); (3) walk them again, copy what the chosen ones have into a new block, make that durable, and let
/// one transaction after the other name it instead (<see cref="MoveRuns"/>); (4) count what died. All walks are beside the
/// shard's gate, and what they see is a hint: a record that changed meanwhile is left alone by the transaction, and a block
/// dies when its last reference goes, and only then, as ever. So a stop, a crash or a failure at any point leaves nothing but
/// a round to begin anew: a block that was copied to and not named is in a grant of session 0.
/// <para>Of a drive whose blocks are spread, those that are not here are asked about where they are, some thousands at a time.</para>
/// <para>Memory: the chosen blocks (at most <see cref="RepackPlanner.MaxBlocks"/>), one block of copies and the records that
/// it serves, however big the drive is.</para>
/// </remarks>
internal sealed class RepackRound
{
    /// <summary>Records that one call looks at: some 50 ms of one core.</summary>
    private const int RecordsPerCall = 64 << 10;

    /// <summary>Records that name one block of copies, at the most.</summary>
    private const int RecordsPerBlock = 8 << 10;

    /// <summary>Bytes of copies in one block, at the least: where space is short, blocks are small.</summary>
    private const long MinBlockBytes = 1L << 20;

    /// <summary>Blocks that are asked about at once: each shard that has some is asked once for all.</summary>
    private const int AskedAtOnce = 4 << 10;

    /// <summary>Records between two rests, and pieces that are copied between two: a few milliseconds.</summary>
    private const int PaceRecords = 4 << 10;
    private const int PacePieces = 64;

    private readonly IRecordReader records;
    private readonly BlockStore blocks;
    private readonly RepackPlanner planner;
    private readonly int blockBytes;
    private readonly MoveRequest request = new();
    private readonly List<Slice> runs = [];
    private readonly List<(ulong Block, ulong LiveBytes)> elsewhere = [];
    private IReadOnlyList<BlockFill> chosen = [];
    private RepackTally? tally;
    private Phase phase = Phase.Choose;
    private ulong nextBlock;
    private RecordKey nextSlice = RecordKey.Single(RecordKind.Slice);
    private int looked;
    private Pace? pace;

    public RepackRound(HostedDrive drive, IRecordReader records, BlockStore blocks, long copyBytes)
    {
        Drive = drive;
        this.records = records;
        this.blocks = blocks;
        planner = new((ulong)copyBytes);
        blockBytes = (int)Math.Clamp(copyBytes, MinBlockBytes, Limits.BlockBytes);
    }

    private enum Phase
    {
        Choose,
        Count,
        Move,
        Done,
    }

    public HostedDrive Drive { get; }

    /// <summary>Blocks that died by this round.</summary>
    public long EmptiedBlocks { get; private set; }

    /// <summary>Bytes of them that were not live.</summary>
    public long ReclaimedBytes { get; private set; }

    /// <summary>Does a bounded part of the round.</summary>
    /// <param name="kept">The pace that is kept meanwhile; none: without rests.</param>
    /// <param name="cancellationToken">Ends the part early.</param>
    /// <param name="done">Whether the round is at its end.</param>
    /// <returns>Ok; else what failed: the round is over.</returns>
    public Status Run(Pace? kept, CancellationToken cancellationToken, out bool done)
    {
        done = false;
        looked = 0;
        pace = kept;
        Status status = Status.Ok;
        try
        {
            bool hasMoved = false;
            while (status == Status.Ok && !done && !hasMoved && looked < RecordsPerCall)
            {
                if (cancellationToken.IsCancellationRequested) { return Status.Ok; }
                switch (phase)
                {
                    case Phase.Choose: Choose(); break;
                    case Phase.Count: Count(); break;
                    case Phase.Move: status = Move(out hasMoved); break;
                    default:
                        CountDead();
                        done = true;
                        break;
                }
            }
        }
        catch (RecordCorruptException corrupt)
        {
            return Drive.OnCorrupt(corrupt);
        }
        catch (StorageException failed)
        {
            return failed.Status;
        }

        return status;
    }

    /// <summary>The drive's own records: what it inherited names blocks of its origins, which are not its to move.</summary>
    private StoredDriveView Own => new(records, [new(Drive.Id, CowNumber.Head)]);

    /// <summary>Counts a record that is looked at; true if it must wait for the next call.</summary>
    private bool HasLookedEnough()
    {
        if (looked >= RecordsPerCall) { return true; }
        looked++;
        if (looked % PaceRecords == 0) { pace?.Rest(); }
        return false;
    }

    private void Choose()
    {
        RecordKey end = RecordKey.Single(RecordKind.BlockLive);
        end.ToPrefixEnd();
        using DriveCursor live = Own.Walk(RecordKey.Numbered(RecordKind.BlockLive, nextBlock), end);
        using BlockCursor stored = blocks.OpenBlockCursor(Drive.Id, new(nextBlock));
        bool hasStored = stored.MoveNext();
        bool isSpread = Drive.State.Policy.Spread != 0;
        while (live.MoveNext())
        {
            RecordKey key = RecordKey.FromRelative(live.Key);
            if (!RecordKey.TrySplitNumbers(live.Key, out ulong block, out _)
                || !BlockUse.TryDecode(live.Payload, out BlockUse use))
            {
                throw new RecordCorruptException(Status.Corrupt, key.In(Drive.Id));
            }

            nextBlock = block;
            if (HasLookedEnough())
            {
                AskElsewhere();
                return;
            }

            while (hasStored && stored.Name.Id.Value < block) { hasStored = stored.MoveNext(); }
            if (hasStored && stored.Name.Id.Value == block && stored.Entry is { } entry)
            {
                planner.Offer(new(new(block), (uint)entry.Length, use.LiveBytes));
            }
            else if (isSpread && use.LiveBytes < Limits.BlockBytes / 2)
            {
                elsewhere.Add((block, use.LiveBytes));
                if (elsewhere.Count == AskedAtOnce) { AskElsewhere(); }
            }
        }

        AskElsewhere();
        chosen = planner.Take();
        tally = new(Drive.Id, chosen);
        phase = chosen.Count > 0 ? Phase.Count : Phase.Done;
    }

    /// <summary>Offers blocks that lie on other nodes.</summary>
    private void AskElsewhere()
    {
        if (elsewhere.Count == 0) { return; }
        IReadOnlyDictionary<ulong, uint> lengths = blocks.ListLengthsElsewhere(Drive.Id, elsewhere[0].Block, elsewhere[^1].Block);
        foreach ((ulong block, ulong liveBytes) in elsewhere)
        {
            if (lengths.TryGetValue(block, out uint length)) { planner.Offer(new(new(block), length, liveBytes)); }
        }

        elsewhere.Clear();
    }

    private void Count()
    {
        using DriveCursor cursor = OpenSlices();
        while (cursor.MoveNext())
        {
            nextSlice = RecordKey.FromRelative(cursor.Key);
            if (HasLookedEnough()) { return; }
            if (!tally!.TryCount(cursor.Payload, cursor.Header, Drive.State)) { throw Damaged(); }
        }

        chosen = tally!.Take();
        request.Evacuate(Drive.Id, chosen);
        nextSlice = RecordKey.Single(RecordKind.Slice);
        phase = chosen.Count > 0 ? Phase.Move : Phase.Done;
    }

    /// <summary>Copies until a block is full, or the walk is at its end, and moves what was copied.</summary>
    private Status Move(out bool hasMoved)
    {
        hasMoved = false;
        request.Clear();
        using AlignedMemory copies = new(blockBytes);
        int copied = 0;
        bool atEnd;
        using (DriveCursor cursor = OpenSlices())
        {
            bool isFull = false;
            while (!(atEnd = !cursor.MoveNext()))
            {
                nextSlice = RecordKey.FromRelative(cursor.Key);
                if (isFull || HasLookedEnough()) { break; }
                if (!TryCopy(cursor, copies.GetSpan(), ref copied)) { break; }
                isFull = request.Records.Count == RecordsPerBlock;
            }
        }

        if (atEnd) { phase = Phase.Done; }
        if (copied == 0) { return Status.Ok; }
        hasMoved = true;
        return Commit(copies.GetSpan()[..copied]);
    }

    /// <summary>Copies what a record has in the chosen blocks; false if the rest of it must go into the next block.</summary>
    private bool TryCopy(DriveCursor cursor, Span<byte> copies, ref int copied)
    {
        RecordHeader header = cursor.Header;
        if (header.Whiteout || !MoveRuns.IsMovable(header, Drive.State)) { return true; }
        runs.Clear();
        if (!RecordKey.TrySplitSlice(cursor.Key, out SliceKey place) || !MoveRuns.TryReadRuns(cursor.Payload, runs))
        {
            throw Damaged();
        }

        int first = request.Offsets.Count;
        bool fits = true;
        foreach (Slice run in runs)
        {
            if (!request.IsEvacuated(run)) { continue; }
            if (run.Length > copies.Length) { break; }
            fits = run.Length <= copies.Length - copied;
            if (!fits) { break; }

            // What cannot be read stays where it is: it was dropped meanwhile, or is damaged, which its readers are told.
            // So does, while space is short, what is larger than the blocks of this round.
            Span<byte> target = copies.Slice(copied, (int)run.Length);
            if (blocks.ReadBlock(run.Block, (int)run.SourceOffset, target) != Status.Ok) { break; }
            request.Offsets.Add((uint)copied);
            copied += (int)run.Length;
            if (request.Offsets.Count % PacePieces == 0) { pace?.Rest(); }
        }

        int count = request.Offsets.Count - first;
        if (count > 0) { request.Records.Add(new(place, header.Written, first, count)); }
        return fits;
    }

    private Status Commit(ReadOnlySpan<byte> content)
    {
        Status status = NodeGrant.Take(Drive, 1, out NodeGrant grant);
        if (status != Status.Ok) { return status; }
        request.Target = grant[0];
        status = blocks.WriteBlockUnsynced(request.Target, content, SpaceUse.Copies);
        if (status == Status.Ok) { status = blocks.SyncBlocks(Drive.Id); }
        while (status == Status.Ok && request.Next < request.Records.Count)
        {
            status = Drive.Transact(
                NodeGrant.Session,
                static (in MoveRequest moved, DriveTransaction transaction, out int next) =>
                    MoveRuns.Apply(moved, transaction, out next),
                request,
                SpaceUse.Release,
                out int reached);
            if (status == Status.Ok) { request.Next = reached; }
        }

        grant.Return();
        return status;
    }

    private void CountDead()
    {
        ByteBuffer payload = new();
        StoredDriveView own = Own;
        foreach (BlockFill fill in chosen)
        {
            RecordKey key = RecordKey.Numbered(RecordKind.BlockLive, fill.Block.Value);
            if (own.TryGet(ref key, payload)) { continue; }
            EmptiedBlocks++;
            ReclaimedBytes += (long)fill.GarbageBytes;
        }
    }

    private DriveCursor OpenSlices()
    {
        RecordKey end = RecordKey.Single(RecordKind.Slice);
        end.ToPrefixEnd();
        return Own.Walk(nextSlice, end);
    }

    private RecordCorruptException Damaged() => new(Status.Corrupt, nextSlice.In(Drive.Id));
}
