using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Mount;

/// <content>Nodes: finding them, forgetting them, their attributes.</content>
internal sealed partial class DriveFileSystem
{
    public void Lookup(FuseRequest request, ReadOnlySpan<byte> name)
    {
        if (IsFolderName(request.NodeId, name)) { ReplyFolder(request); }
        else if (TryResolve(request.NodeId, out NodeRef parent))
        {
            Finish(
                request,
                Client.LookupAsync(parent.Id, name, parent.At),
                static (self, asked, reply) => self.AnswerLookup(asked, reply));
        }
        else if (request.NodeId == SnapshotNodes.Folder) { LookUpInFolder(request, name); }
        else { request.ReplyError(Errno.ESTALE); }
    }

    public void Forget(ulong nodeId, ulong lookups)
    {
        if (SnapshotNodes.IsSnapshot(nodeId)) { snapshots.Forget(nodeId, lookups); }
        else { removedNodes.Forget(nodeId); }
    }

    public void Getattr(FuseRequest request, in FuseGetattrIn body)
    {
        if (TryResolve(request.NodeId, out NodeRef node))
        {
            Finish(
                request,
                ClientOf((body.GetattrFlags & FuseGetattrFlags.Fh) != 0, body.Fh).GetAsync(node.Id, node.At),
                static (self, asked, reply) => self.AnswerAttributes(asked, self.OrRemoved(asked, reply)));
        }
        else if (request.NodeId == SnapshotNodes.Folder) { Run(request, FolderAttributesAsync(request)); }
        else { request.ReplyError(Errno.ESTALE); }
    }

    public void Statx(FuseRequest request, in FuseStatxIn body)
    {
        if (TryResolve(request.NodeId, out NodeRef node))
        {
            Finish(
                request,
                ClientOf((body.GetattrFlags & FuseGetattrFlags.Fh) != 0, body.Fh).GetAsync(node.Id, node.At),
                static (self, asked, reply) => self.AnswerStatx(asked, self.OrRemoved(asked, reply)));
        }
        else if (request.NodeId == SnapshotNodes.Folder) { Run(request, FolderAttributesAsync(request)); }
        else { request.ReplyError(Errno.ESTALE); }
    }

    public void Setattr(FuseRequest request, in FuseSetattrIn body)
    {
        if (!TryResolveLive(request, request.NodeId, out VNodeId id)) { return; }
        if ((body.Valid & FuseSetattrValid.Atime) != 0) { accessTimes.Drop(id); }
        Finish(
            request,
            ClientOf((body.Valid & FuseSetattrValid.Fh) != 0, body.Fh).SetAttributesAsync(ChangeOf(id, body)),
            static (self, asked, reply) => self.AnswerAttributes(asked, self.OrChangeRemoved(asked, reply)));
    }

    public void Readlink(FuseRequest request)
    {
        if (TryResolve(request.NodeId, out NodeRef node)) { Run(request, ReadLinkAsync(request, node)); }
        else { request.ReplyError(Errno.EINVAL); }
    }

    /// <summary>Who is asked: the client of an open file, if one is given.</summary>
    private DriveClient ClientOf(bool isGiven, ulong handle) =>
        isGiven && handles.Find(handle) is { File: { } file } ? file.Client : Client;

    /// <summary>What is known of a VNode that is gone.</summary>
    private Reply<NodeInfo> OrRemoved(FuseRequest request, in Reply<NodeInfo> reply) =>
        reply.Status == Status.Stale && removedNodes.TryGet(request.NodeId, out NodeInfo removed)
            ? Reply.Ok(removed)
            : reply;

    /// <summary>What is then known of a VNode that is gone: a fifo, a device or a directory may be open, and nobody holds
    /// it.</summary>
    private Reply<NodeInfo> OrChangeRemoved(FuseRequest request, in Reply<NodeInfo> reply)
    {
        if (reply.Status != Status.Stale) { return reply; }
        SetAttributesRequest change = ChangeOf(new(request.NodeId), request.Body<FuseSetattrIn>());
        if ((change.Mask & AttributeMask.Size) != 0) { return reply; }
        bool isKnown = removedNodes.TryChange(
            change, Timestamp.At(options.Time.GetUtcNow()), out NodeInfo removed);
        return isKnown ? Reply.Ok(removed) : reply;
    }

