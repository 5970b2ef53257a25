using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <content>Changes of names and attributes: done here, where all they read is known.</content>
public sealed partial class BufferedDriveSession
{
    /// <summary>What became of an operation that was to be done here.</summary>
    private enum Way
    {
        /// <summary>It has its answer.</summary>
        Done,

        /// <summary>Something is under way that it must wait for.</summary>
        Blocked,

        /// <summary>It reads what is not known.</summary>
        Unknown,

        /// <summary>There is no id, or no room in the quota, for what it makes.</summary>
        NeedsIds,

        /// <summary>Only the primary can do it.</summary>
        Through,
    }

    public ValueTask<Reply<NodeInfo>> CreateAsync(in CreateRequest request)
    {
        CreateOperation operation = new(request.Parent, request.Name.ToArray(), request.Kind)
        {
            Mode = request.Mode,
            Umask = request.Umask,
            Rdev = request.Rdev,
            SymlinkTarget = request.SymlinkTarget.ToArray(),
            Caller = request.Caller,
            Id = request.Id,
            Times = request.Times,
            Opened = request.OpenedBy != default,
            Nameless = request.Nameless,
        };

        // What has no name is an orphan from the start; whoever brings ids or times has promised them to somebody.
        bool isPlain = !request.Name.IsEmpty && request.Id == VNodeId.None && request.Times is null;
        return isPlain && Try(operation, out Outcome outcome, out _) == Way.Done
            ? new(outcome.Node)
            : FinishCreateAsync(operation, isPlain);
    }

    public ValueTask<Reply<NodeInfo>> LinkAsync(in LinkRequest request)
    {
        LinkOperation operation = new(request.Node, request.NewParent, request.NewName.ToArray());
        return Try(operation, out Outcome outcome, out _) == Way.Done ? new(outcome.Node) : FinishLinkAsync(operation);
    }

    public ValueTask<Reply<UnlinkResult>> UnlinkAsync(in UnlinkRequest request)
    {
        UnlinkOperation operation = new(request.Parent, request.Name.ToArray(), request.Directory);
        return Try(operation, out Outcome outcome, out _) == Way.Done ? new(outcome.Taken) : FinishUnlinkAsync(operation);
    }

    public ValueTask<Reply<UnlinkResult>> RenameAsync(in RenameRequest request)
    {
        RenameOperation operation = new(
            request.OldParent, request.OldName.ToArray(), request.NewParent, request.NewName.ToArray())
        {
            Flags = request.Flags,
            Caller = request.Caller,
        };
        return Try(operation, out Outcome outcome, out _) == Way.Done ? new(outcome.Taken) : FinishRenameAsync(operation);
    }

    public ValueTask<Reply<NodeInfo>> SetAttributesAsync(in SetAttributesRequest request)
    {
        SetAttributesOperation operation = new(request.Node, request);
        bool isPlain = (request.Mask & AttributeMask.Size) == 0;
        return isPlain && Try(operation, out Outcome outcome, out _) == Way.Done
            ? new(outcome.Node)
            : FinishSetAttributesAsync(operation, isPlain);
    }

    private async ValueTask<Reply<NodeInfo>> FinishCreateAsync(CreateOperation operation, bool isPlain)
    {
        if (isPlain && await TryAgainAsync(operation) is { } done) { return done.Node; }
        return await ThroughAsync(removes: false, Reply.Failed<NodeInfo>, async () =>
        {
            Reply<NodeInfo> reply = await inner.CreateAsync(
                operation.ToRequest(operation.Parent.Id) with { OpenedBy = operation.Opened ? Id : default });
            bool drops;
            lock (gate) { drops = reply.IsOk && granted.TryDrop(); }
            if (drops) { inner.Unreserve(new(0, 1)); }
            lock (gate)
            {
                if (!Learn(reply.Status)) { return reply; }
                isTight = false;
                if (operation.Opened)
                {
                    AddHold(reply.Value.Id);
                    heldThere.Add(reply.Value.Id);
                }

                return Reply.Ok(TakeNamed(operation.Parent.Id, operation.Name.Span, reply.Value));
            }
        });
    }

    private async ValueTask<Reply<NodeInfo>> FinishLinkAsync(LinkOperation operation)
    {
        if (await TryAgainAsync(operation) is { } done) { return done.Node; }
        return await ThroughAsync(removes: false, Reply.Failed<NodeInfo>, async () =>
        {
            Reply<NodeInfo> reply = await inner.LinkAsync(new()
            {
                Node = operation.Node.Id, NewParent = operation.NewParent.Id, NewName = operation.NewName.Span,
            });
            lock (gate)
            {
                return Learn(reply.Status)
                    ? Reply.Ok(TakeNamed(operation.NewParent.Id, operation.NewName.Span, reply.Value))
                    : reply;
            }
        });
    }

