namespace KvFs.Core;

/// <summary>Does several operations, or none of them.</summary>
/// <remarks>Source: docs/design.md, section 6: "Transact is the same with several operations in step 3". That nothing is done
/// if one fails is the driver's part, as ever: it builds a transaction only if the answer is Ok.</remarks>
public static class Transact
{
    /// <summary>In order: (1) check the request's bounds; (2) check all preconditions; (3) do the operations, one after the
    /// other, within the bounds of one transaction.</summary>
    /// <param name="request">What to do.</param>
    /// <param name="session">Who asks: the ids that creates and commits name must come from its grants.</param>
    /// <param name="holders">Who holds what open, before the request.</param>
    /// <param name="transaction">What the operations are done in.</param>
    /// <param name="result">Filled; of a failure it tells where.</param>
    /// <returns>Ok; Conflict: a precondition does not hold; Invalid: too many, or a reference to no earlier operation;
    /// TooLarge: it is more than one transaction may write; else what the operation that failed answers.</returns>
    public static Status Apply(
        TransactRequest request,
        SessionId session,
        INodeHolders holders,
        DriveTransaction transaction,
        TransactResult result)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(holders);
        ArgumentNullException.ThrowIfNull(transaction);
        ArgumentNullException.ThrowIfNull(result);
        result.Clear();

        // 1.
        if (request.Preconditions.Count > TransactRequest.MaxOperations
            || request.Operations.Count is 0 or > TransactRequest.MaxOperations)
        {
            return Status.Invalid;
        }

        // 2.
        for (int at = 0; at < request.Preconditions.Count; at++)
        {
            if (Holds(request.Preconditions[at], transaction)) { continue; }
            result.FailedAt = at;
            result.IsPrecondition = true;
            return Status.Conflict;
        }

        // 3.
        Reservation before = new(transaction.Counters.UsedBytes, transaction.Counters.UsedInodes);
        Run run = new(session, holders, transaction, result);
        for (int at = 0; at < request.Operations.Count; at++)
        {
            Status status = run.Do(request.Operations[at]);
            if (status == Status.Ok && transaction.BatchBytes > Limits.TransactionBytes) { status = Status.TooLarge; }
            if (status == Status.Ok) { continue; }
            result.Clear();
            result.FailedAt = at;
            return status;
        }

