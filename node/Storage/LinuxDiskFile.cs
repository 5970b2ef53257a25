using System.Runtime.InteropServices;
using KvFs.Core;
using Microsoft.Win32.SafeHandles;

namespace KvFs.Node.Storage;

/// <summary>An open file of a Linux file system.</summary>
/// <remarks>Two descriptors: writes whose memory, offset and length are multiples of 4 KiB go past the page cache
/// (O_DIRECT), and so do reads that ask for it; all others go through it. The kernel keeps the two coherent: a direct write flushes
/// and drops the pages it covers.</remarks>
internal sealed class LinuxDiskFile(SafeFileHandle buffered, SafeFileHandle? direct, DiskWatch? watch) : IDiskFile
{
    private const int SeekEnd = 2;

    /// <summary>Bytes to which O_DIRECT aligns: what every disk in use accepts, and the page size.</summary>
    private const int DirectAlignment = 4096;

    /// <summary>Whether O_DIRECT works at all; cleared when the file system refuses one that is aligned.</summary>
    private volatile bool directWorks = direct is not null;

    public Status GetLength(out long length)
    {
        length = LinuxCalls.lseek(buffered, 0, SeekEnd);
        return length >= 0 ? Status.Ok : LinuxCalls.LastStatus();
    }

    public Status Read(long offset, Span<byte> destination, out int read) => Read(offset, destination, mayGoDirect: false, out read);

    public Status ReadPastCache(long offset, Span<byte> destination, out int read) =>
        Read(offset, destination, mayGoDirect: true, out read);

    public unsafe bool TryReadCached(long offset, Span<byte> destination)
    {
        // Safe: the span is pinned for the call, which is asked for no more than it has.
        fixed (byte* start = destination)
        {
            LinuxCalls.IoVector all = new() { Start = start, Length = destination.Length };
            return LinuxCalls.preadv2(buffered, &all, 1, offset, LinuxCalls.RWF_NOWAIT) == destination.Length;
        }
    }

    private unsafe Status Read(long offset, Span<byte> destination, bool mayGoDirect, out int read)
    {
        read = 0;
        // Safe: the span is pinned for the calls, and no call is asked for more than what is left of it.
        fixed (byte* start = destination)
        {
            while (read < destination.Length)
            {
                byte* rest = start + read;
                int left = destination.Length - read;
                bool goDirect = mayGoDirect && directWorks && (((long)rest | (offset + read) | (long)left) & (DirectAlignment - 1)) == 0;
                nint count = LinuxCalls.pread(goDirect ? direct! : buffered, rest, left, offset + read);
                if (count == 0) { break; }
                if (count > 0)
                {
                    read += (int)count;
                }
                else if (goDirect && LinuxCalls.LastStatus() == Status.Invalid)
                {
                    directWorks = false;
                }
                else if (Marshal.GetLastPInvokeError() != LinuxCalls.EINTR)
                {
                    return LinuxCalls.LastStatus();
                }
            }
        }

        return Status.Ok;
    }

    public Status Write(long offset, ReadOnlySpan<byte> source)
    {
        int place = watch?.Begin() ?? -1;
        try
        {
            return WriteAll(offset, source);
        }
        finally
        {
            watch?.End(place);
        }
    }

    public Status Sync()
    {
        int place = watch?.Begin() ?? -1;
        try
        {
            return Done(LinuxCalls.fdatasync(buffered));
        }
        finally
        {
            watch?.End(place);
        }
    }

    private unsafe Status WriteAll(long offset, ReadOnlySpan<byte> source)
    {
        int written = 0;
        // Safe: the span is pinned for the calls, and no call is given more than what is left of it.
        fixed (byte* start = source)
        {
            while (written < source.Length)
            {
                byte* rest = start + written;
                int left = source.Length - written;
                bool goDirect = directWorks && (((long)rest | (offset + written) | (long)left) & (DirectAlignment - 1)) == 0;
                nint count = LinuxCalls.pwrite(goDirect ? direct! : buffered, rest, left, offset + written);
                if (count > 0)
                {
                    written += (int)count;
                    continue;
                }

                Status status = count == 0 ? Status.IoError : LinuxCalls.LastStatus();
                if (goDirect && status == Status.Invalid)
                {
                    directWorks = false;
                }
                else if (count == 0 || Marshal.GetLastPInvokeError() != LinuxCalls.EINTR)
                {
                    return status;
                }
            }
        }

        return Status.Ok;
    }

    public Status SetLength(long length) => Done(LinuxCalls.ftruncate(buffered, length));

    public Status PunchHole(long offset, long length) => Done(LinuxCalls.fallocate(
        buffered, LinuxCalls.FALLOC_FL_PUNCH_HOLE | LinuxCalls.FALLOC_FL_KEEP_SIZE, offset, length));

    public void Prefetch(long offset, long length) =>
        LinuxCalls.posix_fadvise(buffered, offset, length, LinuxCalls.POSIX_FADV_WILLNEED);

    public void Dispose()
    {
        direct?.Dispose();
        buffered.Dispose();
    }

    /// <remarks>A sync that a signal interrupts (some file systems) is a failed sync like any other: not repeated.</remarks>
    private static Status Done(int result) => result == 0 ? Status.Ok : LinuxCalls.LastStatus();
}
