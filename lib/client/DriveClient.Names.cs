using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <content>Names and attributes: the session answers, and what is in memory is merged in or goes first.</content>
public sealed partial class DriveClient
{
    /// <summary>A VNode by name, dirty data merged in.</summary>
    public ValueTask<Reply<NodeInfo>> LookupAsync(VNodeId parent, ReadOnlySpan<byte> name, CowNumber at)
    {
        long evictions = table.Evictions;
        ValueTask<Reply<NodeInfo>> reply = session.LookupAsync(parent, name, at);
        return at == CowNumber.Head ? MergeAsync(reply, evictions) : reply;
    }

    /// <summary>A VNode by id, dirty data merged in.</summary>
    public ValueTask<Reply<NodeInfo>> GetAsync(VNodeId id, CowNumber at)
    {
        long evictions = table.Evictions;
        ValueTask<Reply<NodeInfo>> reply = session.GetAsync(id, at);
        return at == CowNumber.Head ? MergeAsync(reply, evictions) : reply;
    }

    /// <summary>A VNode at the present version with dirty data merged in: for answers of <see cref="Session"/> that
    /// carry VNodes, as those of directories.</summary>
    public NodeInfo Merge(in NodeInfo info) =>
        table.Find(info.Id, CowNumber.Head) is { } state && TryMerge(state, info, out NodeInfo merged) ? merged : info;

    /// <summary>Changes attributes. A new size cuts dirty data off; new times outlast writes that were before. Of a file with
    /// data that waits to be committed they wait with it (<see cref="KeptAttributes"/>).</summary>
    public ValueTask<Reply<NodeInfo>> SetAttributesAsync(in SetAttributesRequest request)
    {
        if (table.Find(request.Node, CowNumber.Head) is { } state)
        {
            bool dataGoesFirst;
            lock (state.Gate)
            {
                bool isOwn = delegations is null || delegations.Has(state);
                if (isOwn && state.TryKeep(request, writer.Now(), out NodeInfo kept)) { return new(Reply.Ok(kept)); }
                dataGoesFirst = DataGoesFirst(state, request);
            }

            if (dataGoesFirst && table.Pin(request.Node) is { } dirty) { return SetWithDataAsync(dirty, request); }
        }

        const AttributeMask Data = AttributeMask.Size | AttributeMask.ModifyTime | AttributeMask.ModifyTimeNow
            | AttributeMask.ChangeTime;
        if ((request.Mask & Data) == 0)
        {
            long evictions = table.Evictions;
            return MergeAsync(session.SetAttributesAsync(request), evictions);
        }

        return table.Pin(request.Node) is { } pinned
            ? SetWithDataAsync(pinned, request)
            : NoteChangedAsync(session.SetAttributesAsync(request));
    }

    /// <summary>Sets an extended attribute; what is dirty, which may drop one, is committed before.</summary>
    public ValueTask<Status> SetXattrAsync(in SetXattrRequest request) => FlushAndSetXattrAsync(
        request.Node, request.Name.ToArray(), request.Value.ToArray(), request.Mode, request.KillSetGid);

    /// <summary>Removes an extended attribute; what is dirty is committed before.</summary>
    public ValueTask<Status> RemoveXattrAsync(in RemoveXattrRequest request) =>
        FlushAndRemoveXattrAsync(request.Node, request.Name.ToArray());

    /// <summary>Gives a VNode one more name; its data is committed before.</summary>
    public ValueTask<Reply<NodeInfo>> LinkAsync(in LinkRequest request)
    {
        if (table.Find(request.Node, CowNumber.Head) is { } state && IsDirty(state))
        {
            return FlushAndLinkAsync(state, request.NewParent, request.NewName.ToArray());
        }

        long evictions = table.Evictions;
        return MergeAsync(session.LinkAsync(request), evictions);
    }

    /// <summary>Takes a name away. The dirty data of a VNode that is gone goes, too.</summary>
    public ValueTask<Reply<UnlinkResult>> UnlinkAsync(in UnlinkRequest request)
    {
        ValueTask<Reply<UnlinkResult>> reply = session.UnlinkAsync(request);

        // House: the answer is there.
        return reply.IsCompletedSuccessfully ? new(NoteUnlinked(reply.Result)) : NoteUnlinkedAsync(reply);
    }

    /// <summary>Moves a name. A file that takes another's place is committed before, so that no crash leaves an empty
    /// one.</summary>
    public ValueTask<Reply<UnlinkResult>> RenameAsync(in RenameRequest request)
    {
        if (memory.Pool.RentedBuffers > 0)
        {
            return FlushAndRenameAsync(
                request.OldParent, request.OldName.ToArray(), request.NewParent, request.NewName.ToArray(),
                request.Flags, request.Caller);
        }

        ValueTask<Reply<UnlinkResult>> reply = session.RenameAsync(request);

        // House: the answer is there.
        return reply.IsCompletedSuccessfully ? new(NoteUnlinked(reply.Result)) : NoteUnlinkedAsync(reply);
    }

