namespace KvFs.Mount;

/// <summary>Serves the requests of one mount: one method per operation of the kernel.</summary>
/// <remarks>
/// <para>Threads: methods are called from several worker threads at once, in no order. A method may answer before it
/// returns, or keep the <see cref="FuseRequest"/> and let any other thread answer later; while it runs it holds one
/// worker, so a wait without a known end (locks) must be answered later, and a short one (a disk) merely needs enough
/// workers (<see cref="FuseMountOptions.Workers"/>).</para>
/// <para>Answers: every request is answered exactly once, by one Reply method of the request that fits the operation. A
/// method that throws before it answered is answered with EIO for it.</para>
/// <para>Memory: bodies and spans point into the request's own buffer. They are valid while the method runs, and,
/// through the properties of the request, until it is answered.</para>
/// <para>Names are 1 to 255 bytes without NUL and slash. "." and ".." reach only Lookup (NFS export).</para>
/// </remarks>
public interface IFuseHandler
{
    /// <summary>INIT was negotiated. Called once, before the first request.</summary>
    void Mounted(FuseConnection connection);

    /// <summary>The mount is gone, the workers have ended, no request will come. Unanswered requests may still be
    /// answered (into the void). Called once.</summary>
    void Unmounted(FuseEnd end);

    /// <summary>Reply: <see cref="FuseRequest.ReplyEntry"/>; an entry with node id 0 lets the kernel cache that the
    /// name does not exist.</summary>
    void Lookup(FuseRequest request, ReadOnlySpan<byte> name);

    /// <summary>The kernel dropped this many of its lookups of a node. There is no answer.</summary>
    void Forget(ulong nodeId, ulong lookups);

    /// <summary>Reply: <see cref="FuseRequest.ReplyAttr"/>.</summary>
    void Getattr(FuseRequest request, in FuseGetattrIn body);

    /// <summary>Reply: <see cref="FuseRequest.ReplyAttr"/> with the attributes after the change.</summary>
    void Setattr(FuseRequest request, in FuseSetattrIn body);

    /// <summary>Reply: <see cref="FuseRequest.ReplyStatx"/>.</summary>
    void Statx(FuseRequest request, in FuseStatxIn body);

    /// <summary>Reply: <see cref="FuseRequest.ReplyBytes"/> with the target, no NUL.</summary>
    void Readlink(FuseRequest request);

    /// <summary>Reply: <see cref="FuseRequest.ReplyEntry"/>.</summary>
    void Symlink(FuseRequest request, ReadOnlySpan<byte> name, ReadOnlySpan<byte> target);

    /// <summary>Reply: <see cref="FuseRequest.ReplyEntry"/>.</summary>
    void Mknod(FuseRequest request, in FuseMknodIn body, ReadOnlySpan<byte> name);

    /// <summary>Reply: <see cref="FuseRequest.ReplyEntry"/>.</summary>
    void Mkdir(FuseRequest request, in FuseMkdirIn body, ReadOnlySpan<byte> name);

    /// <summary>Reply: <see cref="FuseRequest.ReplyOk"/>.</summary>
    void Unlink(FuseRequest request, ReadOnlySpan<byte> name);

    /// <summary>Reply: <see cref="FuseRequest.ReplyOk"/>.</summary>
    void Rmdir(FuseRequest request, ReadOnlySpan<byte> name);

    /// <summary>RENAME (no flags) and RENAME2. Reply: <see cref="FuseRequest.ReplyOk"/>.</summary>
    void Rename(
        FuseRequest request,
        ulong newParent,
        RenameFlags flags,
        ReadOnlySpan<byte> oldName,
        ReadOnlySpan<byte> newName);

    /// <summary>Gives the node <paramref name="oldNodeId"/> a name in the request's node. Reply:
    /// <see cref="FuseRequest.ReplyEntry"/>.</summary>
    void Link(FuseRequest request, ulong oldNodeId, ReadOnlySpan<byte> newName);

    /// <summary>Reply: <see cref="FuseRequest.ReplyOpen"/>; if that returns false, nobody will release the
    /// handle.</summary>
    void Open(FuseRequest request, in FuseOpenIn body);

    /// <summary>Creates and opens. Reply: <see cref="FuseRequest.ReplyCreate"/>.</summary>
    void Create(FuseRequest request, in FuseCreateIn body, ReadOnlySpan<byte> name);

    /// <summary>O_TMPFILE in the request's node. Reply: <see cref="FuseRequest.ReplyCreate"/>.</summary>
    void Tmpfile(FuseRequest request, in FuseCreateIn body);

    /// <summary>Reply: fill <see cref="FuseRequest.ReplyRoom"/> (page aligned, the size asked for) and call
    /// <see cref="FuseRequest.ReplyFilled"/>; less than asked for means end of file.</summary>
    void Read(FuseRequest request, in FuseReadIn body);

    /// <summary>Reply: <see cref="FuseRequest.ReplyWritten"/>.</summary>
    /// <remarks>The data starts at a page boundary of memory, so it can go to a file under O_DIRECT as it is.</remarks>
    void Write(FuseRequest request, in FuseWriteIn body, ReadOnlySpan<byte> data);

