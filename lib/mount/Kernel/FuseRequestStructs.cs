using System.Runtime.InteropServices;

namespace KvFs.Mount;

/// <summary>Body of INIT. Kernels before 7.36 send the first 16 bytes only.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseInitIn
{
    public uint Major;
    public uint Minor;
    public uint MaxReadahead;
    public uint Flags;
    public uint Flags2;
    public FuseUintX11 Unused;
}

/// <summary>Body of FORGET.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseForgetIn
{
    public ulong Nlookup;
}

/// <summary>One item of BATCH_FORGET.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseForgetOne
{
    public ulong Nodeid;
    public ulong Nlookup;
}

/// <summary>Body of BATCH_FORGET.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseBatchForgetIn
{
    public uint Count;
    public uint Dummy;
}

/// <summary>Body of GETATTR.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseGetattrIn
{
    public FuseGetattrFlags GetattrFlags;
    public uint Dummy;
    public ulong Fh;
}

/// <summary>Body of SETATTR.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseSetattrIn
{
    public FuseSetattrValid Valid;
    public uint Padding;
    public ulong Fh;
    public ulong Size;
    public ulong LockOwner;
    public ulong Atime;
    public ulong Mtime;
    public ulong Ctime;
    public uint Atimensec;
    public uint Mtimensec;
    public uint Ctimensec;
    public uint Mode;
    public uint Unused4;
    public uint Uid;
    public uint Gid;
    public uint Unused5;
}

/// <summary>Body of STATX.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseStatxIn
{
    public FuseGetattrFlags GetattrFlags;
    public uint Reserved;
    public ulong Fh;
    public uint SxFlags;
    public uint SxMask;
}

/// <summary>Body of MKNOD.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseMknodIn
{
    public uint Mode;
    public uint Rdev;
    public uint Umask;
    public uint Padding;
}

/// <summary>Body of MKDIR.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseMkdirIn
{
    public uint Mode;
    public uint Umask;
}

/// <summary>Body of RENAME.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseRenameIn
{
    public ulong Newdir;
}

/// <summary>Body of RENAME2.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseRename2In
{
    public ulong Newdir;
    public RenameFlags Flags;
    public uint Padding;
}

/// <summary>Body of LINK.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseLinkIn
{
    public ulong Oldnodeid;
}

/// <summary>Body of OPEN.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseOpenIn
{
    public uint Flags;
    public FuseOpenInFlags OpenFlags;
}

/// <summary>Body of CREATE.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseCreateIn
{
    public uint Flags;
    public uint Mode;
    public uint Umask;
    public FuseOpenInFlags OpenFlags;
}
