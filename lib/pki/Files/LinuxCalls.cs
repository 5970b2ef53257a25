using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvFs.Pki.Files;

/// <summary>Calls of the C library that .NET does not offer: C names, C types, no logic.</summary>
internal static partial class LinuxCalls
{
    internal const int O_CLOEXEC = 0x80000;

    internal const int LOCK_EX = 2;

    internal const int ENOENT = 2;
    internal const int ENOTDIR = 20;

    internal const int AT_FDCWD = -100;

    /// <summary>STATX_TYPE | STATX_MTIME | STATX_INO | STATX_SIZE.</summary>
    internal const uint StatxWanted = 0x1 | 0x40 | 0x100 | 0x200;

    internal const ushort S_IFMT = 0xF000;
    internal const ushort S_IFREG = 0x8000;

    /// <summary>O_DIRECTORY has another number on ARM than on x86.</summary>
    internal static readonly int O_DIRECTORY =
        RuntimeInformation.ProcessArchitecture is Architecture.Arm64 or Architecture.Arm ? 0x4000 : 0x10000;

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fsync(SafeFileHandle fd);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int flock(SafeFileHandle fd, int operation);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int statx(int dirfd, string path, int flags, uint mask, out FileStatus status);
}

/// <summary>What is asked of struct statx.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct FileStatus
{
    [FieldOffset(28)]
    public ushort Mode;

    [FieldOffset(32)]
    public ulong Inode;

    [FieldOffset(40)]
    public ulong Size;

    [FieldOffset(112)]
    public long ModifiedSeconds;

    [FieldOffset(120)]
    public uint ModifiedNanoseconds;
}
