using Google.Protobuf;
using KvFs.Core;

namespace KvFs.Protocol.Wire;

/// <summary>Changes of the namespace, as requests of a session. Bytes that they lend are copied.</summary>
public static class WireRequests
{
    public static V1.Create ToWire(this in CreateRequest request) => new()
    {
        Parent = request.Parent.ToWire(),
        Name = ByteString.CopyFrom(request.Name),
        Kind = (V1.VNodeKind)request.Kind,
        Mode = request.Mode,
        Umask = request.Umask,
        Rdev = request.Rdev,
        SymlinkTarget = ByteString.CopyFrom(request.SymlinkTarget),
        Caller = request.Caller.ToWire(),
        Opened = request.OpenedBy != default,
        Nameless = request.Nameless,
        Id = request.Id.Value,
        Times = request.Times.ToWire(),
        Delegated = request.Wish is not null,
    };

    /// <param name="create">Lent: the request has its spans.</param>
    /// <param name="session">Who asks.</param>
    public static CreateRequest ToCore(this V1.Create create, SessionId session)
    {
        ArgumentNullException.ThrowIfNull(create);
        return new()
        {
            Parent = create.Parent.ToId(),
            Name = create.Name.Span,
            Kind = (VNodeKind)WireValues.To8Bits((int)create.Kind),
            Mode = WireValues.To16Bits(create.Mode),
            Umask = WireValues.To16Bits(create.Umask),
            Rdev = create.Rdev,
            SymlinkTarget = create.SymlinkTarget.Span,
            Caller = create.Caller.ToCore(),
            OpenedBy = create.Opened ? session : default,
            Nameless = create.Nameless,
            Id = new(create.Id),
            Session = session,
            Times = create.Times.ToCore(),
            Wish = create.Delegated ? new() : null,
        };
    }

    public static V1.Link ToWire(this in LinkRequest request) => new()
    {
        Node = request.Node.ToWire(),
        NewParent = request.NewParent.ToWire(),
        NewName = ByteString.CopyFrom(request.NewName),
    };

    public static LinkRequest ToCore(this V1.Link link)
    {
        ArgumentNullException.ThrowIfNull(link);
        return new() { Node = link.Node.ToId(), NewParent = link.NewParent.ToId(), NewName = link.NewName.Span };
    }

    public static V1.Unlink ToWire(this in UnlinkRequest request) => new()
    {
        Parent = request.Parent.ToWire(),
        Name = ByteString.CopyFrom(request.Name),
        Directory = request.Directory,
    };

    public static UnlinkRequest ToCore(this V1.Unlink unlink)
    {
        ArgumentNullException.ThrowIfNull(unlink);
        return new() { Parent = unlink.Parent.ToId(), Name = unlink.Name.Span, Directory = unlink.Directory };
    }

    public static V1.Rename ToWire(this in RenameRequest request) => new()
    {
        OldParent = request.OldParent.ToWire(),
        OldName = ByteString.CopyFrom(request.OldName),
        NewParent = request.NewParent.ToWire(),
        NewName = ByteString.CopyFrom(request.NewName),
        Flags = (uint)request.Flags,
        Caller = request.Caller.ToWire(),
    };

    public static RenameRequest ToCore(this V1.Rename rename)
    {
        ArgumentNullException.ThrowIfNull(rename);
        return new()
        {
            OldParent = rename.OldParent.ToId(),
            OldName = rename.OldName.Span,
            NewParent = rename.NewParent.ToId(),
            NewName = rename.NewName.Span,
            Flags = (RenameFlags)rename.Flags,
            Caller = rename.Caller.ToCore(),
        };
    }

    public static V1.SetAttributes ToWire(this in SetAttributesRequest request) => request.ToWire(request.Node);

    /// <param name="request">What to set.</param>
    /// <param name="node">Of which VNode.</param>
    public static V1.SetAttributes ToWire(this in SetAttributesRequest request, NodeReference node) => new()
    {
        Node = node.ToWire(),
        Mask = (uint)request.Mask,
        Mode = request.Mode,
        Uid = request.Uid,
        Gid = request.Gid,
        Size = request.Size,
        AccessTime = request.AccessTime.Nanoseconds,
        ModifyTime = request.ModifyTime.Nanoseconds,
        ChangeTime = request.ChangeTime.Nanoseconds,
    };

    public static SetAttributesRequest ToCore(this V1.SetAttributes set)
    {
        ArgumentNullException.ThrowIfNull(set);
        return new()
        {
            Node = set.Node.ToId(),
            Mask = (AttributeMask)set.Mask,
            Mode = WireValues.To16Bits(set.Mode),
            Uid = set.Uid,
            Gid = set.Gid,
            Size = set.Size,
            AccessTime = new(set.AccessTime),
            ModifyTime = new(set.ModifyTime),
            ChangeTime = new(set.ChangeTime),
        };
    }

    public static V1.SetXattr ToWire(this in SetXattrRequest request) => new()
    {
        Node = request.Node.ToWire(),
        Name = ByteString.CopyFrom(request.Name),
        Value = ByteString.CopyFrom(request.Value),
        Mode = (uint)request.Mode,
        KillSetGid = request.KillSetGid,
    };

    public static SetXattrRequest ToCore(this V1.SetXattr set)
    {
        ArgumentNullException.ThrowIfNull(set);
        return new()
        {
            Node = set.Node.ToId(),
            Name = set.Name.Span,
            Value = set.Value.Span,
            Mode = ToXattrMode(set.Mode),
            KillSetGid = set.KillSetGid,
        };
    }

    public static V1.RemoveXattr ToWire(this in RemoveXattrRequest request) =>
        new() { Node = request.Node.ToWire(), Name = ByteString.CopyFrom(request.Name) };

    public static RemoveXattrRequest ToCore(this V1.RemoveXattr remove)
    {
        ArgumentNullException.ThrowIfNull(remove);
        return new() { Node = remove.Node.ToId(), Name = remove.Name.Span };
    }

    internal static XattrMode ToXattrMode(uint mode) => mode <= (uint)XattrMode.ReplaceOnly
        ? (XattrMode)mode
        : throw new InvalidDataException($"{mode} is no way of setting an attribute");
}
