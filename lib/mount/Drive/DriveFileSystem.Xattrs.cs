using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Mount;

/// <content>Extended attributes; ACLs are those named <c>system.posix_acl_*</c>.</content>
internal sealed partial class DriveFileSystem
{
    public void Setxattr(
        FuseRequest request,
        XattrSetFlags flags,
        FuseSetxattrFlags extra,
        ReadOnlySpan<byte> name,
        ReadOnlySpan<byte> value)
    {
        if (!TryResolveLive(request, request.NodeId, out VNodeId id)) { return; }
        if ((flags & ~(XattrSetFlags.Create | XattrSetFlags.Replace)) != 0
            || flags == (XattrSetFlags.Create | XattrSetFlags.Replace))
        {
            request.ReplyError(Errno.EINVAL);
            return;
        }

        SetXattrRequest set = new()
        {
            Node = id,
            Name = name,
            Value = value,

            // Both have the kernel's numbers.
            Mode = (XattrMode)flags,
            KillSetGid = (extra & FuseSetxattrFlags.AclKillSgid) != 0,
        };
        Finish(request, Client.SetXattrAsync(set), static (self, asked, status) => self.Answer(asked, status));
    }

    public void Getxattr(FuseRequest request, uint size, ReadOnlySpan<byte> name)
    {
        if (!TryResolve(request.NodeId, out NodeRef node))
        {
            request.ReplyError(Errno.ENODATA);
            return;
        }

        ByteBuffer value = buffers.Rent();
        ValueTask<Status> pending = Session.GetXattrAsync(node.Id, node.At, name, value);
        Run(request, AnswerBytesAsync(request, size, pending, value));
    }

    public void Listxattr(FuseRequest request, uint size)
    {
        ByteBuffer names = buffers.Rent();
        names.Clear();
        ValueTask<Status> pending = TryResolve(request.NodeId, out NodeRef node)
            ? Session.ListXattrsAsync(node.Id, node.At, names)
            : new(Status.Ok);
        Run(request, AnswerBytesAsync(request, size, pending, names));
    }

    public void Removexattr(FuseRequest request, ReadOnlySpan<byte> name)
    {
        if (!TryResolveLive(request, request.NodeId, out VNodeId id)) { return; }
        RemoveXattrRequest remove = new() { Node = id, Name = name };
        Finish(request, Client.RemoveXattrAsync(remove), static (self, asked, status) => self.Answer(asked, status));
    }

    /// <summary>Answers with a value or its size, as asked; the buffer goes back.</summary>
    private async ValueTask AnswerBytesAsync(
        FuseRequest request, uint size, ValueTask<Status> pending, ByteBuffer bytes)
    {
        Status status = await pending;
        if (status != Status.Ok) { Refuse(request, status); }
        else if (size == 0) { request.ReplyXattrSize((uint)bytes.Length); }
        else if ((uint)bytes.Length > size) { request.ReplyError(Errno.ERANGE); }
        else { request.ReplyBytes(bytes.Span); }
        buffers.Return(bytes);
    }
}
