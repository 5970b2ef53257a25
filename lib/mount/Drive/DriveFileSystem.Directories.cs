using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Mount;

/// <content>Listing directories.</content>
/// <remarks>An open directory has no state here: each request reads on behind its cookie, so that what it tells
/// (attributes, too) is of this moment. Cookies: 0: the start; 1: behind "."; 2: behind ".."; else <see
/// cref="NameHash"/>.</remarks>
internal sealed partial class DriveFileSystem
{
    private const ulong BehindDot = 1;
    private const ulong BehindDotDot = 2;

    /// <summary>Bytes that an entry takes in a listing, assumed when a page is asked for: a head, and a name of 16
    /// bytes, or 24 with attributes, which few are shorter than.</summary>
    private const int TypicalEntryBytes = 40;

    private const int TypicalPlusBytes = 176;

    /// <summary>A directory that is open is held: once it is removed, its descriptor still has attributes.</summary>
    public void Opendir(FuseRequest request, in FuseOpenIn body)
    {
        if (!IsLive(request, out NodeRef node))
        {
            request.ReplyOpen(default);
            return;
        }

        Run(request, HoldAsync(request, node.Id));
    }

    public void Releasedir(FuseRequest request, in FuseReleaseIn body)
    {
        if (IsLive(request, out NodeRef node) && !IsOfPast(body.Fh))
        {
            Finish(request, Session.ReleaseAsync(node.Id), static (self, asked, status) => self.Answer(asked, status));
        }
        else
        {
            request.ReplyOk();
        }
    }

    /// <remarks>Of the mount's root: everything, as syncfs(2) would have it if the kernel told a mount of that.</remarks>
    public void Fsyncdir(FuseRequest request, in FuseFsyncIn body)
    {
        if (IsOfPast(body.Fh)) { request.ReplyError(Errno.EIO); }
        else if (isLive && request.NodeId == VNodeId.Root.Value) { Syncfs(request); }
        else { Finish(request, Session.SyncAsync(), static (self, asked, status) => self.Answer(asked, status)); }
    }

    public void Readdir(FuseRequest request, in FuseReadIn body) => List(request, body.Fh);

    public void Readdirplus(FuseRequest request, in FuseReadIn body) => List(request, body.Fh);

    /// <summary>Whether a directory was opened under a session that is over, which held it: its handle is the number of its session, or 0 where
    /// nothing is held.</summary>
    private bool IsOfPast(ulong handle) => handle != 0 && handle != clients.Current.Number;

    private async ValueTask HoldAsync(FuseRequest request, VNodeId id)
    {
        ClientGeneration now = clients.Current;
        Reply<NodeInfo> reply = await now.Client.Session.HoldAsync(id);
        if (!reply.IsOk) { Refuse(request, reply.Status); }
        else if (!request.ReplyOpen(new() { Fh = now.Number })) { _ = LetGoAbandonedAsync(now.Client.Session, id); }
    }

    /// <summary>The kernel did not take an open directory: nobody will release it.</summary>
    private async Task LetGoAbandonedAsync(IDriveSession session, VNodeId id)
    {
        late.Begin();
        try
        {
            await session.ReleaseAsync(id);
        }
        catch (Exception e)
        {
            Report(FuseOpcode.Releasedir, 0, "Letting go of a directory that the kernel did not take failed.", e);
        }
        finally
        {
            late.End();
        }
    }

    private bool IsLive(FuseRequest request, out NodeRef node) =>
        TryResolve(request.NodeId, out node) && node.At == CowNumber.Head;

    private void List(FuseRequest request, ulong handle)
    {
        if (IsOfPast(handle)) { request.ReplyError(Errno.EIO); }
        else if (TryResolve(request.NodeId, out NodeRef node)) { Run(request, ListAsync(request, node)); }
        else if (request.NodeId == SnapshotNodes.Folder) { Run(request, ListFolderAsync(request)); }
        else { request.ReplyError(Errno.ESTALE); }
    }

