using System.Runtime.InteropServices;

namespace KvFs.Cli.Native;

/// <summary>Calls of the C library that .NET does not offer.</summary>
internal static partial class Posix
{
    public const int StandardInput = 0;
    public const int StandardOutput = 1;
    public const int StandardError = 2;

    public const int SigKill = 9;
    public const int SigTerm = 15;
    public const int EAccess = 13;
    public const int ERoFs = 30;
    public const int EConnAborted = 103;
    public const int ENotConn = 107;
    public const int MntDetach = 2;
    public const int UmountNoFollow = 8;
    public const int FdCloexec = 1;

    public const int FSetFd = 2;
    public const int FDupFdCloexec = 1030;

    public const int OWrOnly = 1;
    public const int OCreate = 0x40;
    public const int OAppend = 0x400;
    public const int OPath = 0x200000;
    public const int OCloexec = 0x80000;

    /// <summary>Mode 0600.</summary>
    public const int OwnerReadWrite = 0x180;

    public const int AdviceDontNeed = 4;

    /// <summary>What access(2) is asked for: to write into a folder, and to pass through it.</summary>
    public const int WriteOk = 2;
    public const int PassOk = 1;

    public const int AtFdCwd = -100;
    public const uint StatxUid = 8;

    /// <summary>mallopt's M_TRIM_THRESHOLD, M_MMAP_THRESHOLD and M_ARENA_MAX.</summary>
    public const int MallocTrimThreshold = -1;
    public const int MallocMmapThreshold = -3;
    public const int MallocArenaMax = -8;

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int setsid();

    [LibraryImport("libc")]
    internal static partial int mallopt(int parameter, int value);

    [LibraryImport("libc")]
    internal static partial uint geteuid();

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int access(string path, int mode);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int statx(int folder, string path, int flags, uint mask, out FileOwner status);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int dup2(int from, int to);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fcntl(int descriptor, int command, int argument);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int open(string path, int flags, int mode = 0);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int close(int descriptor);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int kill(int pid, int signal);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int umount2(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int posix_fadvise(SafeHandle descriptor, long offset, long length, int advice);
}

/// <summary>What is asked of struct statx.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct FileOwner
{
    [FieldOffset(20)]
    public uint Uid;
}
