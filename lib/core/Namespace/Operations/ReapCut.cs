namespace KvFs.Core;

/// <summary>Goes on with what <see cref="Truncate"/> could not do at once: removes records behind a file's cut.</summary>
/// <remarks>The driver runs it, again until <c>done</c>, for each file that <see cref="ListCuts"/> tells at start, that a
/// truncate left cut, or that stands in an operation's way.</remarks>
public static class ReapCut
{
    public static Status Apply(VNodeId id, DriveTransaction transaction, out bool done)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        done = true;
        if (!transaction.TryGetVNode(id, out VNode vnode)) { return Status.Stale; }
        DataExtent extent = DataExtent.Read(id, vnode, transaction);
        if (extent == DataExtent.Whole) { return Status.Ok; }
        done = SliceReaper.Step(id, ref vnode, extent.FirstCut, SliceReaper.EndOfFile, transaction);
        if (done) { DataExtent.Remove(id, ref vnode, transaction); }
        transaction.PutVNode(id, vnode);
        return Status.Ok;
    }

    /// <summary>Adds the files of a drive that are cut off, at most <paramref name="max"/>, behind a given one.</summary>
    public static void ListCuts(DriveView view, VNodeId behind, int max, ICollection<VNodeId> files)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(files);
        RecordKey to = RecordKey.Single(RecordKind.Cut);
        to.ToPrefixEnd();
        using DriveCursor cursor = view.Walk(RecordKey.Numbered(RecordKind.Cut, behind.Value + 1), to);
        for (int found = 0; found < max && cursor.MoveNext(); found++)
        {
            if (!RecordKey.TrySplitNumbers(cursor.Key, out ulong node, out _))
            {
                RecordKey key = RecordKey.FromRelative(cursor.Key);
                view.ThrowCorrupt(ref key);
            }

            files.Add(new(node));
        }
    }
}