    private async ValueTask ListAsync(FuseRequest request, NodeRef node)
    {
        IDriveSession session = Session;
        FuseReadIn body = request.Body<FuseReadIn>();
        bool plus = request.Opcode == FuseOpcode.Readdirplus;
        ulong parent = 0;
        if (body.Offset < BehindDotDot)
        {
            if (NotesAccess(node)) { accessTimes.Note(node.Id); }
            Reply<NodeInfo> directory = await session.GetAsync(node.Id, node.At);
            if (!directory.IsOk)
            {
                Refuse(request, directory.Status);
                return;
            }

            parent = ParentNodeId(request.NodeId, directory.Value);
        }

        DirectoryPage page = pages.Rent();
        int wanted = Math.Max(1, (int)body.Size / (plus ? TypicalPlusBytes : TypicalEntryBytes));
        ulong after = Math.Max(body.Offset, BehindDotDot);
        Status status = await session.ReadDirectoryAsync(
            node.Id, node.At, after, Math.Min(wanted, DirectoryPage.MaxEntries), plus, page);
        if (status == Status.Ok) { AnswerList(request, body.Offset, parent, page); }
        else { Refuse(request, status); }
        pages.Return(page);
    }

    private static ulong ParentNodeId(ulong nodeId, in NodeInfo directory)
    {
        bool isRoot = directory.Id == VNodeId.Root;
        if (isRoot && SnapshotNodes.IsSnapshot(nodeId)) { return SnapshotNodes.Folder; }
        return isRoot ? nodeId : NodeIdOf(nodeId, directory.VNode.Parent);
    }

    private void AnswerList(FuseRequest request, ulong cookie, ulong parent, DirectoryPage page)
    {
        ulong self = request.NodeId;
        DirectoryReply reply = request.BeginDirectory();
        int added = AddDots(ref reply, cookie, self, parent) ? AddEntries(ref reply, self, page) : 0;
        if (reply.Length == 0 && page.Count > 0)
        {
            // More names of one hash than the kernel has room for: they could only be listed together.
            request.ReplyError(Errno.EOVERFLOW);
            return;
        }

        bool isEnd = added == page.Count && page.IsLast && cookie != long.MaxValue;
        if (isEnd && options.ListSnapshotFolder && IsFolderName(self, FolderName)) { AddFolder(ref reply); }
        int lookups = reply.IsPlus ? added : 0;
        for (int at = 0; at < lookups; at++) { NoteLookup(NodeIdOf(self, page.Info(at).Id)); }
        bool taken = request.ReplyDirectory(reply);
        if (!taken && SnapshotNodes.IsSnapshot(self)) { snapshots.Forget(self, (ulong)lookups); }
    }

    /// <summary>False if there is no room for them.</summary>
    private static bool AddDots(ref DirectoryReply reply, ulong cookie, ulong self, ulong parent)
    {
        const uint Type = FileModeBits.Directory >> 12;
        return (cookie >= BehindDot || Add(ref reply, "."u8, default, self, Type, BehindDot))
            && (cookie >= BehindDotDot || Add(ref reply, ".."u8, default, parent, Type, BehindDotDot));
    }

    /// <summary>Adds as much of a page as there is room for; answers how many entries.</summary>
    /// <remarks>Names of one hash have one cookie: they go together, or the kernel could not go on between
    /// them.</remarks>
    private int AddEntries(ref DirectoryReply reply, ulong self, DirectoryPage page)
    {
        int whole = 0;
        DirectoryReply complete = reply;
        for (int at = 0; at < page.Count; at++)
        {
            if (at > 0 && page.Cookie(at) != page.Cookie(at - 1))
            {
                whole = at;
                complete = reply;
            }

            if (!AddEntry(ref reply, self, page, at))
            {
                reply = complete;
                return whole;
            }
        }

        return page.Count;
    }

    private bool AddEntry(ref DirectoryReply reply, ulong self, DirectoryPage page, int at)
    {
        Dentry dentry = page.Dentry(at);
        ulong nodeId = NodeIdOf(self, dentry.Child);
        FuseEntryOut entry = default;
        if (reply.IsPlus)
        {
            NodeInfo info = SnapshotNodes.IsSnapshot(self) ? page.Info(at) : Client.Merge(page.Info(at));
            entry = EntryOf(info, nodeId);
        }

        return Add(ref reply, page.Name(at), entry, nodeId, NodeAttributes.EntryType(dentry.Kind), page.Cookie(at));
    }

    private static bool Add(
        ref DirectoryReply reply,
        ReadOnlySpan<byte> name,
        in FuseEntryOut entry,
        ulong nodeId,
        uint type,
        ulong cookie) =>
        reply.IsPlus
            ? reply.TryAddPlus(name, entry, nodeId, type, cookie)
            : reply.TryAdd(name, nodeId, type, cookie);
}
