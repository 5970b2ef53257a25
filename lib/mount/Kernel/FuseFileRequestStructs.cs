using System.Runtime.InteropServices;

namespace KvFs.Mount;

/// <summary>Body of RELEASE.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseReleaseIn
{
    public ulong Fh;
    public uint Flags;
    public FuseReleaseFlags ReleaseFlags;
    public ulong LockOwner;
}

/// <summary>Body of FLUSH.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseFlushIn
{
    public ulong Fh;
    public uint Unused;
    public uint Padding;
    public ulong LockOwner;
}

/// <summary>Body of READ.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseReadIn
{
    public ulong Fh;
    public ulong Offset;
    public uint Size;
    public FuseReadFlags ReadFlags;
    public ulong LockOwner;
    public uint Flags;
    public uint Padding;
}

/// <summary>Body of WRITE.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseWriteIn
{
    public ulong Fh;
    public ulong Offset;
    public uint Size;
    public FuseWriteFlags WriteFlags;
    public ulong LockOwner;
    public uint Flags;
    public uint Padding;
}

/// <summary>Body of FSYNC.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseFsyncIn
{
    public ulong Fh;
    public FuseFsyncFlags FsyncFlags;
    public uint Padding;
}

/// <summary>Body of SETXATTR.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseSetxattrIn
{
    public uint Size;
    public XattrSetFlags Flags;
    public FuseSetxattrFlags SetxattrFlags;
    public uint Padding;
}

/// <summary>Body of SETXATTR without SETXATTR_EXT.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseSetxattrCompatIn
{
    public uint Size;
    public XattrSetFlags Flags;
}

/// <summary>Body of GETXATTR.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseGetxattrIn
{
    public uint Size;
    public uint Padding;
}

/// <summary>Body of LK.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseLkIn
{
    public ulong Fh;
    public ulong Owner;
    public FuseFileLock Lk;
    public FuseLockFlags LkFlags;
    public uint Padding;
}

/// <summary>Body of ACCESS.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseAccessIn
{
    public AccessMask Mask;
    public uint Padding;
}

/// <summary>Body of INTERRUPT.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseInterruptIn
{
    public ulong Unique;
}

/// <summary>Body of BMAP.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseBmapIn
{
    public ulong Block;
    public uint Blocksize;
    public uint Padding;
}

/// <summary>Body of IOCTL.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseIoctlIn
{
    public ulong Fh;
    public FuseIoctlFlags Flags;
    public uint Cmd;
    public ulong Arg;
    public uint InSize;
    public uint OutSize;
}

/// <summary>Body of POLL.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FusePollIn
{
    public ulong Fh;
    public ulong Kh;
    public FusePollFlags Flags;
    public uint Events;
}

/// <summary>Body of FALLOCATE.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseFallocateIn
{
    public ulong Fh;
    public ulong Offset;
    public ulong Length;
    public FallocateMode Mode;
    public uint Padding;
}

/// <summary>Body of LSEEK.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseLseekIn
{
    public ulong Fh;
    public ulong Offset;
    public SeekWhence Whence;
    public uint Padding;
}

/// <summary>Body of COPY_FILE_RANGE.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseCopyFileRangeIn
{
    public ulong FhIn;
    public ulong OffIn;
    public ulong NodeidOut;
    public ulong FhOut;
    public ulong OffOut;
    public ulong Len;
    public ulong Flags;
}

/// <summary>Body of SYNCFS.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseSyncfsIn
{
    public ulong Padding;
}
