using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Storage;
using KvFs.Protocol;

namespace KvFs.Node.Sessions;

public sealed partial class LocalDriveSession
{
    [ThreadStatic]
    private static PageSink? t_sink;

    public ValueTask<Reply<NodeInfo>> LookupAsync(VNodeId parent, ReadOnlySpan<byte> name, CowNumber at)
    {
        Status status;
        NodeInfo info;
        Status settled;
        do
        {
            long sample = drive.Writes.Sample();
            status = Read(at, FindByName, new NameArgument(parent, name), out info);
            settled = status == Status.Ok ? SettleFound(at, sample, info.Id) : Status.Ok;
        }
        while (settled == Status.Busy);
        return Answer(settled == Status.Ok ? status : settled, info);
    }

    public ValueTask<Reply<NodeInfo>> GetAsync(VNodeId id, CowNumber at)
    {
        if (Settle(id, at) is var settled and not Status.Ok) { return Answer<NodeInfo>(settled, default); }
        Status status = Read(at, static (DriveView view, VNodeId node, out NodeInfo result) =>
            GetNode.Apply(view, node, out result), id, out NodeInfo info);
        return Answer(status, info);
    }

    public ValueTask<Status> ReadDirectoryAsync(
        VNodeId directory, CowNumber at, ulong cookie, int maxEntries, bool withNodes, DirectoryPage page)
    {
        ArgumentNullException.ThrowIfNull(page);
        int bounded = Math.Clamp(maxEntries, 1, DirectoryPage.MaxEntries);
        DirectoryArgument argument = new(directory, cookie, bounded, withNodes, page);
        Status status;
        Status settled;
        do
        {
            long sample = drive.Writes.Sample();
            status = Read(at, FillPage, argument, out bool _);
            settled = status == Status.Ok && withNodes ? SettleFound(at, sample, page.Told()) : Status.Ok;
        }
        while (settled == Status.Busy);
        return new(settled == Status.Ok ? status : settled);
    }

    public ValueTask<Status> ReadLinkAsync(VNodeId id, CowNumber at, ByteBuffer target)
    {
        ArgumentNullException.ThrowIfNull(target);
        return new(Read(
            at,
            static (DriveView view, (VNodeId Id, ByteBuffer Target) argument, out bool done) =>
            {
                done = true;
                return ReadLink.Apply(view, argument.Id, argument.Target);
            },
            (id, target),
            out bool _));
    }

    public ValueTask<Status> GetXattrAsync(VNodeId id, CowNumber at, ReadOnlySpan<byte> name, ByteBuffer value)
    {
        ArgumentNullException.ThrowIfNull(value);
        Status settled = Settle(id, at);
        return new(settled == Status.Ok ? Read(at, FindXattr, new XattrArgument(id, name, value), out bool _) : settled);
    }

    public ValueTask<Status> ListXattrsAsync(VNodeId id, CowNumber at, ByteBuffer names)
    {
        ArgumentNullException.ThrowIfNull(names);
        if (Settle(id, at) is var settled and not Status.Ok) { return new(settled); }
        return new(Read(
            at,
            static (DriveView view, (VNodeId Id, ByteBuffer Names) argument, out bool done) =>
            {
                done = true;
                return ListXattrs.Apply(view, argument.Id, argument.Names);
            },
            (id, names),
            out bool _));
    }

    public ValueTask<Reply<NodeInfo>> CreateAsync(in CreateRequest request)
    {
        VNodeId held = VNodeId.None;
        VNodeId left = VNodeId.None;
        Reply<NodeInfo> reply = WithGate(in request, (in CreateRequest asked, KeptChange change, out NodeInfo info) =>
        {
            bool isLeft = asked.Wish is not null && MayHaveFiles();
            asked.Wish?.IsGranted = isLeft;
            CreateRequest own = asked with { Session = Id, Delegated = isLeft };
            Status status = Run(Create.Apply, in own, SpaceUse.Metadata, out info, change: change);
            if (status == Status.Ok && isLeft)
            {
                drive.Writes.Leave(info.Id, Id);
                left = info.Id;
            }

            if (status == Status.Ok && asked.OpenedBy == Id)
            {
                held = info.Id;
                drive.Holds.Add(info.Id, Id);
                if (info.VNode.Nlink == 0) { drive.Holds.MarkOrphan(info.Id); }
            }

            return status;
        });
        if (!reply.IsOk && held != VNodeId.None) { LetGo(held); }
        if (!reply.IsOk && left != VNodeId.None) { drive.Writes.Take(Id, [left]); }
        return new(reply);
    }

