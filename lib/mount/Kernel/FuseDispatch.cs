using System.Runtime.InteropServices;

namespace KvFs.Mount;

/// <summary>From a checked request to the handler's method.</summary>
internal static class FuseDispatch
{
    public static void Run(IFuseHandler handler, FuseRequest request, in FuseParserSettings settings)
    {
        switch (request.Opcode)
        {
            case FuseOpcode.Lookup: handler.Lookup(request, request.Name); break;
            case FuseOpcode.Getattr: handler.Getattr(request, request.Body<FuseGetattrIn>()); break;
            case FuseOpcode.Read: handler.Read(request, request.Body<FuseReadIn>()); break;
            case FuseOpcode.Write: handler.Write(request, request.Body<FuseWriteIn>(), request.Payload); break;
            case FuseOpcode.Open: handler.Open(request, request.Body<FuseOpenIn>()); break;
            case FuseOpcode.Flush: handler.Flush(request, request.Body<FuseFlushIn>()); break;
            case FuseOpcode.Release: handler.Release(request, request.Body<FuseReleaseIn>()); break;
            case FuseOpcode.Fsync: handler.Fsync(request, request.Body<FuseFsyncIn>()); break;
            case FuseOpcode.Opendir: handler.Opendir(request, request.Body<FuseOpenIn>()); break;
            case FuseOpcode.Readdir: handler.Readdir(request, request.Body<FuseReadIn>()); break;
            case FuseOpcode.Readdirplus: handler.Readdirplus(request, request.Body<FuseReadIn>()); break;
            case FuseOpcode.Releasedir: handler.Releasedir(request, request.Body<FuseReleaseIn>()); break;
            case FuseOpcode.Fsyncdir: handler.Fsyncdir(request, request.Body<FuseFsyncIn>()); break;
            case FuseOpcode.Fallocate: handler.Fallocate(request, request.Body<FuseFallocateIn>()); break;
            case FuseOpcode.Lseek: handler.Lseek(request, request.Body<FuseLseekIn>()); break;
            case FuseOpcode.CopyFileRange or FuseOpcode.CopyFileRange64:
                handler.CopyFileRange(request, request.Body<FuseCopyFileRangeIn>());
                break;
            case FuseOpcode.Ioctl: handler.Ioctl(request, request.Body<FuseIoctlIn>(), request.Payload); break;
            case FuseOpcode.Poll: handler.Poll(request, request.Body<FusePollIn>()); break;
            case FuseOpcode.Bmap: handler.Bmap(request, request.Body<FuseBmapIn>()); break;
            case FuseOpcode.Getlk: handler.Getlk(request, request.Body<FuseLkIn>()); break;
            case FuseOpcode.Setlk: handler.Setlk(request, request.Body<FuseLkIn>()); break;
            case FuseOpcode.Setlkw: handler.Setlkw(request, request.Body<FuseLkIn>()); break;
            default: RunNameOperation(handler, request, settings); break;
        }
    }

    private static void RunNameOperation(IFuseHandler handler, FuseRequest request, in FuseParserSettings settings)
    {
        switch (request.Opcode)
        {
            case FuseOpcode.Setattr: handler.Setattr(request, request.Body<FuseSetattrIn>()); break;
            case FuseOpcode.Statx: handler.Statx(request, request.Body<FuseStatxIn>()); break;
            case FuseOpcode.Create: handler.Create(request, request.Body<FuseCreateIn>(), request.Name); break;
            case FuseOpcode.Tmpfile: handler.Tmpfile(request, request.Body<FuseCreateIn>()); break;
            case FuseOpcode.Mknod: handler.Mknod(request, request.Body<FuseMknodIn>(), request.Name); break;
            case FuseOpcode.Mkdir: handler.Mkdir(request, request.Body<FuseMkdirIn>(), request.Name); break;
            case FuseOpcode.Symlink: handler.Symlink(request, request.Name, request.SecondName); break;
            case FuseOpcode.Readlink: handler.Readlink(request); break;
            case FuseOpcode.Unlink: handler.Unlink(request, request.Name); break;
            case FuseOpcode.Rmdir: handler.Rmdir(request, request.Name); break;
            case FuseOpcode.Rename:
                ulong newParent = request.Body<FuseRenameIn>().Newdir;
                handler.Rename(request, newParent, RenameFlags.None, request.Name, request.SecondName);
                break;
            case FuseOpcode.Rename2:
                ref readonly FuseRename2In rename = ref request.Body<FuseRename2In>();
                handler.Rename(request, rename.Newdir, rename.Flags, request.Name, request.SecondName);
                break;
            case FuseOpcode.Link: handler.Link(request, request.Body<FuseLinkIn>().Oldnodeid, request.Name); break;
            case FuseOpcode.Statfs: handler.Statfs(request); break;
            case FuseOpcode.Setxattr: RunSetxattr(handler, request, settings); break;
            case FuseOpcode.Getxattr:
                handler.Getxattr(request, request.Body<FuseGetxattrIn>().Size, request.Name);
                break;
            case FuseOpcode.Listxattr: handler.Listxattr(request, request.Body<FuseGetxattrIn>().Size); break;
            case FuseOpcode.Removexattr: handler.Removexattr(request, request.Name); break;
            case FuseOpcode.Access: handler.Access(request, request.Body<FuseAccessIn>().Mask); break;
            case FuseOpcode.Syncfs: handler.Syncfs(request); break;

            // INIT comes once, before the workers; DESTROY needs no more than an answer.
            case FuseOpcode.Init: request.ReplyError(Errno.EIO); break;
            case FuseOpcode.Destroy: request.ReplyOk(); break;
            default: request.ReplyError(Errno.ENOSYS); break;
        }
    }

    private static void RunSetxattr(IFuseHandler handler, FuseRequest request, in FuseParserSettings settings)
    {
        if (!settings.SetxattrExt)
        {
            FuseSetxattrCompatIn compat = request.Body<FuseSetxattrCompatIn>();
            handler.Setxattr(request, compat.Flags, FuseSetxattrFlags.None, request.Name, request.Payload);
            return;
        }

        FuseSetxattrIn body = request.Body<FuseSetxattrIn>();
        handler.Setxattr(request, body.Flags, body.SetxattrFlags, request.Name, request.Payload);
    }

    /// <summary>FORGET and BATCH_FORGET: no answer.</summary>
    public static void RunForget(IFuseHandler handler, in FuseParsedRequest parsed, ReadOnlySpan<byte> request)
    {
        if (parsed.Header.Opcode == FuseOpcode.Forget)
        {
            FuseForgetIn body = MemoryMarshal.Read<FuseForgetIn>(request[FuseParsedRequest.BodyOffset..]);
            handler.Forget(parsed.Header.Nodeid, body.Nlookup);
            return;
        }

        ReadOnlySpan<byte> items = request.Slice(parsed.PayloadOffset, parsed.PayloadLength);
        foreach (FuseForgetOne item in MemoryMarshal.Cast<byte, FuseForgetOne>(items))
        {
            handler.Forget(item.Nodeid, item.Nlookup);
        }
    }
}
