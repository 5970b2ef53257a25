using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Simulation.Storage;

/// <summary>What a simulated disk can be told to fail.</summary>
internal enum DiskOperation
{
    Read,
    Write,
    Sync,
    Resize,
    Directory,
}

/// <summary>A disk in memory that forgets what was not synced: files and directories each on their own.</summary>
/// <remarks>Not thread safe. Everything follows from the calls and the seed of a crash. A directory's changes survive in
/// their order, but each directory decides for itself how many; a file's sectors each decide alone.</remarks>
internal sealed class SimulatedDisk(long totalBytes) : IDisk
{
    private readonly Folder root = new();
    private bool isLocked;

    /// <summary>Called after everything that changes the disk.</summary>
    internal Action OnPersistencePoint { get; set; } = static () => { };

    /// <summary>Asked before each operation; anything but Ok is the operation's outcome.</summary>
    internal Func<DiskOperation, Status> Ask { get; set; } = static _ => Status.Ok;

    public Status Open(string path, out IDiskFile? file)
    {
        file = null;
        if (Find(path, out Folder? folder, out string name) is var status and not Status.Ok) { return status; }
        if (!folder!.Current.TryGetValue(name, out Entry? entry)) { return Status.NotFound; }
        if (entry.File is null) { return Status.IsDirectory; }
        file = entry.File.OpenHandle();
        return Status.Ok;
    }

    public Status Create(string path, out IDiskFile? file)
    {
        file = null;
        SimulatedFile made = new(this);
        Status status = Add(path, new Entry(made, null));
        if (status == Status.Ok) { file = made.OpenHandle(); }
        return status;
    }

    public Status CreateDirectory(string path) => Add(path, new Entry(null, new Folder()));

    public Status List(string path, List<string> names)
    {
        if (FindFolder(path) is not { } folder) { return Status.NotFound; }
        names.AddRange(folder.Current.Keys);
        return Status.Ok;
    }

    public Status DeleteFile(string path) => Delete(path, wantsFolder: false);

    public Status DeleteDirectory(string path) => Delete(path, wantsFolder: true);

    public Status Rename(string from, string to)
    {
        if (Ask(DiskOperation.Directory) is var asked and not Status.Ok) { return asked; }
        if (Find(from, out Folder? source, out string oldName) is var status and not Status.Ok) { return status; }
        if (Find(to, out Folder? target, out string newName) is var found and not Status.Ok) { return found; }
        if (!source!.Current.TryGetValue(oldName, out Entry? entry)) { return Status.NotFound; }
        Invariant.Check(source == target);
        source.Change([(oldName, null), (newName, entry)]);
        OnPersistencePoint();
        return Status.Ok;
    }

    public Status SyncDirectory(string path)
    {
        if (Ask(DiskOperation.Sync) is var asked and not Status.Ok) { return asked; }
        if (FindFolder(path) is not { } folder) { return Status.NotFound; }
        folder.Sync();
        OnPersistencePoint();
        return Status.Ok;
    }

    public Status GetSpace(out DiskSpace space)
    {
        space = new DiskSpace(totalBytes, FreeBytes);
        return Status.Ok;
    }

    public Status TryLock(string path, out IDisposable? heldLock)
    {
        heldLock = null;
        if (isLocked) { return Status.InUse; }
        isLocked = true;
        heldLock = new Lock(this);
        return Status.Ok;
    }

    /// <summary>The disk that the next boot finds. This one stays as it is.</summary>
    internal SimulatedDisk AfterPowerCut(Random chance)
    {
        SimulatedDisk next = new(totalBytes);
        Dictionary<SimulatedFile, SimulatedFile> files = [];
        root.CopyTo(next.root, folder => folder.AfterPowerCut(chance), file =>
        {
            if (!files.TryGetValue(file, out SimulatedFile? copy)) { files[file] = copy = file.AfterPowerCut(next, chance); }
            return copy;
        });
        return next;
    }

    /// <summary>The disk that the next process finds. This one stays as it is.</summary>
    internal SimulatedDisk AfterKill()
    {
        SimulatedDisk next = new(totalBytes);
        root.CopyTo(next.root, static folder => folder.Current, file => file.AfterKill(next));
        return next;
    }

