namespace KvFs.Core;

/// <summary>How far a file's records count.</summary>
/// <param name="FirstCut">The first cluster whose records are cut off; <see cref="uint.MaxValue"/> if none is.</param>
internal readonly record struct DataExtent(uint FirstCut)
{
    public static readonly DataExtent Whole = new(uint.MaxValue);

    /// <exception cref="RecordCorruptException">The cut's record is missing or damaged.</exception>
    public static DataExtent Read(VNodeId node, in VNode vnode, DriveView view)
    {
        if ((vnode.Flags & VNodeFlags.HasCut) == 0) { return Whole; }
        RecordKey key = RecordKey.Numbered(RecordKind.Cut, node.Value);
        ByteBuffer payload = new(DataCut.PayloadBytes);
        if (!view.TryGet(ref key, payload) || !DataCut.TryDecode(payload.Span, out DataCut cut))
        {
            view.ThrowCorrupt(ref key);
            return Whole;
        }

        return new(cut.FirstCluster);
    }

    /// <summary>Cuts a file off at a cluster, until <see cref="Remove"/>.</summary>
    public static void Write(VNodeId node, ref VNode vnode, uint firstCluster, DriveTransaction transaction)
    {
        RecordKey key = RecordKey.Numbered(RecordKind.Cut, node.Value);
        Span<byte> payload = stackalloc byte[DataCut.PayloadBytes];
        new DataCut(firstCluster).Encode(payload);
        transaction.Put(ref key, payload);
        vnode.Flags |= VNodeFlags.HasCut;
    }

    /// <summary>Nothing is cut off any more.</summary>
    public static void Remove(VNodeId node, ref VNode vnode, DriveTransaction transaction)
    {
        if ((vnode.Flags & VNodeFlags.HasCut) == 0) { return; }
        RecordKey key = RecordKey.Numbered(RecordKind.Cut, node.Value);
        transaction.Delete(ref key);
        vnode.Flags &= ~VNodeFlags.HasCut;
    }
}
