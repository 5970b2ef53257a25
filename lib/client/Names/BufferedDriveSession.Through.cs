using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <content>What goes through to the primary, in its turn, and what the primary must know of what is held.</content>
public sealed partial class BufferedDriveSession
{
    public ValueTask<Status> SetXattrAsync(in SetXattrRequest request)
    {
        (VNodeId node, byte[] name, byte[] value) = (request.Node, request.Name.ToArray(), request.Value.ToArray());
        (XattrMode mode, bool killSetGid) = (request.Mode, request.KillSetGid);
        return ThroughAsync(
            removes: false,
            static failure => failure,
            async () => TakeChanged(node, await inner.SetXattrAsync(
                new() { Node = node, Name = name, Value = value, Mode = mode, KillSetGid = killSetGid })));
    }

    public ValueTask<Status> RemoveXattrAsync(in RemoveXattrRequest request)
    {
        (VNodeId node, byte[] name) = (request.Node, request.Name.ToArray());
        return ThroughAsync(
            removes: false,
            static failure => failure,
            async () => TakeChanged(node, await inner.RemoveXattrAsync(new() { Node = node, Name = name })));
    }

    public async ValueTask<Status> CommitAsync(IReadOnlyList<FileCommit> commits, IList<NodeInfo> results) =>
        (await CommitInTurnAsync(new(commits, results, WantsDurable: false))).Status;

    public ValueTask<Reply<bool>> CommitDurablyAsync(IReadOnlyList<FileCommit> commits, IList<NodeInfo> results) =>
        CommitInTurnAsync(new(commits, results, WantsDurable: true));

    /// <summary>Commits together with those that wait for the turn, too.</summary>
    private async ValueTask<Reply<bool>> CommitInTurnAsync(WaitingCommit mine)
    {
        bool isBusy;
        lock (gate) { isBusy = pending.Count > 0; }
        if (!waitingCommits.Enter(mine) && await mine.Outcome is { } brought) { return brought; }
        List<WaitingCommit>? group = null;
        Reply<bool>[] replies;
        try
        {
            replies = await ThroughAsync(
                removes: false,
                failure =>
                {
                    group = waitingCommits.Take();
                    return AllOf(group, failure);
                },
                () =>
                {
                    group = waitingCommits.Take();
                    return CommitTogetherAsync(group, isBusy);
                });
        }
        catch (Exception e)
        {
            foreach (WaitingCommit other in (group ?? waitingCommits.Take()).Skip(1)) { other.Fail(e); }
            throw;
        }

        for (int at = 1; at < replies.Length; at++) { group![at].Answer(replies[at]); }
        return replies[0];
    }

    private async ValueTask<Reply<bool>[]> CommitTogetherAsync(List<WaitingCommit> group, bool isBusy)
    {
        if (group.Count == 1) { return [await CommitOneAsync(group[0], isBusy)]; }
        WaitingCommit all = new(
            [.. group.SelectMany(static one => one.Commits)], new List<NodeInfo>(), group.Exists(static one => one.WantsDurable));
        Reply<bool> reply = await CommitOneAsync(all, isBusy);
        if (reply.IsOk)
        {
            int from = 0;
            foreach (WaitingCommit one in group)
            {
                one.Results.Clear();
                for (int end = from + one.Commits.Count; from < end; from++) { one.Results.Add(all.Results[from]); }
            }

            return [.. group.Select(_ => reply)];
        }

        if (IsOfAll(reply.Status)) { return AllOf(group, reply.Status); }

        // What one is refused for is not the others' fault.
        Reply<bool>[] each = new Reply<bool>[group.Count];
        for (int at = 0; at < each.Length; at++) { each[at] = await CommitOneAsync(group[at], isBusy); }
        return each;
    }

    /// <remarks>What of earlier changes is lost, <see cref="SyncAsync"/> has to say. While disks sync, the turn is taken: only who is alone
    /// asks for it. Others share one sync behind their commits, and names go on meanwhile.</remarks>
    private async ValueTask<Reply<bool>> CommitOneAsync(WaitingCommit one, bool isBusy)
    {
        bool durably = one.WantsDurable && !isBusy && Volatile.Read(ref waitingForTurn) == 0;
        Reply<bool> reply = durably
            ? await inner.CommitDurablyAsync(one.Commits, one.Results)
            : new(await inner.CommitAsync(one.Commits, one.Results), false);
        Status status = TakeCommitted(reply.Status, one.Results);
        lock (gate) { return new(status, reply.Value && lost == Status.Ok); }
    }

    private static Reply<bool>[] AllOf(List<WaitingCommit> group, Status failure) =>
        [.. group.Select(_ => Reply.Failed<bool>(failure))];

    /// <summary>Whether a failure says nothing of any one commit.</summary>
    private static bool IsOfAll(Status status) =>
        status is Status.Unknown or Status.TimedOut or Status.Lost or Status.IoError or Status.SessionExpired or Status.StaleEpoch
            or Status.Unavailable or Status.Busy;

