using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Tests.Maintenance;

/// <summary>A real disk that says how much is free as a test wants it: full, without filling the machine's.</summary>
internal sealed class NarrowDisk(IDisk disk) : IDisk
{
    /// <summary>What is free where a test says nothing: plenty, whatever the machine's disk has.</summary>
    private const long PlentyBytes = 64L << 30;

    /// <summary>What it says is free; null: plenty.</summary>
    public long? FreeBytes { get; set; }

    public Status Open(string path, out IDiskFile? file) => disk.Open(path, out file);

    public Status Create(string path, out IDiskFile? file) => disk.Create(path, out file);

    public Status CreateDirectory(string path) => disk.CreateDirectory(path);

    public Status List(string path, List<string> names) => disk.List(path, names);

    public Status DeleteFile(string path) => disk.DeleteFile(path);

    public Status DeleteDirectory(string path) => disk.DeleteDirectory(path);

    public Status Rename(string from, string to) => disk.Rename(from, to);

    public Status SyncDirectory(string path) => disk.SyncDirectory(path);

    public Status TryLock(string path, out IDisposable? heldLock) => disk.TryLock(path, out heldLock);

    public Status GetSpace(out DiskSpace space)
    {
        long free = FreeBytes ?? PlentyBytes;
        space = new(Math.Max(free, 1L << 30), free);
        return Status.Ok;
    }
}
