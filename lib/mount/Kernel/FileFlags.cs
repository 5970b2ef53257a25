namespace KvFs.Mount;

/// <summary>What an offset of lseek(2) counts from. The kernel asks only for the last two.</summary>
public enum SeekWhence : uint
{
    Set = 0,
    Current = 1,
    End = 2,
    Data = 3,
    Hole = 4,
}

/// <summary>Modes of fallocate(2); none: allocate and extend.</summary>
[Flags]
public enum FallocateMode : uint
{
    None = 0,
    KeepSize = 0x01,
    PunchHole = 0x02,
    NoHideStale = 0x04,
    CollapseRange = 0x08,
    ZeroRange = 0x10,
    InsertRange = 0x20,
    UnshareRange = 0x40,
    WriteZeroes = 0x80,
}

/// <summary>Flags of renameat2(2).</summary>
[Flags]
public enum RenameFlags : uint
{
    None = 0,
    NoReplace = 1,
    Exchange = 2,
    Whiteout = 4,
}

/// <summary>Types of a lock (fcntl's F_RDLCK, F_WRLCK, F_UNLCK).</summary>
public enum LockType : uint
{
    Read = 0,
    Write = 1,
    Unlock = 2,
}

/// <summary>Flags of setxattr(2).</summary>
[Flags]
public enum XattrSetFlags : uint
{
    None = 0,
    Create = 1,
    Replace = 2,
}

/// <summary>Mask of access(2).</summary>
[Flags]
public enum AccessMask : uint
{
    Exists = 0,
    Execute = 1,
    Write = 2,
    Read = 4,
}

/// <summary>Kinds of a file: the upper four bits of a mode; shifted right by 12 they are a directory entry's
/// type.</summary>
public static class FileModeBits
{
    public const uint KindMask = 0xF000;
    public const uint Fifo = 0x1000;
    public const uint CharacterDevice = 0x2000;
    public const uint Directory = 0x4000;
    public const uint BlockDevice = 0x6000;
    public const uint Regular = 0x8000;
    public const uint Symlink = 0xA000;
    public const uint Socket = 0xC000;
    public const uint SetUser = 0x800;
    public const uint SetGroup = 0x400;
    public const uint Sticky = 0x200;
    public const uint PermissionMask = 0xFFF;

    /// <summary>The type of a directory entry (DT_REG and so on) of a mode.</summary>
    public static uint EntryType(uint mode) => (mode & KindMask) >> 12;
}