    private Status TakeCommitted(Status status, IList<NodeInfo> results)
    {
        lock (gate)
        {
            if (!Learn(status)) { return status; }
            for (int at = 0; at < results.Count; at++) { results[at] = Take(results[at]); }
            return status;
        }
    }

    public ValueTask<Reply<NodeInfo>> ChangeRangeAsync(in RangeRequest request)
    {
        RangeRequest asked = request;
        return ThroughAsync(
            removes: false,
            Reply.Failed<NodeInfo>,
            async () =>
            {
                Reply<NodeInfo> reply = await inner.ChangeRangeAsync(asked);
                TakeChanged(asked.Node, reply.Status);
                return Take(reply);
            });
    }

    public ValueTask<Reply<ulong>> CopyRangeAsync(in CopyRangeRequest request)
    {
        CopyRangeRequest asked = request;
        return ThroughAsync(
            removes: false,
            Reply.Failed<ulong>,
            async () =>
            {
                Reply<ulong> reply = await inner.CopyRangeAsync(asked);
                TakeChanged(asked.Target, reply.Status);
                return reply;
            });
    }

    public ValueTask<Status> TransactAsync(TransactRequest request, TransactResult result) => ThroughAsync(
        removes: true,
        static failure => failure,
        async () =>
        {
            // The versions that callers have are not the primary's.
            if (request.Preconditions.Any(static precondition => precondition is VersionIs)) { return Status.NotSupported; }

            // It may take any name.
            Status status = await HoldThereAsync();
            if (status != Status.Ok) { return status; }
            status = await inner.TransactAsync(request, result);
            lock (gate)
            {
                if (status == Status.Ok)
                {
                    ulong theirs = Math.Min(reservedInodes, result.Grown.Inodes);
                    reservedInodes -= theirs;
                    granted.Told(made: 0, result.Grown.Inodes - theirs);
                    foreach (VNodeId opened in result.Opened)
                    {
                        AddHold(opened);
                        heldThere.Add(opened);
                    }
                }

                Forget();
                return status;
            }
        });

    public ValueTask<Reply<NodeInfo>> HoldAsync(VNodeId id) =>
        TryHold(id, out Reply<NodeInfo> reply, out _) == Way.Done ? new(reply) : FinishHoldAsync(id);

    public ValueTask<Status> ReleaseAsync(VNodeId id)
    {
        lock (gate)
        {
            if (!holds.TryGetValue(id, out int count)) { return new(Status.Invalid); }
            if (count > 1)
            {
                holds[id] = count - 1;
                return new(Status.Ok);
            }

            holds.Remove(id);
            if (!heldThere.Remove(id)) { return new(Status.Ok); }
            if (view.TryGetVNode(id, out VNode vnode) && vnode.Nlink == 0) { mirror.SetGone(id); }
        }

        return inner.ReleaseAsync(id);
    }

    private async ValueTask<Reply<NodeInfo>> FinishHoldAsync(VNodeId id)
    {
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            Way way = TryHold(id, out Reply<NodeInfo> reply, out MirrorMiss? miss);
            if (way == Way.Done) { return reply; }
            if (way == Way.Blocked && !holdsLease()) { break; }
            if (way == Way.Blocked)
            {
                await WaitForTurnAsync();
                continue;
            }

            if (miss is null || await FetchAsync(miss) is not { } fetched) { break; }
            if (fetched != Status.Ok) { return Reply.Failed<NodeInfo>(fetched); }
        }

