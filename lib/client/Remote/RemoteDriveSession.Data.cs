using KvFs.Core;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Client.Remote;

public sealed partial class RemoteDriveSession
{
    public ValueTask<Reply<ClusterMap>> GetClusterAsync(VNodeId id, uint cluster, CowNumber at)
    {
        V1.GetCluster get = new() { Id = id.Value, Cluster = cluster };
        if (at != CowNumber.Head) { get.At = at.Value; }
        return AskAsync(new() { GetCluster = get }, static answer => (answer.Cluster ?? throw NoResult()).ToCore());
    }

    public async ValueTask<Status> CommitAsync(IReadOnlyList<FileCommit> commits, IList<NodeInfo> results) =>
        (await CommitAsync(commits, results, durably: false)).Status;

    public ValueTask<Reply<bool>> CommitDurablyAsync(IReadOnlyList<FileCommit> commits, IList<NodeInfo> results) =>
        CommitAsync(commits, results, durably: true);

    private ValueTask<Reply<bool>> CommitAsync(IReadOnlyList<FileCommit> commits, IList<NodeInfo> results, bool durably)
    {
        ArgumentNullException.ThrowIfNull(commits);
        ArgumentNullException.ThrowIfNull(results);
        V1.Commit sent = new() { Durable = durably };
        foreach (FileCommit commit in commits)
        {
            commit.Session = Id;
            sent.Commits.Add(commit.ToWire(commit.Node, Drive));
        }

        return CommitAsync(new V1.Request { Commit = sent }, results);
    }

    public ValueTask<Reply<NodeInfo>> ChangeRangeAsync(in RangeRequest request) =>
        AskForNodeAsync(new() { ChangeRange = request.ToWire() });

    public ValueTask<Reply<ulong>> CopyRangeAsync(in CopyRangeRequest request) =>
        AskForNumberAsync(new() { CopyRange = request.ToWire() });

    public async ValueTask<Status> TransactAsync(TransactRequest request, TransactResult result)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(result);
        V1.Request sent = new() { Transact = request.ToWire(Drive) };
        result.Clear();
        V1.Answer answer = await connection.AskAsync(sent);
        try
        {
            if (answer.Transacted is { } done) { done.CopyTo(result); }
            else if (answer.Status == V1.Status.Ok) { return Status.NotSupported; }
            return answer.Status.ToCore();
        }
        catch (InvalidDataException)
        {
            result.Clear();
            return Status.NotSupported;
        }
    }

    public ValueTask<Reply<NodeInfo>> DelegateAsync(VNodeId id) => AskForNodeAsync(new() { Delegate = new() { Id = id.Value } });

    public ValueTask<Status> ReturnDelegationsAsync(IReadOnlyCollection<VNodeId> nodes)
    {
        ArgumentNullException.ThrowIfNull(nodes);
        V1.ReturnDelegations given = new();
        foreach (VNodeId node in nodes) { given.Nodes.Add(node.Value); }
        return AskAsync(new() { ReturnDelegations = given });
    }

    public async ValueTask<Reply<BlockId>> GrantBlocksAsync(uint count)
    {
        Reply<ulong> reply = await AskForNumberAsync(new() { GrantBlocks = new() { Count = count } });
        return new(reply.Status, new(reply.Value));
    }

    public async ValueTask<Reply<VNodeId>> GrantVNodesAsync(uint count)
    {
        Reply<ulong> reply = await AskForNumberAsync(new() { GrantVnodes = new() { Count = count } });
        return new(reply.Status, new(reply.Value));
    }

    public ValueTask<Status> ReturnBlocksAsync(BlockId first, uint count) =>
        AskAsync(new() { ReturnBlocks = new() { First = first.Value, Count = count } });

    /// <remarks>A new primary does not know for a moment what others have set aside: that is waited for as for the primary itself.</remarks>
    public async ValueTask<Status> ReserveAsync(Reservation reservation)
    {
        Deadline deadline = connection.NewDeadline();
        Pauses pauses = connection.NewPauses();
        while (true)
        {
            Status status = (await connection.AskAsync(new() { Reserve = ToWire(reservation) }, deadline)).Status.ToCore();
            if (status != Status.Busy) { return status; }
            if (deadline.HasPassed) { return Status.Unavailable; }
            await pauses.NextAsync(CancellationToken.None);
        }
    }

    /// <remarks>Nobody waits for the answer: whatever is asked after this is asked behind it.</remarks>
    public void Unreserve(Reservation reservation) =>
        _ = connection.AskAsync(new() { Unreserve = ToWire(reservation) }).AsTask();

    public ValueTask<Reply<FileLock>> TestLockAsync(VNodeId id, LockSpace space, FileLock wanted)
    {
        V1.TestLock test = new() { Id = id.Value, Space = (V1.LockSpace)space, Wanted = wanted.ToWire() };
        return AskAsync(new() { TestLock = test }, static answer => (answer.Lock ?? throw NoResult()).ToCore());
    }

    public async ValueTask<Status> SetLockAsync(
        VNodeId id, LockSpace space, FileLock wanted, bool wait, CancellationToken cancellationToken)
    {
        V1.SetLock set = new() { Id = id.Value, Space = (V1.LockSpace)space, Wanted = wanted.ToWire(), Wait = wait };
        V1.Request request = new() { SetLock = set };
        if (!wait) { return await AskAsync(request); }
        return (await connection.AskAndWaitAsync(request, cancellationToken)).Status.ToCore();
    }

    public ValueTask<Status> UnlockAllAsync(VNodeId id, LockOwner owner) =>
        AskAsync(new() { UnlockAll = new() { Id = id.Value, Owner = owner.Owner } });

    public ValueTask<Reply<DriveUsage>> GetUsageAsync() => AskAsync(
        new() { GetUsage = new() }, static answer => (answer.Usage ?? throw NoResult()).ToCore());

    public ValueTask<Reply<IReadOnlyList<SnapshotInfo>>> ListSnapshotsAsync() => AskAsync(
        new() { ListSnapshots = new() },
        static IReadOnlyList<SnapshotInfo> (answer) =>
            [.. (answer.Snapshots ?? throw NoResult()).Snapshots_.Select(static snapshot => snapshot.ToCore())]);

    private async ValueTask<Reply<bool>> CommitAsync(V1.Request request, IList<NodeInfo> results)
    {
        int count = request.Commit.Commits.Count;
        Reply<(List<NodeInfo> Nodes, bool IsDurable)> reply = await AskAsync(
            request,
            static answer => (
                (answer.Nodes ?? throw NoResult()).Nodes_.Select(static node => node.ToCore()).ToList(), answer.Durable));
        if (!reply.IsOk) { return new(reply.Status, false); }
        if (reply.Value.Nodes.Count != count) { return new(Status.NotSupported, false); }
        results.Clear();
        foreach (NodeInfo info in reply.Value.Nodes) { results.Add(info); }
        return new(Status.Ok, reply.Value.IsDurable);
    }

    private static V1.Reserve ToWire(Reservation reservation) =>
        new() { Bytes = reservation.Bytes, Inodes = reservation.Inodes };
}
