using System.Runtime.CompilerServices;
using KvFs.Core;

namespace KvFs.Mount;

// The answers. Each returns true if the kernel took it, false if nobody waits for it any more (the connection ended);
// then what the answer handed over (a lookup, an open handle) was not taken.
public readonly unsafe partial struct FuseRequest
{
    /// <summary>Done; nothing to tell.</summary>
    public bool ReplyOk()
    {
        Claim();
        return Send(0, 0);
    }

    /// <summary>It failed; <paramref name="errno"/> is positive.</summary>
    public bool ReplyError(int errno)
    {
        CheckErrno(errno);
        Claim();
        return Send(errno, 0);
    }

    /// <summary>Answers with 0 or an errno unless somebody else has: for a completion that races with an
    /// interrupt.</summary>
    /// <returns>False if the answer was given by somebody else.</returns>
    public bool TryReply(int errno)
    {
        if (errno != 0) { CheckErrno(errno); }
        if (!slot.TryClaim(turn)) { return false; }
        Send(errno, 0);
        return true;
    }

    public bool ReplyEntry(in FuseEntryOut entry)
    {
        Expect(Opcode is FuseOpcode.Lookup or FuseOpcode.Symlink or FuseOpcode.Mknod or FuseOpcode.Mkdir
            or FuseOpcode.Link);
        return SendFixed(entry);
    }

    public bool ReplyAttr(in FuseAttrOut attr)
    {
        Expect(Opcode is FuseOpcode.Getattr or FuseOpcode.Setattr);
        return SendFixed(attr);
    }

    public bool ReplyStatx(in FuseStatxOut statx)
    {
        Expect(Opcode is FuseOpcode.Statx);
        return SendFixed(statx);
    }

    public bool ReplyOpen(in FuseOpenOut open)
    {
        Expect(Opcode is FuseOpcode.Open or FuseOpcode.Opendir);
        return SendFixed(open);
    }

    public bool ReplyCreate(in FuseEntryOut entry, in FuseOpenOut open)
    {
        Expect(Opcode is FuseOpcode.Create or FuseOpcode.Tmpfile);
        Claim();
        Unsafe.WriteUnaligned(ReplyBody, entry);
        Unsafe.WriteUnaligned(ReplyBody + Unsafe.SizeOf<FuseEntryOut>(), open);
        return Send(0, Unsafe.SizeOf<FuseEntryOut>() + Unsafe.SizeOf<FuseOpenOut>());
    }

    /// <summary>Bytes of a WRITE that were taken.</summary>
    public bool ReplyWritten(uint bytes)
    {
        Expect(Opcode is FuseOpcode.Write && bytes <= (uint)Parsed.PayloadLength);
        return SendFixed(new FuseWriteOut { Size = bytes });
    }

    /// <summary>Bytes of COPY_FILE_RANGE; the old form of the request can tell 4 GiB less one at most.</summary>
    public bool ReplyCopied(ulong bytes)
    {
        Expect(Opcode is FuseOpcode.CopyFileRange or FuseOpcode.CopyFileRange64);
        if (Opcode == FuseOpcode.CopyFileRange64)
        {
            return SendFixed(new FuseCopyFileRangeOut { BytesCopied = bytes });
        }

        Expect(bytes <= uint.MaxValue);
        return SendFixed(new FuseWriteOut { Size = (uint)bytes });
    }

    public bool ReplyStatfs(in FuseKstatfs statfs)
    {
        Expect(Opcode is FuseOpcode.Statfs);
        return SendFixed(statfs);
    }

    /// <summary>Bytes of a value, or of all names with their NULs, for a program that asked with size 0.</summary>
    public bool ReplyXattrSize(uint bytes)
    {
        Expect(Opcode is FuseOpcode.Getxattr or FuseOpcode.Listxattr && Parsed.ReplyCapacity == 0);
        return SendFixed(new FuseGetxattrOut { Size = bytes });
    }

    public bool ReplyLock(in FuseFileLock range)
    {
        Expect(Opcode is FuseOpcode.Getlk);
        return SendFixed(range);
    }

    public bool ReplyBmap(ulong block)
    {
        Expect(Opcode is FuseOpcode.Bmap);
        return SendFixed(new FuseBmapOut { Block = block });
    }

    public bool ReplyLseek(ulong offset)
    {
        Expect(Opcode is FuseOpcode.Lseek);
        return SendFixed(new FuseLseekOut { Offset = offset });
    }

    public bool ReplyPoll(uint events)
    {
        Expect(Opcode is FuseOpcode.Poll);
        return SendFixed(new FusePollOut { Revents = events });
    }

    /// <summary>The result of ioctl(2), and the first <paramref name="bytes"/> of <see cref="ReplyRoom"/>.</summary>
    public bool ReplyIoctl(int result, int bytes)
    {
        Expect(Opcode is FuseOpcode.Ioctl && (uint)bytes <= (uint)Parsed.ReplyCapacity);
        ReadOnlySpan<byte> output = ReplyRoom[..bytes];
        Claim();
        Unsafe.WriteUnaligned(ReplyBody, new FuseIoctlOut { Result = result });
        return Send(Unsafe.SizeOf<FuseIoctlOut>(), output);
    }

    /// <summary>The first <paramref name="bytes"/> of <see cref="ReplyRoom"/> are the reply; nothing is
    /// copied.</summary>
    public bool ReplyFilled(int bytes)
    {
        Expect(RepliesWithData && (uint)bytes <= (uint)Parsed.ReplyCapacity);
        Claim();

        // Safe: the room starts at a page boundary at least 16 bytes behind the request: its header fits before it.
        byte* message = slot.Buffer!.Pointer + slot.ReplyOffset - Unsafe.SizeOf<FuseOutHeader>();
        int length = Unsafe.SizeOf<FuseOutHeader>() + bytes;
        Unsafe.WriteUnaligned(message, Header(0, length));
        return Finish(slot.Device!.Write(message, length));
    }

    /// <summary>Bytes that lie elsewhere are the reply: data, a target, a value, names; nothing is copied.</summary>
    public bool ReplyBytes(ReadOnlySpan<byte> data)
    {
        Expect(RepliesWithData && data.Length <= Parsed.ReplyCapacity);
        Claim();
        return Send(0, data);
    }

    /// <summary>A builder of the entries for READDIR or READDIRPLUS, in the <see cref="ReplyRoom"/>.</summary>
    public DirectoryReply BeginDirectory()
    {
        Expect(Opcode is FuseOpcode.Readdir or FuseOpcode.Readdirplus);
        return new DirectoryReply(ReplyRoom, plus: Opcode == FuseOpcode.Readdirplus);
    }

    /// <summary>Answers with what the builder holds; nothing means the end of the directory.</summary>
    public bool ReplyDirectory(in DirectoryReply entries) => ReplyFilled(entries.Length);

    private bool RepliesWithData => Opcode is FuseOpcode.Read or FuseOpcode.Readdir or FuseOpcode.Readdirplus
        or FuseOpcode.Readlink or FuseOpcode.Getxattr or FuseOpcode.Listxattr;

    // Safe: the first 4,016 bytes of the buffer are for heads and fixed bodies of replies; the largest has 304.
    private byte* ReplyBody => slot.Buffer!.Pointer + Unsafe.SizeOf<FuseOutHeader>();

    private static void Expect(bool fits) => Invariant.Check(fits, "the reply fits the request");

    private static void CheckErrno(int errno) =>
        Invariant.Check(errno is > 0 and <= Errno.Largest, "an error is a positive errno");

    /// <summary>Takes the right to answer.</summary>
    private void Claim() => Invariant.Check(slot.TryClaim(turn), "a request is answered once");

    private FuseOutHeader Header(int errno, int length) =>
        new() { Len = (uint)length, Error = -errno, Unique = slot.Parsed.Header.Unique };

    private bool SendFixed<T>(in T body)
        where T : unmanaged
    {
        Claim();
        Unsafe.WriteUnaligned(ReplyBody, body);
        return Send(0, Unsafe.SizeOf<T>());
    }

    /// <summary>Sends a head and the first bytes of <see cref="ReplyBody"/>; the right to answer is ours.</summary>
    private bool Send(int errno, int bodyBytes)
    {
        byte* message = slot.Buffer!.Pointer;
        int length = Unsafe.SizeOf<FuseOutHeader>() + bodyBytes;
        Unsafe.WriteUnaligned(message, Header(errno, length));
        return Finish(slot.Device!.Write(message, length));
    }

    private bool Send(int bodyBytes, ReadOnlySpan<byte> data)
    {
        byte* message = slot.Buffer!.Pointer;
        int headBytes = Unsafe.SizeOf<FuseOutHeader>() + bodyBytes;
        Unsafe.WriteUnaligned(message, Header(0, headBytes + data.Length));
        return Finish(slot.Device!.Write(message, headBytes, data));
    }

    private bool Finish(int error)
    {
        bool taken = error == 0 || slot.OnReplyFailed(error);
        slot.LetGoAfterAnswer();
        return taken;
    }
}
