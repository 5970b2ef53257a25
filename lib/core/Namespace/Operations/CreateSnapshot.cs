namespace KvFs.Core;

/// <summary>Keeps a drive as it is now, under a name. O(1).</summary>
/// <remarks>The snapshot is the CoW number of this transaction, which therefore writes nothing that has versions. The driver
/// has made write delegations flush, or expire, before. Source: docs/design.md, section 5.</remarks>
public static class CreateSnapshot
{
    /// <returns>Ok, Invalid, NameTooLong, Exists; NotFound: the drive is deleted; TooLarge: it has as many snapshots as it
    /// may.</returns>
    public static Status Apply(string name, DriveTransaction transaction, out RetainedVersion snapshot)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        snapshot = default;
        Status status = ObjectNames.Check(name);
        if (status != Status.Ok) { return status; }
        if (transaction.State.Policy.Flags != DriveFlags.None) { return Status.NotFound; }
        if (DriveRecords.TryGetSnapshot(transaction, name, out _)) { return Status.Exists; }
        if (DriveRecords.Snapshots(transaction).Count >= Limits.Snapshots) { return Status.TooLarge; }
        snapshot = RetainNow(transaction);
        RecordKey key = DriveRecords.SnapshotKey(name);
        DriveRecords.PutVersion(ref key, snapshot, transaction);
        return Status.Ok;
    }

    /// <summary>Retains the version of this transaction.</summary>
    internal static RetainedVersion RetainNow(DriveTransaction transaction)
    {
        Invariant.Check(!transaction.HasWrites);
        DriveCounters counters = transaction.Counters;
        Retain(transaction.Cow, transaction);
        return new(transaction.Cow, transaction.Now, counters.UsedBytes, counters.UsedInodes);
    }

    /// <summary>Adds a version to those that are seen.</summary>
    internal static void Retain(CowNumber version, DriveTransaction transaction)
    {
        DriveState state = transaction.State;
        int at = state.Retained.AsSpan().BinarySearch(version);
        if (at < 0) { transaction.State = state with { Retained = state.Retained.Insert(~at, version) }; }
    }
}
