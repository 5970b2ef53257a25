using KvFs.Cli.Native;

namespace KvFs.Cli.Hosting;

/// <summary>How the C library's allocator treats the memory that RocksDB frees.</summary>
/// <remarks>Left alone it has a heap for each thread that allocates, and raises the size from which on it maps memory of its
/// own: memtables then lie in heaps that never shrink, and a process under load takes a third more than it uses.</remarks>
internal static class NativeHeap
{
    /// <summary>Heaps: RocksDB's threads allocate large pieces, and seldom at the same moment.</summary>
    private const int Heaps = 2;

    /// <summary>Bytes from which on a piece is mapped, and unmapped when it is freed: memtables grow by such pieces.</summary>
    private const int MappedBytes = 256 << 10;

    /// <summary>Free bytes at the end of a heap that are given back.</summary>
    private const int TrimmedBytes = 1 << 20;

    /// <summary>Has freed memory go back to the system. Call before the store is opened.</summary>
    public static void GiveBack()
    {
        // Where the allocator does not know one of these it stays as it is.
        _ = Posix.mallopt(Posix.MallocArenaMax, Heaps);
        _ = Posix.mallopt(Posix.MallocMmapThreshold, MappedBytes);
        _ = Posix.mallopt(Posix.MallocTrimThreshold, TrimmedBytes);
    }
}
