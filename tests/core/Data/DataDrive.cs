using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace KvFs.Core.Tests;

/// <summary>A drive with files whose content is told cell by cell, beside a naive model of it.</summary>
/// <remarks>A cell is 1 KiB and has one value: 0 is a hole, 1 preallocated, anything else a token that stands for the bytes
/// written there once. A block's tokens are kept by its name, as a store keeps its bytes.</remarks>
internal sealed class DataDrive
{
    public const int CellBytes = 1024;
    public const int ClusterCells = Limits.ClusterBytes / CellBytes;
    public const int Hole = 0;
    public const int Unwritten = 1;

    /// <summary>Zeros that a fold put into a gap.</summary>
    public const int Filled = 2;

    private readonly BlockShelf shelf;
    private readonly bool cached;
    private readonly int[] shown = new int[DataWorkload.Cells];

    public DataDrive(BlockShelf shelf, TestDrive drive, bool cached)
    {
        this.shelf = shelf;
        this.cached = cached;
        Drive = drive;
    }

    public TestDrive Drive { get; }

    public ClusterCache Cache { get; } = new(capacity: 400);

    public SessionId Session { get; } = new(7);

    /// <summary>What the last transaction found worth folding.</summary>
    public List<CrowdedCluster> Crowded { get; } = [];

    public Obstacle? Obstacle { get; private set; }

    public Status Run(Func<DriveTransaction, Status> operations) => Drive.Run(transaction =>
    {
        transaction.Clusters = cached ? Cache : null;
        Status status = operations(transaction);
        Crowded.Clear();
        Crowded.AddRange(transaction.Crowded);
        Obstacle = transaction.Obstacle;
        return status;
    });

    public VNodeId CreateFile()
    {
        VNodeId id = default;
        Assert.Equal(Status.Ok, Run(transaction =>
        {
            Status status = transaction.AllocateVNode(out id);
            transaction.PutVNode(id, new()
            {
                Kind = VNodeKind.File, Mode = 0b110_100_100, Nlink = 1, Parent = VNodeId.Root,
            });
            return status;
        }));
        return id;
    }

    /// <summary>Grants a block to the session and stores its tokens.</summary>
    public BlockName StoreBlock(SessionId session, ReadOnlySpan<int> tokens)
    {
        BlockId id = default;
        Assert.Equal(Status.Ok, Run(transaction => GrantBlocks.Apply(session, 1, transaction, out id)));
        BlockName name = new(Drive.State.Drive, id);
        shelf.Blocks.Add(name, tokens.ToArray());
        return name;
    }

    public Status Commit(FileCommit commit) => Run(transaction => CommitSlices.Apply(commit, transaction, out _));

    public Status Truncate(VNodeId id, ulong size) => Run(transaction =>
    {
        if (!transaction.TryGetVNode(id, out VNode vnode)) { return Status.Stale; }
        Status status = Core.Truncate.Apply(id, ref vnode, size, transaction);
        if (status == Status.Ok) { transaction.PutVNode(id, vnode); }
        return status;
    });

    /// <summary>Runs a range operation to its end.</summary>
    public Status ChangeRange(RangeRequest request)
    {
        while (request.Length > 0)
        {
            RangeRequest rest = default;
            RangeRequest step = request;
            Status status = Run(transaction => Core.ChangeRange.Apply(step, transaction, out rest, out _));
            if (status != Status.Ok) { return status; }
            request = rest;
        }

        return Status.Ok;
    }

    public Status Copy(CopyRangeRequest request, out ulong copied)
    {
        ulong answered = 0;
        Status status = Run(transaction => CopyRange.Apply(request, transaction, out answered, out _));
        copied = answered;
        return status;
    }

    /// <summary>Does what a packer does: reads, plans, copies, stores, folds.</summary>
    public Status Fold(VNodeId id, uint cluster, FoldCopies copies)
    {
        FoldRequest request = new();
        ClusterMap map = new();
        Status status = ReadForFold.Apply(id, cluster, Drive.Head, request, map);
        if (status == Status.NoData) { return status; }
        Assert.Equal(Status.Ok, status);
        FoldPlan plan = new();
        FoldPlanner.Fill(map, plan, copies);
        if (map.DeltaCount == 0 && plan.Pieces.Count == 0) { return Status.NoData; }
        List<BlockName> packed = [];
        int[] tokens = [.. plan.Pieces.SelectMany(piece => Tokens(piece, map))];
        for (int block = 0; block < plan.BlockCount; block++)
        {
            int start = block * (Limits.BlockBytes / CellBytes);
            packed.Add(StoreBlock(default, tokens.AsSpan(start, plan.BlockLength(block) / CellBytes)));
        }

        plan.Complete([.. packed], request);
        status = Run(transaction => Core.Fold.Apply(request, map, transaction));
        Assert.Equal(Status.Ok, status);
        return status;
    }

