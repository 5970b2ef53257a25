using System.Text;

namespace KvFs.Mount.Tests.Kernel;

internal sealed partial class MemoryFileSystem
{
    private int largestWrite;
    private int largestRead;

    /// <summary>Opened files are read and written past the page cache.</summary>
    public bool DirectIo { get; init; }

    /// <summary>Bytes of the largest WRITE so far.</summary>
    public int LargestWrite => Volatile.Read(ref largestWrite);

    /// <summary>Bytes of the largest READ so far.</summary>
    public int LargestRead => Volatile.Read(ref largestRead);

    /// <summary>True if the data of every WRITE so far started at a page boundary of memory.</summary>
    public bool WritesWereAligned { get; private set; } = true;

    /// <summary>Changes a file behind the kernel's back.</summary>
    public void ReplaceContent(ulong id, byte[] content)
    {
        lock (gate)
        {
            nodes[id].Resize(content.Length);
            nodes[id].Write(0, content);
        }
    }

    /// <summary>Removes a name behind the kernel's back.</summary>
    public ulong RemoveName(string name)
    {
        lock (gate)
        {
            MemoryNode node = nodes[1].Find(name)!;
            nodes[1].Remove(name);
            node.Links--;
            return node.Id;
        }
    }

    public ulong IdOf(string name)
    {
        lock (gate) { return nodes[1].Find(name)!.Id; }
    }

    public void Getattr(FuseRequest request, in FuseGetattrIn body)
    {
        FuseAttrOut attr;
        lock (gate) { attr = new FuseAttrOut { AttrValid = ValidSeconds, Attr = nodes[request.NodeId].Attr() }; }
        request.ReplyAttr(attr);
    }

    public void Setattr(FuseRequest request, in FuseSetattrIn body)
    {
        FuseAttrOut attr;
        lock (gate)
        {
            MemoryNode node = nodes[request.NodeId];
            if ((body.Valid & FuseSetattrValid.Size) != 0) { node.Resize((int)body.Size); }
            if ((body.Valid & FuseSetattrValid.Mode) != 0) { node.Mode = body.Mode; }
            if ((body.Valid & FuseSetattrValid.Uid) != 0) { node.Uid = body.Uid; }
            if ((body.Valid & FuseSetattrValid.Gid) != 0) { node.Gid = body.Gid; }
            attr = new FuseAttrOut { AttrValid = ValidSeconds, Attr = node.Attr() };
        }

        request.ReplyAttr(attr);
    }

    public void Statx(FuseRequest request, in FuseStatxIn body) => request.ReplyError(Errno.ENOSYS);

    public void Open(FuseRequest request, in FuseOpenIn body)
    {
        if ((body.Flags & OpenFlags.Truncate) != 0)
        {
            lock (gate) { nodes[request.NodeId].Resize(0); }
        }

        request.ReplyOpen(Opened());
    }

    public void Create(FuseRequest request, in FuseCreateIn body, ReadOnlySpan<byte> name)
    {
        uint mode = FileModeBits.Regular | (body.Mode & ~body.Umask & FileModeBits.PermissionMask);
        (int error, FuseEntryOut entry) = Make(request, Encoding.UTF8.GetString(name), mode, []);
        if (error != 0) { request.ReplyError(error); }
        else { request.ReplyCreate(entry, Opened()); }
    }

    public void Tmpfile(FuseRequest request, in FuseCreateIn body) => request.ReplyError(Errno.EOPNOTSUPP);

    public void Read(FuseRequest request, in FuseReadIn body)
    {
        int length;
        lock (gate)
        {
            MemoryNode node = nodes[request.NodeId];
            largestRead = Math.Max(largestRead, (int)body.Size);
            int offset = (int)Math.Min(body.Offset, (ulong)node.Size);
            length = Math.Min((int)body.Size, node.Size - offset);
            node.Content.AsSpan(offset, length).CopyTo(request.ReplyRoom);
        }

        request.ReplyFilled(length);
    }

    public unsafe void Write(FuseRequest request, in FuseWriteIn body, ReadOnlySpan<byte> data)
    {
        lock (gate)
        {
            nodes[request.NodeId].Write((int)body.Offset, data);
            largestWrite = Math.Max(largestWrite, data.Length);
            fixed (byte* first = data) { WritesWereAligned &= (nuint)first % 4096 == 0; }
        }

        request.ReplyWritten((uint)data.Length);
    }

    public void Flush(FuseRequest request, in FuseFlushIn body)
    {
        Locks.Drop(request.NodeId, body.LockOwner, flock: false);
        request.ReplyOk();
    }

    public void Release(FuseRequest request, in FuseReleaseIn body)
    {
        if ((body.ReleaseFlags & FuseReleaseFlags.FlockUnlock) != 0)
        {
            Locks.Drop(request.NodeId, body.LockOwner, flock: true);
        }

        request.ReplyOk();
    }