    private static SetAttributesRequest ChangeOf(VNodeId id, in FuseSetattrIn body) => new()
    {
        Node = id,
        Mask = MaskOf(body.Valid),
        Mode = (ushort)(body.Mode & FileModeBits.PermissionMask),
        Uid = body.Uid,
        Gid = body.Gid,
        Size = body.Size,
        AccessTime = Timestamp.FromParts((long)body.Atime, body.Atimensec),
        ModifyTime = Timestamp.FromParts((long)body.Mtime, body.Mtimensec),
        ChangeTime = Timestamp.FromParts((long)body.Ctime, body.Ctimensec),
    };

    /// <remarks>A change of nothing is how the kernel says that set-id bits must go, and nothing else: for
    /// fallocate(2), copy_file_range(2), and chown(2) that changes neither owner.</remarks>
    private static AttributeMask MaskOf(FuseSetattrValid valid)
    {
        AttributeMask mask = AttributeMask.None;
        mask |= When(FuseSetattrValid.Mode, AttributeMask.Mode);
        mask |= When(FuseSetattrValid.Uid, AttributeMask.Uid);
        mask |= When(FuseSetattrValid.Gid, AttributeMask.Gid);
        mask |= When(FuseSetattrValid.Size, AttributeMask.Size);
        mask |= When(FuseSetattrValid.Ctime, AttributeMask.ChangeTime);
        mask |= When(FuseSetattrValid.KillSuidGid, AttributeMask.KillSetId);
        if ((valid & ~(FuseSetattrValid.Fh | FuseSetattrValid.LockOwner)) == 0) { mask |= AttributeMask.KillSetId; }
        bool nowAccess = (valid & FuseSetattrValid.AtimeNow) != 0;

        // The kernel leaves the modify time of a truncation to the server. It moves even if the size stays, as on ext4.
        bool cuts = (valid & (FuseSetattrValid.Size | FuseSetattrValid.Mtime)) == FuseSetattrValid.Size;
        bool nowModify = cuts || (valid & FuseSetattrValid.MtimeNow) != 0;
        mask |= nowAccess ? AttributeMask.AccessTimeNow : When(FuseSetattrValid.Atime, AttributeMask.AccessTime);
        mask |= nowModify ? AttributeMask.ModifyTimeNow : When(FuseSetattrValid.Mtime, AttributeMask.ModifyTime);
        return mask;

        AttributeMask When(FuseSetattrValid flag, AttributeMask meant) =>
            (valid & flag) != 0 ? meant : AttributeMask.None;
    }

    private void AnswerLookup(FuseRequest request, in Reply<NodeInfo> reply)
    {
        if (reply.Status == Status.NotFound)
        {
            // Node 0: the kernel may remember that there is nothing.
            request.ReplyEntry(new() { EntryValid = negativeSeconds, EntryValidNsec = negativeNanoseconds });
            return;
        }

        AnswerEntry(request, reply);
    }

    /// <summary>Answers with a node in the same tree as the request's.</summary>
    private void AnswerEntry(FuseRequest request, in Reply<NodeInfo> reply)
    {
        if (!reply.IsOk)
        {
            ReplyNameError(request, reply.Status);
            return;
        }

        ulong nodeId = NodeIdOf(request.NodeId, reply.Value.Id);
        if (nodeId == 0)
        {
            request.ReplyError(Errno.EOVERFLOW);
            return;
        }

        FuseEntryOut entry = EntryOf(reply.Value, nodeId);
        NoteLookup(nodeId);
        if (!request.ReplyEntry(entry)) { Forget(nodeId, 1); }
    }

