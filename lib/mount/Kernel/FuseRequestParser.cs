using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvFs.Core;

namespace KvFs.Mount;

/// <summary>Checks the bytes of a request and finds its parts. Pure.</summary>
/// <remarks>The kernel is trusted no more than a network: every length, count, name and range is checked against the
/// bytes that were read. A name has 1 to 255 bytes, else ENAMETOOLONG; other faults are EINVAL; a header that cannot be
/// right is EIO. Source: include/uapi/linux/fuse.h, protocol 7.45.</remarks>
public static class FuseRequestParser
{
    /// <summary>Bytes of in-header, the least that a request has.</summary>
    public const int HeaderBytes = FuseParsedRequest.BodyOffset;

    /// <summary>Bytes of SETXATTR's body without SETXATTR_EXT.</summary>
    public const int SetxattrCompatBytes = 8;

    /// <summary>The mark of a request that is sent again (FUSE_UNIQUE_RESEND).</summary>
    public const ulong UniqueResend = 1UL << 63;

    public static FuseParseOutcome Parse(
        ReadOnlySpan<byte> request, in FuseParserSettings settings, out FuseParsedRequest parsed)
    {
        parsed = default;
        if (request.Length < HeaderBytes) { return FuseParseOutcome.Unanswerable; }
        parsed.Header = MemoryMarshal.Read<FuseInHeader>(request);
        if (parsed.Header.Len != (uint)request.Length || parsed.Header.Unique == 0 && !IsForget(parsed.Header.Opcode))
        {
            return FuseParseOutcome.Unanswerable;
        }

        parsed.ErrorNumber = ParseExtensions(request, ref parsed, out int bodyEnd);
        if (parsed.ErrorNumber == 0)
        {
            parsed.ErrorNumber = ParseBody(request[..bodyEnd], settings, ref parsed);
        }

        return parsed.ErrorNumber == 0 ? FuseParseOutcome.Valid : FuseParseOutcome.Refused;
    }

    private static bool IsForget(FuseOpcode opcode) => opcode is FuseOpcode.Forget or FuseOpcode.BatchForget;

    /// <summary>Extensions are the last bytes; total_extlen counts them in units of 8.</summary>
    private static int ParseExtensions(ReadOnlySpan<byte> request, ref FuseParsedRequest parsed, out int bodyEnd)
    {
        int extensionBytes = parsed.Header.TotalExtlen * 8;
        bodyEnd = request.Length - extensionBytes;
        if (bodyEnd < HeaderBytes) { return Errno.EIO; }
        ReadOnlySpan<byte> rest = request[bodyEnd..];
        while (!rest.IsEmpty)
        {
            if (rest.Length < Unsafe.SizeOf<FuseExtHeader>()) { return Errno.EINVAL; }
            FuseExtHeader header = MemoryMarshal.Read<FuseExtHeader>(rest);
            if (header.Size < Unsafe.SizeOf<FuseExtHeader>() || header.Size > rest.Length || header.Size % 8 != 0)
            {
                return Errno.EINVAL;
            }

            int size = (int)header.Size;
            if (header.Type == GroupsExtension && !TryReadGroup(rest[Unsafe.SizeOf<FuseExtHeader>()..size], ref parsed))
            {
                return Errno.EINVAL;
            }

            // Other types (security contexts) were not negotiated; a well-formed one does no harm.
            rest = rest[size..];
        }

        return 0;
    }

    private const uint GroupsExtension = 32;

    private static bool TryReadGroup(ReadOnlySpan<byte> content, ref FuseParsedRequest parsed)
    {
        if (content.Length < sizeof(uint)) { return false; }
        uint count = MemoryMarshal.Read<uint>(content);
        if (count > (uint)(content.Length - sizeof(uint)) / sizeof(uint)) { return false; }
        if (count > 0)
        {
            // The kernel sends at most one: the group that a new node would inherit from its parent.
            parsed.CreateGroup = MemoryMarshal.Read<uint>(content[sizeof(uint)..]);
            parsed.HasCreateGroup = true;
        }

        return true;
    }