    /// <summary>Does what a repacker does with the blocks that are chosen: sees which can be emptied, copies, and moves.
    /// </summary>
    /// <returns>The blocks that could be emptied.</returns>
    public IReadOnlyList<BlockFill> Repack(Func<BlockId, bool> isChosen)
    {
        RepackTally tally = new(Drive.State.Drive, [.. LiveBlocks().Where(fill => isChosen(fill.Block))]);
        foreach (DriveCursor cursor in OwnSlices()) { Assert.True(tally.TryCount(cursor.Payload, cursor.Header, Drive.State)); }
        IReadOnlyList<BlockFill> emptied = tally.Take();
        MoveRequest request = new();
        request.Evacuate(Drive.State.Drive, emptied);
        List<int> copies = [];
        foreach (DriveCursor cursor in OwnSlices()) { Copy(cursor, request, copies); }
        if (copies.Count == 0) { return emptied; }
        request.Target = StoreBlock(default, CollectionsMarshal.AsSpan(copies));
        while (request.Next < request.Records.Count)
        {
            int next = 0;
            Assert.Equal(Status.Ok, Run(transaction => MoveRuns.Apply(request, transaction, out next)));
            request.Next = next;
        }

        Assert.DoesNotContain(LiveBlocks(), fill => emptied.Any(gone => gone.Block == fill.Block));
        return emptied;
    }

    /// <summary>All blocks that are live, as half of what they are.</summary>
    public IEnumerable<BlockFill> LiveBlocks()
    {
        using DriveCursor cursor = Drive.Head.WalkPrefix(RecordKey.Single(RecordKind.BlockLive));
        while (cursor.MoveNext())
        {
            Assert.True(BlockUse.TryDecode(cursor.Payload, out BlockUse use));
            Assert.True(RecordKey.TrySplitNumbers(cursor.Key, out ulong block, out _));
            yield return new(new(block), (uint)use.LiveBytes * 2, use.LiveBytes);
        }
    }

    private IEnumerable<DriveCursor> OwnSlices()
    {
        StoredDriveView own = new(Drive.Records, [new(Drive.State.Drive, CowNumber.Head)]);
        using DriveCursor cursor = own.WalkPrefix(RecordKey.Single(RecordKind.Slice));
        while (cursor.MoveNext()) { yield return cursor; }
    }

    private void Copy(DriveCursor cursor, MoveRequest request, List<int> copies)
    {
        if (cursor.Header.Whiteout || !MoveRuns.IsMovable(cursor.Header, Drive.State)) { return; }
        List<Slice> runs = [];
        Assert.True(MoveRuns.TryReadRuns(cursor.Payload, runs));
        Assert.True(RecordKey.TrySplitSlice(cursor.Key, out SliceKey place));
        int first = request.Offsets.Count;
        foreach (Slice run in runs.Where(run => request.IsEvacuated(run)))
        {
            request.Offsets.Add((uint)(copies.Count * CellBytes));
            int start = (int)run.SourceOffset / CellBytes;
            copies.AddRange(shelf.Blocks[run.Block].AsSpan(start, (int)run.Length / CellBytes));
        }

        int count = request.Offsets.Count - first;
        if (count > 0) { request.Records.Add(new(place, cursor.Header.Written, first, count)); }
    }

    private IEnumerable<int> Tokens(PackedPiece piece, ClusterMap map)
    {
        for (uint at = 0; at < piece.Length; at += CellBytes)
        {
            yield return piece.Kind switch
            {
                SliceKind.Inline => BinaryPrimitives.ReadInt32LittleEndian(map.Inline[(int)(piece.SourceOffset + at)..]),
                SliceKind.Block => shelf.Blocks[piece.Block][(piece.SourceOffset + at) / CellBytes],
                _ => Filled,
            };
        }
    }

    /// <summary>Removes a file and its data; returns how many transactions that took.</summary>
    public int Remove(VNodeId id)
    {
        bool done = false;
        int steps = 0;
        while (!done)
        {
            steps++;
            Assert.Equal(Status.Ok, Run(transaction =>
            {
                Assert.True(transaction.TryGetVNode(id, out VNode vnode));
                Status status = RemoveData.Apply(id, ref vnode, transaction, out done);
                RecordKey key = RecordKey.VNode(id);
                if (done) { transaction.Delete(ref key); }
                else { transaction.PutVNode(id, vnode); }
                return status;
            }));
        }

        return steps;
    }

    /// <summary>Retains the present version.</summary>
    public CowNumber Snapshot()
    {
        CowNumber at = Drive.Counters.LastCow;
        if (!Drive.State.Retained.Contains(at))
        {
            Drive.Accept(Drive.State with { Retained = Drive.State.Retained.Add(at) }, Drive.Counters);
        }

        return at;
    }

