namespace KvFs.Core;

/// <summary>Forgets a snapshot: its name goes at once, what only it saw goes in steps: <see cref="ReapHistory"/>.</summary>
public static class DeleteSnapshot
{
    /// <returns>Ok; NotFound; InUse: it is being restored.</returns>
    public static Status Apply(string name, DriveTransaction transaction)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        if (!DriveRecords.TryGetSnapshot(transaction, name, out RetainedVersion snapshot)) { return Status.NotFound; }
        if (RestoreTree.Uses(snapshot.At, transaction)) { return Status.InUse; }
        RecordKey key = DriveRecords.SnapshotKey(name);
        transaction.Delete(ref key);
        Release(snapshot.At, transaction);
        return Status.Ok;
    }

    /// <summary>Counts a version as seen no more, unless another snapshot or a pin sees it; its record is deleted already.
    /// </summary>
    internal static void Release(CowNumber version, DriveTransaction transaction)
    {
        transaction.State = transaction.State with { Retained = DriveRecords.Retained(transaction) };
        if (transaction.State.Retained.AsSpan().BinarySearch(version) < 0) { ReapHistory.Schedule(transaction); }
    }
}