    private static int ParseBody(
        ReadOnlySpan<byte> request, in FuseParserSettings settings, ref FuseParsedRequest parsed)
    {
        if (parsed.Header.Nodeid == 0 && NeedsNode(parsed.Header.Opcode)) { return Errno.EINVAL; }
        switch (parsed.Header.Opcode)
        {
            case FuseOpcode.Lookup:
                return FuseNames.ParseOne(request, 0, NameRule.Lookup, ref parsed);
            case FuseOpcode.Unlink or FuseOpcode.Rmdir:
                return FuseNames.ParseOne(request, 0, NameRule.Entry, ref parsed);
            case FuseOpcode.Mknod:
                return FuseNames.ParseOne(request, Unsafe.SizeOf<FuseMknodIn>(), NameRule.Entry, ref parsed);
            case FuseOpcode.Mkdir:
                return FuseNames.ParseOne(request, Unsafe.SizeOf<FuseMkdirIn>(), NameRule.Entry, ref parsed);
            case FuseOpcode.Link:
                return FuseNames.ParseOne(request, Unsafe.SizeOf<FuseLinkIn>(), NameRule.Entry, ref parsed);
            case FuseOpcode.Create:
                return FuseNames.ParseOne(request, Unsafe.SizeOf<FuseCreateIn>(), NameRule.Entry, ref parsed);
            case FuseOpcode.Tmpfile:
                return FuseNames.ParseOne(request, Unsafe.SizeOf<FuseCreateIn>(), NameRule.Any, ref parsed);
            case FuseOpcode.Symlink:
                return FuseNames.ParseTwo(request, 0, NameRule.Target, ref parsed);
            case FuseOpcode.Rename:
                return FuseNames.ParseTwo(request, Unsafe.SizeOf<FuseRenameIn>(), NameRule.Entry, ref parsed);
            case FuseOpcode.Rename2:
                return FuseNames.ParseTwo(request, Unsafe.SizeOf<FuseRename2In>(), NameRule.Entry, ref parsed);
            case FuseOpcode.Getxattr:
                return ParseGetxattr(request, settings, ref parsed);
            case FuseOpcode.Removexattr:
                return FuseNames.ParseOne(request, 0, NameRule.Attribute, ref parsed);
            case FuseOpcode.Setxattr:
                return ParseSetxattr(request, settings, ref parsed);
            case FuseOpcode.Write:
                return ParseWrite(request, settings, ref parsed);
            case FuseOpcode.BatchForget:
                return ParseBatchForget(request, ref parsed);
            case FuseOpcode.Ioctl:
                return ParseIoctl(request, settings, ref parsed);
            default:
                return ParseFixed(request, settings, ref parsed);
        }
    }

    private static bool NeedsNode(FuseOpcode opcode) => opcode is not (FuseOpcode.Init or FuseOpcode.BatchForget
        or FuseOpcode.Interrupt or FuseOpcode.Destroy or FuseOpcode.NotifyReply or FuseOpcode.Statfs);

    /// <summary>Bodies of one size, whose numbers need a look.</summary>
    private static int ParseFixed(
        ReadOnlySpan<byte> request, in FuseParserSettings settings, ref FuseParsedRequest parsed)
    {
        ReadOnlySpan<byte> body = request[HeaderBytes..];
        int expected = BodyBytes(parsed.Header.Opcode);
        if (expected == NoSuchOperation) { return Errno.ENOSYS; }
        if (parsed.Header.Opcode == FuseOpcode.Init) { return body.Length < InitCompatBytes ? Errno.EINVAL : 0; }
        if (body.Length != expected) { return Errno.EINVAL; }
        switch (parsed.Header.Opcode)
        {
            case FuseOpcode.Read:
                return FuseRanges.CheckRead(body, settings, checkOffset: true, ref parsed);
            case FuseOpcode.Readdir or FuseOpcode.Readdirplus:
                return FuseRanges.CheckRead(body, settings, checkOffset: false, ref parsed);
            case FuseOpcode.Listxattr:
                return SetXattrCapacity(MemoryMarshal.Read<FuseGetxattrIn>(body).Size, settings, ref parsed);
            case FuseOpcode.Readlink:
                parsed.ReplyCapacity = Limits.SymlinkBytes;
                return 0;
            case FuseOpcode.Setattr:
                return FuseRanges.CheckSetattr(MemoryMarshal.Read<FuseSetattrIn>(body));
            case FuseOpcode.Fallocate:
                FuseFallocateIn fallocate = MemoryMarshal.Read<FuseFallocateIn>(body);
                return fallocate.Length == 0 || !FuseRanges.Fits(fallocate.Offset, fallocate.Length) ? Errno.EINVAL : 0;
            case FuseOpcode.Lseek:
                return FuseRanges.CheckLseek(MemoryMarshal.Read<FuseLseekIn>(body));
            case FuseOpcode.CopyFileRange or FuseOpcode.CopyFileRange64:
                return FuseRanges.CheckCopy(MemoryMarshal.Read<FuseCopyFileRangeIn>(body));
            case FuseOpcode.Getlk or FuseOpcode.Setlk or FuseOpcode.Setlkw:
                return FuseRanges.CheckLock(MemoryMarshal.Read<FuseLkIn>(body).Lk);
            default:
                return 0;
        }
    }

