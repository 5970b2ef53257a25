using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <content>What is changed: at the primary, and forgotten here.</content>
public sealed partial class SharedDriveSession
{
    public ValueTask<Reply<NodeInfo>> CreateAsync(in CreateRequest request)
    {
        Change change = Begin([request.Parent], new(request.Parent, request.Name));
        return AnswerAsync(change, inner.CreateAsync(request));
    }

    public ValueTask<Reply<NodeInfo>> LinkAsync(in LinkRequest request)
    {
        Change change = Begin([request.Node, request.NewParent], new(request.NewParent, request.NewName));
        return AnswerAsync(change, inner.LinkAsync(request));
    }

    public ValueTask<Reply<UnlinkResult>> UnlinkAsync(in UnlinkRequest request)
    {
        Change change = Begin([request.Parent], new(request.Parent, request.Name), removes: true);
        return FinishAsync(change, inner.UnlinkAsync(request));
    }

    public ValueTask<Reply<UnlinkResult>> RenameAsync(in RenameRequest request)
    {
        Change change = Begin(
            [request.OldParent, request.NewParent], new(request.OldParent, request.OldName), new(request.NewParent, request.NewName), removes: true);
        return FinishAsync(change, inner.RenameAsync(request));
    }

    public ValueTask<Reply<NodeInfo>> SetAttributesAsync(in SetAttributesRequest request) =>
        AnswerAsync(Begin([request.Node]), inner.SetAttributesAsync(request));

    public ValueTask<Status> SetXattrAsync(in SetXattrRequest request) => FinishAsync(Begin([request.Node]), inner.SetXattrAsync(request));

    public ValueTask<Status> RemoveXattrAsync(in RemoveXattrRequest request) =>
        FinishAsync(Begin([request.Node]), inner.RemoveXattrAsync(request));

    public ValueTask<Reply<NodeInfo>> HoldAsync(VNodeId id) => inner.HoldAsync(id);

    /// <remarks>What has no name goes with the last hold.</remarks>
    public ValueTask<Status> ReleaseAsync(VNodeId id) => FinishAsync(Begin([id]), inner.ReleaseAsync(id));

    public async ValueTask<Status> CommitAsync(IReadOnlyList<FileCommit> commits, IList<NodeInfo> results) =>
        (await CommitAsync(commits, results, durably: false)).Status;

    public ValueTask<Reply<bool>> CommitDurablyAsync(IReadOnlyList<FileCommit> commits, IList<NodeInfo> results) =>
        CommitAsync(commits, results, durably: true);

    public ValueTask<Reply<NodeInfo>> ChangeRangeAsync(in RangeRequest request) =>
        AnswerAsync(Begin([request.Node]), inner.ChangeRangeAsync(request));

    public ValueTask<Reply<ulong>> CopyRangeAsync(in CopyRangeRequest request) =>
        FinishAsync(Begin([request.Target]), inner.CopyRangeAsync(request));

    public ValueTask<Status> TransactAsync(TransactRequest request, TransactResult result) =>
        FinishAsync(BeginAnything(), inner.TransactAsync(request, result));

    public ValueTask<Reply<NodeInfo>> DelegateAsync(VNodeId id) => inner.DelegateAsync(id);

    public ValueTask<Status> ReturnDelegationsAsync(IReadOnlyCollection<VNodeId> nodes) => inner.ReturnDelegationsAsync(nodes);

    public ValueTask<Reply<BlockId>> GrantBlocksAsync(uint count) => inner.GrantBlocksAsync(count);

    public ValueTask<Reply<VNodeId>> GrantVNodesAsync(uint count) => inner.GrantVNodesAsync(count);

    public ValueTask<Status> ReturnBlocksAsync(BlockId first, uint count) => inner.ReturnBlocksAsync(first, count);

    public ValueTask<Status> ReserveAsync(Reservation reservation) => inner.ReserveAsync(reservation);

    public void Unreserve(Reservation reservation) => inner.Unreserve(reservation);

    public ValueTask<Reply<FileLock>> TestLockAsync(VNodeId id, LockSpace space, FileLock wanted) => inner.TestLockAsync(id, space, wanted);

    public ValueTask<Status> SetLockAsync(
        VNodeId id, LockSpace space, FileLock wanted, bool wait, CancellationToken cancellationToken) =>
        inner.SetLockAsync(id, space, wanted, wait, cancellationToken);

    public ValueTask<Status> UnlockAllAsync(VNodeId id, LockOwner owner) => inner.UnlockAllAsync(id, owner);

