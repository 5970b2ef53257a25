using System.Runtime.InteropServices;

namespace KvFs.Mount;

/// <summary>Reply to INIT.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseInitOut
{
    public uint Major;
    public uint Minor;
    public uint MaxReadahead;
    public uint Flags;
    public ushort MaxBackground;
    public ushort CongestionThreshold;
    public uint MaxWrite;
    public uint TimeGran;
    public ushort MaxPages;
    public ushort MapAlignment;
    public uint Flags2;
    public uint MaxStackDepth;
    public ushort RequestTimeout;
    public FuseUshortX11 Unused;
}

/// <summary>Reply to whatever names a node; each one delivered with a node id adds 1 to the node's lookup
/// count.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseEntryOut
{
    public ulong Nodeid;
    public ulong Generation;
    public ulong EntryValid;
    public ulong AttrValid;
    public uint EntryValidNsec;
    public uint AttrValidNsec;
    public FuseAttr Attr;
}

/// <summary>Reply to GETATTR and SETATTR.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseAttrOut
{
    public ulong AttrValid;
    public uint AttrValidNsec;
    public uint Dummy;
    public FuseAttr Attr;
}

/// <summary>Reply to STATX.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseStatxOut
{
    public ulong AttrValid;
    public uint AttrValidNsec;
    public FuseAttrFlags Flags;
    public FuseUlongX2 Spare;
    public FuseStatx Stat;
}

/// <summary>Reply to OPEN and OPENDIR; open_flags as in <see cref="FuseOpenReplyFlags"/>.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseOpenOut
{
    public ulong Fh;
    public FuseOpenReplyFlags OpenFlags;
    public int BackingId;
}

/// <summary>Reply to WRITE, and to COPY_FILE_RANGE.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseWriteOut
{
    public uint Size;
    public uint Padding;
}

/// <summary>Reply to STATFS.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseStatfsOut
{
    public FuseKstatfs St;
}

/// <summary>Reply to GETXATTR and LISTXATTR that ask for the size only.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseGetxattrOut
{
    public uint Size;
    public uint Padding;
}

/// <summary>Reply to GETLK.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseLkOut
{
    public FuseFileLock Lk;
}

/// <summary>Reply to BMAP.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseBmapOut
{
    public ulong Block;
}

/// <summary>Head of the reply to IOCTL.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseIoctlOut
{
    public int Result;
    public uint Flags;
    public uint InIovs;
    public uint OutIovs;
}

/// <summary>Reply to POLL.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FusePollOut
{
    public uint Revents;
    public uint Padding;
}

/// <summary>Reply to LSEEK.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseLseekOut
{
    public ulong Offset;
}

/// <summary>Reply to COPY_FILE_RANGE_64.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseCopyFileRangeOut
{
    public ulong BytesCopied;
}

/// <summary>Head of an entry of READDIRPLUS; the name follows, then padding to 8 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseDirentplus
{
    public FuseEntryOut EntryOut;
    public FuseDirent Dirent;
}