    private async ValueTask<Reply<UnlinkResult>> FinishUnlinkAsync(UnlinkOperation operation)
    {
        if (await TryAgainAsync(operation) is { } done) { return done.Taken; }
        return await ThroughAsync(removes: true, Reply.Failed<UnlinkResult>, async () =>
        {
            Status held = await HoldNamedThereAsync(operation.Parent.Id, operation.Name);
            if (held != Status.Ok) { return Reply.Failed<UnlinkResult>(held); }
            Reply<UnlinkResult> reply = await inner.UnlinkAsync(new()
            {
                Parent = operation.Parent.Id, Name = operation.Name.Span, Directory = operation.Directory,
            });
            lock (gate)
            {
                if (!Learn(reply.Status)) { return reply; }
                mirror.ReplaceName(operation.Parent.Id, operation.Name.Span, dentry: null, default);
                mirror.Forget(operation.Parent.Id);
                return Reply.Ok(TakeTaken(reply.Value));
            }
        });
    }

    private async ValueTask<Reply<UnlinkResult>> FinishRenameAsync(RenameOperation operation)
    {
        if (await TryAgainAsync(operation) is { } done) { return done.Taken; }
        return await ThroughAsync(removes: true, Reply.Failed<UnlinkResult>, async () =>
        {
            Status held = await HoldNamedThereAsync(operation.NewParent.Id, operation.NewName);
            if (held != Status.Ok) { return Reply.Failed<UnlinkResult>(held); }
            Reply<UnlinkResult> reply = await inner.RenameAsync(new()
            {
                OldParent = operation.OldParent.Id,
                OldName = operation.OldName.Span,
                NewParent = operation.NewParent.Id,
                NewName = operation.NewName.Span,
                Flags = operation.Flags,
                Caller = operation.Caller,
            });
            lock (gate)
            {
                if (!Learn(reply.Status)) { return reply; }

                // Up to four directories and VNodes were changed, and not all of them are told.
                Forget();
                return Reply.Ok(TakeTaken(reply.Value));
            }
        });
    }

    private async ValueTask<Reply<NodeInfo>> FinishSetAttributesAsync(SetAttributesOperation operation, bool isPlain)
    {
        if (isPlain && await TryAgainAsync(operation) is { } done) { return done.Node; }
        return await ThroughAsync(
            removes: false, Reply.Failed<NodeInfo>, async () => Take(await inner.SetAttributesAsync(operation.Request)));
    }

    /// <summary>Tries to do an operation here once what it waits for is there. Null: only the primary can do it.</summary>
    private async ValueTask<Outcome?> TryAgainAsync(TransactOperation operation)
    {
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            Way way = Try(operation, out Outcome outcome, out MirrorMiss? miss);
            Status? ready = Status.Ok;
            switch (way)
            {
                case Way.Done:
                    return outcome;
                case Way.Blocked when holdsLease():
                    await WaitForTurnAsync();
                    break;
                case Way.Unknown when miss is not null:
                    ready = await FetchAsync(miss);
                    break;
                case Way.NeedsIds:
                    ready = await granted.EnsureAsync();
                    break;
                default:
                    return null;
            }

            if (ready != Status.Ok) { return null; }
        }