    public ValueTask<Reply<NodeInfo>> LinkAsync(in LinkRequest request) =>
        new(WithGate(in request, (in LinkRequest asked, KeptChange change, out NodeInfo info) =>
        {
            Status status = Run(Link.Apply, in asked, SpaceUse.Metadata, out info, change: change);
            if (status == Status.Ok) { drive.Holds.UnmarkOrphan(info.Id); }
            return status;
        }));

    public ValueTask<Reply<UnlinkResult>> UnlinkAsync(in UnlinkRequest request) =>
        new(WithGate(in request, (in UnlinkRequest asked, KeptChange change, out UnlinkResult result) =>
        {
            UnlinkRequest held = asked with { Holders = HoldersOf(asked.Parent, asked.Name) };
            Status status = Run(Unlink.Apply, in held, SpaceUse.Release, out result, change: change);
            result = NoteLoss(status, result);
            return status;
        }));

    public ValueTask<Reply<UnlinkResult>> RenameAsync(in RenameRequest request) =>
        new(WithGate(in request, (in RenameRequest asked, KeptChange change, out UnlinkResult result) =>
        {
            RenameRequest held = asked with { Holders = HoldersOf(asked.NewParent, asked.NewName) };
            Status status = Run(Rename.Apply, in held, SpaceUse.Metadata, out result, change: change);
            result = NoteLoss(status, result);
            return status;
        }));

    public ValueTask<Reply<NodeInfo>> SetAttributesAsync(in SetAttributesRequest request)
    {
        bool cuts = (request.Mask & AttributeMask.Size) != 0;
        Status status = Run(
            SetAttributes.Apply, in request, cuts ? SpaceUse.Release : SpaceUse.Metadata, out NodeInfo info);
        if (cuts && (info.VNode.Flags & VNodeFlags.HasCut) != 0) { drive.Reap(); }
        return Answer(status, info);
    }

    public ValueTask<Status> SetXattrAsync(in SetXattrRequest request) =>
        new(Run(SetXattr.Apply, in request, SpaceUse.Metadata, out NodeInfo _));

    public ValueTask<Status> RemoveXattrAsync(in RemoveXattrRequest request) =>
        new(Run(RemoveXattr.Apply, in request, SpaceUse.Release, out NodeInfo _));

    public ValueTask<Reply<NodeInfo>> HoldAsync(VNodeId id)
    {
        Status status = Settle(id, CowNumber.Head);
        if (status != Status.Ok) { return Answer<NodeInfo>(status, default); }
        NodeInfo info;
        LogIndex upTo;
        using (drive.Shard.Enter())
        {
            // What is owed is not to be seen yet.
            info = default;
            status = drive.Shard.Resume();
            if (status == Status.Ok)
            {
                status = Read(CowNumber.Head, static (DriveView view, VNodeId node, out NodeInfo result) =>
                    GetNode.Apply(view, node, out result), id, out info);
            }

            if (status == Status.Ok) { drive.Holds.Add(id, Id); }
            upTo = drive.Shard.LastInFlight;
        }

        Status confirmed = drive.Confirm(status, upTo, null);
        if (status == Status.Ok && confirmed != Status.Ok) { LetGo(id); }
        return Answer(confirmed, info);
    }

    /// <summary>The client is not told that it holds something: it does not.</summary>
    private void LetGo(VNodeId id)
    {
        if (EndHold(id)) { drive.Keep(); }
    }

