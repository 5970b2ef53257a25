using System.Runtime.InteropServices;

namespace KvFs.Mount;

/// <summary>Flags of open(2), as OPEN, CREATE, READ, WRITE and RELEASE carry them.</summary>
/// <remarks>Four of them have other values on arm64 than on x86-64, hence properties.</remarks>
public static class OpenFlags
{
    public const uint ReadOnly = 0;
    public const uint WriteOnly = 1;
    public const uint ReadWrite = 2;

    /// <summary>Mask of the three above.</summary>
    public const uint AccessMode = 3;

    public const uint Create = 0x40;
    public const uint Exclusive = 0x80;
    public const uint Truncate = 0x200;
    public const uint Append = 0x400;
    public const uint NonBlock = 0x800;
    public const uint DataSync = 0x1000;

    /// <summary>O_SYNC: DataSync and one bit more.</summary>
    public const uint Sync = 0x101000;

    public const uint NoAccessTime = 0x40000;
    public const uint CloseOnExec = 0x80000;
    public const uint Path = 0x200000;

    /// <summary>The kernel's own mark on an open for exec.</summary>
    public const uint Exec = 0x20;

    private static readonly bool Arm64 = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;

    public static uint Direct => Arm64 ? 0x10000u : 0x4000u;

    public static uint LargeFile => Arm64 ? 0x20000u : 0x8000u;

    public static uint Directory => Arm64 ? 0x4000u : 0x10000u;

    public static uint NoFollow => Arm64 ? 0x8000u : 0x20000u;
}
