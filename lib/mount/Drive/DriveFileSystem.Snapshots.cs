using System.Text;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Mount;

/// <content>The folder <c>.snapshots</c> in the root of a live mount: one directory for each snapshot of the
/// drive.</content>
/// <remarks>What is below those directories is as any other node, at the snapshot's version. The folder and its names
/// are asked for anew each time, because snapshots come and go without this mount.</remarks>
internal sealed partial class DriveFileSystem
{
    private const ushort FolderMode = 0b101_101_101;

    private static ReadOnlySpan<byte> FolderName => ".snapshots"u8;

    private bool IsFolderName(ulong parent, ReadOnlySpan<byte> name) =>
        parent == VNodeId.Root.Value && isLive && name.SequenceEqual(FolderName);

    /// <remarks>Its attributes are asked for when somebody wants them; its lookups need no count: it is always there.
    /// </remarks>
    private void ReplyFolder(FuseRequest request) => request.ReplyEntry(new()
    {
        Nodeid = SnapshotNodes.Folder,
        EntryValid = entrySeconds,
        EntryValidNsec = entryNanoseconds,
        Attr = NodeAttributes.ToAttr(FolderNode(snapshotCount: 0, mounted), SnapshotNodes.Folder),
    });

    private void LookUpInFolder(FuseRequest request, ReadOnlySpan<byte> name)
    {
        if (name.SequenceEqual("."u8)) { ReplyFolder(request); }
        else if (name.SequenceEqual(".."u8))
        {
            Finish(
                request,
                Client.GetAsync(VNodeId.Root, CowNumber.Head),
                static (self, asked, reply) => self.AnswerLookedUpRoot(asked, reply));
        }
        else { Run(request, LookUpSnapshotAsync(request)); }
    }

    private void AnswerLookedUpRoot(FuseRequest request, in Reply<NodeInfo> reply)
    {
        if (reply.IsOk) { request.ReplyEntry(EntryOf(reply.Value, VNodeId.Root.Value)); }
        else { Refuse(request, reply.Status); }
    }

    private async ValueTask LookUpSnapshotAsync(FuseRequest request)
    {
        IDriveSession session = Session;
        Reply<IReadOnlyList<SnapshotInfo>> list = await session.ListSnapshotsAsync();
        if (!list.IsOk)
        {
            Refuse(request, list.Status);
            return;
        }

        SnapshotInfo? wanted = list.Value.FirstOrDefault(snapshot =>
            Encoding.UTF8.GetBytes(snapshot.Name).AsSpan().SequenceEqual(request.Name));
        if (wanted is null)
        {
            request.ReplyError(Errno.ENOENT);
            return;
        }

        Reply<NodeInfo> root = await session.GetAsync(VNodeId.Root, wanted.At);
        if (!root.IsOk)
        {
            Refuse(request, root.Status);
            return;
        }

        ulong nodeId = snapshots.LookUpRoot(wanted.At);
        if (nodeId == 0)
        {
            request.ReplyError(Errno.ENFILE);
            return;
        }

        FuseEntryOut entry = EntryOf(root.Value, nodeId) with { EntryValid = 0, EntryValidNsec = 0 };
        if (!request.ReplyEntry(entry)) { snapshots.Forget(nodeId, 1); }
    }

    private async ValueTask FolderAttributesAsync(FuseRequest request)
    {
        Reply<IReadOnlyList<SnapshotInfo>> list = await Session.ListSnapshotsAsync();
        if (!list.IsOk)
        {
            Refuse(request, list.Status);
            return;
        }

        Timestamp changed = list.Value.Select(snapshot => snapshot.Created).Append(mounted).Max();
        VNode node = FolderNode(list.Value.Count, changed);
        if (request.Opcode == FuseOpcode.Statx)
        {
            request.ReplyStatx(new() { Stat = NodeAttributes.ToStatx(node, SnapshotNodes.Folder) });
        }
        else
        {
            request.ReplyAttr(new() { Attr = NodeAttributes.ToAttr(node, SnapshotNodes.Folder) });
        }
    }

    private async ValueTask ListFolderAsync(FuseRequest request)
    {
        Reply<IReadOnlyList<SnapshotInfo>> list = await Session.ListSnapshotsAsync();
        if (!list.IsOk)
        {
            Refuse(request, list.Status);
            return;
        }

        DirectoryPage page = pages.Rent();
        page.Clear();
        page.IsLast = true;
        ulong cookie = request.Body<FuseReadIn>().Offset;
        foreach ((ulong hash, byte[] name) in list.Value
            .Select(snapshot => Encoding.UTF8.GetBytes(snapshot.Name))
            .Select(name => (NameHash.Compute(name), name))
            .OrderBy(entry => entry.Item1))
        {
            if (hash > cookie) { page.Add(name, hash, new(VNodeId.Root, VNodeKind.Directory), default); }
        }

        AnswerFolderList(request, cookie, page);
        pages.Return(page);
    }

    /// <remarks>A snapshot's root has a node id only once it is looked up; until then a listing shows some number, as
    /// it may for a mountpoint.</remarks>
    private static void AnswerFolderList(FuseRequest request, ulong cookie, DirectoryPage page)
    {
        DirectoryReply reply = request.BeginDirectory();
        bool fits = AddDots(ref reply, cookie, SnapshotNodes.Folder, VNodeId.Root.Value);
        for (int at = 0; fits && at < page.Count; at++)
        {
            ulong shown = SnapshotNodes.Folder | page.Cookie(at);
            uint type = NodeAttributes.EntryType(VNodeKind.Directory);
            fits = Add(ref reply, page.Name(at), default, shown, type, page.Cookie(at));
        }

        request.ReplyDirectory(reply);
    }

    private static void AddFolder(ref DirectoryReply reply) => Add(
        ref reply,
        FolderName,
        default,
        SnapshotNodes.Folder,
        NodeAttributes.EntryType(VNodeKind.Directory),
        long.MaxValue);

    private VNode FolderNode(int snapshotCount, Timestamp changed) => new()
    {
        Kind = VNodeKind.Directory,
        Mode = FolderMode,
        Nlink = (uint)snapshotCount + 2,
        Size = (ulong)snapshotCount,
        AccessTime = changed,
        ModifyTime = changed,
        ChangeTime = changed,
        BirthTime = mounted,
        Parent = VNodeId.Root,
    };
}