        result.Grown = new(
            Growth(before.Bytes, transaction.Counters.UsedBytes), Growth(before.Inodes, transaction.Counters.UsedInodes));
        return Status.Ok;
    }

    private static ulong Growth(ulong before, ulong after) => after > before ? after - before : 0;

    private static bool Holds(Precondition precondition, DriveTransaction transaction)
    {
        switch (precondition)
        {
            case VersionIs version:
                return transaction.TryGetVNode(version.Node, out _, out CowNumber written) && written == version.Version;
            case NameIs name:
                return NameRules.Check(name.Name.Span) == Status.Ok
                    && transaction.TryGetDentry(name.Parent, name.Name.Span, out Dentry dentry)
                    && dentry.Child == name.Node;
            case NameIsFree free:
                return NameRules.Check(free.Name.Span) == Status.Ok
                    && Directories.Open(transaction, free.Parent, out _) == Status.Ok
                    && !transaction.TryGetDentry(free.Parent, free.Name.Span, out _);
            default:
                throw new ArgumentException($"A precondition of no known kind: {precondition?.GetType().Name ?? "null"}.");
        }
    }

    /// <summary>The operations of one request: what they refer to, and what they answer.</summary>
    private sealed class Run(
        SessionId session, INodeHolders holders, DriveTransaction transaction, TransactResult result)
    {
        private readonly SessionId[] own = [session];
        private readonly Timestamp now = transaction.Now;

        public Status Do(TransactOperation operation)
        {
            transaction.Now = operation?.At ?? now;
            return DoNow(operation);
        }

        private Status DoNow(TransactOperation? operation) => operation switch
        {
            CreateOperation create => Do(create),
            LinkOperation link => Do(link),
            UnlinkOperation unlink => Do(unlink),
            RenameOperation rename => Do(rename),
            SetAttributesOperation set => Do(set),
            SetXattrOperation set => Do(set),
            RemoveXattrOperation remove => Do(remove),
            CommitOperation commit => Do(commit),
            _ => throw new ArgumentException($"An operation of no known kind: {operation?.GetType().Name ?? "null"}."),
        };

        private Status Do(CreateOperation operation)
        {
            if (!TryFind(operation.Parent, out VNodeId parent)) { return Status.Invalid; }
            CreateRequest request = operation.ToRequest(parent) with
            {
                Session = session,
                OpenedBy = operation.Opened ? session : default,
            };
            Status status = Create.Apply(request, transaction, out NodeInfo info);
            if (status == Status.Ok && operation.Opened) { result.Opened.Add(info.Id); }
            return Add(status, info);
        }

        private Status Do(LinkOperation operation)
        {
            if (!TryFind(operation.Node, out VNodeId node) || !TryFind(operation.NewParent, out VNodeId parent))
            {
                return Status.Invalid;
            }

            LinkRequest request = new() { Node = node, NewParent = parent, NewName = operation.NewName.Span };
            return Add(Link.Apply(request, transaction, out NodeInfo info), info);
        }

        private Status Do(UnlinkOperation operation)
        {
            if (!TryFind(operation.Parent, out VNodeId parent)) { return Status.Invalid; }
            UnlinkRequest request = new()
            {
                Parent = parent,
                Name = operation.Name.Span,
                Directory = operation.Directory,
                Holders = HoldersOf(parent, operation.Name.Span),
            };
            return Add(Unlink.Apply(request, transaction, out UnlinkResult unlinked), unlinked);
        }

        private Status Do(RenameOperation operation)
        {
            if (!TryFind(operation.OldParent, out VNodeId from) || !TryFind(operation.NewParent, out VNodeId to))
            {
                return Status.Invalid;
            }

            RenameRequest request = new()
            {
                OldParent = from,
                OldName = operation.OldName.Span,
                NewParent = to,
                NewName = operation.NewName.Span,
                Flags = operation.Flags,
                Caller = operation.Caller,
                Holders = HoldersOf(to, operation.NewName.Span),
            };
            return Add(Rename.Apply(request, transaction, out UnlinkResult replaced), replaced);
        }

        private Status Do(SetAttributesOperation operation)
        {
            if (!TryFind(operation.Node, out VNodeId node)) { return Status.Invalid; }
            SetAttributesRequest request = operation.Request with { Node = node };
            return Add(SetAttributes.Apply(request, transaction, out NodeInfo info), info);
        }

        private Status Do(SetXattrOperation operation)
        {
            if (!TryFind(operation.Node, out VNodeId node)) { return Status.Invalid; }
            SetXattrRequest request = new()
            {
                Node = node,
                Name = operation.Name.Span,
                Value = operation.Value.Span,
                Mode = operation.Mode,
                KillSetGid = operation.KillSetGid,
            };
            return Add(SetXattr.Apply(request, transaction, out NodeInfo info), info);
        }

        private Status Do(RemoveXattrOperation operation)
        {
            if (!TryFind(operation.Node, out VNodeId node)) { return Status.Invalid; }
            RemoveXattrRequest request = new() { Node = node, Name = operation.Name.Span };
            return Add(RemoveXattr.Apply(request, transaction, out NodeInfo info), info);
        }

        private Status Do(CommitOperation operation)
        {
            if (!TryFind(operation.Node, out VNodeId node)) { return Status.Invalid; }
            operation.Commit.Node = node;
            operation.Commit.Session = session;
            return Add(CommitSlices.Apply(operation.Commit, transaction, out NodeInfo info), info);
        }

        private bool TryFind(NodeReference reference, out VNodeId id)
        {
            id = reference.Id;
            if (id != VNodeId.None) { return true; }
            if ((uint)reference.Operation >= (uint)result.Nodes.Count) { return false; }
            id = result.Nodes[reference.Operation].Id;
            return true;
        }

        /// <summary>Looked up here, not by the driver: an earlier operation may have moved the name, or made and opened what it
        /// leads to, which nobody else can have.</summary>
        private ReadOnlySpan<SessionId> HoldersOf(VNodeId parent, ReadOnlySpan<byte> name)
        {
            bool exists = name.Length is > 0 and <= Limits.NameBytes;
            if (!exists || !transaction.TryGetDentry(parent, name, out Dentry dentry)) { return default; }
            return result.Opened.Contains(dentry.Child) ? own : holders.Holders(dentry.Child);
        }

        private Status Add(Status status, NodeInfo info)
        {
            result.Nodes.Add(info);
            return status;
        }

        private Status Add(Status status, UnlinkResult unlinked)
        {
            if (unlinked.NeedsReaping) { result.ToReap.Add(unlinked.Info.Id); }
            return Add(status, unlinked.Info);
        }
    }
}
