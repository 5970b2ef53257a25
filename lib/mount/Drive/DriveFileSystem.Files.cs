using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Mount;

/// <content>Open files.</content>
internal sealed partial class DriveFileSystem
{
    public void Open(FuseRequest request, in FuseOpenIn body)
    {
        if (!TryResolve(request.NodeId, out NodeRef node))
        {
            request.ReplyError(request.NodeId == SnapshotNodes.Folder ? Errno.EISDIR : Errno.ESTALE);
            return;
        }

        bool writes = (body.Flags & OpenFlags.AccessMode) != OpenFlags.ReadOnly
            || (body.Flags & OpenFlags.Truncate) != 0;
        if (writes && !node.IsHead)
        {
            request.ReplyError(Errno.EROFS);
            return;
        }

        if ((body.Flags & OpenFlags.Truncate) != 0) { Run(request, OpenTruncatedAsync(request, node)); }
        else
        {
            Finish(
                request,
                Client.OpenAsync(node.Id, node.At),
                static (self, asked, reply) => self.AnswerOpen(asked, reply));
        }
    }

    public void Create(FuseRequest request, in FuseCreateIn body, ReadOnlySpan<byte> name)
    {
        if (MayChangeName(request, request.NodeId, name)) { Create(request, body, name, isLinkable: false); }
    }

    public void Tmpfile(FuseRequest request, in FuseCreateIn body)
    {
        if (!TryResolveLive(request, request.NodeId, out _)) { return; }
        Create(request, body, default, isLinkable: (body.Flags & OpenFlags.Exclusive) == 0);
    }

    public void Read(FuseRequest request, in FuseReadIn body)
    {
        if (handles.Find(body.Fh) is not { File: { } file } handle)
        {
            request.ReplyError(Errno.EBADF);
            return;
        }

        accessTimes.Note(handle, file.Id);
        Finish(
            request,
            file.Client.ReadOrLendAsync(file, body.Offset, request.ReplyMemory),
            static (self, asked, reply) =>
            {
                if (!reply.IsOk)
                {
                    self.Refuse(asked, reply.Status);
                    return;
                }

                using FoundBytes found = reply.Value;
                if (found.IsLent) { asked.ReplyBytes(found.Lent); }
                else { asked.ReplyFilled(found.Length); }
            });
    }

    /// <remarks>O_SYNC, O_DSYNC and RWF_DSYNC are in the flags. The kernel sends an FSYNC behind such a write by itself
    /// if it is buffered, but none if it is direct. So each is durable before its answer, and an FSYNC behind it finds
    /// nothing left to do.</remarks>
    public void Write(FuseRequest request, in FuseWriteIn body, ReadOnlySpan<byte> data)
    {
        if (handles.Find(body.Fh) is not { File: { } file })
        {
            request.ReplyError(Errno.EBADF);
            return;
        }

        if (refusesWrites)
        {
            request.ReplyError(Errno.EIO);
            return;
        }

        bool kills = (body.WriteFlags & FuseWriteFlags.KillSuidGid) != 0;
        bool syncs = (body.Flags & OpenFlags.DataSync) != 0;

        // What the kernel writes of its pages belongs where they are.
        bool appends = (body.Flags & OpenFlags.Append) != 0 && (body.WriteFlags & FuseWriteFlags.Cache) == 0;
        Finish(
            request,
            file.Client.WriteAsync(file, body.Offset, request.PayloadMemory, new(kills, syncs, appends)),
            static (self, asked, reply) =>
            {
                // Asked when the bytes are where a flush finds them: what is answered before the end is stored by the last one.
                if (self.refusesWrites) { asked.ReplyError(Errno.EIO); }
                else if (reply.IsOk) { asked.ReplyWritten((uint)reply.Value); }
                else { self.Refuse(asked, reply.Status); }
            });
    }

