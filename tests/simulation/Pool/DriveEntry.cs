namespace KvFs.Simulation.Pool;

/// <summary>What a log entry changes of a drive's records: a batch, as the real log has it.</summary>
internal sealed class DriveEntry(byte[] batch)
{
    private RecordTable? before;
    private RecordTable? after;

    /// <summary>The records after it. All replicas do the same to the same records: it is done once.</summary>
    public RecordTable ApplyTo(RecordTable records)
    {
        if (before != records || after is null)
        {
            after = records.With(batch);
            before = records;
        }

        return after;
    }
}
