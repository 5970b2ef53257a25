using Google.Protobuf;
using KvFs.Core;

namespace KvFs.Protocol.Wire;

/// <summary>Transactions of several operations.</summary>
public static class WireTransactions
{
    /// <param name="request">Lent for the call: its bytes are copied.</param>
    /// <param name="drive">The session's.</param>
    public static V1.Transact ToWire(this TransactRequest request, DriveId drive)
    {
        ArgumentNullException.ThrowIfNull(request);
        V1.Transact sent = new() { Owed = request.Owed };
        foreach (Precondition precondition in request.Preconditions) { sent.Preconditions.Add(ToWire(precondition)); }
        foreach (TransactOperation operation in request.Operations) { sent.Operations.Add(ToWire(operation, drive)); }
        return sent;
    }

    /// <returns>Null: it has a kind that this version does not know.</returns>
    /// <exception cref="InvalidDataException">A value is out of its range.</exception>
    public static TransactRequest? ToCore(this V1.Transact sent, DriveId drive)
    {
        ArgumentNullException.ThrowIfNull(sent);
        List<Precondition> preconditions = new(sent.Preconditions.Count);
        foreach (V1.Precondition precondition in sent.Preconditions)
        {
            if (ToCore(precondition) is not { } known) { return null; }
            preconditions.Add(known);
        }

        List<TransactOperation> operations = new(sent.Operations.Count);
        foreach (V1.TransactOperation operation in sent.Operations)
        {
            if (ToCore(operation, drive) is not { } known) { return null; }
            operations.Add(known);
        }

        return new(preconditions, operations) { Owed = sent.Owed };
    }

    public static V1.Transacted ToWire(this TransactResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        V1.Transacted sent = new()
        {
            GrownBytes = result.Grown.Bytes,
            GrownInodes = result.Grown.Inodes,
            FailedAt = result.FailedAt,
            IsPrecondition = result.IsPrecondition,
        };
        foreach (NodeInfo node in result.Nodes) { sent.Nodes.Add(node.ToWire()); }
        foreach (VNodeId node in result.ToReap) { sent.ToReap.Add(node.Value); }
        foreach (VNodeId node in result.Opened) { sent.Opened.Add(node.Value); }
        return sent;
    }

    /// <summary>Replaces a result's content.</summary>
    public static void CopyTo(this V1.Transacted sent, TransactResult result)
    {
        ArgumentNullException.ThrowIfNull(sent);
        ArgumentNullException.ThrowIfNull(result);
        result.Clear();
        foreach (V1.Node node in sent.Nodes) { result.Nodes.Add(node.ToCore()); }
        foreach (ulong node in sent.ToReap) { result.ToReap.Add(new(node)); }
        foreach (ulong node in sent.Opened) { result.Opened.Add(new(node)); }
        result.Grown = new(sent.GrownBytes, sent.GrownInodes);
        result.FailedAt = sent.FailedAt;
        result.IsPrecondition = sent.IsPrecondition;
    }

    private static V1.Precondition ToWire(Precondition precondition) => precondition switch
    {
        VersionIs version => new()
        {
            VersionIs = new() { Node = version.Node.Value, Version = version.Version.Value },
        },
        NameIs name => new()
        {
            NameIs = new() { Parent = name.Parent.Value, Name = Copy(name.Name), Node = name.Node.Value },
        },
        NameIsFree free => new()
        {
            NameIsFree = new() { Parent = free.Parent.Value, Name = Copy(free.Name) },
        },
        _ => throw new ArgumentException($"A precondition of no known kind: {precondition?.GetType().Name ?? "null"}."),
    };

    private static Precondition? ToCore(V1.Precondition precondition) => precondition.KindCase switch
    {
        V1.Precondition.KindOneofCase.VersionIs =>
            new VersionIs(new(precondition.VersionIs.Node), new(precondition.VersionIs.Version)),
        V1.Precondition.KindOneofCase.NameIs => new NameIs(
            new(precondition.NameIs.Parent), precondition.NameIs.Name.Memory, new(precondition.NameIs.Node)),
        V1.Precondition.KindOneofCase.NameIsFree =>
            new NameIsFree(new(precondition.NameIsFree.Parent), precondition.NameIsFree.Name.Memory),
        _ => null,
    };

    private static V1.TransactOperation ToWire(TransactOperation operation, DriveId drive)
    {
        V1.TransactOperation wire = KindToWire(operation, drive);
        if (operation.At is { } at) { wire.At = at.Nanoseconds; }
        return wire;
    }