    public ValueTask<Status> ReleaseAsync(VNodeId id) => new(EndHold(id) ? drive.ReleaseOrphan(id, Id) : Status.Ok);

    /// <summary>As <see cref="HoldTable.Remove"/>.</summary>
    private bool EndHold(VNodeId id)
    {
        using (drive.Shard.Enter()) { return drive.Holds.Remove(id, Id); }
    }

    /// <summary>Has a change decided with the gate held, and what follows from it; anew, once others have forgotten what is in its way.</summary>
    private Reply<TResult> WithGate<TRequest, TResult>(in TRequest request, GatedChange<TRequest, TResult> decide)
        where TRequest : allows ref struct
    {
        using KeptChange change = drive.BeginChange(Id);
        while (true)
        {
            Status status;
            TResult result;
            LogIndex upTo;
            using (drive.Shard.Enter())
            {
                status = decide(in request, change, out result);
                upTo = drive.Shard.LastInFlight;
            }

            if (!change.IsInTheWay) { return new(drive.Confirm(status, upTo, change), result); }
            if (change.WaitForOthers() is var cleared and not Status.Ok) { return new(cleared, default!); }
        }
    }

    private static Status FindByName(DriveView view, NameArgument argument, out NodeInfo result) =>
        Lookup.Apply(view, argument.Parent, argument.Name, out result);

    private static Status FillPage(DriveView view, DirectoryArgument argument, out bool done)
    {
        done = true;
        PageSink sink = t_sink ??= new();
        sink.Page = argument.Page;
        argument.Page.Clear();
        Status status = ReadDirectory.Apply(
            view, argument.Directory, argument.Cookie, argument.MaxEntries, argument.WithNodes, sink, out bool isLast);
        argument.Page.IsLast = isLast;
        sink.Page = null;
        return status;
    }

    private static Status FindXattr(DriveView view, XattrArgument argument, out bool done)
    {
        done = true;
        return GetXattr.Apply(view, argument.Id, argument.Name, argument.Value);
    }

    /// <summary>Who holds what a name leads to; call with the gate held.</summary>
    private ReadOnlySpan<SessionId> HoldersOf(VNodeId parent, ReadOnlySpan<byte> name)
    {
        if (drive.Holds.IsEmpty || NameRules.Check(name) != Status.Ok) { return default; }
        Status status = Read(CowNumber.Head, static (DriveView view, NameArgument argument, out VNodeId child) =>
        {
            bool found = view.TryGetDentry(argument.Parent, argument.Name, out Dentry dentry);
            child = dentry.Child;
            return found ? Status.Ok : Status.NotFound;
        }, new NameArgument(parent, name), out VNodeId id);
        return status == Status.Ok ? drive.Holds.Holders(id) : default;
    }

    private UnlinkResult NoteLoss(Status status, UnlinkResult result)
    {
        if (status != Status.Ok) { return result; }
        if (result.Orphaned) { drive.Holds.MarkOrphan(result.Info.Id); }
        if (result.NeedsReaping) { drive.Reap(); }
        return result;
    }

    private readonly ref struct NameArgument(VNodeId parent, ReadOnlySpan<byte> name)
    {
        public VNodeId Parent { get; } = parent;

        public ReadOnlySpan<byte> Name { get; } = name;
    }

    private readonly ref struct XattrArgument(VNodeId id, ReadOnlySpan<byte> name, ByteBuffer value)
    {
        public VNodeId Id { get; } = id;

        public ReadOnlySpan<byte> Name { get; } = name;

        public ByteBuffer Value { get; } = value;
    }

    private readonly record struct DirectoryArgument(
        VNodeId Directory, ulong Cookie, int MaxEntries, bool WithNodes, DirectoryPage Page);

    private delegate Status GatedChange<TRequest, TResult>(in TRequest request, KeptChange change, out TResult result)
        where TRequest : allows ref struct;
}
