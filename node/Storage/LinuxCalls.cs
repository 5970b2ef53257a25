using System.Runtime.InteropServices;
using KvFs.Core;
using Microsoft.Win32.SafeHandles;

namespace KvFs.Node.Storage;

/// <summary>The calls of the C library that <see cref="LinuxDisk"/> needs: C names, C types, no logic.</summary>
internal static partial class LinuxCalls
{
    internal const int O_RDONLY = 0;
    internal const int O_RDWR = 2;
    internal const int O_CREAT = 0x40;
    internal const int O_EXCL = 0x80;
    internal const int O_CLOEXEC = 0x80000;

    internal const int LOCK_EX = 2;
    internal const int LOCK_NB = 4;

    internal const int FALLOC_FL_KEEP_SIZE = 1;
    internal const int FALLOC_FL_PUNCH_HOLE = 2;

    internal const int POSIX_FADV_WILLNEED = 3;

    internal const int EINTR = 4;

    internal const int PRIO_PROCESS = 0;

    /// <summary>O_DIRECT and O_DIRECTORY have other numbers on ARM than on x86.</summary>
    internal static readonly int O_DIRECT =
        RuntimeInformation.ProcessArchitecture is Architecture.Arm64 or Architecture.Arm ? 0x10000 : 0x4000;

    internal static readonly int O_DIRECTORY =
        RuntimeInformation.ProcessArchitecture is Architecture.Arm64 or Architecture.Arm ? 0x4000 : 0x10000;

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int open(string path, int flags, int mode);

    [LibraryImport("libc", SetLastError = true)]
    internal static unsafe partial nint pread(SafeFileHandle fd, byte* buffer, nint count, long offset);

    /// <summary>Of preadv2: only what is in the page cache.</summary>
    internal const int RWF_NOWAIT = 8;

    [LibraryImport("libc", SetLastError = true)]
    internal static unsafe partial nint preadv2(SafeFileHandle fd, IoVector* vectors, int count, long offset, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static unsafe partial nint pwrite(SafeFileHandle fd, byte* buffer, nint count, long offset);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fdatasync(SafeFileHandle fd);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fsync(SafeFileHandle fd);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int ftruncate(SafeFileHandle fd, long length);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fallocate(SafeFileHandle fd, int mode, long offset, long length);

    [LibraryImport("libc")]
    internal static partial int posix_fadvise(SafeFileHandle fd, long offset, long length, int advice);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial long lseek(SafeFileHandle fd, long offset, int whence);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int flock(SafeFileHandle fd, int operation);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int mkdir(string path, int mode);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int unlink(string path);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int rmdir(string path);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int rename(string from, string to);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int statvfs(string path, out FileSystemFigures figures);

    /// <summary>Sets the nice value: of a thread, where <paramref name="which"/> is <see cref="PRIO_PROCESS"/> and
    /// <paramref name="who"/> its number, or 0 for the caller.</summary>
    [LibraryImport("libc", SetLastError = true)]
    internal static partial int setpriority(int which, int who, int priority);

    /// <summary>The C library's <c>struct statvfs</c> on 64-bit Linux: 112 bytes; only the first five are used.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 112)]
    internal struct FileSystemFigures
    {
        internal ulong BlockSize;
        internal ulong FragmentSize;
        internal ulong Blocks;
        internal ulong FreeBlocks;
        internal ulong AvailableBlocks;
    }

    /// <summary>What the error number of the last call means here.</summary>
    internal static Status LastStatus() => ToStatus(Marshal.GetLastPInvokeError());

    internal static Status ToStatus(int errorNumber) => errorNumber switch
    {
        0 => Status.Ok,
        1 => Status.NotPermitted,   // EPERM
        2 => Status.NotFound,       // ENOENT
        11 => Status.InUse,         // EWOULDBLOCK, of flock
        13 => Status.AccessDenied,  // EACCES
        16 => Status.InUse,         // EBUSY
        17 => Status.Exists,        // EEXIST
        20 => Status.NotDirectory,  // ENOTDIR
        21 => Status.IsDirectory,   // EISDIR
        22 => Status.Invalid,       // EINVAL
        23 or 24 => Status.Busy,    // ENFILE, EMFILE
        27 => Status.TooLarge,      // EFBIG
        28 or 122 => Status.NoSpace, // ENOSPC, EDQUOT
        30 => Status.ReadOnly,      // EROFS
        36 => Status.NameTooLong,   // ENAMETOOLONG
        39 => Status.NotEmpty,      // ENOTEMPTY
        95 => Status.NotSupported,  // EOPNOTSUPP
        _ => Status.IoError,
    };

    /// <summary>struct iovec.</summary>
    internal unsafe struct IoVector
    {
        public byte* Start;
        public nint Length;
    }
}
