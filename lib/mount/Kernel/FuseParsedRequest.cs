using System.Runtime.InteropServices;

namespace KvFs.Mount;

/// <summary>What became of the bytes of a request.</summary>
public enum FuseParseOutcome
{
    /// <summary>Well formed: hand it to the handler.</summary>
    Valid,

    /// <summary>Malformed: answer with <see cref="FuseParsedRequest.ErrorNumber"/>.</summary>
    Refused,

    /// <summary>Not even a header, or one that contradicts the number of bytes: nobody can be answered.</summary>
    Unanswerable,
}

/// <summary>Where the parts of a request lie.</summary>
/// <remarks>Offsets count from the first byte of the request's header; every range lies within the request.</remarks>
[StructLayout(LayoutKind.Sequential)]
public struct FuseParsedRequest
{
    public FuseInHeader Header;

    /// <summary>Offset of the body; always 40.</summary>
    public const int BodyOffset = 40;

    public int NameOffset;

    /// <summary>Bytes of the name, without its NUL; 0 if the operation has none.</summary>
    public int NameLength;

    public int SecondNameOffset;

    /// <summary>Bytes of the second name (RENAME) or the target (SYMLINK), without its NUL.</summary>
    public int SecondNameLength;

    public int PayloadOffset;

    /// <summary>Bytes of data (WRITE), value (SETXATTR), input (IOCTL), items (BATCH_FORGET).</summary>
    public int PayloadLength;

    /// <summary>Bytes that the reply's data may have; 0 where the reply has a fixed form.</summary>
    public int ReplyCapacity;

    /// <summary>The caller's supplementary group that equals the parent's group, if
    /// <see cref="HasCreateGroup"/>.</summary>
    public uint CreateGroup;

    public bool HasCreateGroup;

    /// <summary>The errno to answer with, if refused.</summary>
    public int ErrorNumber;
}

/// <summary>What the negotiation means for parsing.</summary>
/// <param name="MaxDataBytes">Bytes of the largest WRITE and READ.</param>
/// <param name="SetxattrExt">The body of SETXATTR is 16 bytes, not 8.</param>
public readonly record struct FuseParserSettings(int MaxDataBytes, bool SetxattrExt);
