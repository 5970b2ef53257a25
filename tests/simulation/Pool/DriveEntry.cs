namespace KvFs.Simulation.Pool;

/// <summary>What a log entry changes of a drive's records: a batch, as the real log has it.</summary>
internal sealed class DriveEntry(byte[] batch)
{
    // Weak: the log remembers all entries, and the records of so many moments are more than memory has.
    private readonly WeakReference<RecordTable?> before = new(null);
    private readonly WeakReference<RecordTable?> after = new(null);

    /// <summary>The records after it. All replicas do the same to the same records: as a rule it is done once.</summary>
    public RecordTable ApplyTo(RecordTable records)
    {
        if (before.TryGetTarget(out RecordTable? known) && known == records && after.TryGetTarget(out RecordTable? made)) { return made; }
        made = records.With(batch);
        before.SetTarget(records);
        after.SetTarget(made);
        return made;
    }
}