    private const int NoSuchOperation = -1;

    /// <summary>Bytes of INIT's body before protocol 7.36.</summary>
    private const int InitCompatBytes = 16;

    private static int BodyBytes(FuseOpcode opcode) => opcode switch
    {
        FuseOpcode.Init => InitCompatBytes,
        FuseOpcode.Readlink or FuseOpcode.Statfs or FuseOpcode.Destroy => 0,
        FuseOpcode.Forget => Unsafe.SizeOf<FuseForgetIn>(),
        FuseOpcode.Getattr => Unsafe.SizeOf<FuseGetattrIn>(),
        FuseOpcode.Setattr => Unsafe.SizeOf<FuseSetattrIn>(),
        FuseOpcode.Statx => Unsafe.SizeOf<FuseStatxIn>(),
        FuseOpcode.Open or FuseOpcode.Opendir => Unsafe.SizeOf<FuseOpenIn>(),
        FuseOpcode.Read or FuseOpcode.Readdir or FuseOpcode.Readdirplus => Unsafe.SizeOf<FuseReadIn>(),
        FuseOpcode.Flush => Unsafe.SizeOf<FuseFlushIn>(),
        FuseOpcode.Release or FuseOpcode.Releasedir => Unsafe.SizeOf<FuseReleaseIn>(),
        FuseOpcode.Fsync or FuseOpcode.Fsyncdir => Unsafe.SizeOf<FuseFsyncIn>(),
        FuseOpcode.Listxattr => Unsafe.SizeOf<FuseGetxattrIn>(),
        FuseOpcode.Access => Unsafe.SizeOf<FuseAccessIn>(),
        FuseOpcode.Getlk or FuseOpcode.Setlk or FuseOpcode.Setlkw => Unsafe.SizeOf<FuseLkIn>(),
        FuseOpcode.Interrupt => Unsafe.SizeOf<FuseInterruptIn>(),
        FuseOpcode.Bmap => Unsafe.SizeOf<FuseBmapIn>(),
        FuseOpcode.Poll => Unsafe.SizeOf<FusePollIn>(),
        FuseOpcode.Fallocate => Unsafe.SizeOf<FuseFallocateIn>(),
        FuseOpcode.Lseek => Unsafe.SizeOf<FuseLseekIn>(),
        FuseOpcode.CopyFileRange or FuseOpcode.CopyFileRange64 => Unsafe.SizeOf<FuseCopyFileRangeIn>(),
        FuseOpcode.Syncfs => Unsafe.SizeOf<FuseSyncfsIn>(),
        _ => NoSuchOperation,
    };

    private static int ParseGetxattr(
        ReadOnlySpan<byte> request, in FuseParserSettings settings, ref FuseParsedRequest parsed)
    {
        int error = FuseNames.ParseOne(request, Unsafe.SizeOf<FuseGetxattrIn>(), NameRule.Attribute, ref parsed);
        return error != 0
            ? error
            : SetXattrCapacity(MemoryMarshal.Read<FuseGetxattrIn>(request[HeaderBytes..]).Size, settings, ref parsed);
    }