    private async ValueTask<Reply<bool>> CommitAsync(IReadOnlyList<FileCommit> commits, IList<NodeInfo> results, bool durably)
    {
        ArgumentNullException.ThrowIfNull(commits);
        Change change = Begin([.. commits.Select(static commit => commit.Node)]);
        try
        {
            Reply<bool> reply = durably
                ? await inner.CommitDurablyAsync(commits, results)
                : new(await inner.CommitAsync(commits, results), false);
            if (reply.IsOk) { change.Results.AddRange(results); }
            return reply;
        }
        finally
        {
            End(change);
        }
    }

    private async ValueTask<Reply<NodeInfo>> AnswerAsync(Change change, ValueTask<Reply<NodeInfo>> asked)
    {
        try
        {
            Reply<NodeInfo> reply = await asked;
            if (reply.IsOk) { change.Results.Add(reply.Value); }
            return reply;
        }
        finally
        {
            End(change);
        }
    }

    private async ValueTask<T> FinishAsync<T>(Change change, ValueTask<T> asked)
    {
        try
        {
            return await asked;
        }
        finally
        {
            End(change);
        }
    }

    /// <summary>Forgets what a change is about to change. If nobody here knows what a name leads to that it takes away, that is
    /// everything.</summary>
    private Change Begin(
        ReadOnlySpan<VNodeId> nodes, NamePlace first = default, NamePlace second = default, bool removes = false)
    {
        Change change = new();
        lock (gate)
        {
            foreach (VNodeId node in nodes) { change.Nodes.Add(node); }
            bool isKnown = !removes || (AddNamed(first, change) && AddNamed(second, change));
            if (!isKnown) { return BeginAnything(); }
            foreach (VNodeId node in change.Nodes)
            {
                if (mirror.Knows(node)) { change.Kept.Add(node); }
                changing[node] = changing.GetValueOrDefault(node) + 1;
                mirror.Forget(node);
            }

            if (!first.IsNone) { mirror.ForgetName(first.Parent, first.Name); }
            if (!second.IsNone) { mirror.ForgetName(second.Parent, second.Name); }
            if (removes)
            {
                change.Removes = true;
                removing++;
            }

            change.Epoch = mirror.Epoch;
            return change;
        }
    }

    private Change BeginAnything()
    {
        lock (gate)
        {
            changingAnything++;
            mirror.Clear();
            return new() { IsAnything = true };
        }
    }

    /// <summary>Adds what a name leads to. False: that is not known. Under the gate.</summary>
    private bool AddNamed(NamePlace place, Change change)
    {
        if (place.IsNone) { return true; }
        mirror.BeginReading();
        if (view.TryGetDentry(place.Parent, place.Name, out Dentry dentry)) { change.Nodes.Add(dentry.Child); }
        return mirror.Miss is null;
    }

    /// <summary>A change was answered. What it says of VNodes that were kept all the while is known again, if nothing else was forgotten
    /// meanwhile: another change of the same VNode may have been carried out behind it.</summary>
    private void End(Change change)
    {
        lock (gate)
        {
            bool isAlone = mirror.Epoch == change.Epoch;
            mirror.Doubt();
            if (change.IsAnything)
            {
                changingAnything--;
                return;
            }

            if (change.Removes) { removing--; }

            foreach (VNodeId node in change.Nodes)
            {
                int left = changing[node] - 1;
                if (left > 0) { changing[node] = left; }
                else { changing.Remove(node); }
            }

            if (!isAlone || changingAnything > 0 || removing > 0) { return; }
            foreach (NodeInfo info in change.Results)
            {
                if (change.Kept.Contains(info.Id)) { Learn(info); }
            }
        }
    }

    /// <summary>A name in a directory.</summary>
    private readonly ref struct NamePlace(VNodeId parent, ReadOnlySpan<byte> name)
    {
        public VNodeId Parent { get; } = parent;

        public ReadOnlySpan<byte> Name { get; } = name;

        /// <summary>There is none, or cannot be.</summary>
        public bool IsNone => Parent == VNodeId.None || Name.Length is 0 or > Limits.NameBytes;
    }

    /// <summary>A change on its way.</summary>
    private sealed class Change
    {
        /// <summary>What it changes.</summary>
        public HashSet<VNodeId> Nodes { get; } = [];

        /// <summary>Those of them that were known, so that the primary knows that they are kept.</summary>
        public HashSet<VNodeId> Kept { get; } = [];

        /// <summary>It may change anything.</summary>
        public bool IsAnything { get; init; }

        /// <summary>It takes a name away.</summary>
        public bool Removes { get; set; }

        /// <summary>The mirror's, when it was asked for.</summary>
        public long Epoch { get; set; }

        /// <summary>VNodes as it has left them.</summary>
        public List<NodeInfo> Results { get; } = [];
    }
}
