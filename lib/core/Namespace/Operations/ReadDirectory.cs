namespace KvFs.Core;

/// <summary>Takes the entries that <see cref="ReadDirectory"/> finds.</summary>
public interface IDirectorySink
{
    /// <param name="name">The name; lent for the call.</param>
    /// <param name="cookie">Where a reader goes on behind this entry.</param>
    /// <param name="dentry">The child's id and kind.</param>
    /// <param name="info">The child, if it was asked for.</param>
    void Add(ReadOnlySpan<byte> name, ulong cookie, Dentry dentry, NodeInfo info);
}

/// <summary>Reads a part of a directory, in the order of cookies.</summary>
/// <remarks>A cookie is the <see cref="NameHash"/> of a name: it stays a name's own whatever else comes and goes, so a reader
/// that goes on behind a cookie meets every name once that is there all the while. "." and ".." are the reader's business.
/// </remarks>
public static class ReadDirectory
{
    /// <summary>Gives the sink the entries whose cookies are greater than <paramref name="cookie"/>: as many as asked for,
    /// and beyond that the rest of those that share the last one's cookie.</summary>
    /// <returns>Ok; NotDirectory; Stale: it is gone.</returns>
    public static Status Apply(
        DriveView view,
        VNodeId directory,
        ulong cookie,
        int maxEntries,
        bool withNodes,
        IDirectorySink sink,
        out bool isLast)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(sink);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxEntries, 1);
        isLast = true;
        if (!view.TryGetVNode(directory, out VNode vnode)) { return Status.Stale; }
        if (!vnode.IsDirectory) { return Status.NotDirectory; }
        if (vnode.Size == 0 || cookie == ulong.MaxValue) { return Status.Ok; }

        RecordKey end = RecordKey.DentriesOf(directory);
        end.ToPrefixEnd();
        using DriveCursor cursor = view.Walk(RecordKey.DentryFrom(directory, cookie + 1), end);
        ulong last = 0;
        for (int count = 0; cursor.MoveNext(); count++)
        {
            bool valid = RecordKey.TrySplitDentry(cursor.Key, out _, out ulong hash, out ReadOnlySpan<byte> name);
            if (!valid || !Dentry.TryDecode(cursor.Payload, out Dentry dentry))
            {
                throw new RecordCorruptException(Status.Corrupt, cursor.Key);
            }

            if (count >= maxEntries && hash != last)
            {
                isLast = false;
                break;
            }

            last = hash;
            sink.Add(name, hash, dentry, withNodes ? Node(view, dentry.Child) : default);
        }

        return Status.Ok;
    }

    private static NodeInfo Node(DriveView view, VNodeId id)
    {
        if (!view.TryGetVNode(id, out VNode vnode, out CowNumber version))
        {
            RecordKey key = RecordKey.VNode(id);
            view.ThrowCorrupt(ref key);
        }

        return new(id, vnode, version);
    }
}
