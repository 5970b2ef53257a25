using KvFs.Client;
using KvFs.Core;

namespace KvFs.Mount;

/// <summary>The open files of a mount, by the number that the kernel has for them.</summary>
/// <remarks>Thread safe; finding takes no lock. Bounded by the open files that the kernel allows. The kernel does not
/// use a number after it has released it, so a slot may serve the next file at once.</remarks>
internal sealed class FileHandleTable
{
    private const int FirstCapacity = 1024;

    private readonly Lock gate = new();
    private readonly Stack<FileHandle> free = new(FirstCapacity);
    private FileHandle[] handles = new FileHandle[FirstCapacity];
    private int made;

    /// <summary>Gives a file a number; numbers start at 1.</summary>
    public FileHandle Add(OpenFile file)
    {
        lock (gate)
        {
            if (!free.TryPop(out FileHandle? handle))
            {
                if (made == handles.Length)
                {
                    FileHandle[] larger = new FileHandle[handles.Length * 2];
                    handles.CopyTo(larger, 0);
                    Volatile.Write(ref handles, larger);
                }

                handle = new((ulong)made + 1);
                handles[made++] = handle;
            }

            handle.File = file;
            handle.AccessNoted = 0;
            return handle;
        }
    }

    /// <summary>The open file of a number; null if there is none.</summary>
    public FileHandle? Find(ulong number)
    {
        FileHandle[] all = Volatile.Read(ref handles);
        FileHandle? handle = number - 1 < (ulong)all.Length ? all[number - 1] : null;
        return handle?.File is null ? null : handle;
    }

    /// <summary>The number is free again.</summary>
    public void Remove(FileHandle handle)
    {
        lock (gate)
        {
            handle.File = null;
            free.Push(handle);
        }
    }

    /// <summary>The files that are open for writing, each once, ascending.</summary>
    public SortedSet<VNodeId> ListWritten()
    {
        lock (gate)
        {
            SortedSet<VNodeId> written = [];
            for (int i = 0; i < made; i++)
            {
                if (handles[i] is { File: { } file, Writes: true }) { written.Add(file.Id); }
            }

            return written;
        }
    }

    /// <summary>The files that are open still: after the end of the mount, when nobody will release them.</summary>
    public List<FileHandle> ListOpen()
    {
        lock (gate)
        {
            List<FileHandle> open = [];
            for (int i = 0; i < made; i++)
            {
                if (handles[i].File is not null) { open.Add(handles[i]); }
            }

            return open;
        }
    }
}
