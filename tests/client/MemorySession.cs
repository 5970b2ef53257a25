using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client.Tests;

/// <summary>A session with a <see cref="MemoryDrive"/>: what a node's driver does, without disk and threads.</summary>
/// <remarks>Thread safe: one lock around all. Fails as it is told. Locks are none of the client's business and are not
/// kept.</remarks>
public sealed class MemorySession(MemoryDrive drive, MemoryBlocks blocks, TimeProvider time)
    : IDriveSession, INodeHolders
{
    private readonly Lock gate = new();
    private readonly Dictionary<VNodeId, int> holds = [];
    private int commits;
    private int syncs;

    public SessionId Id { get; } = new(3);

    public SessionAccess Access => SessionAccess.Alone;

    public DriveId Drive => drive.State.Drive;

    public IBlockService Blocks => blocks;

    /// <summary>Asked before every commit: what it is to answer.</summary>
    public Func<Status>? OnCommit { get; set; }

    /// <summary>Told of every commit that was applied.</summary>
    public Action<IReadOnlyList<FileCommit>>? Committed { get; set; }

    public int Commits => commits;

    public int Syncs => syncs;

    /// <summary>Cluster maps that were asked for.</summary>
    public int MapsRead { get; private set; }

    /// <summary>VNodes that the client holds.</summary>
    public int Held
    {
        get
        {
            lock (gate) { return holds.Count; }
        }
    }

    /// <summary>Blocks that the client gave back.</summary>
    public List<BlockId> Returned { get; } = [];

    /// <summary>Called between the decision and the answer of a hold.</summary>
    public Action? OnHeld { get; set; }

    /// <summary>Whether a commit that is wanted durable is, with its answer: two out of three, as with a pool, where one that was sent
    /// again is not.</summary>
    public bool SyncsWithCommits { get; set; }

    /// <summary>A planted bug: answers before anything is durable.</summary>
    public bool ForgetsSyncs { get; set; }

    /// <summary>A planted bug: a commit of many runs loses its last one.</summary>
    public bool LosesRuns { get; set; }

    public ISessionRecall? Recall { get; private set; }

    public void OnRecall(ISessionRecall recall) => Recall = recall;

    public ValueTask<Reply<NodeInfo>> LookupAsync(VNodeId parent, ReadOnlySpan<byte> name, CowNumber at)
    {
        lock (gate)
        {
            Status status = Lookup.Apply(drive.ViewAt(at), parent, name, out NodeInfo info);
            return new(new Reply<NodeInfo>(status, info));
        }
    }

    public ValueTask<Reply<NodeInfo>> GetAsync(VNodeId id, CowNumber at)
    {
        lock (gate) { return new(Get(id, at)); }
    }

    public ValueTask<Status> ReadDirectoryAsync(
        VNodeId directory, CowNumber at, ulong cookie, int maxEntries, bool withNodes, DirectoryPage page) =>
        new(Status.NotSupported);

    public ValueTask<Status> ReadLinkAsync(VNodeId id, CowNumber at, ByteBuffer target)
    {
        lock (gate) { return new(ReadLink.Apply(drive.ViewAt(at), id, target)); }
    }

    public ValueTask<Status> GetXattrAsync(VNodeId id, CowNumber at, ReadOnlySpan<byte> name, ByteBuffer value)
    {
        lock (gate) { return new(GetXattr.Apply(drive.ViewAt(at), id, name, value)); }
    }

    public ValueTask<Status> ListXattrsAsync(VNodeId id, CowNumber at, ByteBuffer names)
    {
        lock (gate) { return new(ListXattrs.Apply(drive.ViewAt(at), id, names)); }
    }

    public ValueTask<Reply<NodeInfo>> CreateAsync(in CreateRequest request)
    {
        lock (gate)
        {
            Status status = Create.Apply(request with { Session = Id }, Begin(), out NodeInfo info);
            if (status == Status.Ok && request.OpenedBy == Id) { Hold(info.Id); }
            return Answer(status, info);
        }
    }

    public ValueTask<Reply<NodeInfo>> LinkAsync(in LinkRequest request)
    {
        lock (gate) { return Answer(Link.Apply(request, Begin(), out NodeInfo info), info); }
    }

    public ValueTask<Reply<UnlinkResult>> UnlinkAsync(in UnlinkRequest request)
    {
        lock (gate)
        {
            Status found = Lookup.Apply(
                drive.ViewAt(CowNumber.Head), request.Parent, request.Name, out NodeInfo info);
            Status status = Unlink.Apply(
                request with { Holders = HoldersOf(found, info) }, Begin(), out UnlinkResult result);
            return Answer(status, result);
        }
    }

    public ValueTask<Reply<UnlinkResult>> RenameAsync(in RenameRequest request)
    {
        lock (gate)
        {
            Status found = Lookup.Apply(
                drive.ViewAt(CowNumber.Head), request.NewParent, request.NewName, out NodeInfo info);
            Status status = Rename.Apply(
                request with { Holders = HoldersOf(found, info) }, Begin(), out UnlinkResult result);
            return Answer(status, result);
        }
    }

    public ValueTask<Reply<NodeInfo>> SetAttributesAsync(in SetAttributesRequest request)
    {
        lock (gate) { return Answer(SetAttributes.Apply(request, Begin(), out NodeInfo info), info); }
    }

    public ValueTask<Status> SetXattrAsync(in SetXattrRequest request)
    {
        lock (gate) { return new(Commit(SetXattr.Apply(request, Begin(), out _))); }
    }

    public ValueTask<Status> RemoveXattrAsync(in RemoveXattrRequest request)
    {
        lock (gate) { return new(Commit(RemoveXattr.Apply(request, Begin(), out _))); }
    }

    public ValueTask<Reply<NodeInfo>> HoldAsync(VNodeId id)
    {
        lock (gate)
        {
            Reply<NodeInfo> info = Get(id, CowNumber.Head);
            if (info.IsOk) { Hold(id); }
            OnHeld?.Invoke();
            return new(info);
        }
    }

    public ValueTask<Status> ReleaseAsync(VNodeId id)
    {
        lock (gate)
        {
            Assert.True(holds.TryGetValue(id, out int count), "More releases than holds.");
            if (count > 1)
            {
                holds[id] = count - 1;
                return new(Status.Ok);
            }

            holds.Remove(id);
            Reply<NodeInfo> info = Get(id, CowNumber.Head);
            bool more = info.IsOk && info.Value.VNode.Nlink == 0;
            for (SessionId holder = Id; more; holder = default)
            {
                Status status = ReleaseOrphan.Apply(id, holder, this, Begin(), out more);
                if (status != Status.Ok) { return new(status); }
                drive.Commit();
            }

            return new(Status.Ok);
        }
    }

    public ValueTask<Reply<ClusterMap>> GetClusterAsync(VNodeId id, uint cluster, CowNumber at)
    {
        lock (gate)
        {
            MapsRead++;
            ClusterMap map = new();
            return new(new Reply<ClusterMap>(ReadCluster.Apply(id, cluster, drive.ViewAt(at), map), map));
        }
    }

    public async ValueTask<Status> CommitAsync(IReadOnlyList<FileCommit> commits, IList<NodeInfo> results)
    {
        if (blocks.IsSlow) { await Task.Yield(); }
        lock (gate)
        {
            Status status = OnCommit?.Invoke() ?? Status.Ok;
            if (status != Status.Ok) { return status; }
            this.commits++;
            ulong before = drive.Counters.UsedBytes;
            DriveTransaction transaction = Begin();
            foreach (FileCommit commit in commits)
            {
                commit.Session = Id;
                if (LosesRuns && commit.Runs.Count > 1) { commit.Runs.RemoveAt(commit.Runs.Count - 1); }
                status = CommitSlices.Apply(commit, transaction, out NodeInfo info);
                if (status != Status.Ok) { return status; }
                results.Add(info);
            }

            Assert.True(transaction.BatchBytes <= Limits.TransactionBytes);
            drive.Commit();
            drive.Ledger.Return(Id, new(drive.Counters.UsedBytes - before, 0));
            Committed?.Invoke(commits);
            return Status.Ok;
        }
    }

    public async ValueTask<Reply<bool>> CommitDurablyAsync(IReadOnlyList<FileCommit> commits, IList<NodeInfo> results)
    {
        Status status = await CommitAsync(commits, results);
        lock (gate)
        {
            bool isDurable = status == Status.Ok && SyncsWithCommits && this.commits % 3 != 0;
            if (isDurable && !ForgetsSyncs) { drive.Sync(); }
            return new(status, isDurable);
        }
    }

    public async ValueTask<Status> TransactAsync(TransactRequest request, TransactResult result)
    {
        if (blocks.IsSlow) { await Task.Yield(); }
        result.Clear();
        lock (gate)
        {
            Status status = OnCommit?.Invoke() ?? Status.Ok;
            if (status != Status.Ok) { return status; }
            FileCommit[] made = [.. request.Operations.OfType<CommitOperation>().Select(operation => operation.Commit)];
            foreach (FileCommit commit in made)
            {
                if (LosesRuns && commit.Runs.Count > 1) { commit.Runs.RemoveAt(commit.Runs.Count - 1); }
            }

            status = Transact.Apply(request, Id, this, Begin(), result);
            if (status != Status.Ok) { return status; }
            commits++;
            drive.Commit();
            drive.Ledger.Return(Id, result.Grown);
            foreach (VNodeId opened in result.Opened) { Hold(opened); }
            Committed?.Invoke(made);
            return Status.Ok;
        }
    }

    public ValueTask<Reply<NodeInfo>> ChangeRangeAsync(in RangeRequest request)
    {
        lock (gate)
        {
            RangeRequest rest = request;
            for (; ; )
            {
                RangeRequest step = rest;
                Status status = Commit(ChangeRange.Apply(step, Begin(), out rest, out NodeInfo info));
                if (status != Status.Ok || rest.Length == 0) { return new(new Reply<NodeInfo>(status, info)); }
            }
        }
    }

    public ValueTask<Reply<ulong>> CopyRangeAsync(in CopyRangeRequest request)
    {
        lock (gate) { return Answer(CopyRange.Apply(request, Begin(), out ulong copied, out _), copied); }
    }

    public ValueTask<Reply<BlockId>> GrantBlocksAsync(uint count)
    {
        lock (gate) { return Answer(GrantBlocks.Apply(Id, count, Begin(), out BlockId first), first); }
    }

    public ValueTask<Reply<VNodeId>> GrantVNodesAsync(uint count)
    {
        lock (gate) { return Answer(GrantVNodes.Apply(Id, count, Begin(), out VNodeId first), first); }
    }

    public ValueTask<Status> ReturnBlocksAsync(BlockId first, uint count)
    {
        lock (gate)
        {
            for (ulong id = first.Value; id < first.Value + count; id++) { Returned.Add(new(id)); }
            return new(Commit(ReturnBlocks.Apply(Id, first, count, Begin())));
        }
    }

    public ValueTask<Status> ReserveAsync(Reservation reservation)
    {
        lock (gate) { return new(drive.Reserve(Id, reservation)); }
    }

    public void Unreserve(Reservation reservation)
    {
        lock (gate) { drive.Ledger.Return(Id, reservation); }
    }

    public ValueTask<Status> SyncAsync()
    {
        lock (gate)
        {
            syncs++;
            if (!ForgetsSyncs) { drive.Sync(); }
            return new(Status.Ok);
        }
    }

    public ValueTask<Reply<FileLock>> TestLockAsync(VNodeId id, LockSpace space, FileLock wanted) =>
        new(Reply.Failed<FileLock>(Status.NotSupported));

    public ValueTask<Status> SetLockAsync(
        VNodeId id, LockSpace space, FileLock wanted, bool wait, CancellationToken cancellationToken) =>
        new(Status.NotSupported);

    public ValueTask<Status> UnlockAllAsync(VNodeId id, LockOwner owner) => new(Status.NotSupported);

    public ValueTask<Reply<DriveUsage>> GetUsageAsync()
    {
        lock (gate)
        {
            ulong quota = drive.State.Policy.QuotaBytes;
            DriveCounters counters = drive.Counters;
            ulong used = counters.UsedBytes + drive.Ledger.ReservedByOthers(default).Bytes;
            return new(Reply.Ok(new DriveUsage(
                quota, used, quota - used, ulong.MaxValue / 2, counters.UsedInodes)));
        }
    }

    public ValueTask<Reply<IReadOnlyList<SnapshotInfo>>> ListSnapshotsAsync() =>
        new(Reply.Failed<IReadOnlyList<SnapshotInfo>>(Status.NotSupported));

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>Keeps the drive as it is now.</summary>
    public CowNumber Snapshot(string name)
    {
        lock (gate)
        {
            Assert.Equal(Status.Ok, CreateSnapshot.Apply(name, Begin(), out RetainedVersion snapshot));
            drive.Commit();
            return snapshot.At;
        }
    }

    /// <summary>Asked by core's operations, under the lock.</summary>
    ReadOnlySpan<SessionId> INodeHolders.Holders(VNodeId id) =>
        holds.ContainsKey(id) ? new SessionId[] { Id } : default;

    private DriveTransaction Begin() =>
        drive.Begin(Id, new((time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * 100));

    private Reply<NodeInfo> Get(VNodeId id, CowNumber at) =>
        new(GetNode.Apply(drive.ViewAt(at), id, out NodeInfo info), info);

    private ValueTask<Reply<T>> Answer<T>(Status status, T value) => new(new Reply<T>(Commit(status), value));

    private Status Commit(Status status)
    {
        if (status == Status.Ok) { drive.Commit(); }
        return status;
    }

    private void Hold(VNodeId id) => holds[id] = holds.GetValueOrDefault(id) + 1;

    private ReadOnlySpan<SessionId> HoldersOf(Status found, in NodeInfo info) =>
        found == Status.Ok ? ((INodeHolders)this).Holders(info.Id) : [];
}
