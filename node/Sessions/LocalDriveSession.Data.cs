using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Protocol;

namespace KvFs.Node.Sessions;

public sealed partial class LocalDriveSession
{
    public ValueTask<Reply<ClusterMap>> GetClusterAsync(VNodeId id, uint cluster, CowNumber at)
    {
        if (Settle(id, at) is var settled and not Status.Ok) { return Answer<ClusterMap>(settled, new()); }
        Status status = Read(
            at,
            static (DriveView view, (VNodeId Id, uint Cluster) argument, out ClusterMap result) =>
            {
                result = new();
                return ReadCluster.Apply(argument.Id, argument.Cluster, view, result);
            },
            (id, cluster),
            out ClusterMap map);
        return Answer(status, map);
    }

    public ValueTask<Status> CommitAsync(IReadOnlyList<FileCommit> commits, IList<NodeInfo> results) =>
        new(Commit(commits, results, out ulong _));

    /// <summary>The same, and tells by how many bytes the drive's use grew: taken out of what the session has reserved.</summary>
    public Status Commit(IReadOnlyList<FileCommit> commits, IList<NodeInfo> results, out ulong grown)
    {
        ArgumentNullException.ThrowIfNull(commits);
        ArgumentNullException.ThrowIfNull(results);
        foreach (FileCommit commit in commits)
        {
            commit.Session = Id;
            commit.Stored = Stored;
        }

        Status status = Run(
            CommitAll,
            new CommitArgument(this, commits, results),
            SpaceUse.Metadata,
            out grown,
            static (in CommitArgument argument, ulong used) =>
            {
                if (used > 0) { argument.Session.Unreserve(new(used, 0)); }
            });
        if (status == Status.Ok)
        {
            drive.OnCommitted(commits);
            foreach (FileCommit commit in commits) { stored.Forget(commit); }
        }

        return status;
    }

    /// <remarks>A range that is too much for one transaction is changed in several: each is idempotent.</remarks>
    public ValueTask<Reply<NodeInfo>> ChangeRangeAsync(in RangeRequest request)
    {
        SpaceUse use = request.Operation is RangeOperation.PunchHole or RangeOperation.Collapse
            ? SpaceUse.Release
            : SpaceUse.Metadata;
        RangeStep step = new(request, default);
        Status status;
        do
        {
            status = Run(
                static (in RangeRequest part, DriveTransaction transaction, out RangeStep done) =>
                {
                    Status answer = ChangeRange.Apply(part, transaction, out RangeRequest rest, out NodeInfo info);
                    done = new(rest, info);
                    return answer;
                },
                step.Rest,
                use,
                out step);
        }
        while (status == Status.Ok && step.Rest.Length > 0);

        return Answer(status, step.Info);
    }

    public ValueTask<Reply<ulong>> CopyRangeAsync(in CopyRangeRequest request)
    {
        if (Settle(request.Source, request.SourceAt) is var settled and not Status.Ok) { return Answer<ulong>(settled, 0); }
        Status status = Run(
            static (in CopyRangeRequest range, DriveTransaction transaction, out ulong done) =>
                CopyRange.Apply(range, transaction, out done, out _),
            in request,
            SpaceUse.Metadata,
            out ulong copied);
        return Answer(status, copied);
    }

    public ValueTask<Reply<BlockId>> GrantBlocksAsync(uint count)
    {
        Status status = Run(
            static (in (SessionId Session, uint Count) grant, DriveTransaction transaction, out BlockId first) =>
                GrantBlocks.Apply(grant.Session, grant.Count, transaction, out first),
            (Id, count),
            SpaceUse.Metadata,
            out BlockId granted);
        return Answer(status, granted);
    }

    /// <summary>Whether this session may store a block under an id: Conflict, if it has not (any more) been granted it.</summary>
    internal Status CheckGrant(BlockId block) => Read(
        CowNumber.Head,
        static (DriveView view, (SessionId Session, BlockId Block) argument, out bool held) =>
        {
            held = GrantBlocks.Holds(argument.Session, argument.Block, view);
            return held ? Status.Ok : Status.Conflict;
        },
        (Id, block),
        out bool _);

    public ValueTask<Reply<VNodeId>> GrantVNodesAsync(uint count)
    {
        Status status = Run(
            static (in (SessionId Session, uint Count) grant, DriveTransaction transaction, out VNodeId first) =>
                GrantVNodes.Apply(grant.Session, grant.Count, transaction, out first),
            (Id, count),
            SpaceUse.Metadata,
            out VNodeId granted);
        return Answer(status, granted);
    }

    public ValueTask<Status> ReturnBlocksAsync(BlockId first, uint count)
    {
        Status status = Run(
            static (in (SessionId Session, BlockId First, uint Count) grant, DriveTransaction transaction, out bool done) =>
            {
                done = true;
                return ReturnBlocks.Apply(grant.Session, grant.First, grant.Count, transaction);
            },
            (Id, first, count),
            SpaceUse.Release,
            out bool _);
        if (status == Status.Ok) { stored.Forget(first, count); }
        return new(status);
    }

    public ValueTask<Status> ReserveAsync(Reservation reservation)
    {
        if (Access.IsReadOnly()) { return new(Status.ReadOnly); }
        return new(drive.Reserve(Id, reservation));
    }

    /// <summary>Whether others have set bytes of the drive's quota aside.</summary>
    internal bool HasReservedByOthers => drive.HasReservedByOthers(Id);

    public void Unreserve(Reservation reservation) => drive.Unreserve(Id, reservation);

    public ValueTask<Reply<DriveUsage>> GetUsageAsync()
    {
        Status status = drive.GetUsage(out DriveUsage usage);
        return Answer(status, usage);
    }

    public ValueTask<Reply<IReadOnlyList<SnapshotInfo>>> ListSnapshotsAsync()
    {
        Status status = drive.ListSnapshots(out IReadOnlyList<SnapshotInfo> snapshots);
        return Answer(status, snapshots);
    }

    private static Status CommitAll(in CommitArgument argument, DriveTransaction transaction, out ulong grown)
    {
        ulong before = transaction.Counters.UsedBytes;
        grown = 0;
        argument.Results.Clear();
        foreach (FileCommit commit in argument.Commits)
        {
            Status status = CommitSlices.Apply(commit, transaction, out NodeInfo info);
            if (status != Status.Ok) { return status; }
            argument.Results.Add(info);
        }

        ulong after = transaction.Counters.UsedBytes;
        grown = after > before ? after - before : 0;
        return Status.Ok;
    }

    /// <summary>What a step of a change of a range has left, and the file after it.</summary>
    internal readonly record struct RangeStep(RangeRequest Rest, NodeInfo Info);

    private readonly record struct CommitArgument(LocalDriveSession Session, IReadOnlyList<FileCommit> Commits, IList<NodeInfo> Results);
}
