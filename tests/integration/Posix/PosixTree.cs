using System.Globalization;
using System.Runtime.InteropServices;
using KvFs.Integration.Tests.Native;

namespace KvFs.Integration.Tests.Posix;

/// <summary>A tree that calls are made on, with its table of descriptors.</summary>
/// <remarks>The calls see the folder <c>w</c> in it, so that a link to "../x" stays in the tree.</remarks>
internal sealed unsafe partial class PosixTree : IDisposable
{
    private const int TemporaryFile = 0x400000;

    /// <summary>O_NONBLOCK and O_CLOEXEC of open(2): no call waits, and no program that another test starts inherits a
    /// descriptor.</summary>
    private const int Always = 0x800 | 0x80000;

    /// <summary>F_DUPFD_CLOEXEC of fcntl(2): as dup(2), and not inherited.</summary>
    private const int DuplicateCommand = 1030;

    private const int DoesNotBlock = 4;
    private const int SeekDataWhence = 3;
    private const int SeekHoleWhence = 4;

    /// <summary>UTIME_NOW and UTIME_OMIT of utimensat(2).</summary>
    private const long Now = (1L << 30) - 1, Omit = (1L << 30) - 2;

    private const int LargestRead = 256 << 10;

    /// <summary>O_DIRECTORY, which O_TMPFILE contains, differs between architectures.</summary>
    private static readonly int s_directory =
        RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x4000 : 0x10000;

    private readonly string work;
    private readonly int[] slots = [.. Enumerable.Repeat(-1, PosixGenerator.Slots)];
    private readonly byte[] buffer = new byte[LargestRead];

    /// <param name="root">An empty folder.</param>
    public PosixTree(string root)
    {
        Root = root;
        work = root + "/w";
        Directory.CreateDirectory(work);
    }

    public string Root { get; }

    public PosixResult Make(PosixCall call) => call.Kind switch
    {
        PosixKind.Open => Keep(call.Slot, LibC.open(At(call.Path), call.Flags | Always, call.Mode)),
        PosixKind.OpenUnnamed => Keep(
            call.Slot, LibC.open(At(call.Path), call.Flags | TemporaryFile | s_directory | Always, call.Mode)),
        PosixKind.LinkUnnamed => Answer(LibC.linkat(
            LibC.AT_FDCWD, $"/proc/self/fd/{slots[call.Slot]}", LibC.AT_FDCWD, At(call.Path), LibC.AT_SYMLINK_FOLLOW)),
        PosixKind.Close => Close(call.Slot),
        PosixKind.Duplicate => Keep(call.OtherSlot, LibC.fcntl(slots[call.Slot], DuplicateCommand, 0)),
        PosixKind.Read or PosixKind.ReadAt => Read(call),
        PosixKind.Write or PosixKind.WriteAt => Write(call),
        PosixKind.Seek => IsFolder(call.Slot)
            ? KnownDifferences.FolderOffsets
            : Answer(LibC.lseek(slots[call.Slot], call.Offset, call.Flags)),
        PosixKind.SeekData => Seek(call, SeekDataWhence),
        PosixKind.SeekHole => Seek(call, SeekHoleWhence),
        PosixKind.TruncateOpen => Answer(LibC.ftruncate(slots[call.Slot], call.Offset)),
        PosixKind.Truncate => Answer(LibC.truncate(At(call.Path), call.Offset)),
        PosixKind.Allocate => Answer(LibC.fallocate(slots[call.Slot], call.Flags, call.Offset, call.Length)),
        PosixKind.CopyRange => CopyRange(call),
        PosixKind.ReadDirect or PosixKind.WriteDirect => AccessDirectly(call),
        PosixKind.ReadMap or PosixKind.WriteMap => AccessMapped(call),
        PosixKind.Sync => Answer(LibC.fsync(slots[call.Slot])),
        PosixKind.SyncData => Answer(LibC.fdatasync(slots[call.Slot])),
        PosixKind.Flock => Answer(LibC.flock(slots[call.Slot], call.Flags | DoesNotBlock)),
        PosixKind.MakeDirectory => Answer(LibC.mkdir(At(call.Path), call.Mode)),
        PosixKind.RemoveDirectory => Answer(LibC.rmdir(At(call.Path))),
        PosixKind.Unlink => Answer(LibC.unlink(At(call.Path))),
        PosixKind.Symlink => Answer(LibC.symlink(call.OtherPath, At(call.Path))),
        PosixKind.MakeNode => Answer(LibC.mknod(At(call.Path), call.Mode, (ulong)call.Flags)),
        PosixKind.ReadLink => ReadLink(call),
        PosixKind.Link => Answer(LibC.linkat(LibC.AT_FDCWD, At(call.Path), LibC.AT_FDCWD, At(call.OtherPath), 0)),
        PosixKind.Rename => Answer(LibC.renameat2(
            LibC.AT_FDCWD, At(call.Path), LibC.AT_FDCWD, At(call.OtherPath), (uint)call.Flags)),
        PosixKind.ChangeMode => Answer(LibC.chmod(At(call.Path), call.Mode)),
        PosixKind.ChangeModeOpen => Answer(LibC.fchmod(slots[call.Slot], call.Mode)),
        PosixKind.SetTimes => SetTimes(call),
        PosixKind.Stat => Stat(call, follow: true),
        PosixKind.StatLink => Stat(call, follow: false),
        PosixKind.StatOpen => StatOpen(call),
        PosixKind.List => List(call),
        PosixKind.SetXattr => SetXattr(call),
        PosixKind.GetXattr => GetXattr(call),
        PosixKind.ListXattrs => ListXattrs(call),
        PosixKind.RemoveXattr => Answer(LibC.removexattr(At(call.Path), call.Attribute)),
        _ => throw new ArgumentOutOfRangeException(nameof(call)),
    };

