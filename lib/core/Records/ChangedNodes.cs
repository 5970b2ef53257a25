using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>Which VNodes a batch changes as far as a client keeps them: their attributes, and the names in them. A write delegation of one is a
/// change of it: what others keep does not hold from then on.</summary>
public static class ChangedNodes
{
    /// <summary>Adds them to a set.</summary>
    public static void AddTo(ISet<VNodeId> nodes, RecordBatch batch)
    {
        ArgumentNullException.ThrowIfNull(nodes);
        ArgumentNullException.ThrowIfNull(batch);
        ReadOnlySpan<byte> rest = batch.Bytes;
        while (RecordBatch.TryReadNext(ref rest, out RecordOperation operation, out ReadOnlySpan<byte> key, out _))
        {
            RecordKind kind = (RecordKind)key[DriveId.Size];
            if (kind is RecordKind.VNode or RecordKind.Dentry)
            {
                nodes.Add(new(BinaryPrimitives.ReadUInt64BigEndian(key[(DriveId.Size + 2)..])));
            }
            else if (kind == RecordKind.Delegation && operation == RecordOperation.Put
                && RecordKey.TrySplitNumbers(key[DriveId.Size..], out _, out ulong delegated))
            {
                nodes.Add(new(delegated));
            }
        }
    }
}