    /// <summary>What statfs(2) tells. Of what this client has reserved, which the session counts as used, only what
    /// dirty data may need counts.</summary>
    public async ValueTask<Reply<DriveUsage>> StatfsAsync()
    {
        Reply<DriveUsage> reply = await session.GetUsageAsync();
        if (!reply.IsOk) { return reply; }
        ulong surplus = Math.Min(quota.SurplusBytes, reply.Value.UsedBytes);
        return Reply.Ok(reply.Value with
        {
            UsedBytes = reply.Value.UsedBytes - surplus,
            FreeBytes = reply.Value.FreeBytes + surplus,
        });
    }

    private static bool IsDirty(FileState state)
    {
        lock (state.Gate) { return state.IsDirty; }
    }

    private ValueTask<Reply<NodeInfo>> MergeAsync(ValueTask<Reply<NodeInfo>> reply, long evictions)
    {
        if (!reply.IsCompletedSuccessfully) { return MergeLaterAsync(reply, evictions); }

        // House: the answer is there.
        Reply<NodeInfo> info = reply.Result;
        if (!info.IsOk) { return new(info); }
        if (table.Find(info.Value.Id, CowNumber.Head) is { } state && TryMerge(state, info.Value, out NodeInfo merged))
        {
            return new(Reply.Ok(merged));
        }

        return table.Evictions == evictions ? new(info) : GetAgainAsync(info.Value.Id);
    }

    /// <summary>False if the state was let go since it was found.</summary>
    private static bool TryMerge(FileState state, in NodeInfo info, out NodeInfo merged)
    {
        lock (state.Gate)
        {
            merged = info;
            if (state.IsEvicted) { return false; }
            state.Learn(info);
            merged = state.Merged();
            return true;
        }
    }

    private async ValueTask<Reply<NodeInfo>> MergeLaterAsync(ValueTask<Reply<NodeInfo>> reply, long evictions)
    {
        Reply<NodeInfo> info = await reply;
        return await MergeAsync(new ValueTask<Reply<NodeInfo>>(info), evictions);
    }

    /// <summary>A state was let go between an answer and its merging: what it had is committed, and a new answer has
    /// it. </summary>
    private async ValueTask<Reply<NodeInfo>> GetAgainAsync(VNodeId id)
    {
        Reply<NodeInfo> info = await session.GetAsync(id, CowNumber.Head);
        return info.IsOk ? Reply.Ok(Merge(info.Value)) : info;
    }

    /// <summary>Whether dirty data must be committed before a change: attributes that wait for it must not be overtaken, and
    /// neither they nor the clearing of set-id bits may go with what a cut takes away. Under the file's gate.</summary>
    private static bool DataGoesFirst(FileState state, in SetAttributesRequest request) =>
        !state.Kept.IsEmpty
        || (state.KillSetId && (request.Mask & (AttributeMask.Size | KeptAttributes.Owners)) != 0);

    private async ValueTask<Status> FlushAndSetXattrAsync(
        VNodeId node, byte[] name, byte[] value, XattrMode mode, bool killSetGid)
    {
        Status status = await FlushKnownAsync(node);
        if (status != Status.Ok) { return status; }
        status = await session.SetXattrAsync(
            new SetXattrRequest { Node = node, Name = name, Value = value, Mode = mode, KillSetGid = killSetGid });
        return await LearnXattrsAsync(node, status);
    }

    private async ValueTask<Status> FlushAndRemoveXattrAsync(VNodeId node, byte[] name)
    {
        Status status = await FlushKnownAsync(node);
        if (status != Status.Ok) { return status; }
        status = await session.RemoveXattrAsync(new RemoveXattrRequest { Node = node, Name = name });
        return await LearnXattrsAsync(node, status);
    }

    private ValueTask<Status> FlushKnownAsync(VNodeId node) =>
        table.Find(node, CowNumber.Head) is { } state ? flusher.FlushAsync(state, isOwner: false) : new(Status.Ok);

    /// <summary>Extended attributes were changed: a file that has some keeps no attributes in memory.</summary>
    private async ValueTask<Status> LearnXattrsAsync(VNodeId node, Status status)
    {
        if (status != Status.Ok) { return status; }
        Reply<NodeInfo> info = await session.GetAsync(node, CowNumber.Head);
        if (info.IsOk) { table.NoteChanged(info.Value); }
        return Status.Ok;
    }

