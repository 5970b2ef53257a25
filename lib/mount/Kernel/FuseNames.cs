using KvFs.Core;

namespace KvFs.Mount;

/// <summary>What a name of a request may be.</summary>
internal enum NameRule
{
    /// <summary>An entry's name: no slash, neither "." nor "..".</summary>
    Entry,

    /// <summary>As Entry, but "." and ".." are asked by NFS.</summary>
    Lookup,

    /// <summary>An attribute's name: any bytes.</summary>
    Attribute,

    /// <summary>A symlink's target: any bytes, longer.</summary>
    Target,

    /// <summary>Ignored: O_TMPFILE sends "/".</summary>
    Any,
}

/// <summary>Finds NUL-terminated names in a request. Pure.</summary>
internal static class FuseNames
{
    /// <summary>A body of <paramref name="fixedBytes"/>, one name, nothing else.</summary>
    public static int ParseOne(ReadOnlySpan<byte> request, int fixedBytes, NameRule rule, ref FuseParsedRequest parsed)
    {
        int offset = FuseRequestParser.HeaderBytes + fixedBytes;
        if (request.Length < offset) { return Errno.EINVAL; }
        int error = Find(request, offset, rule, out int length);
        if (error != 0) { return error; }
        if (offset + length + 1 != request.Length) { return Errno.EINVAL; }
        parsed.NameOffset = offset;
        parsed.NameLength = length;
        return 0;
    }

    /// <summary>A body of <paramref name="fixedBytes"/>, an entry's name, a second name or target, nothing
    /// else.</summary>
    public static int ParseTwo(
        ReadOnlySpan<byte> request, int fixedBytes, NameRule secondRule, ref FuseParsedRequest parsed)
    {
        int offset = FuseRequestParser.HeaderBytes + fixedBytes;
        if (request.Length < offset) { return Errno.EINVAL; }
        int error = Find(request, offset, NameRule.Entry, out int length);
        if (error != 0) { return error; }
        int secondOffset = offset + length + 1;
        error = Find(request, secondOffset, secondRule, out int secondLength);
        if (error != 0) { return error; }
        if (secondOffset + secondLength + 1 != request.Length) { return Errno.EINVAL; }
        parsed.NameOffset = offset;
        parsed.NameLength = length;
        parsed.SecondNameOffset = secondOffset;
        parsed.SecondNameLength = secondLength;
        return 0;
    }

    /// <summary>Finds the name at <paramref name="offset"/>, which is at most the request's length.</summary>
    public static int Find(ReadOnlySpan<byte> request, int offset, NameRule rule, out int length)
    {
        ReadOnlySpan<byte> rest = request[offset..];
        length = rest.IndexOf((byte)0);
        if (length <= 0) { return Errno.EINVAL; }
        ReadOnlySpan<byte> name = rest[..length];
        switch (rule)
        {
            case NameRule.Target:
                return length > Limits.SymlinkBytes ? Errno.ENAMETOOLONG : 0;
            case NameRule.Attribute:
                return length > Limits.XattrNameBytes ? Errno.ENAMETOOLONG : 0;
            case NameRule.Any:
                return length > Limits.NameBytes ? Errno.ENAMETOOLONG : 0;
            default:
                if (length > Limits.NameBytes) { return Errno.ENAMETOOLONG; }
                if (name.Contains((byte)'/')) { return Errno.EINVAL; }
                return rule == NameRule.Entry && (name.SequenceEqual("."u8) || name.SequenceEqual(".."u8))
                    ? Errno.EINVAL
                    : 0;
        }
    }
}
