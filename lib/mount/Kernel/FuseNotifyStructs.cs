using System.Runtime.InteropServices;

namespace KvFs.Mount;

/// <summary>Forget cached attributes, and pages from off on (len 0: to the end; off negative: attributes
/// only).</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseNotifyInvalInodeOut
{
    public ulong Ino;
    public long Off;
    public long Len;
}

/// <summary>Forget a cached name; the name and a NUL follow.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseNotifyInvalEntryOut
{
    public ulong Parent;
    public uint Namelen;
    public FuseNotifyEntryFlags Flags;
}

/// <summary>A name is gone; the name and a NUL follow.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseNotifyDeleteOut
{
    public ulong Parent;
    public ulong Child;
    public uint Namelen;
    public uint Padding;
}

/// <summary>Put bytes into the page cache; they follow.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FuseNotifyStoreOut
{
    public ulong Nodeid;
    public ulong Offset;
    public uint Size;
    public uint Padding;
}
