using System.Globalization;

namespace KvFs.Integration.Tests.Posix;

/// <summary>The calls that the model test makes.</summary>
/// <remarks>fallocate's collapse and insert are not among them: the kernel refuses them to every FUSE file system before
/// it asks the server (fuse_file_fallocate).</remarks>
internal enum PosixKind
{
    Open,
    OpenUnnamed,
    LinkUnnamed,
    Close,
    Duplicate,
    Read,
    ReadAt,
    Write,
    WriteAt,
    Seek,
    SeekData,
    SeekHole,
    TruncateOpen,
    Truncate,
    Allocate,
    CopyRange,
    ReadDirect,
    WriteDirect,
    ReadMap,
    WriteMap,
    Sync,
    SyncData,
    Flock,
    MakeDirectory,
    RemoveDirectory,
    Unlink,
    Symlink,
    MakeNode,
    ReadLink,
    Link,
    Rename,
    ChangeMode,
    ChangeModeOpen,
    SetTimes,
    Stat,
    StatLink,
    StatOpen,
    List,
    SetXattr,
    GetXattr,
    ListXattrs,
    RemoveXattr,
}

/// <summary>One call; what a kind does not use is default. Paths are relative to the tree's root, descriptors are slots of
/// a small table, so that a call means the same in every tree and without the calls before it.</summary>
internal sealed record PosixCall(PosixKind Kind)
{
    public int Slot { get; init; }

    public int OtherSlot { get; init; }

    public string Path { get; init; } = string.Empty;

    public string OtherPath { get; init; } = string.Empty;

    /// <summary>open's, renameat2's, setxattr's flags; fallocate's mode; lseek's whence; flock's operation; mknod's device.
    /// </summary>
    public int Flags { get; init; }

    public uint Mode { get; init; }

    public long Offset { get; init; }

    public long OtherOffset { get; init; }

    public int Length { get; init; }

    /// <summary>What the written bytes are made from.</summary>
    public int Fill { get; init; }

    /// <summary>Of an extended attribute.</summary>
    public string Attribute { get; init; } = string.Empty;

    /// <summary>The call with the arguments that are set: what a person needs to repeat it.</summary>
    public override string ToString()
    {
        List<string> parts = [];
        Add("slot", Slot, true);
        Add("other", OtherSlot, Kind is PosixKind.Duplicate or PosixKind.CopyRange);
        Add("path", $"'{Path}'", Path.Length > 0);
        Add("other", $"'{OtherPath}'", OtherPath.Length > 0);
        Add("attribute", Attribute, Attribute.Length > 0);
        Add("flags", "0x" + Flags.ToString("x", CultureInfo.InvariantCulture), Flags != 0);
        Add("mode", "0" + Convert.ToString(Mode, 8), Mode != 0);
        Add("offset", Offset, Offset != 0);
        Add("otherOffset", OtherOffset, OtherOffset != 0);
        Add("length", Length, Length != 0);
        Add("fill", Fill, Fill != 0);
        return $"{Kind}({string.Join(", ", parts)})";

        void Add(string name, object value, bool isUsed)
        {
            if (isUsed) { parts.Add(string.Create(CultureInfo.InvariantCulture, $"{name} {value}")); }
        }
    }
}

/// <summary>What a call answered: its value and errno, and what it read, as text.</summary>
internal sealed record PosixResult(long Value, int ErrorNumber, string Detail)
{
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"{Value}, errno {ErrorNumber}{(Detail.Length > 0 ? ", " : string.Empty)}{Detail}");
}