    private static V1.TransactOperation KindToWire(TransactOperation operation, DriveId drive) => operation switch
    {
        CreateOperation create => new() { Create = ToWire(create) },
        LinkOperation link => new()
        {
            Link = new()
            {
                Node = link.Node.ToWire(),
                NewParent = link.NewParent.ToWire(),
                NewName = Copy(link.NewName),
            },
        },
        UnlinkOperation unlink => new()
        {
            Unlink = new()
            {
                Parent = unlink.Parent.ToWire(),
                Name = Copy(unlink.Name),
                Directory = unlink.Directory,
            },
        },
        RenameOperation rename => new()
        {
            Rename = new()
            {
                OldParent = rename.OldParent.ToWire(),
                OldName = Copy(rename.OldName),
                NewParent = rename.NewParent.ToWire(),
                NewName = Copy(rename.NewName),
                Flags = (uint)rename.Flags,
                Caller = rename.Caller.ToWire(),
            },
        },
        SetAttributesOperation set => new() { SetAttributes = set.Request.ToWire(set.Node) },
        SetXattrOperation set => new()
        {
            SetXattr = new()
            {
                Node = set.Node.ToWire(),
                Name = Copy(set.Name),
                Value = Copy(set.Value),
                Mode = (uint)set.Mode,
                KillSetGid = set.KillSetGid,
            },
        },
        RemoveXattrOperation remove => new()
        {
            RemoveXattr = new() { Node = remove.Node.ToWire(), Name = Copy(remove.Name) },
        },
        CommitOperation commit => new() { Commit = commit.Commit.ToWire(commit.Node, drive) },
        _ => throw new ArgumentException($"An operation of no known kind: {operation?.GetType().Name ?? "null"}."),
    };

    private static V1.Create ToWire(CreateOperation create) => new()
    {
        Parent = create.Parent.ToWire(),
        Name = Copy(create.Name),
        Kind = (V1.VNodeKind)create.Kind,
        Mode = create.Mode,
        Umask = create.Umask,
        Rdev = create.Rdev,
        SymlinkTarget = Copy(create.SymlinkTarget),
        Caller = create.Caller.ToWire(),
        Opened = create.Opened,
        Nameless = create.Nameless,
        Id = create.Id.Value,
        Times = create.Times.ToWire(),
    };

    private static TransactOperation? ToCore(V1.TransactOperation operation, DriveId drive)
    {
        TransactOperation? core = KindToCore(operation, drive);
        return core is not null && operation.HasAt ? core with { At = new(operation.At) } : core;
    }

    private static TransactOperation? KindToCore(V1.TransactOperation operation, DriveId drive) => operation.KindCase switch
    {
        V1.TransactOperation.KindOneofCase.Create => ToCore(operation.Create),
        V1.TransactOperation.KindOneofCase.Link => new LinkOperation(
            operation.Link.Node.ToReference(),
            operation.Link.NewParent.ToReference(),
            operation.Link.NewName.Memory),
        V1.TransactOperation.KindOneofCase.Unlink => new UnlinkOperation(
            operation.Unlink.Parent.ToReference(), operation.Unlink.Name.Memory, operation.Unlink.Directory),
        V1.TransactOperation.KindOneofCase.Rename => new RenameOperation(
            operation.Rename.OldParent.ToReference(),
            operation.Rename.OldName.Memory,
            operation.Rename.NewParent.ToReference(),
            operation.Rename.NewName.Memory)
        {
            Flags = (RenameFlags)operation.Rename.Flags,
            Caller = operation.Rename.Caller.ToCore(),
        },
        V1.TransactOperation.KindOneofCase.SetAttributes => new SetAttributesOperation(
            operation.SetAttributes.Node.ToReference(), operation.SetAttributes.ToCore()),
        V1.TransactOperation.KindOneofCase.SetXattr => new SetXattrOperation(
            operation.SetXattr.Node.ToReference(), operation.SetXattr.Name.Memory, operation.SetXattr.Value.Memory)
        {
            Mode = WireRequests.ToXattrMode(operation.SetXattr.Mode),
            KillSetGid = operation.SetXattr.KillSetGid,
        },
        V1.TransactOperation.KindOneofCase.RemoveXattr => new RemoveXattrOperation(
            operation.RemoveXattr.Node.ToReference(), operation.RemoveXattr.Name.Memory),
        V1.TransactOperation.KindOneofCase.Commit => new CommitOperation(
            operation.Commit.Node.ToReference(), operation.Commit.ToCore(drive)),
        _ => null,
    };

    private static CreateOperation ToCore(V1.Create create) => new(
        create.Parent.ToReference(), create.Name.Memory, (VNodeKind)WireValues.To8Bits((int)create.Kind))
    {
        Mode = WireValues.To16Bits(create.Mode),
        Umask = WireValues.To16Bits(create.Umask),
        Rdev = create.Rdev,
        SymlinkTarget = create.SymlinkTarget.Memory,
        Caller = create.Caller.ToCore(),
        Id = new(create.Id),
        Times = create.Times.ToCore(),
        Opened = create.Opened,
        Nameless = create.Nameless,
    };

    private static ByteString Copy(ReadOnlyMemory<byte> bytes) => ByteString.CopyFrom(bytes.Span);
}
