using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Mount;

/// <content>Ranges of files: fallocate, lseek, copy_file_range.</content>
internal sealed partial class DriveFileSystem
{
    /// <summary>Bytes that one request copies at the most: bounds its time. The caller goes on with the rest.</summary>
    private const ulong MaxCopyBytes = 1UL << 30;

    public void Fallocate(FuseRequest request, in FuseFallocateIn body)
    {
        if (!TryResolveLive(request, request.NodeId, out VNodeId id)) { return; }
        if (handles.Find(body.Fh) is not { File: { } file })
        {
            request.ReplyError(Errno.EBADF);
            return;
        }

        bool keepsSize = (body.Mode & FallocateMode.KeepSize) != 0;
        RangeOperation? operation = (body.Mode & ~FallocateMode.KeepSize) switch
        {
            FallocateMode.None => RangeOperation.Allocate,
            FallocateMode.PunchHole when keepsSize => RangeOperation.PunchHole,
            FallocateMode.ZeroRange => RangeOperation.Zero,
            FallocateMode.CollapseRange when !keepsSize => RangeOperation.Collapse,
            FallocateMode.InsertRange when !keepsSize => RangeOperation.Insert,
            _ => null,
        };
        if (operation is null)
        {
            request.ReplyError(Errno.EOPNOTSUPP);
            return;
        }

        RangeRequest change = new(id, operation.Value, body.Offset, body.Length, keepsSize);
        Finish(request, file.Client.ChangeRangeAsync(change), static (self, asked, reply) => self.Answer(asked, reply.Status));
    }

    public void Lseek(FuseRequest request, in FuseLseekIn body)
    {
        if (handles.Find(body.Fh) is not { File: { } file })
        {
            request.ReplyError(Errno.EBADF);
            return;
        }

        SeekTarget target = body.Whence == SeekWhence.Data ? SeekTarget.Data : SeekTarget.Hole;
        Finish(
            request,
            file.Client.SeekAsync(file, body.Offset, target),
            static (self, asked, reply) =>
            {
                if (reply.IsOk) { asked.ReplyLseek(reply.Value); }
                else { self.Refuse(asked, reply.Status); }
            });
    }

    public void CopyFileRange(FuseRequest request, in FuseCopyFileRangeIn body)
    {
        if (!TryResolveLive(request, body.NodeidOut, out VNodeId target)) { return; }
        if (body.Flags != 0 || !TryResolve(request.NodeId, out NodeRef source))
        {
            request.ReplyError(Errno.EINVAL);
            return;
        }

        if (handles.Find(body.FhIn) is not { File: { } from } || handles.Find(body.FhOut) is not { File: { } to })
        {
            request.ReplyError(Errno.EBADF);
            return;
        }

        if (from.Client != to.Client)
        {
            // The session of one of them is over.
            request.ReplyError(Errno.EIO);
            return;
        }

        CopyRangeRequest copy = new(
            source.Id, source.At, body.OffIn, target, body.OffOut, Math.Min(body.Len, MaxCopyBytes));
        Finish(
            request,
            to.Client.CopyRangeAsync(copy),
            static (self, asked, reply) =>
            {
                if (reply.IsOk) { asked.ReplyCopied(reply.Value); }
                else { self.Refuse(asked, reply.Status); }
            });
    }
}