    public void Dispose()
    {
        for (int slot = 0; slot < slots.Length; slot++) { Close(slot); }
        LibC.close(memory);
        NativeMemory.AlignedFree(aligned);
    }

    private static PosixResult Answer(long value, string detail = "") =>
        value < 0 ? new(-1, Marshal.GetLastPInvokeError(), string.Empty) : new(value, 0, detail);

    private string At(string path) => $"{work}/{path}";

    private bool IsFolder(int slot) =>
        FileStatus.TryGet(slots[slot], out FileStatus status) == 0 && status.IsDirectory;

    /// <summary>Puts a new descriptor into a slot and closes what was there. Its number is no result.</summary>
    private PosixResult Keep(int slot, int descriptor)
    {
        PosixResult result = Answer(descriptor);
        if (descriptor < 0) { return result; }
        Close(slot);
        slots[slot] = descriptor;
        return result with { Value = 0 };
    }

    private PosixResult Close(int slot)
    {
        PosixResult result = Answer(LibC.close(slots[slot]));
        slots[slot] = -1;
        return result;
    }

    // The buffer is pinned while the call runs, and no call gets more than its length.
    private PosixResult Read(PosixCall call)
    {
        fixed (byte* bytes = buffer)
        {
            nuint length = (nuint)Math.Min(call.Length, LargestRead);
            nint read = call.Kind == PosixKind.Read
                ? LibC.read(slots[call.Slot], bytes, length)
                : LibC.pread(slots[call.Slot], bytes, length, call.Offset);
            return Answer(read, read < 0 ? string.Empty : TreeImage.Digest(buffer.AsSpan(0, (int)read)));
        }
    }

    private PosixResult Write(PosixCall call)
    {
        FillBuffer(buffer, call);
        fixed (byte* bytes = buffer)
        {
            return Answer(call.Kind == PosixKind.Write
                ? LibC.write(slots[call.Slot], bytes, (nuint)call.Length)
                : LibC.pwrite(slots[call.Slot], bytes, (nuint)call.Length, call.Offset));
        }
    }

    private static void FillBuffer(Span<byte> bytes, PosixCall call)
    {
        for (int i = 0; i < call.Length; i++) { bytes[i] = (byte)(call.Fill + (i * 7) + (i >> 8)); }
    }

    /// <summary>Where data and holes begin differs (<see cref="KnownDifferences.Holes"/>): compared is what must hold, that
    /// a hole reads as zeros and that there is nothing to find behind the end.</summary>
    private PosixResult Seek(PosixCall call, int whence)
    {
        if (IsFolder(call.Slot)) { return KnownDifferences.FolderOffsets; }
        int descriptor = slots[call.Slot];
        long before = LibC.lseek(descriptor, 0, 1);
        long size = LibC.lseek(descriptor, 0, 2);
        if (size < 0) { return Answer(LibC.lseek(descriptor, call.Offset, whence)); }
        long found = LibC.lseek(descriptor, call.Offset, whence);
        PosixResult result = Answer(found);
        LibC.lseek(descriptor, before, 0);
        return call.Offset >= size ? result : KnownDifferences.Holes(result, HoleIsZero(call, whence, found, size));
    }