    /// <summary>The file itself, for rot and for garbage.</summary>
    internal SimulatedFile File(string path) =>
        Find(path, out Folder? folder, out string name) == Status.Ok && folder!.Current[name].File is { } file
            ? file
            : throw new ArgumentException($"There is no file '{path}'.", nameof(path));

    internal bool HasRoom(int pages) => (long)pages * SimulatedFile.PageBytes <= FreeBytes;

    private long FreeBytes => totalBytes - (root.CountPages() * SimulatedFile.PageBytes);

    private Status Add(string path, Entry entry)
    {
        if (Ask(DiskOperation.Directory) is var asked and not Status.Ok) { return asked; }
        if (Find(path, out Folder? folder, out string name) is var status and not Status.Ok) { return status; }
        if (folder!.Current.ContainsKey(name)) { return Status.Exists; }
        folder.Change([(name, entry)]);
        OnPersistencePoint();
        return Status.Ok;
    }

    private Status Delete(string path, bool wantsFolder)
    {
        if (Ask(DiskOperation.Directory) is var asked and not Status.Ok) { return asked; }
        if (Find(path, out Folder? folder, out string name) is var status and not Status.Ok) { return status; }
        if (!folder!.Current.TryGetValue(name, out Entry? entry)) { return Status.NotFound; }
        if (wantsFolder != entry.Folder is not null) { return wantsFolder ? Status.NotDirectory : Status.IsDirectory; }
        if (entry.Folder is { Current.Count: > 0 }) { return Status.NotEmpty; }
        folder.Change([(name, null)]);
        OnPersistencePoint();
        return Status.Ok;
    }

    private Folder? FindFolder(string path)
    {
        Folder folder = root;
        foreach (string part in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (!folder.Current.TryGetValue(part, out Entry? entry) || entry.Folder is null) { return null; }
            folder = entry.Folder;
        }

        return folder;
    }

    private Status Find(string path, out Folder? folder, out string name)
    {
        int slash = path.LastIndexOf('/');
        folder = FindFolder(slash < 0 ? "" : path[..slash]);
        name = path[(slash + 1)..];
        return folder is null ? Status.NotFound : Status.Ok;
    }

    private sealed class Lock(SimulatedDisk disk) : IDisposable
    {
        public void Dispose() => disk.isLocked = false;
    }

    private sealed record Entry(SimulatedFile? File, Folder? Folder);

    private sealed class Folder
    {
        private readonly List<(string Name, Entry? Entry)[]> unsynced = [];
        private SortedDictionary<string, Entry> durable = new(StringComparer.Ordinal);

        internal SortedDictionary<string, Entry> Current { get; private set; } = new(StringComparer.Ordinal);

        internal void Change((string Name, Entry? Entry)[] changes)
        {
            unsynced.Add(changes);
            Apply(Current, changes);
        }

        internal void Sync()
        {
            durable = new SortedDictionary<string, Entry>(Current, StringComparer.Ordinal);
            unsynced.Clear();
        }

        internal SortedDictionary<string, Entry> AfterPowerCut(Random chance)
        {
            SortedDictionary<string, Entry> names = new(durable, StringComparer.Ordinal);
            foreach ((string, Entry?)[] changes in unsynced.Take(chance.Next(unsynced.Count + 1))) { Apply(names, changes); }
            return names;
        }

        internal void CopyTo(
            Folder target, Func<Folder, SortedDictionary<string, Entry>> choose, Func<SimulatedFile, SimulatedFile> copyFile)
        {
            foreach ((string name, Entry entry) in choose(this))
            {
                Folder? folder = entry.Folder is null ? null : new Folder();
                entry.Folder?.CopyTo(folder!, choose, copyFile);
                target.Current[name] = new Entry(entry.File is null ? null : copyFile(entry.File), folder);
            }

            target.Sync();
        }

        internal long CountPages()
        {
            long pages = 0;
            foreach (Entry entry in Current.Values) { pages += entry.File?.PageCount ?? entry.Folder!.CountPages(); }
            return pages;
        }

        private static void Apply(SortedDictionary<string, Entry> names, (string Name, Entry? Entry)[] changes)
        {
            foreach ((string name, Entry? entry) in changes)
            {
                if (entry is null) { names.Remove(name); }
                else { names[name] = entry; }
            }
        }
    }
}
