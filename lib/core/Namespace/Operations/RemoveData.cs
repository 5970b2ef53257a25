namespace KvFs.Core;

/// <summary>Removes all data of a file that nothing names and nobody holds any more, in steps.</summary>
internal static class RemoveData
{
    /// <summary>Changes <paramref name="vnode"/>, which the caller writes or, once <paramref name="done"/>, deletes.</summary>
    public static Status Apply(VNodeId id, ref VNode vnode, DriveTransaction transaction, out bool done)
    {
        done = vnode.Kind != VNodeKind.File || SliceReaper.Step(id, ref vnode, 0, SliceReaper.EndOfFile, transaction);
        if (!done) { return Status.Ok; }
        DataExtent.Remove(id, ref vnode, transaction);
        if (vnode.AllocatedBytes != 0 && vnode.Kind == VNodeKind.File)
        {
            throw new RecordCorruptException("A file without slices says that bytes are backed.");
        }

        return Status.Ok;
    }
}
