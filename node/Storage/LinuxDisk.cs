using System.Runtime.InteropServices;
using KvFs.Core;
using Microsoft.Win32.SafeHandles;

namespace KvFs.Node.Storage;

/// <summary>A folder of a Linux file system.</summary>
public sealed class LinuxDisk : IDisk
{
    private const int FileMode = 0x180;      // 0600: the bytes of every user's files are in there.
    private const int DirectoryMode = 0x1C0; // 0700

    private readonly string root;
    private readonly DiskWatch? watch;

    /// <summary>Takes an existing folder.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="watch">Sees what the disk owes.</param>
    /// <exception cref="StorageException">There is no such folder.</exception>
    public LinuxDisk(string root, DiskWatch? watch = null)
    {
        this.watch = watch;
        this.root = Path.GetFullPath(root);
        if (!Directory.Exists(this.root))
        {
            throw new StorageException(Status.NotFound, $"There is no folder '{this.root}'. Create it, or name another.");
        }
    }

    /// <summary>The folder's full path.</summary>
    public string Root => root;

    public Status Open(string path, out IDiskFile? file) => Open(path, LinuxCalls.O_RDWR, out file);

    public Status Create(string path, out IDiskFile? file) =>
        Open(path, LinuxCalls.O_RDWR | LinuxCalls.O_CREAT | LinuxCalls.O_EXCL, out file);

    public Status CreateDirectory(string path) => Done(LinuxCalls.mkdir(FullPath(path), DirectoryMode));

    public Status List(string path, List<string> names)
    {
        int start = names.Count;
        try
        {
            foreach (string entry in Directory.EnumerateFileSystemEntries(FullPath(path)))
            {
                names.Add(Path.GetFileName(entry));
            }
        }
        catch (DirectoryNotFoundException)
        {
            return Status.NotFound;
        }
        catch (UnauthorizedAccessException)
        {
            return Status.AccessDenied;
        }
        catch (IOException)
        {
            return Status.IoError;
        }

        names.Sort(start, names.Count - start, StringComparer.Ordinal);
        return Status.Ok;
    }

    public Status DeleteFile(string path) => Done(LinuxCalls.unlink(FullPath(path)));

    public Status DeleteDirectory(string path) => Done(LinuxCalls.rmdir(FullPath(path)));

    public Status Rename(string from, string to) => Done(LinuxCalls.rename(FullPath(from), FullPath(to)));

    public Status SyncDirectory(string path)
    {
        Status opened = OpenHandle(
            FullPath(path), LinuxCalls.O_RDONLY | LinuxCalls.O_DIRECTORY, out SafeFileHandle? handle);
        if (handle is null) { return opened; }
        using (handle) { return Done(LinuxCalls.fsync(handle)); }
    }

    public Status GetSpace(out DiskSpace space)
    {
        space = default;
        if (LinuxCalls.statvfs(root, out LinuxCalls.FileSystemFigures figures) != 0) { return LinuxCalls.LastStatus(); }
        ulong unit = figures.FragmentSize;
        space = new DiskSpace((long)(figures.Blocks * unit), (long)(figures.AvailableBlocks * unit));
        return Status.Ok;
    }

    public Status TryLock(string path, out IDisposable? heldLock)
    {
        heldLock = null;
        Status opened = OpenHandle(FullPath(path), LinuxCalls.O_RDWR | LinuxCalls.O_CREAT, out SafeFileHandle? handle);
        if (handle is null) { return opened; }
        if (LinuxCalls.flock(handle, LinuxCalls.LOCK_EX | LinuxCalls.LOCK_NB) != 0)
        {
            Status status = LinuxCalls.LastStatus();
            handle.Dispose();
            return status;
        }

        heldLock = handle;
        return Status.Ok;
    }

    private string FullPath(string path) => path.Length == 0 ? root : $"{root}/{path}";

    private Status Open(string path, int flags, out IDiskFile? file)
    {
        file = null;
        string fullPath = FullPath(path);
        Status opened = OpenHandle(fullPath, flags, out SafeFileHandle? buffered);
        if (buffered is null) { return opened; }

        // A file system without O_DIRECT (an old tmpfs) answers Invalid here; then all goes through the page cache.
        OpenHandle(fullPath, LinuxCalls.O_RDWR | LinuxCalls.O_DIRECT, out SafeFileHandle? direct);
        file = new LinuxDiskFile(buffered, direct, watch);
        return Status.Ok;
    }

    private static Status OpenHandle(string fullPath, int flags, out SafeFileHandle? handle)
    {
        handle = null;
        int descriptor;
        do
        {
            descriptor = LinuxCalls.open(fullPath, flags | LinuxCalls.O_CLOEXEC, FileMode);
        }
        while (descriptor < 0 && Marshal.GetLastPInvokeError() == LinuxCalls.EINTR);

        if (descriptor < 0) { return LinuxCalls.LastStatus(); }
        handle = new SafeFileHandle(descriptor, ownsHandle: true);
        return Status.Ok;
    }

    private static Status Done(int result) => result == 0 ? Status.Ok : LinuxCalls.LastStatus();
}