    /// <summary>Changes size or times of a file that may be dirty, or anything of one that keeps attributes: in its order with
    /// the writes before and after.</summary>
    private async ValueTask<Reply<NodeInfo>> SetWithDataAsync(FileState state, SetAttributesRequest request)
    {
        await state.EnterExclusiveAsync();
        try
        {
            // What is captured must commit first; what is not stays, but for what a new size cuts off.
            bool cuts = (request.Mask & AttributeMask.Size) != 0;
            bool dataGoesFirst;
            lock (state.Gate) { dataGoesFirst = DataGoesFirst(state, request); }
            Status drained = dataGoesFirst
                ? await flusher.FlushAsync(state, isOwner: true)
                : await flusher.DrainAsync(state);
            if (drained != Status.Ok)
            {
                return cuts && Keeps(drained)
                    ? await CutKeptAsync(state, request, drained)
                    : Reply.Failed<NodeInfo>(drained);
            }

            Reply<NodeInfo> reply = await session.SetAttributesAsync(request);
            if (!reply.IsOk) { return reply; }
            bool setsModifyTime = cuts || KeptAttributes.SetsModifyTime(request);
            lock (state.Gate)
            {
                return Reply.Ok(state.LearnCut(cuts ? request.Size : null, reply.Value, setsModifyTime));
            }
        }
        finally
        {
            flusher.LeaveExclusive(state);
            table.Unpin(state);
        }
    }

    /// <summary>Cuts a file of which some data cannot be committed and is kept, on a full disk: the way to make room. The
    /// cut goes first, and what is kept follows it, without what the cut took.</summary>
    private async ValueTask<Reply<NodeInfo>> CutKeptAsync(FileState state, SetAttributesRequest request, Status failure)
    {
        List<FlushBatch>? held = await flusher.HoldAsync(state);
        if (held is null) { return Reply.Failed<NodeInfo>(Status.IoError); }
        try
        {
            bool killsSetId;
            lock (state.Gate) { killsSetId = state.KillSetId; }

            // Writes that the cut takes away had cleared them.
            Reply<NodeInfo> reply = await session.SetAttributesAsync(
                killsSetId ? request with { Mask = request.Mask | AttributeMask.KillSetId } : request);
            return reply.IsOk ? Reply.Ok(flusher.CutHeld(state, request.Size, reply.Value)) : reply;
        }
        finally
        {
            await flusher.LetGoAsync(state, held, failure);
        }
    }

    private ValueTask<Reply<NodeInfo>> NoteChangedAsync(ValueTask<Reply<NodeInfo>> reply)
    {
        if (!reply.IsCompletedSuccessfully) { return NoteChangedLaterAsync(reply); }

        // House: the answer is there.
        Reply<NodeInfo> info = reply.Result;
        if (info.IsOk) { table.NoteChanged(info.Value); }
        return new(info);
    }

    private async ValueTask<Reply<NodeInfo>> NoteChangedLaterAsync(ValueTask<Reply<NodeInfo>> reply)
    {
        Reply<NodeInfo> info = await reply;
        if (info.IsOk) { table.NoteChanged(info.Value); }
        return info;
    }

    private async ValueTask<Reply<NodeInfo>> FlushAndLinkAsync(FileState state, VNodeId parent, byte[] name)
    {
        Status status = await flusher.FlushAsync(state, isOwner: false);
        if (status != Status.Ok) { return Reply.Failed<NodeInfo>(status); }
        long evictions = table.Evictions;
        ValueTask<Reply<NodeInfo>> linked =
            session.LinkAsync(new LinkRequest { Node = state.Id, NewParent = parent, NewName = name });
        return await MergeAsync(linked, evictions);
    }

    private async ValueTask<Reply<UnlinkResult>> FlushAndRenameAsync(
        VNodeId oldParent, byte[] oldName, VNodeId newParent, byte[] newName, RenameFlags flags, Credentials caller)
    {
        Reply<NodeInfo> moved = await session.LookupAsync(oldParent, oldName, CowNumber.Head);
        if (moved.IsOk && table.Find(moved.Value.Id, CowNumber.Head) is { } state && IsDirty(state))
        {
            Reply<NodeInfo> replaced = await session.LookupAsync(newParent, newName, CowNumber.Head);
            Status status = replaced.IsOk ? await flusher.FlushAsync(state, isOwner: false) : Status.Ok;
            if (status != Status.Ok) { return Reply.Failed<UnlinkResult>(status); }
        }

        return NoteUnlinked(await session.RenameAsync(new RenameRequest
        {
            OldParent = oldParent,
            OldName = oldName,
            NewParent = newParent,
            NewName = newName,
            Flags = flags,
            Caller = caller,
        }));
    }

    private async ValueTask<Reply<UnlinkResult>> NoteUnlinkedAsync(ValueTask<Reply<UnlinkResult>> reply) =>
        NoteUnlinked(await reply);

    private Reply<UnlinkResult> NoteUnlinked(in Reply<UnlinkResult> reply)
    {
        if (!reply.IsOk || reply.Value.Info.Id == VNodeId.None) { return reply; }
        if (table.Find(reply.Value.Info.Id, CowNumber.Head) is not { } state) { return reply; }
        lock (state.Gate)
        {
            state.Learn(reply.Value.Info);
            if (reply.Value.Removed) { state.MarkRemoved(); }
            table.NoteIdle(state);
            return Reply.Ok(reply.Value with { Info = state.Merged() });
        }
    }
}
