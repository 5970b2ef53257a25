using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>Which VNodes a batch changes as far as a client keeps them: their attributes, and the names in them.</summary>
public static class ChangedNodes
{
    /// <summary>Adds them to a set.</summary>
    public static void AddTo(ISet<VNodeId> nodes, RecordBatch batch)
    {
        ArgumentNullException.ThrowIfNull(nodes);
        ArgumentNullException.ThrowIfNull(batch);
        ReadOnlySpan<byte> rest = batch.Bytes;
        while (RecordBatch.TryReadNext(ref rest, out _, out ReadOnlySpan<byte> key, out _))
        {
            bool isKept = (RecordKind)key[DriveId.Size] is RecordKind.VNode or RecordKind.Dentry;
            if (isKept) { nodes.Add(new(BinaryPrimitives.ReadUInt64BigEndian(key[(DriveId.Size + 2)..]))); }
        }
    }
}
