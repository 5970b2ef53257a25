namespace KvFs.Core;

/// <summary>Changes a drive's quotas. Below what is used, nothing is lost, but nothing can be added.</summary>
public static class ResizeDrive
{
    /// <param name="quotaBytes">0: none.</param>
    /// <param name="quotaInodes">0: none.</param>
    /// <param name="transaction">The transaction.</param>
    /// <returns>Ok; NotFound: the drive is deleted.</returns>
    public static Status Apply(ulong quotaBytes, ulong quotaInodes, DriveTransaction transaction)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        DrivePolicy policy = transaction.State.Policy;
        if (policy.Flags != DriveFlags.None) { return Status.NotFound; }
        DriveRecords.PutPolicy(policy with { QuotaBytes = quotaBytes, QuotaInodes = quotaInodes }, transaction);
        return Status.Ok;
    }
}