    /// <summary>A larger room than any value's is cut, not refused: the program may offer as much as it
    /// likes.</summary>
    private static int SetXattrCapacity(uint size, in FuseParserSettings settings, ref FuseParsedRequest parsed)
    {
        parsed.ReplyCapacity = (int)Math.Min(size, (uint)Math.Min(Limits.XattrListBytes, settings.MaxDataBytes));
        return 0;
    }

    private static int ParseSetxattr(
        ReadOnlySpan<byte> request, in FuseParserSettings settings, ref FuseParsedRequest parsed)
    {
        int fixedBytes = settings.SetxattrExt ? Unsafe.SizeOf<FuseSetxattrIn>() : SetxattrCompatBytes;
        if (request.Length < HeaderBytes + fixedBytes) { return Errno.EINVAL; }
        uint size = MemoryMarshal.Read<uint>(request[HeaderBytes..]);
        uint flags = MemoryMarshal.Read<uint>(request[(HeaderBytes + sizeof(uint))..]);
        if (flags > (uint)(XattrSetFlags.Create | XattrSetFlags.Replace)) { return Errno.EINVAL; }
        if (size > Limits.XattrValueBytes) { return Errno.E2BIG; }
        int error = FuseNames.Find(request, HeaderBytes + fixedBytes, NameRule.Attribute, out int length);
        if (error != 0) { return error; }
        int valueOffset = HeaderBytes + fixedBytes + length + 1;
        if (request.Length - valueOffset != (int)size) { return Errno.EINVAL; }
        parsed.NameOffset = HeaderBytes + fixedBytes;
        parsed.NameLength = length;
        parsed.PayloadOffset = valueOffset;
        parsed.PayloadLength = (int)size;
        return 0;
    }

    private static int ParseWrite(
        ReadOnlySpan<byte> request, in FuseParserSettings settings, ref FuseParsedRequest parsed)
    {
        int dataOffset = HeaderBytes + Unsafe.SizeOf<FuseWriteIn>();
        if (request.Length < dataOffset) { return Errno.EINVAL; }
        FuseWriteIn body = MemoryMarshal.Read<FuseWriteIn>(request[HeaderBytes..]);
        if (body.Size > (uint)settings.MaxDataBytes || body.Size != (uint)(request.Length - dataOffset)
            || !FuseRanges.Fits(body.Offset, body.Size))
        {
            return Errno.EINVAL;
        }

        parsed.PayloadOffset = dataOffset;
        parsed.PayloadLength = (int)body.Size;
        return 0;
    }

    private static int ParseBatchForget(ReadOnlySpan<byte> request, ref FuseParsedRequest parsed)
    {
        int itemsOffset = HeaderBytes + Unsafe.SizeOf<FuseBatchForgetIn>();
        if (request.Length < itemsOffset) { return Errno.EINVAL; }
        uint count = MemoryMarshal.Read<FuseBatchForgetIn>(request[HeaderBytes..]).Count;
        long itemBytes = (long)count * Unsafe.SizeOf<FuseForgetOne>();
        if (itemBytes != request.Length - itemsOffset) { return Errno.EINVAL; }
        parsed.PayloadOffset = itemsOffset;
        parsed.PayloadLength = (int)itemBytes;
        return 0;
    }

    private static int ParseIoctl(
        ReadOnlySpan<byte> request, in FuseParserSettings settings, ref FuseParsedRequest parsed)
    {
        int dataOffset = HeaderBytes + Unsafe.SizeOf<FuseIoctlIn>();
        if (request.Length < dataOffset) { return Errno.EINVAL; }
        FuseIoctlIn body = MemoryMarshal.Read<FuseIoctlIn>(request[HeaderBytes..]);
        if (body.InSize != (uint)(request.Length - dataOffset) || body.OutSize > (uint)settings.MaxDataBytes)
        {
            return Errno.EINVAL;
        }

        parsed.PayloadOffset = dataOffset;
        parsed.PayloadLength = (int)body.InSize;
        parsed.ReplyCapacity = (int)body.OutSize;
        return 0;
    }
}
