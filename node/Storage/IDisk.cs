using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>What the block store needs of a file system, below one folder (the data folder).</summary>
/// <remarks>
/// Paths are relative, with '/'. Thread safe. Nothing that changes a directory is durable before
/// <see cref="SyncDirectory"/> of the directory; nothing that changes a file is durable before
/// <see cref="IDiskFile.Sync"/>. Outcomes: NotFound, Exists, NoSpace, InUse, AccessDenied, ReadOnly, NotEmpty,
/// NotDirectory, IsDirectory, TooLarge, Busy (out of descriptors) and IoError.
/// </remarks>
public interface IDisk
{
    /// <summary>Opens an existing file for reading and writing.</summary>
    Status Open(string path, out IDiskFile? file);

    /// <summary>Makes a new, empty file and opens it; Exists if the name is taken.</summary>
    Status Create(string path, out IDiskFile? file);

    /// <summary>Makes a directory; Exists if the name is taken.</summary>
    Status CreateDirectory(string path);

    /// <summary>Adds the names in a directory, in byte order, to <paramref name="names"/>.</summary>
    Status List(string path, List<string> names);

    Status DeleteFile(string path);

    /// <summary>Removes an empty directory.</summary>
    Status DeleteDirectory(string path);

    /// <summary>Moves a file, replacing what has the new name: afterwards the new name means the one or the other.</summary>
    Status Rename(string from, string to);

    Status SyncDirectory(string path);

    /// <summary>What the file system has, for the reserve.</summary>
    Status GetSpace(out DiskSpace space);

    /// <summary>Makes this process the only one that uses the folder, until the lock is disposed or the process ends;
    /// InUse if another one does.</summary>
    Status TryLock(string path, out IDisposable? heldLock);
}

/// <summary>Bytes of a file system: all, and those that this process may still use.</summary>
public readonly record struct DiskSpace(long TotalBytes, long FreeBytes);

/// <summary>An open file. Thread safe: reads and writes name their position.</summary>
public interface IDiskFile : IDisposable
{
    /// <summary>The length, in bytes.</summary>
    Status GetLength(out long length);

    /// <summary>Reads until the span is full or the file ends; <paramref name="read"/> says how far it came.</summary>
    Status Read(long offset, Span<byte> destination, out int read);

    /// <summary>As <see cref="Read"/>, but from the disk itself, where it can: what the page cache has says nothing of the disk, and
    /// what is read once need not be kept.</summary>
    Status ReadPastCache(long offset, Span<byte> destination, out int read) => Read(offset, destination, out read);

    /// <summary>Fills the span if all of it is in memory already. False: it is not, or nobody can tell; it may be soon.</summary>
    bool TryReadCached(long offset, Span<byte> destination) => false;

    /// <summary>Writes all of the span. It need not be whole after a failure.</summary>
    Status Write(long offset, ReadOnlySpan<byte> source);

    /// <summary>Makes every write that returned before the call durable, and the length it needs to be read.</summary>
    Status Sync();

    /// <summary>Cuts, or extends by a hole.</summary>
    Status SetLength(long length);

    /// <summary>Gives the space of the range back; it reads as zeros. NotSupported where the file system cannot.</summary>
    Status PunchHole(long offset, long length);

    /// <summary>Says that the range will be read soon. Never fails, may do nothing.</summary>
    void Prefetch(long offset, long length);
}
