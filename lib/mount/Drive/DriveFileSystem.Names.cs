using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Mount;

/// <content>Names: making, moving, removing them.</content>
internal sealed partial class DriveFileSystem
{
    public void Symlink(FuseRequest request, ReadOnlySpan<byte> name, ReadOnlySpan<byte> target) => Make(
        request,
        new CreateRequest
        {
            Parent = new(request.NodeId),
            Name = name,
            Kind = VNodeKind.Symlink,
            SymlinkTarget = target,
            Caller = CallerOf(request),
        });

    public void Mkdir(FuseRequest request, in FuseMkdirIn body, ReadOnlySpan<byte> name) => Make(
        request,
        new CreateRequest
        {
            Parent = new(request.NodeId),
            Name = name,
            Kind = VNodeKind.Directory,
            Mode = (ushort)(body.Mode & FileModeBits.PermissionMask),
            Umask = (ushort)(body.Umask & FileModeBits.PermissionMask),
            Caller = CallerOf(request),
        });

    public void Mknod(FuseRequest request, in FuseMknodIn body, ReadOnlySpan<byte> name)
    {
        if (!NodeAttributes.TryGetKind(body.Mode, out VNodeKind kind))
        {
            request.ReplyError(Errno.EINVAL);
            return;
        }

        Make(
            request,
            new CreateRequest
            {
                Parent = new(request.NodeId),
                Name = name,
                Kind = kind,
                Mode = (ushort)(body.Mode & FileModeBits.PermissionMask),
                Umask = (ushort)(body.Umask & FileModeBits.PermissionMask),
                Rdev = body.Rdev,
                Caller = CallerOf(request),
            });
    }

    public void Link(FuseRequest request, ulong oldNodeId, ReadOnlySpan<byte> newName)
    {
        if (!MayChangeName(request, request.NodeId, newName)) { return; }
        if (SnapshotNodes.IsSnapshot(oldNodeId))
        {
            request.ReplyError(Errno.EXDEV);
            return;
        }

        LinkRequest link = new() { Node = new(oldNodeId), NewParent = new(request.NodeId), NewName = newName };
        Finish(request, Client.LinkAsync(link), static (self, asked, reply) => self.AnswerEntry(asked, reply));
    }

    public void Unlink(FuseRequest request, ReadOnlySpan<byte> name) => Remove(request, name, isDirectory: false);

    public void Rmdir(FuseRequest request, ReadOnlySpan<byte> name) => Remove(request, name, isDirectory: true);

    public void Rename(
        FuseRequest request,
        ulong newParent,
        RenameFlags flags,
        ReadOnlySpan<byte> oldName,
        ReadOnlySpan<byte> newName)
    {
        if (!MayChangeName(request, request.NodeId, oldName) || !MayChangeName(request, newParent, newName)) { return; }
        RenameRequest rename = new()
        {
            OldParent = new(request.NodeId),
            OldName = oldName,
            NewParent = new(newParent),
            NewName = newName,

            // Both have the kernel's numbers.
            Flags = (Core.RenameFlags)flags,
            Caller = CallerOf(request),
        };
        Finish(
            request,
            Client.RenameAsync(rename),
            static (self, asked, reply) => self.AnswerRemoved(asked, reply));
    }

    private static Credentials CallerOf(FuseRequest request) => new(request.Uid, request.Gid);

    private void Make(FuseRequest request, in CreateRequest create)
    {
        if (!MayChangeName(request, request.NodeId, create.Name)) { return; }
        Finish(request, Session.CreateAsync(create), static (self, asked, reply) => self.AnswerEntry(asked, reply));
    }

    private void Remove(FuseRequest request, ReadOnlySpan<byte> name, bool isDirectory)
    {
        if (!MayChangeName(request, request.NodeId, name)) { return; }
        UnlinkRequest unlink = new() { Parent = new(request.NodeId), Name = name, Directory = isDirectory };
        Finish(request, Client.UnlinkAsync(unlink), static (self, asked, reply) => self.AnswerRemoved(asked, reply));
    }

    private void AnswerRemoved(FuseRequest request, in Reply<UnlinkResult> reply)
    {
        if (reply.IsOk && reply.Value.Removed) { removedNodes.Add(reply.Value.Info); }
        Answer(request, reply.Status);
    }

    /// <summary>False, and answered, if a name is in a tree that does not change, or is that of such a tree.</summary>
    private bool MayChangeName(FuseRequest request, ulong parent, ReadOnlySpan<byte> name)
    {
        if (!TryResolveLive(request, parent, out _)) { return false; }
        if (!IsFolderName(parent, name)) { return true; }
        request.ReplyError(Errno.EROFS);
        return false;
    }
}