        return await ThroughAsync(removes: false, Reply.Failed<NodeInfo>, async () =>
        {
            Reply<NodeInfo> held = await inner.HoldAsync(id);
            lock (gate)
            {
                if (!Learn(held.Status)) { return held; }
                AddHold(id);

                // One there stands for all here.
                if (heldThere.Add(id)) { return Reply.Ok(Take(held.Value)); }
            }

            Status released = await inner.ReleaseAsync(id);
            return released == Status.Ok ? Take(held) : Reply.Failed<NodeInfo>(released);
        });
    }

    private Way TryHold(VNodeId id, out Reply<NodeInfo> reply, out MirrorMiss? miss)
    {
        reply = default;
        miss = null;
        lock (gate)
        {
            if (IsQuiet) { return Way.Through; }
            if (isRemoving || !holdsLease()) { return Way.Blocked; }
            mirror.BeginReading();
            Status status = GetNode.Apply(view, id, out NodeInfo info);
            miss = mirror.Miss;
            if (miss is not null) { return Way.Unknown; }

            // An orphan that only the primary counts the holders of.
            bool isOrphan = status == Status.Ok && info.VNode.Nlink == 0 && !holds.ContainsKey(id);
            reply = status == Status.Ok && !isOrphan
                ? Reply.Ok(info)
                : Reply.Failed<NodeInfo>(isOrphan ? Status.Stale : status);
            if (reply.IsOk) { AddHold(id); }
            return Way.Done;
        }
    }

    /// <summary>Holds at the primary what is held here. Not while anything is being taken away, but in the caller's turn.</summary>
    private async ValueTask<Status> HoldThereAsync()
    {
        VNodeId[] missing;
        lock (gate) { missing = [.. holds.Keys.Where(id => !heldThere.Contains(id))]; }
        Status first = Status.Ok;
        foreach (VNodeId id in missing)
        {
            Status status = await HoldThereAsync(id);
            if (first == Status.Ok) { first = status; }
        }

        return first;
    }

    private async ValueTask<Status> HoldThereAsync(VNodeId id)
    {
        Reply<NodeInfo> held = await inner.HoldAsync(id);
        if (!held.IsOk) { return held.Status == Status.Stale ? Status.Ok : held.Status; }
        lock (gate)
        {
            if (holds.ContainsKey(id) && heldThere.Add(id)) { return Status.Ok; }
        }

        // Released meanwhile, or held there already.
        return await inner.ReleaseAsync(id);
    }

    /// <summary>Holds at the primary what a name leads to, if it is held here: the name is about to be taken.</summary>
    private async ValueTask<Status> HoldNamedThereAsync(VNodeId parent, ReadOnlyMemory<byte> name)
    {
        lock (gate)
        {
            if (holds.Count == heldThere.Count) { return Status.Ok; }
        }

        Reply<NodeInfo> named = await inner.LookupAsync(parent, name.Span, CowNumber.Head);
        if (!named.IsOk) { return Status.Ok; }
        lock (gate)
        {
            if (!holds.ContainsKey(named.Value.Id) || heldThere.Contains(named.Value.Id)) { return Status.Ok; }
        }

        return await HoldThereAsync(named.Value.Id);
    }

    /// <summary>Under the gate.</summary>
    private void AddHold(VNodeId id) => holds[id] = holds.GetValueOrDefault(id) + 1;

    /// <summary>Asks the primary to change something, behind everything that was done before, and with nothing done here until it
    /// has answered.</summary>
    /// <param name="removes">It may take a VNode its last name.</param>
    /// <param name="fail">Makes an answer of why what waits could not be told.</param>
    /// <param name="ask">Asks, and takes what the answer says.</param>
    private async ValueTask<T> ThroughAsync<T>(bool removes, Func<Status, T> fail, Func<ValueTask<T>> ask)
    {
        Interlocked.Increment(ref waitingForTurn);
        await turn.WaitAsync();
        Interlocked.Decrement(ref waitingForTurn);
        lock (gate)
        {
            isThrough = true;
            isRemoving = removes;
        }

        try
        {
            Status told = await TellAsync(long.MaxValue);
            return told == Status.Ok ? await ask() : fail(told);
        }
        finally
        {
            lock (gate)
            {
                isThrough = false;
                isRemoving = false;
            }

            turn.Release();
        }
    }

    /// <summary>Whether an answer tells what was changed. If it does not tell whether anything was, nothing is known any more.
    /// Under the gate.</summary>
    private bool Learn(Status status)
    {
        if (status is Status.Unknown or Status.TimedOut or Status.Lost or Status.IoError) { Forget(); }
        return status == Status.Ok;
    }

    private Reply<NodeInfo> Take(in Reply<NodeInfo> reply)
    {
        lock (gate) { return Learn(reply.Status) ? Reply.Ok(Take(reply.Value)) : reply; }
    }

    /// <summary>Knows a VNode as a change of the primary left it. Under the gate.</summary>
    private NodeInfo Take(in NodeInfo info)
    {
        NodeInfo taken = info with { Version = new(++version) };
        if (!MayKnow(taken)) { mirror.Forget(taken.Id); }
        else { mirror.Replace(taken); }

        Bound();
        return taken;
    }

    /// <summary>Whether only this session changes a VNode: of one that was cut, the primary removes what is behind the cut.</summary>
    private static bool MayKnow(in NodeInfo info) => (info.VNode.Flags & VNodeFlags.HasCut) == 0;

    private NodeInfo TakeNamed(VNodeId parent, ReadOnlySpan<byte> name, in NodeInfo info)
    {
        mirror.Forget(parent);
        NodeInfo taken = Take(info);
        if (!name.IsEmpty) { mirror.ReplaceName(parent, name, new(info.Id, info.VNode.Kind), taken.Version); }
        return taken;
    }

    private UnlinkResult TakeTaken(in UnlinkResult result)
    {
        if (result.Info.Id == VNodeId.None) { return result; }
        NodeInfo taken = Take(result.Info);
        if (result.Removed || (result.Orphaned && !holds.ContainsKey(taken.Id))) { mirror.SetGone(taken.Id); }
        return result with { Info = taken };
    }

    private Status TakeChanged(VNodeId node, Status status)
    {
        lock (gate)
        {
            // Several transactions may have been done of it before one was not.
            Learn(status);
            mirror.Forget(node);
            version++;
            return status;
        }
    }
}