    /// <summary>Answers a request that failed in a directory: in one that is gone, but known still, there is
    /// nothing.</summary>
    private void ReplyNameError(FuseRequest request, Status status)
    {
        bool isRemoved = status == Status.Stale && removedNodes.TryGet(request.NodeId, out _);
        if (isRemoved) { request.ReplyError(Errno.ENOENT); }
        else { Refuse(request, status); }
    }

    private void AnswerAttributes(FuseRequest request, in Reply<NodeInfo> reply)
    {
        if (!reply.IsOk)
        {
            Refuse(request, reply.Status);
            return;
        }

        request.ReplyAttr(new()
        {
            AttrValid = attributeSeconds,
            AttrValidNsec = attributeNanoseconds,
            Attr = NodeAttributes.ToAttr(Shown(reply.Value, request.NodeId), request.NodeId),
        });
    }

    private void AnswerStatx(FuseRequest request, in Reply<NodeInfo> reply)
    {
        if (!reply.IsOk)
        {
            Refuse(request, reply.Status);
            return;
        }

        request.ReplyStatx(new()
        {
            AttrValid = attributeSeconds,
            AttrValidNsec = attributeNanoseconds,
            Stat = NodeAttributes.ToStatx(Shown(reply.Value, request.NodeId), request.NodeId),
        });
    }

    private async ValueTask ReadLinkAsync(FuseRequest request, NodeRef node)
    {
        ByteBuffer target = buffers.Rent();
        Status status = await Session.ReadLinkAsync(node.Id, node.At, target);
        if (status == Status.Ok) { request.ReplyBytes(target.Span); }
        else { Refuse(request, status); }
        buffers.Return(target);
        if (status == Status.Ok && NotesAccess(node)) { accessTimes.Note(node.Id); }
    }

    /// <summary>What a node id stands for; false for the folder <c>.snapshots</c>, and for what nobody was told
    /// of.</summary>
    private bool TryResolve(ulong nodeId, out NodeRef node)
    {
        if (SnapshotNodes.IsSnapshot(nodeId)) { return snapshots.TryResolve(nodeId, out node); }
        node = new(new(nodeId), options.At);
        return true;
    }

    /// <summary>The VNode that a change is about; false, and answered, if it is one that does not change.</summary>
    private bool TryResolveLive(FuseRequest request, ulong nodeId, out VNodeId id)
    {
        id = new(nodeId);
        if (isLive && !SnapshotNodes.IsSnapshot(nodeId)) { return true; }
        request.ReplyError(Errno.EROFS);
        return false;
    }

    /// <summary>The node id of a VNode in the tree of another node; 0: it has none.</summary>
    private static ulong NodeIdOf(ulong otherNodeId, VNodeId id) =>
        SnapshotNodes.IsSnapshot(otherNodeId) ? SnapshotNodes.Sibling(otherNodeId, id) : id.Value;

    /// <summary>The kernel is about to know a node; it owes a FORGET from now on.</summary>
    private void NoteLookup(ulong nodeId)
    {
        if (SnapshotNodes.IsSnapshot(nodeId)) { snapshots.Looked(nodeId); }
        else { kernelNodes.Add(nodeId); }
    }

    private FuseEntryOut EntryOf(in NodeInfo info, ulong nodeId) => new()
    {
        Nodeid = nodeId,
        EntryValid = entrySeconds,
        EntryValidNsec = entryNanoseconds,
        AttrValid = attributeSeconds,
        AttrValidNsec = attributeNanoseconds,
        Attr = NodeAttributes.ToAttr(Shown(info, nodeId), nodeId),
    };

    /// <summary>The VNode with the access time that a noted read gave it.</summary>
    private VNode Shown(in NodeInfo info, ulong nodeId)
    {
        VNode node = info.VNode;
        if (!SnapshotNodes.IsSnapshot(nodeId)) { accessTimes.Show(info.Id, ref node); }
        return node;
    }

    private bool NotesAccess(in NodeRef node) =>
        node.IsHead && !options.ReadOnly && options.AccessTimes == AccessTimes.Relative;
}
