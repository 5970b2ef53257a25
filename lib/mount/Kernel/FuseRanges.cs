using System.Runtime.InteropServices;

namespace KvFs.Mount;

/// <summary>Checks the numbers of a request: sizes, offsets, times, locks. Pure.</summary>
internal static class FuseRanges
{
    private const uint NanosecondsPerSecond = 1_000_000_000;

    /// <summary>True if offset + length is an offset that loff_t can hold.</summary>
    public static bool Fits(ulong offset, ulong length) => offset <= long.MaxValue && length <= long.MaxValue - offset;

    public static int CheckRead(
        ReadOnlySpan<byte> body, in FuseParserSettings settings, bool checkOffset, ref FuseParsedRequest parsed)
    {
        FuseReadIn read = MemoryMarshal.Read<FuseReadIn>(body);
        if (read.Size > (uint)settings.MaxDataBytes) { return Errno.EINVAL; }
        if (checkOffset && !Fits(read.Offset, read.Size)) { return Errno.EINVAL; }
        parsed.ReplyCapacity = (int)read.Size;
        return 0;
    }

    public static int CheckSetattr(in FuseSetattrIn body)
    {
        bool Meant(FuseSetattrValid flag, in FuseSetattrIn from) => (from.Valid & flag) != 0;
        if (Meant(FuseSetattrValid.Size, body) && body.Size > long.MaxValue) { return Errno.EINVAL; }
        bool badTime = (Meant(FuseSetattrValid.Atime, body) && body.Atimensec >= NanosecondsPerSecond)
            || (Meant(FuseSetattrValid.Mtime, body) && body.Mtimensec >= NanosecondsPerSecond)
            || (Meant(FuseSetattrValid.Ctime, body) && body.Ctimensec >= NanosecondsPerSecond);
        return badTime ? Errno.EINVAL : 0;
    }

    /// <summary>The kernel passes the program's offset on as it is: a negative one is beyond every end.</summary>
    public static int CheckLseek(in FuseLseekIn body)
    {
        if (body.Whence is not (SeekWhence.Data or SeekWhence.Hole)) { return Errno.EINVAL; }
        return body.Offset > long.MaxValue ? Errno.ENXIO : 0;
    }

    public static int CheckCopy(in FuseCopyFileRangeIn body) =>
        body.NodeidOut != 0 && Fits(body.OffIn, body.Len) && Fits(body.OffOut, body.Len) ? 0 : Errno.EINVAL;

    public static int CheckLock(in FuseFileLock range) =>
        range.Type <= LockType.Unlock && range.Start <= range.End && range.End <= long.MaxValue ? 0 : Errno.EINVAL;
}
