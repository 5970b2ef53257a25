using System.Globalization;
using KvFs.Integration.Tests.Native;

namespace KvFs.Integration.Tests.Posix;

/// <summary>Where KvFs and ext4 may differ and both are right. Everything else is compared as it is.</summary>
/// <remarks>Not compared at all, because each file system has its own: inode and device numbers, block counts and sizes,
/// the order of a listing. Access times are left out because they depend on how the local disk is mounted.</remarks>
internal static class KnownDifferences
{
    /// <summary>Times that calls set are below this; the clock is above. 2011-01-01.</summary>
    private const long OldestClock = 1_300_000_000;

    /// <summary>An offset in a directory is a cookie: what values there are is the file system's matter.</summary>
    public static PosixResult FolderOffsets { get; } = new(0, 0, "an offset in a directory");

    /// <summary>A directory's size is what the file system wants it to be; a time of the clock is never the same twice:
    /// compared is that it is one. What goes through a fifo moves its times, of which the kernel tells no FUSE server.
    /// </summary>
    public static string Describe(in FileStatus status)
    {
        string size = status.IsDirectory ? "-" : status.Size.ToString(CultureInfo.InvariantCulture);
        string time = status.IsFifo ? "-" : status.ModifiedSeconds >= OldestClock ? "now" : status.TimeText;
        return $"mode {status.ModeText} nlink {status.Links} owner {status.Owner}:{status.Group} size {size} "
            + $"mtime {time} rdev {status.DeviceMajor}:{status.DeviceMinor}";
    }

    /// <summary>ext4 keeps holes by blocks and shows preallocated and delayed ones as data or not; KvFs keeps them by
    /// bytes. Both must show zeros in what they call a hole.</summary>
    public static PosixResult Holes(PosixResult result, bool isZero) =>
        new(0, 0, isZero ? "holes read as zeros" : $"data in a hole: {result}");
}