    /// <summary>Gives a version up and reaps, naively, all history that no other one sees.</summary>
    public void DropSnapshot(CowNumber at)
    {
        Drive.Accept(Drive.State with { Retained = Drive.State.Retained.Remove(at) }, Drive.Counters);
        ImmutableArray<CowNumber> retained = Drive.State.Retained;
        Assert.Equal(Status.Ok, Run(transaction =>
        {
            foreach ((byte[] rawKey, byte[] value) in Drive.Records.All)
            {
                RecordKey key = RecordKey.FromRelative(rawKey.AsSpan(DriveId.Size));
                if (DriveId.Read(rawKey) != Drive.State.Drive
                    || !RecordKey.TrySplitHistory(key.Relative, out ReadOnlySpan<byte> original, out CowNumber superseded))
                {
                    continue;
                }

                Assert.Equal(Status.Ok, RecordEnvelope.Read(value, out RecordHeader header, out ReadOnlySpan<byte> payload));
                if (retained.Any(seen => header.Written <= seen && seen < superseded)) { continue; }
                if (RecordKey.TrySplitSlice(original, out _)) { transaction.Blocks.DropRecord(payload); }
                transaction.Delete(ref key);
            }

            return Status.Ok;
        }));
    }

    /// <summary>A new drive that starts as this one is at a retained version.</summary>
    public DataDrive Clone(CowNumber at)
    {
        DriveState state = Drive.State with
        {
            Drive = new(Drive.State.Drive.Value + 1),
            Retained = [],
            Policy = Drive.State.Policy with { Origins = Drive.State.LayersAt(at) },
        };
        ulong nextCow = Drive.Counters.LastCow.Value + 1;
        IdMarks marks = Drive.Counters.Next with { Cow = nextCow };
        DriveCounters counters = new()
        {
            Next = marks,
            Reserved = marks,
            UsedBytes = UsedBytesAt(at),
            LastCow = Drive.Counters.LastCow,
        };
        return new(shelf, new(Drive.Records, state, counters), cached);
    }

    /// <summary>What a file shows, in cells; valid until the next read.</summary>
    public ReadOnlySpan<int> Read(VNodeId id, CowNumber at)
    {
        DriveView view = Drive.ViewAt(at);
        Assert.True(view.TryGetVNode(id, out VNode vnode));
        shown.AsSpan().Clear();
        ClusterMap map = new();
        for (uint cluster = 0; cluster < shown.Length / ClusterCells; cluster++)
        {
            Assert.Equal(Status.Ok, ReadCluster.Apply(id, vnode, cluster, view, map));
            Render(map, shown.AsSpan((int)cluster * ClusterCells, ClusterCells));
        }

        return shown;
    }

    public ulong UsedBytesAt(CowNumber at)
    {
        ulong used = 0;
        using DriveCursor cursor = Drive.ViewAt(at).WalkPrefix(RecordKey.Single(RecordKind.VNode));
        while (cursor.MoveNext())
        {
            Assert.True(VNode.TryDecode(cursor.Payload, out VNode vnode));
            used += vnode.AllocatedBytes;
        }

        return used;
    }

    public void Render(ClusterMap map, Span<int> cells)
    {
        foreach (Slice run in map.Runs)
        {
            for (uint at = 0; at < run.Length; at += CellBytes)
            {
                cells[(int)((run.Offset + at) / CellBytes)] = run.Kind switch
                {
                    SliceKind.Unwritten => Unwritten,
                    SliceKind.Inline => BinaryPrimitives.ReadInt32LittleEndian(map.Inline[(int)(run.SourceOffset + at)..]),
                    SliceKind.Block => shelf.Blocks[run.Block][(run.SourceOffset + at) / CellBytes],
                    _ => throw new InvalidOperationException($"A map shows {run.Kind}."),
                };
            }
        }
    }

    /// <summary>Adds a run of tokens as inline bytes to a commit.</summary>
    public static void AddInline(FileCommit commit, ulong offset, ReadOnlySpan<int> tokens)
    {
        uint source = (uint)commit.Inline.Length;
        foreach (int token in tokens)
        {
            Span<byte> cell = commit.Inline.Extend(CellBytes);
            cell.Clear();
            BinaryPrimitives.WriteInt32LittleEndian(cell, token);
        }

        commit.Runs.Add(new(offset, (uint)(tokens.Length * CellBytes), SliceKind.Inline, default, source));
    }
}

/// <summary>The content of all blocks of all drives, in tokens; a block is written once.</summary>
internal sealed class BlockShelf
{
    public Dictionary<BlockName, int[]> Blocks { get; } = [];

    private int lastToken = DataDrive.Filled;

    public int NextToken() => ++lastToken;
}