    public void Fsync(FuseRequest request, in FuseFsyncIn body) => request.ReplyOk();

    public void Statfs(FuseRequest request) => request.ReplyStatfs(new FuseKstatfs
    {
        Blocks = 1000,
        Bfree = 500,
        Bavail = 500,
        Files = 100,
        Ffree = 50,
        Bsize = 4096,
        Frsize = 4096,
        Namelen = 255,
    });

    public void Setxattr(
        FuseRequest request,
        XattrSetFlags flags,
        FuseSetxattrFlags extra,
        ReadOnlySpan<byte> name,
        ReadOnlySpan<byte> value)
    {
        string text = Encoding.UTF8.GetString(name);
        int error = 0;
        lock (gate)
        {
            Dictionary<string, byte[]> attributes = nodes[request.NodeId].Attributes;
            bool exists = attributes.ContainsKey(text);
            if (exists && flags == XattrSetFlags.Create) { error = Errno.EEXIST; }
            else if (!exists && flags == XattrSetFlags.Replace) { error = Errno.ENODATA; }
            else { attributes[text] = value.ToArray(); }
        }

        Answer(request, error);
    }

    public void Getxattr(FuseRequest request, uint size, ReadOnlySpan<byte> name)
    {
        byte[]? value;
        lock (gate) { nodes[request.NodeId].Attributes.TryGetValue(Encoding.UTF8.GetString(name), out value); }
        AnswerXattr(request, size, value);
    }

    public void Listxattr(FuseRequest request, uint size)
    {
        string names;
        lock (gate) { names = string.Concat(nodes[request.NodeId].Attributes.Keys.Select(name => name + "\0")); }
        AnswerXattr(request, size, Encoding.UTF8.GetBytes(names));
    }

    public void Removexattr(FuseRequest request, ReadOnlySpan<byte> name)
    {
        bool existed;
        lock (gate) { existed = nodes[request.NodeId].Attributes.Remove(Encoding.UTF8.GetString(name)); }
        Answer(request, existed ? 0 : Errno.ENODATA);
    }

    public void Access(FuseRequest request, AccessMask mask) => request.ReplyOk();

    public void Getlk(FuseRequest request, in FuseLkIn body) => Locks.Get(request, body);

    public void Setlk(FuseRequest request, in FuseLkIn body) => Locks.Set(request, body, wait: false);

    public void Setlkw(FuseRequest request, in FuseLkIn body) => Locks.Set(request, body, wait: true);

    public void Bmap(FuseRequest request, in FuseBmapIn body) => request.ReplyError(Errno.ENOSYS);

    /// <summary>Answers with what it was sent, reversed.</summary>
    public void Ioctl(FuseRequest request, in FuseIoctlIn body, ReadOnlySpan<byte> data)
    {
        int length = Math.Min(data.Length, (int)body.OutSize);
        data[..length].CopyTo(request.ReplyRoom);
        request.ReplyRoom[..length].Reverse();
        request.ReplyIoctl(7, length);
    }

    public void Poll(FuseRequest request, in FusePollIn body) => request.ReplyError(Errno.ENOSYS);

    public void Fallocate(FuseRequest request, in FuseFallocateIn body)
    {
        lock (gate)
        {
            MemoryNode node = nodes[request.NodeId];
            node.Resize(Math.Max(node.Size, (int)(body.Offset + body.Length)));
        }

        request.ReplyOk();
    }

    public void Lseek(FuseRequest request, in FuseLseekIn body)
    {
        int size;
        lock (gate) { size = nodes[request.NodeId].Size; }
        if (body.Offset >= (ulong)size) { request.ReplyError(Errno.ENXIO); }
        else { request.ReplyLseek(body.Whence == SeekWhence.Hole ? (ulong)size : body.Offset); }
    }

    public void CopyFileRange(FuseRequest request, in FuseCopyFileRangeIn body)
    {
        int length;
        lock (gate)
        {
            MemoryNode source = nodes[request.NodeId];
            int offset = (int)Math.Min(body.OffIn, (ulong)source.Size);
            length = (int)Math.Min(body.Len, (ulong)(source.Size - offset));
            nodes[body.NodeidOut].Write((int)body.OffOut, source.Content.AsSpan(offset, length).ToArray());
        }

        request.ReplyCopied((ulong)length);
    }

    public void Syncfs(FuseRequest request) => request.ReplyOk();

    private FuseOpenOut Opened() => new()
    {
        Fh = 1,
        OpenFlags = DirectIo ? FuseOpenReplyFlags.DirectIo : FuseOpenReplyFlags.None,
    };

    private static void AnswerXattr(FuseRequest request, uint size, byte[]? value)
    {
        if (value is null) { request.ReplyError(Errno.ENODATA); }
        else if (size == 0) { request.ReplyXattrSize((uint)value.Length); }
        else if (value.Length > size) { request.ReplyError(Errno.ERANGE); }
        else { request.ReplyBytes(value); }
    }
}
