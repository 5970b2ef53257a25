namespace KvFs.Core;

/// <summary>What the operations on names share: opening a directory, and noting that its entries changed.</summary>
internal static class Directories
{
    /// <summary>Reads a directory in which names may be made or taken away.</summary>
    /// <returns>Stale if there is no such VNode; NotDirectory; NotFound if the directory was removed and is only held
    /// open, as Linux has it.</returns>
    public static Status Open(DriveView view, VNodeId id, out VNode directory)
    {
        if (!view.TryGetVNode(id, out directory)) { return Status.Stale; }
        if (!directory.IsDirectory) { return Status.NotDirectory; }
        return directory.Nlink == 0 ? Status.NotFound : Status.Ok;
    }

    /// <summary>Reads a VNode that a record of the drive names.</summary>
    /// <exception cref="RecordCorruptException">There is none: the drive's records contradict one another.</exception>
    public static VNode Require(DriveView view, VNodeId id)
    {
        if (!view.TryGetVNode(id, out VNode vnode))
        {
            RecordKey key = RecordKey.VNode(id);
            view.ThrowCorrupt(ref key);
        }

        return vnode;
    }

    /// <summary>Counts entries and subdirectories up or down, and moves the times on.</summary>
    public static void Change(ref VNode directory, int entries, int subdirectories, DriveTransaction transaction)
    {
        Count(ref directory, entries, subdirectories, transaction);
        directory.ModifyTime = transaction.Now;
        directory.ChangeTime = transaction.Now;
    }

    /// <summary>Counts a new entry whose maker was told a time: the directory's own do not go back for it.</summary>
    public static void AddMadeAt(Timestamp time, ref VNode directory, int subdirectories, DriveTransaction transaction)
    {
        Count(ref directory, 1, subdirectories, transaction);
        if (time > directory.ModifyTime) { directory.ModifyTime = time; }
        if (time > directory.ChangeTime) { directory.ChangeTime = time; }
    }

    private static void Count(ref VNode directory, int entries, int subdirectories, DriveTransaction transaction)
    {
        directory.Size = (ulong)((long)directory.Size + entries);
        directory.Nlink = (uint)(directory.Nlink + subdirectories);
        directory.DataVersion = transaction.Cow;
    }

    /// <summary>Whether walking up from a directory meets another one (or starts at it).</summary>
    /// <exception cref="RecordCorruptException">The way up does not end: a parent is missing, or it goes in a circle.
    /// </exception>
    public static bool IsWithin(DriveView view, VNodeId directory, VNodeId ancestor)
    {
        if (WalkUp(view, directory, ancestor, out bool met) != WayUp.Broken) { return met; }
        RecordKey key = RecordKey.VNode(directory);
        view.ThrowCorrupt(ref key);
        return false;
    }

    /// <summary>Walks from a directory to the root, or as far as its parents lead.</summary>
    /// <remarks>A circle is found by keeping one id of the way and taking a new one after 1, 2, 4, … steps: no memory, and at
    /// most three times the circle's length.</remarks>
    public static WayUp WalkUp(DriveView view, VNodeId directory, VNodeId ancestor, out bool met)
    {
        VNodeId kept = VNodeId.None;
        ulong stepsLeft = 1;
        ulong stride = 1;
        met = false;
        while (true)
        {
            met |= directory == ancestor;
            if (!view.TryGetVNode(directory, out VNode vnode) || !vnode.IsDirectory || directory == kept)
            {
                return WayUp.Broken;
            }

            if (directory == VNodeId.Root) { return WayUp.ToRoot; }
            if (vnode.Nlink == 0) { return WayUp.ToRemoved; }
            if (--stepsLeft == 0)
            {
                kept = directory;
                stride *= 2;
                stepsLeft = stride;
            }

            directory = vnode.Parent;
        }
    }
}

/// <summary>Where the parents of a directory lead.</summary>
internal enum WayUp : byte
{
    ToRoot = 0,

    /// <summary>To a directory that was removed, and is at the most held open.</summary>
    ToRemoved = 1,

    /// <summary>To nothing, to what is no directory, or around in a circle: the records contradict one another.</summary>
    Broken = 2,
}