        return null;
    }

    /// <summary>Waits until nothing is changed at the primary any more, and what waits was told if there is too much of it.</summary>
    private async ValueTask WaitForTurnAsync()
    {
        await turn.WaitAsync();
        turn.Release();
        bool isFull;
        lock (gate) { isFull = pending.IsFull; }
        if (isFull) { await TellAllAsync(); }
    }

    /// <summary>Does an operation here, if all that it reads is known.</summary>
    private Way Try(TransactOperation operation, out Outcome outcome, out MirrorMiss? miss)
    {
        outcome = default;
        miss = null;
        lock (gate)
        {
            if (isThrough || pending.IsFull || refusal != Status.Ok || !holdsLease()) { return Way.Blocked; }
            if (Access.IsReadOnly() || isTight || IsQuiet || LeavesWhiteout(operation)) { return Way.Through; }
            if (TakesHeldName(operation) || ChangesOrphan(operation)) { return Way.Through; }
            DriveCounters counters = new()
            {
                Next = new(version + 1, granted.Next, 0, 0),
                Reserved = new(CowNumber.Head.Value, granted.End, 0, 0),
            };
            Timestamp now = Now();
            mirror.BeginReading();
            Status begun = transaction.Begin(state, counters, mirror, now);
            Invariant.Check(begun == Status.Ok);
            Status status;
            try
            {
                status = Run(operation, out outcome);
            }
            catch (RecordCorruptException)
            {
                // A name is known that leads to a VNode that is not; or else only the primary can tell.
                if (mirror.Miss is null) { return Way.Through; }
                status = Status.Corrupt;
            }

            miss = mirror.Miss;
            if (miss is not null) { return Way.Unknown; }
            if (status == Status.Busy) { return Way.NeedsIds; }
            if (status == Status.Ok && transaction.HasWrites) { Keep(operation, now, ref outcome); }
            return Way.Done;
        }
    }

    /// <summary>Runs an operation of core.</summary>
    /// <remarks>What loses its last name gets this session as a holder: else its data would be looked for, which only the primary
    /// has.</remarks>
    private Status Run(TransactOperation operation, out Outcome outcome)
    {
        NodeInfo node = default;
        UnlinkResult taken = default;
        Status status = operation switch
        {
            CreateOperation create => Create.Apply(create.ToRequest(create.Parent.Id), transaction, out node),
            LinkOperation link => Link.Apply(
                new() { Node = link.Node.Id, NewParent = link.NewParent.Id, NewName = link.NewName.Span }, transaction, out node),
            UnlinkOperation unlink => Unlink.Apply(
                new()
                {
                    Parent = unlink.Parent.Id,
                    Name = unlink.Name.Span,
                    Directory = unlink.Directory,
                    Holders = own,
                },
                transaction,
                out taken),
            RenameOperation rename => Rename.Apply(
                new()
                {
                    OldParent = rename.OldParent.Id,
                    OldName = rename.OldName.Span,
                    NewParent = rename.NewParent.Id,
                    NewName = rename.NewName.Span,
                    Flags = rename.Flags,
                    Caller = rename.Caller,
                    Holders = own,
                },
                transaction,
                out taken),
            SetAttributesOperation set => SetAttributes.Apply(set.Request, transaction, out node),
            _ => throw new ArgumentException($"An operation of no known kind: {operation.GetType().Name}."),
        };
        if (taken.Orphaned) { taken = taken with { Removed = true, Orphaned = false }; }
        outcome = status == Status.Ok
            ? new(Reply.Ok(node), Reply.Ok(taken))
            : new(Reply.Failed<NodeInfo>(status), Reply.Failed<UnlinkResult>(status));
        return status;
    }

    /// <summary>An operation was done: knows what it wrote, and has it told.</summary>
    private void Keep(TransactOperation operation, Timestamp now, ref Outcome outcome)
    {
        version = transaction.Cow.Value;
        batch.Clear();
        transaction.Build(batch);
        mirror.Apply(batch);
        if (outcome.Taken.Value.Removed) { mirror.SetGone(outcome.Taken.Value.Info.Id); }
        if (operation is CreateOperation create)
        {
            VNodeId made = outcome.Node.Value.Id;
            granted.UsedTo(made.Value + 1);
            if (create.Opened) { AddHold(made); }
            operation = create with { Id = made, Opened = false };
        }

        pending.Add(operation with { At = now });
        Bound();
        if (pending.Count >= TellCount) { TellBehind(); }
        if (granted.IsLow) { GrantBehind(); }
    }

    /// <summary>Whether an operation makes a VNode whose id only the primary can tell.</summary>
    private static bool LeavesWhiteout(TransactOperation operation) =>
        operation is RenameOperation rename && (rename.Flags & RenameFlags.Whiteout) != 0;

    /// <summary>Whether an operation may take the name of something that is held open: the primary must be told so first. Names
    /// that are not known are found to be so later.</summary>
    private bool TakesHeldName(TransactOperation operation)
    {
        if (holds.Count == 0) { return false; }
        (VNodeId parent, ReadOnlyMemory<byte> name) = operation switch
        {
            UnlinkOperation unlink => (unlink.Parent.Id, unlink.Name),
            RenameOperation rename => (rename.NewParent.Id, rename.NewName),
            _ => default,
        };
        return parent != VNodeId.None
            && name.Length is > 0 and <= Limits.NameBytes
            && view.TryGetDentry(parent, name.Span, out Dentry dentry)
            && holds.ContainsKey(dentry.Child);
    }

    /// <summary>Whether an operation changes what has no name any more: it goes with its release, which is not told behind.</summary>
    private bool ChangesOrphan(TransactOperation operation) =>
        operation is SetAttributesOperation set && view.TryGetVNode(set.Node.Id, out VNode vnode) && vnode.Nlink == 0;

    /// <summary>What an operation answers: a VNode, or what lost a name.</summary>
    private readonly record struct Outcome(Reply<NodeInfo> Node, Reply<UnlinkResult> Taken);
}
