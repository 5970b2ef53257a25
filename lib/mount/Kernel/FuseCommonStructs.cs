using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvFs.Mount;

/// <summary>Head of every request.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseInHeader
{
    public uint Len;
    public FuseOpcode Opcode;
    public ulong Unique;
    public ulong Nodeid;
    public uint Uid;
    public uint Gid;
    public uint Pid;
    public ushort TotalExtlen;
    public ushort Padding;
}

/// <summary>Head of every reply and notification; error is 0 or a negative errno (a code for a notification).</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseOutHeader
{
    public uint Len;
    public int Error;
    public ulong Unique;
}

/// <summary>Attributes of a node, inside of entry and attribute replies.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseAttr
{
    public ulong Ino;
    public ulong Size;
    public ulong Blocks;
    public ulong Atime;
    public ulong Mtime;
    public ulong Ctime;
    public uint Atimensec;
    public uint Mtimensec;
    public uint Ctimensec;
    public uint Mode;
    public uint Nlink;
    public uint Uid;
    public uint Gid;
    public uint Rdev;
    public uint Blksize;
    public FuseAttrFlags Flags;
}

/// <summary>A time of statx.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseSxTime
{
    public long TvSec;
    public uint TvNsec;
    public int Reserved;
}

/// <summary>What statx(2) returns.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseStatx
{
    public uint Mask;
    public uint Blksize;
    public ulong Attributes;
    public uint Nlink;
    public uint Uid;
    public uint Gid;
    public ushort Mode;
    public ushort Spare0;
    public ulong Ino;
    public ulong Size;
    public ulong Blocks;
    public ulong AttributesMask;
    public FuseSxTime Atime;
    public FuseSxTime Btime;
    public FuseSxTime Ctime;
    public FuseSxTime Mtime;
    public uint RdevMajor;
    public uint RdevMinor;
    public uint DevMajor;
    public uint DevMinor;
    public FuseUlongX14 Spare2;
}

/// <summary>What statfs(2) returns.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseKstatfs
{
    public ulong Blocks;
    public ulong Bfree;
    public ulong Bavail;
    public ulong Files;
    public ulong Ffree;
    public uint Bsize;
    public uint Namelen;
    public uint Frsize;
    public uint Padding;
    public FuseUintX6 Spare;
}

/// <summary>A byte-range lock: both ends are included; type as in <see cref="LockType"/>.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseFileLock
{
    public ulong Start;
    public ulong End;
    public LockType Type;
    public uint Pid;
}

/// <summary>Head of a directory entry; the name follows, then padding to 8 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseDirent
{
    public ulong Ino;
    public ulong Off;
    public uint Namelen;
    public uint Type;
}

/// <summary>Head of an extension after the body.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseExtHeader
{
    public uint Size;
    public uint Type;
}

/// <summary>Head of the extension FUSE_EXT_GROUPS; the groups follow.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseSuppGroups
{
    public uint NrGroups;
}

/// <summary>Reserved room in a reply; always zero.</summary>
[InlineArray(2)]
public struct FuseUlongX2
{
    private ulong first;
}

/// <summary>Reserved room in a reply; always zero.</summary>
[InlineArray(14)]
public struct FuseUlongX14
{
    private ulong first;
}

/// <summary>Reserved room in a reply; always zero.</summary>
[InlineArray(6)]
public struct FuseUintX6
{
    private uint first;
}

/// <summary>Reserved room in a request; ignored.</summary>
[InlineArray(11)]
public struct FuseUintX11
{
    private uint first;
}

/// <summary>Reserved room in a reply; always zero.</summary>
[InlineArray(11)]
public struct FuseUshortX11
{
    private ushort first;
}