    public void Flush(FuseRequest request, in FuseFlushIn body)
    {
        if (handles.Find(body.Fh) is not { File: { } file })
        {
            request.ReplyError(Errno.EBADF);
            return;
        }

        if (lockOwners.Remove(file.Id, body.LockOwner))
        {
            // Whatever file the owner took them through: those of a session that is over are gone.
            IDriveSession session = Session;
            Finish(
                request,
                session.UnlockAllAsync(file.Id, new(session.Id, body.LockOwner)),
                static (self, asked, _) => self.AnswerFlush(asked));
        }
        else { AnswerFlush(request); }
    }

    public void Release(FuseRequest request, in FuseReleaseIn body)
    {
        if (handles.Find(body.Fh) is not { File: { } file } handle)
        {
            request.ReplyError(Errno.EBADF);
            return;
        }

        bool unlocks = (body.ReleaseFlags & FuseReleaseFlags.FlockUnlock) != 0 || handle.LockOwners is { Count: > 0 };
        if (unlocks)
        {
            Run(request, ReleaseLockedAsync(request, handle, file));
            return;
        }

        handles.Remove(handle);
        Finish(request, CloseAsync(file), static (_, asked, _) => asked.ReplyOk());
    }

    public void Fsync(FuseRequest request, in FuseFsyncIn body)
    {
        if (handles.Find(body.Fh) is not { File: { } file })
        {
            request.ReplyError(Errno.EBADF);
            return;
        }

        Finish(request, file.Client.FsyncAsync(file), static (self, asked, status) => self.Answer(asked, status));
    }

    private void Create(FuseRequest request, in FuseCreateIn body, ReadOnlySpan<byte> name, bool isLinkable)
    {
        CreateRequest create = new()
        {
            Parent = new(request.NodeId),
            Name = name,
            Kind = VNodeKind.File,
            Mode = (ushort)(body.Mode & FileModeBits.PermissionMask),
            Umask = (ushort)(body.Umask & FileModeBits.PermissionMask),
            Caller = CallerOf(request),
            Nameless = isLinkable,
        };
        Finish(request, Client.CreateOpenAsync(create), static (self, asked, reply) => self.AnswerCreate(asked, reply));
    }

    private async ValueTask OpenTruncatedAsync(FuseRequest request, NodeRef node)
    {
        DriveClient client = Client;
        Reply<OpenFile> opened = await client.OpenAsync(node.Id, node.At);
        if (opened.IsOk)
        {
            bool kills = (request.Body<FuseOpenIn>().OpenFlags & FuseOpenInFlags.KillSuidGid) != 0;
            Reply<NodeInfo> cut = await client.SetAttributesAsync(new SetAttributesRequest
            {
                Node = node.Id,
                Mask = AttributeMask.Size | AttributeMask.ModifyTimeNow
                    | (kills ? AttributeMask.KillSetId : AttributeMask.None),
            });
            if (!cut.IsOk)
            {
                await CloseAsync(opened.Value);
                opened = new(cut.Status, default!);
            }
        }

        AnswerOpen(request, opened);
    }

    private void AnswerOpen(FuseRequest request, in Reply<OpenFile> reply)
    {
        if (!reply.IsOk)
        {
            Refuse(request, reply.Status);
            return;
        }

        uint flags = request.Body<FuseOpenIn>().Flags;
        FileHandle handle = Keep(reply.Value, flags);
        if (!request.ReplyOpen(OpenReply(handle, flags))) { Abandon(handle); }
    }

    /// <remarks>Without O_EXCL a file that another mount has made since the kernel looked is opened: ESTALE has the kernel look again, and check the
    /// rights to that file. Source: do_filp_open in the kernel.</remarks>
    private void AnswerCreate(FuseRequest request, in Reply<CreatedFile> reply)
    {
        uint flags = request.Body<FuseCreateIn>().Flags;
        if (!reply.IsOk)
        {
            bool isThereNow = isShared && reply.Status == Status.Exists && (flags & OpenFlags.Exclusive) == 0;
            ReplyNameError(request, isThereNow ? Status.Stale : reply.Status);
            return;
        }

        NodeInfo info = reply.Value.Info;
        FileHandle handle = Keep(reply.Value.File, flags);
        NoteLookup(info.Id.Value);
        if (!request.ReplyCreate(EntryOf(info, info.Id.Value), OpenReply(handle, flags))) { Abandon(handle); }
    }