    /// <summary>A descriptor was closed; there may be more of the same open file. Reply:
    /// <see cref="FuseRequest.ReplyOk"/>. </summary>
    void Flush(FuseRequest request, in FuseFlushIn body);

    /// <summary>The open file is gone. Reply: <see cref="FuseRequest.ReplyOk"/>; nobody sees an error.</summary>
    void Release(FuseRequest request, in FuseReleaseIn body);

    /// <summary>Reply: <see cref="FuseRequest.ReplyOk"/>.</summary>
    void Fsync(FuseRequest request, in FuseFsyncIn body);

    /// <summary>Reply: <see cref="FuseRequest.ReplyOpen"/>.</summary>
    void Opendir(FuseRequest request, in FuseOpenIn body);

    /// <summary>Entries after the cookie body.Offset (0: from the start). Reply:
    /// <see cref="FuseRequest.BeginDirectory"/>, then <see cref="FuseRequest.ReplyDirectory"/>.</summary>
    void Readdir(FuseRequest request, in FuseReadIn body);

    /// <summary>As Readdir, with a lookup of each entry. Same replies.</summary>
    void Readdirplus(FuseRequest request, in FuseReadIn body);

    /// <summary>Reply: <see cref="FuseRequest.ReplyOk"/>.</summary>
    void Releasedir(FuseRequest request, in FuseReleaseIn body);

    /// <summary>Reply: <see cref="FuseRequest.ReplyOk"/>.</summary>
    void Fsyncdir(FuseRequest request, in FuseFsyncIn body);

    /// <summary>Reply: <see cref="FuseRequest.ReplyStatfs"/>.</summary>
    void Statfs(FuseRequest request);

    /// <summary>Reply: <see cref="FuseRequest.ReplyOk"/>.</summary>
    void Setxattr(
        FuseRequest request,
        XattrSetFlags flags,
        FuseSetxattrFlags extra,
        ReadOnlySpan<byte> name,
        ReadOnlySpan<byte> value);

    /// <summary>Reply: if <paramref name="size"/> is 0, <see cref="FuseRequest.ReplyXattrSize"/>, else
    /// <see cref="FuseRequest.ReplyBytes"/> with the value, or ERANGE if it is larger.</summary>
    void Getxattr(FuseRequest request, uint size, ReadOnlySpan<byte> name);

    /// <summary>Names, each with a NUL. Reply: as Getxattr.</summary>
    void Listxattr(FuseRequest request, uint size);

    /// <summary>Reply: <see cref="FuseRequest.ReplyOk"/>.</summary>
    void Removexattr(FuseRequest request, ReadOnlySpan<byte> name);

    /// <summary>Reply: <see cref="FuseRequest.ReplyOk"/>. Not asked under default_permissions.</summary>
    void Access(FuseRequest request, AccessMask mask);

    /// <summary>Reply: <see cref="FuseRequest.ReplyLock"/> with the lock in the way, or of type Unlock.</summary>
    void Getlk(FuseRequest request, in FuseLkIn body);

    /// <summary>Sets or drops a lock, at once. Reply: <see cref="FuseRequest.ReplyOk"/>, or EAGAIN.</summary>
    void Setlk(FuseRequest request, in FuseLkIn body);

    /// <summary>As Setlk, but waits: register <see cref="FuseRequest.TryOnInterrupt"/>, return, and answer later (0,
    /// EDEADLK, or EINTR once interrupted).</summary>
    void Setlkw(FuseRequest request, in FuseLkIn body);

    /// <summary>Reply: <see cref="FuseRequest.ReplyBmap"/>.</summary>
    void Bmap(FuseRequest request, in FuseBmapIn body);

    /// <summary>Reply: <see cref="FuseRequest.ReplyIoctl"/>, or ENOTTY.</summary>
    void Ioctl(FuseRequest request, in FuseIoctlIn body, ReadOnlySpan<byte> data);

    /// <summary>Reply: <see cref="FuseRequest.ReplyPoll"/>, or ENOSYS: then the kernel never asks again.</summary>
    void Poll(FuseRequest request, in FusePollIn body);

    /// <summary>Reply: <see cref="FuseRequest.ReplyOk"/>.</summary>
    void Fallocate(FuseRequest request, in FuseFallocateIn body);

    /// <summary>Only SEEK_DATA and SEEK_HOLE. Reply: <see cref="FuseRequest.ReplyLseek"/>, or ENXIO.</summary>
    void Lseek(FuseRequest request, in FuseLseekIn body);

    /// <summary>COPY_FILE_RANGE and COPY_FILE_RANGE_64. Reply: <see cref="FuseRequest.ReplyCopied"/>.</summary>
    void CopyFileRange(FuseRequest request, in FuseCopyFileRangeIn body);

    /// <summary>Reply: <see cref="FuseRequest.ReplyOk"/> when all that was written is durable.</summary>
    void Syncfs(FuseRequest request);
}
