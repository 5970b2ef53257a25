namespace KvFs.Core;

/// <summary>Lists the names of a VNode's extended attributes, each with a NUL behind it.</summary>
public static class ListXattrs
{
    /// <returns>Ok; Stale: the VNode is gone.</returns>
    public static Status Apply(DriveView view, VNodeId id, ByteBuffer names)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(names);
        names.Clear();
        if (!view.TryGetVNode(id, out VNode vnode)) { return Status.Stale; }
        if ((vnode.Flags & VNodeFlags.HasXattrs) == 0) { return Status.Ok; }
        using DriveCursor cursor = view.WalkPrefix(RecordKey.XattrsOf(id));
        while (cursor.MoveNext())
        {
            if (!RecordKey.TrySplitXattr(cursor.Key, out _, out ReadOnlySpan<byte> name))
            {
                throw new RecordCorruptException(Status.Corrupt, cursor.Key);
            }

            names.Append(name);
            names.Append((byte)0);
        }

        return Status.Ok;
    }
}
