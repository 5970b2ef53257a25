using KvFs.Core;

namespace KvFs.Mount;

/// <summary>Who may have range locks on which files: so that the close of a file that nobody locked costs nothing, and
/// no lock outlives its owner.</summary>
/// <remarks>
/// A process's (POSIX) locks go when it closes any descriptor of the file: FLUSH names it. Locks of an open file (OFD)
/// go with the file, but RELEASE does not name that owner; so each owner is kept with the handle through which it
/// locked last, and goes with the handle at the latest. Thread safe; holds one entry per file and owner with locks.
/// </remarks>
internal sealed class RangeLockOwners
{
    private readonly Lock gate = new();
    private readonly Dictionary<(VNodeId Node, ulong Owner), ulong> lockedThrough = [];
    private int count;

    /// <summary>An owner is about to lock through a handle.</summary>
    public void Add(VNodeId node, ulong owner, FileHandle handle)
    {
        lock (gate)
        {
            lockedThrough[(node, owner)] = handle.Number;
            List<ulong> owners = handle.LockOwners ??= [];
            if (!owners.Contains(owner)) { owners.Add(owner); }
            Volatile.Write(ref count, lockedThrough.Count);
        }
    }

    /// <summary>An owner closes the file; true if it may have locks on it.</summary>
    public bool Remove(VNodeId node, ulong owner)
    {
        if (Volatile.Read(ref count) == 0) { return false; }
        lock (gate)
        {
            bool had = lockedThrough.Remove((node, owner));
            Volatile.Write(ref count, lockedThrough.Count);
            return had;
        }
    }

    /// <summary>A handle is released; true, with an owner, while somebody may have locks that were taken through it.
    /// </summary>
    public bool TryRemoveAny(VNodeId node, FileHandle handle, out ulong owner)
    {
        owner = 0;
        if (handle.LockOwners is null) { return false; }
        lock (gate)
        {
            List<ulong> owners = handle.LockOwners;
            while (owners.Count > 0)
            {
                owner = owners[^1];
                owners.RemoveAt(owners.Count - 1);
                if (lockedThrough.GetValueOrDefault((node, owner)) != handle.Number) { continue; }
                lockedThrough.Remove((node, owner));
                Volatile.Write(ref count, lockedThrough.Count);
                return true;
            }

            return false;
        }
    }
}
