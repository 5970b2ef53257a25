using KvFs.Core;
using KvFs.Memory;
using KvFs.Node.Drives;
using KvFs.Node.Storage;

namespace KvFs.Node.Maintenance;

/// <summary>Folds clusters: moves inline bytes and fragments into packed blocks, and replaces many slices by one base.
/// </summary>
/// <remarks>
/// One fold at a time: who waits for one has another packer than who takes his time. In order: (1) read the cluster beside the shard's gate; (2) plan (core); (3) copy into new blocks and
/// make these durable; (4) one transaction replaces the records, if they are still those that were read; else again. A reader
/// sees the one or the other, and both show the same. What cannot be read in step 3 is left where it is, and the rest planned
/// again: a rotten place is not in the way of what is written over it and beside it. Blocks of a fold that came to nothing are dead at once
/// (<see cref="NodeGrant"/>).
/// </remarks>
public sealed class Packer(BlockStore blocks)
{
    /// <summary>How often a fold is tried against writers that change the cluster meanwhile, and bytes that turn out to be
    /// unreadable.</summary>
    private const int Attempts = 4;

    /// <summary>Folds of one cluster in a row, if it has more records than one fold takes: enough for the most slices that it can
    /// have, of the largest inline bytes.</summary>
    private const int Parts = 16;

    /// <summary>Pieces between two rests: a few milliseconds.</summary>
    private const int PacePieces = 128;

    private readonly Lock one = new();
    private readonly FoldRequest request = new();
    private readonly FoldPlan plan = new();
    private readonly ClusterMap map = new();

    /// <summary>Where runs of the cluster begin that could not be read.</summary>
    private readonly HashSet<uint> unreadable = [];
    private long folds;
    private long packedBytes;

    /// <summary>Folds that were committed since the start.</summary>
    public long Folds => Volatile.Read(ref folds);

    /// <summary>Bytes that they copied.</summary>
    public long PackedBytes => Volatile.Read(ref packedBytes);

    /// <summary>Folds one cluster.</summary>
    /// <param name="drive">Whose.</param>
    /// <param name="node">The file.</param>
    /// <param name="cluster">Which cluster.</param>
    /// <param name="depth">What to copy.</param>
    /// <param name="use">What the copies count for: Data if a client waits for them.</param>
    /// <param name="pace">Kept while copying, if nobody waits; then what was changed meanwhile does not rest, and is left.</param>
    /// <returns>Ok: it has less slices now; NoData: there was nothing to fold; Stale and the like: no such file; Conflict: it
    /// was changed again and again meanwhile; else what failed: NoSpace, Corrupt, IoError.</returns>
    public Status Fold(
        HostedDrive drive,
        VNodeId node,
        uint cluster,
        FoldCopies depth = FoldCopies.Windows,
        SpaceUse use = SpaceUse.Copies,
        Pace? pace = null)
    {
        ArgumentNullException.ThrowIfNull(drive);
        lock (one)
        {
            unreadable.Clear();
            int failures = 0;
            int parts = 0;
            Status status;
            bool goesOn;
            do
            {
                status = Read(drive, node, cluster);
                if (status != Status.Ok) { break; }
                int known = unreadable.Count;
                FoldPlanner.Plan(map, plan, unreadable, depth);
                if (map.DeltaCount == 0 && plan.Pieces.Count == 0)
                {
                    status = Status.NoData;
                    break;
                }

                status = Replace(drive, use, pace);
                if (status == Status.Ok) { parts++; }
                else { failures++; }
                goesOn = status == Status.Ok
                    ? request.IsPartial && parts < Parts
                    : ((status == Status.Conflict && pace is null) || unreadable.Count > known) && failures < Attempts;
            }
            while (goesOn);

            return parts > 0 ? Status.Ok : status;
        }
    }

    private Status Read(HostedDrive drive, VNodeId node, uint cluster)
    {
        return drive.Read(
            CowNumber.Head,
            static (DriveView view, (Packer Packer, VNodeId Node, uint Cluster) fold, out bool done) =>
            {
                done = true;
                return ReadForFold.Apply(fold.Node, fold.Cluster, view, fold.Packer.request, fold.Packer.map);
            },
            (this, node, cluster),
            out bool _);
    }

    private Status Replace(HostedDrive drive, SpaceUse use, Pace? pace)
    {
        BlockName[] names = new BlockName[plan.BlockCount];
        NodeGrant grant = default;
        Status status = names.Length == 0 ? Status.Ok : NodeGrant.Take(drive, (uint)names.Length, out grant);
        if (status == Status.Ok && names.Length > 0) { status = WriteBlocks(drive, grant, names, use, pace); }
        if (status == Status.Ok)
        {
            plan.Complete(names, request);
            status = drive.Transact(
                NodeGrant.Session,
                static (
                    in (FoldRequest Request, ClusterMap Map) fold, DriveTransaction transaction, out bool done) =>
                {
                    done = true;
                    return Core.Fold.Apply(fold.Request, fold.Map, transaction);
                },
                (request, map),
                SpaceUse.Release,
                out bool _);
        }

        if (status == Status.Ok)
        {
            Interlocked.Increment(ref folds);
            Interlocked.Add(ref packedBytes, (long)plan.PackedBytes);
        }
        else
        {
            grant.Return();
        }

        return status;
    }

    private Status WriteBlocks(HostedDrive drive, NodeGrant grant, Span<BlockName> names, SpaceUse use, Pace? pace)
    {
        Status status = Status.Ok;
        int piece = 0;
        for (int at = 0; at < names.Length && status == Status.Ok; at++)
        {
            names[at] = grant[at];
            using AlignedMemory content = new(plan.BlockLength(at));
            status = Copy(content.GetSpan(), (ulong)at * Limits.BlockBytes, ref piece, pace);
            if (status == Status.Ok) { status = blocks.WriteBlockUnsynced(names[at], content.GetSpan(), use); }
        }

        return status == Status.Ok ? blocks.SyncBlocks(drive.Id) : status;
    }

    /// <summary>Copies the pieces that belong into one block, and takes note of all that cannot be read.</summary>
    private Status Copy(Span<byte> content, ulong start, ref int piece, Pace? pace)
    {
        Status status = Status.Ok;
        for (; piece < plan.Pieces.Count; piece++)
        {
            PackedPiece part = plan.Pieces[piece];
            if (part.PackedOffset >= start + (ulong)content.Length) { break; }
            if (piece % PacePieces == PacePieces - 1) { pace?.Rest(); }
            Span<byte> target = content.Slice((int)(part.PackedOffset - start), (int)part.Length);
            switch (part.Kind)
            {
                case SliceKind.Inline:
                    map.Inline.Slice((int)part.SourceOffset, (int)part.Length).CopyTo(target);
                    break;
                case SliceKind.Block:
                    Status read = blocks.ReadBlock(part.Block, (int)part.SourceOffset, target);
                    if (read == Status.Ok) { break; }
                    unreadable.Add(part.Run);
                    status = read;
                    break;
                default:
                    target.Clear();
                    break;
            }
        }

        return status;
    }
}
