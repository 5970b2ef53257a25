using System.Runtime.InteropServices;

namespace KvFs.Memory;

/// <summary>Memory in pages of 2 MiB, where the kernel has them to give.</summary>
/// <remarks>
/// Direct I/O names its memory to the disk page by page: 1 MiB is 256 pieces in small pages, and one in a large one. A virtual disk goes
/// through them one by one: where this was measured, it read three times as fast into large pages (docs/performance.md). The kernel keeps
/// large pages for who asks ("madvise" in /sys/kernel/mm/transparent_hugepage/enabled, as distributions have it); where it gives none, the
/// memory is as good as any other.
/// </remarks>
public static unsafe partial class LargePages
{
    /// <summary>Bytes of a large page, and the boundary on which it lies.</summary>
    public const int Bytes = 2 << 20;

    private const int MadvHugePage = 14;

    /// <summary>Asks for large pages; only what spans whole ones can get them. A kernel without any refuses, and nothing is lost.</summary>
    /// <param name="start">First byte, at a multiple of <see cref="Bytes"/>. Nothing was written there yet, for the best.</param>
    /// <param name="length">Bytes from there.</param>
    public static void Advise(void* start, nuint length) => _ = madvise(start, length, MadvHugePage);

    [LibraryImport("libc")]
    private static partial int madvise(void* address, nuint length, int advice);
}
