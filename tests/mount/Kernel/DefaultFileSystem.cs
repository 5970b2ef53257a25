namespace KvFs.Mount.Tests.Kernel;

/// <summary>Answers everything with ENOSYS: a base for handlers of one trick.</summary>
internal abstract class DefaultFileSystem : IFuseHandler
{
    public virtual void Mounted(FuseConnection connection)
    {
        // Nothing to prepare.
    }

    public virtual void Unmounted(FuseEnd end)
    {
        // Nothing to release.
    }

    public virtual void Forget(ulong nodeId, ulong lookups)
    {
        // Nothing is counted.
    }

    public virtual void Lookup(FuseRequest request, ReadOnlySpan<byte> name) => Refuse(request);

    public virtual void Getattr(FuseRequest request, in FuseGetattrIn body) => request.ReplyAttr(new FuseAttrOut
    {
        Attr = new FuseAttr { Ino = 1, Mode = FileModeBits.Directory | 0x1ED, Nlink = 2 },
    });

    public virtual void Setattr(FuseRequest request, in FuseSetattrIn body) => Refuse(request);

    public virtual void Statx(FuseRequest request, in FuseStatxIn body) => Refuse(request);

    public virtual void Readlink(FuseRequest request) => Refuse(request);

    public virtual void Symlink(FuseRequest request, ReadOnlySpan<byte> name, ReadOnlySpan<byte> target) =>
        Refuse(request);

    public virtual void Mknod(FuseRequest request, in FuseMknodIn body, ReadOnlySpan<byte> name) => Refuse(request);

    public virtual void Mkdir(FuseRequest request, in FuseMkdirIn body, ReadOnlySpan<byte> name) => Refuse(request);

    public virtual void Unlink(FuseRequest request, ReadOnlySpan<byte> name) => Refuse(request);

    public virtual void Rmdir(FuseRequest request, ReadOnlySpan<byte> name) => Refuse(request);

    public virtual void Rename(
        FuseRequest request,
        ulong newParent,
        RenameFlags flags,
        ReadOnlySpan<byte> oldName,
        ReadOnlySpan<byte> newName) => Refuse(request);

    public virtual void Link(FuseRequest request, ulong oldNodeId, ReadOnlySpan<byte> newName) => Refuse(request);

    public virtual void Open(FuseRequest request, in FuseOpenIn body) => Refuse(request);

    public virtual void Create(FuseRequest request, in FuseCreateIn body, ReadOnlySpan<byte> name) => Refuse(request);

    public virtual void Tmpfile(FuseRequest request, in FuseCreateIn body) => Refuse(request);

    public virtual void Read(FuseRequest request, in FuseReadIn body) => Refuse(request);

    public virtual void Write(FuseRequest request, in FuseWriteIn body, ReadOnlySpan<byte> data) => Refuse(request);

    public virtual void Flush(FuseRequest request, in FuseFlushIn body) => Refuse(request);

    public virtual void Release(FuseRequest request, in FuseReleaseIn body) => Refuse(request);

    public virtual void Fsync(FuseRequest request, in FuseFsyncIn body) => Refuse(request);

    public virtual void Opendir(FuseRequest request, in FuseOpenIn body) => Refuse(request);

    public virtual void Readdir(FuseRequest request, in FuseReadIn body) => Refuse(request);

    public virtual void Readdirplus(FuseRequest request, in FuseReadIn body) => Refuse(request);

    public virtual void Releasedir(FuseRequest request, in FuseReleaseIn body) => Refuse(request);

    public virtual void Fsyncdir(FuseRequest request, in FuseFsyncIn body) => Refuse(request);

    public virtual void Statfs(FuseRequest request) => Refuse(request);

    public virtual void Setxattr(
        FuseRequest request,
        XattrSetFlags flags,
        FuseSetxattrFlags extra,
        ReadOnlySpan<byte> name,
        ReadOnlySpan<byte> value) => Refuse(request);

    public virtual void Getxattr(FuseRequest request, uint size, ReadOnlySpan<byte> name) => Refuse(request);

    public virtual void Listxattr(FuseRequest request, uint size) => Refuse(request);

    public virtual void Removexattr(FuseRequest request, ReadOnlySpan<byte> name) => Refuse(request);

    public virtual void Access(FuseRequest request, AccessMask mask) => Refuse(request);

    public virtual void Getlk(FuseRequest request, in FuseLkIn body) => Refuse(request);

    public virtual void Setlk(FuseRequest request, in FuseLkIn body) => Refuse(request);

    public virtual void Setlkw(FuseRequest request, in FuseLkIn body) => Refuse(request);

    public virtual void Bmap(FuseRequest request, in FuseBmapIn body) => Refuse(request);

    public virtual void Ioctl(FuseRequest request, in FuseIoctlIn body, ReadOnlySpan<byte> data) => Refuse(request);

    public virtual void Poll(FuseRequest request, in FusePollIn body) => Refuse(request);

    public virtual void Fallocate(FuseRequest request, in FuseFallocateIn body) => Refuse(request);

    public virtual void Lseek(FuseRequest request, in FuseLseekIn body) => Refuse(request);

    public virtual void CopyFileRange(FuseRequest request, in FuseCopyFileRangeIn body) => Refuse(request);

    public virtual void Syncfs(FuseRequest request) => Refuse(request);

    private static void Refuse(FuseRequest request) => request.ReplyError(Errno.ENOSYS);
}

/// <summary>Does not want to be mounted.</summary>
internal sealed class RefusingFileSystem : DefaultFileSystem
{
    public override void Mounted(FuseConnection connection) => throw new InvalidOperationException("not now");
}

/// <summary>Tries, on a worker's thread, what only others may do.</summary>
internal sealed class NotifyingFileSystem : DefaultFileSystem
{
    private FuseConnection? connection;
    private int refusals;

    public int Refusals => Volatile.Read(ref refusals);

    public override void Mounted(FuseConnection connection) => this.connection = connection;

    public override void Statfs(FuseRequest request)
    {
        Try(() => connection!.Notifier.InvalidateAttributes(1));
        Try(() => connection!.Unmount());
        request.ReplyStatfs(new FuseKstatfs { Bsize = 4096, Frsize = 4096, Namelen = 255 });
    }

    private void Try(Action action)
    {
        try
        {
            action();
        }
        catch (InvalidOperationException)
        {
            Interlocked.Increment(ref refusals);
        }
    }
}