    /// <summary>Tells what an earlier flush failed with.</summary>
    private void AnswerFlush(FuseRequest request)
    {
        if (handles.Find(request.Body<FuseFlushIn>().Fh) is { File: { } file })
        {
            Finish(request, file.Client.FlushAsync(file), static (self, asked, status) => self.Answer(asked, status));
        }
        else { request.ReplyOk(); }
    }

    private async ValueTask ReleaseLockedAsync(FuseRequest request, FileHandle handle, OpenFile file)
    {
        FuseReleaseIn body = request.Body<FuseReleaseIn>();
        IDriveSession session = file.Client.Session;
        if ((body.ReleaseFlags & FuseReleaseFlags.FlockUnlock) != 0)
        {
            FileLock whole = WholeFile(Core.LockType.Unlock, new(session.Id, body.LockOwner), request.Pid);
            await session.SetLockAsync(file.Id, LockSpace.Whole, whole, wait: false, CancellationToken.None);
        }

        while (lockOwners.TryRemoveAny(file.Id, handle, out ulong owner))
        {
            await session.UnlockAllAsync(file.Id, new(session.Id, owner));
        }

        handles.Remove(handle);
        await CloseAsync(file);
        request.ReplyOk();
    }

    private ValueTask<Status> CloseAsync(OpenFile file) =>
        file.Client == Client ? file.Client.CloseAsync(file) : CloseOfPastAsync(file);

    /// <summary>Closes a file that was opened under a session that is over: with the last one its client goes.</summary>
    private async ValueTask<Status> CloseOfPastAsync(OpenFile file)
    {
        Status status = await file.Client.CloseAsync(file);
        await clients.LetGoAsync(file.Client);
        return status;
    }

    private FileHandle Keep(OpenFile file, uint flags)
    {
        FileHandle handle = handles.Add(file);
        handle.Writes = (flags & OpenFlags.AccessMode) != OpenFlags.ReadOnly;
        handle.NotesAccess = NotesAccess(new(file.Id, file.At)) && (flags & OpenFlags.NoAccessTime) == 0;
        return handle;
    }

    /// <summary>The kernel did not take an open file: nobody will release it.</summary>
    private void Abandon(FileHandle handle)
    {
        OpenFile file = handle.File!;
        handles.Remove(handle);
        _ = CloseAbandonedAsync(file);
    }

    private async Task CloseAbandonedAsync(OpenFile file)
    {
        late.Begin();
        try
        {
            await CloseAsync(file);
        }
        catch (Exception e)
        {
            Report(FuseOpcode.Release, 0, "Closing a file that the kernel did not take failed.", e);
        }
        finally
        {
            late.End();
        }
    }

    /// <remarks>Pages stay over opens: whatever changes the file goes through this kernel, and what the node changes
    /// itself it recalls (<see cref="DropKernelCachesAsync"/>). Of a drive that others change there are no pages, but for
    /// maps. With O_DIRECT, writes beside each other, as on other file systems.
    /// </remarks>
    private FuseOpenOut OpenReply(FileHandle handle, uint flags) => new()
    {
        Fh = handle.Number,
        OpenFlags = (flags & OpenFlags.Direct) != 0
            ? FuseOpenReplyFlags.DirectIo | FuseOpenReplyFlags.ParallelDirectWrites
            : isShared && handle.File!.At == CowNumber.Head ? FuseOpenReplyFlags.DirectIo : FuseOpenReplyFlags.KeepCache,
    };
}
