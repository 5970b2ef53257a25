namespace KvFs.Core;

/// <summary>Removes all slice records of a range of a file's clusters, in steps.</summary>
/// <remarks>Within a cluster the oldest records go first, so that what is left is always what the newer ones alone show; the
/// VNode's backed bytes and the drive's quota follow each step exactly.</remarks>
internal static class SliceReaper
{
    /// <summary>Stands for "to the end of the file".</summary>
    public const uint EndOfFile = uint.MaxValue;

    /// <summary>Removes what one transaction may of the clusters [<paramref name="fromCluster"/>,
    /// <paramref name="endCluster"/>); true when nothing is left.</summary>
    public static bool Step(
        VNodeId node, ref VNode vnode, uint fromCluster, uint endCluster, DriveTransaction transaction)
    {
        RecordKey from = RecordKey.SlicesFrom(node, fromCluster);
        RecordKey to = RecordKey.SlicesFrom(node, endCluster);
        ClusterMap shown = new();
        ClusterMap left = new();
        uint cluster = fromCluster;
        ulong released = 0;
        bool full = false;
        bool removedAny = false;
        using DriveCursor cursor = transaction.Walk(from, to);
        while (cursor.MoveNext())
        {
            RecordKey key = RecordKey.FromRelative(cursor.Key);
            if (!RecordKey.TrySplitSlice(cursor.Key, out SliceKey place)) { transaction.ThrowCorrupt(ref key); }
            if (place.Cluster != cluster)
            {
                released += shown.MappedBytes - left.MappedBytes;
                shown.Clear();
                left.Clear();
                if (full) { break; }
                cluster = place.Cluster;
            }

            full = full || (removedAny && transaction.IsStepFull);
            if (!shown.TryAdd(cursor.Payload) || (full && !left.TryAdd(cursor.Payload)))
            {
                transaction.ThrowCorrupt(ref key);
            }

            if (full) { continue; }
            SliceWriter.Delete(ref key, cursor.Header, cursor.Payload, transaction);
            transaction.ForgetCoverage(node, cluster);
            removedAny = true;
        }

        released += shown.MappedBytes - left.MappedBytes;
        BackedBytes.Release(ref vnode, released, transaction);
        return !full;
    }
}
