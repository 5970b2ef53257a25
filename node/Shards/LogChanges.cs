using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Shards;

/// <summary>Turns what a log entry says into changes of this node's store.</summary>
internal static class LogChanges
{
    /// <summary>Adds a record batch's changes; false if the bytes are none.</summary>
    public static bool TryTranslate(ReadOnlySpan<byte> changes, KeyValueBatch target)
    {
        while (RecordBatch.TryReadNext(
            ref changes, out RecordOperation operation, out ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value))
        {
            switch (operation)
            {
                case RecordOperation.Put:
                    target.Put(Family.Namespace, key, value);
                    break;
                case RecordOperation.Delete:
                    target.Delete(Family.Namespace, key);
                    break;
                default:
                    target.DeleteRange(Family.Namespace, key, value);
                    break;
            }
        }

        return changes.IsEmpty;
    }
}