    private bool HoleIsZero(PosixCall call, int whence, long found, long size)
    {
        long start = whence == SeekDataWhence ? call.Offset : found;
        long end = whence == SeekDataWhence ? (found < 0 ? size : found) : Math.Min(size, found + 1);
        fixed (byte* bytes = buffer)
        {
            while (start < end)
            {
                nint read = LibC.pread(slots[call.Slot], bytes, (nuint)Math.Min(LargestRead, end - start), start);

                // A descriptor that may not read cannot look.
                if (read <= 0) { return true; }
                if (buffer.AsSpan(0, (int)read).ContainsAnyExcept((byte)0)) { return whence == SeekHoleWhence && found >= size; }
                start += read;
            }
        }

        return true;
    }

    private PosixResult CopyRange(PosixCall call)
    {
        long from = call.Offset;
        long to = call.OtherOffset;
        return Answer(LibC.copy_file_range(
            slots[call.Slot], &from, slots[call.OtherSlot], &to, (nuint)call.Length, 0));
    }

    private PosixResult ReadLink(PosixCall call)
    {
        fixed (byte* bytes = buffer)
        {
            nint length = LibC.readlink(At(call.Path), bytes, LargestRead);
            return Answer(length, length < 0 ? string.Empty : Marshal.PtrToStringUTF8((nint)bytes, (int)length));
        }
    }

    private PosixResult SetTimes(PosixCall call)
    {
        long* times = stackalloc long[4];
        times[0] = call.Offset / 2;
        times[1] = 5;
        times[2] = call.Offset;
        times[3] = call.Flags switch { 0 => Now, 1 => Omit, _ => call.Offset % 1000 };
        return Answer(LibC.utimensat(
            LibC.AT_FDCWD, At(call.Path), times, call.Flags == 3 ? LibC.AT_SYMLINK_NOFOLLOW : 0));
    }

    private PosixResult Stat(PosixCall call, bool follow)
    {
        int error = FileStatus.TryGet(At(call.Path), follow, out FileStatus status);
        return error != 0 ? new(-1, error, string.Empty) : new(0, 0, KnownDifferences.Describe(status));
    }

    private PosixResult StatOpen(PosixCall call)
    {
        int error = FileStatus.TryGet(slots[call.Slot], out FileStatus status);
        return error != 0 ? new(-1, error, string.Empty) : new(0, 0, KnownDifferences.Describe(status));
    }

    private PosixResult List(PosixCall call)
    {
        nint folder = LibC.opendir(At(call.Path));
        if (folder == 0) { return Answer(-1); }
        List<string> names = [];
        for (byte* entry = LibC.readdir(folder); entry != null; entry = LibC.readdir(folder))
        {
            // struct dirent of 64-bit Linux: the kind at 18, the name, ended by a zero, at 19.
            names.Add($"{Marshal.PtrToStringUTF8((nint)(entry + 19))}:{entry[18]}");
        }

        LibC.closedir(folder);
        names.Sort(StringComparer.Ordinal);
        return new(names.Count, 0, string.Join(' ', names));
    }

    private PosixResult SetXattr(PosixCall call)
    {
        buffer.AsSpan(0, call.Length).Fill((byte)call.Fill);
        fixed (byte* bytes = buffer)
        {
            return Answer(LibC.setxattr(At(call.Path), call.Attribute, bytes, (nuint)call.Length, call.Flags));
        }
    }

    private PosixResult GetXattr(PosixCall call)
    {
        fixed (byte* bytes = buffer)
        {
            nint length = LibC.getxattr(At(call.Path), call.Attribute, bytes, (nuint)call.Length);
            int copied = call.Length == 0 ? 0 : (int)Math.Max(0, length);
            return Answer(length, TreeImage.Digest(buffer.AsSpan(0, copied)));
        }
    }

    private PosixResult ListXattrs(PosixCall call)
    {
        fixed (byte* bytes = buffer)
        {
            nint length = LibC.listxattr(At(call.Path), bytes, (nuint)call.Length);
            return Answer(length, call.Length == 0 || length < 0
                ? string.Empty
                : string.Join(' ', TreeImage.SplitNames(buffer.AsSpan(0, (int)length))));
        }
    }
}
