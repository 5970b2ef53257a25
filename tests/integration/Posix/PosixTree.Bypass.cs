using System.Globalization;
using System.Runtime.InteropServices;
using KvFs.Integration.Tests.Native;

namespace KvFs.Integration.Tests.Posix;

/// <summary>Access past the page cache, and through mapped memory: each on a descriptor of its own, beside the open ones.
/// </summary>
internal sealed unsafe partial class PosixTree
{
    private const int ReadWrite = 2;
    private const int PageBytes = 4096;
    private const int ReadProtection = 1, WriteProtection = 2, Shared = 1, SyncNow = 4;

    /// <summary>O_DIRECT, which differs between architectures.</summary>
    private static readonly int s_direct =
        RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x10000 : 0x4000;

    /// <summary>Memory that direct access may use; freed by Dispose.</summary>
    private readonly byte* aligned = (byte*)NativeMemory.AlignedAlloc(LargestRead, PageBytes);

    /// <summary>A file in memory, to have the kernel copy from and to mapped pages: a page that cannot be read is an errno
    /// then, and not the end of this process.</summary>
    private readonly int memory = LibC.memfd_create("map", 1);

    private PosixResult AccessDirectly(PosixCall call)
    {
        bool writes = call.Kind == PosixKind.WriteDirect;
        int descriptor = LibC.open(At(call.Path), ReadWrite | s_direct | Always, 0);
        if (descriptor < 0) { return Answer(descriptor); }

        // No call gets more than the memory's length.
        Span<byte> bytes = new(aligned, LargestRead);
        if (writes) { FillBuffer(bytes, call); }
        nint done = writes
            ? LibC.pwrite(descriptor, aligned, (nuint)call.Length, call.Offset)
            : LibC.pread(descriptor, aligned, (nuint)call.Length, call.Offset);
        PosixResult result = Answer(done, writes || done < 0 ? string.Empty : TreeImage.Digest(bytes[..(int)done]));
        LibC.close(descriptor);
        return result;
    }

    /// <summary>Maps what the file has of a range, reads or writes it, and syncs what it wrote.</summary>
    private PosixResult AccessMapped(PosixCall call)
    {
        int descriptor = LibC.open(At(call.Path), ReadWrite | Always, 0);
        if (descriptor < 0) { return Answer(descriptor); }
        PosixResult result = AccessMapped(call, descriptor);
        LibC.close(descriptor);
        return result;
    }

    private PosixResult AccessMapped(PosixCall call, int descriptor)
    {
        int error = FileStatus.TryGet(descriptor, out FileStatus status);
        if (error != 0) { return new(-1, error, string.Empty); }
        long length = Math.Min(call.Length, (long)status.Size - call.Offset);
        if (!status.IsFile || length <= 0) { return new(0, 0, "nothing to map"); }
        long start = call.Offset & ~(PageBytes - 1L);
        nuint mapped = (nuint)(call.Offset + length - start);
        byte* map = LibC.mmap(null, mapped, ReadProtection | WriteProtection, Shared, descriptor, start);
        if ((nint)map == -1) { return Answer(-1); }
        byte* place = map + (call.Offset - start);
        PosixResult result = call.Kind == PosixKind.WriteMap
            ? WriteMapped(call, map, mapped, place, (nuint)length)
            : ReadMapped(place, (nuint)length);
        LibC.munmap(map, mapped);
        return result;
    }

    private PosixResult WriteMapped(PosixCall call, byte* map, nuint mapped, byte* place, nuint length)
    {
        FillBuffer(buffer, call);
        fixed (byte* bytes = buffer) { LibC.pwrite(memory, bytes, length, 0); }

        // The kernel writes within the mapping, which covers the length.
        nint copied = LibC.pread(memory, place, length, 0);
        PosixResult result = Answer(copied);
        int synced = LibC.msync(map, mapped, SyncNow);
        return synced == 0 ? result : Answer(synced, string.Create(CultureInfo.InvariantCulture, $"msync after {copied}"));
    }

    private PosixResult ReadMapped(byte* place, nuint length)
    {
        // The kernel reads within the mapping, which covers the length.
        nint copied = LibC.pwrite(memory, place, length, 0);
        if (copied < 0) { return Answer(copied); }
        fixed (byte* bytes = buffer) { LibC.pread(memory, bytes, (nuint)copied, 0); }
        return Answer(copied, TreeImage.Digest(buffer.AsSpan(0, (int)copied)));
    }
}
