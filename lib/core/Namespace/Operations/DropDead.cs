namespace KvFs.Core;

/// <summary>Forgets dead blocks after the store has dropped them durably: their ids are gone for good.</summary>
public static class DropDead
{
    /// <summary>Ids that one transaction forgets at the most: some 100 bytes of batch each.</summary>
    public const int MaxCount = 8192;

    /// <param name="firsts">The numbers in the keys of the dead records.</param>
    /// <param name="transaction">Where it happens.</param>
    public static Status Apply(ReadOnlySpan<BlockId> firsts, DriveTransaction transaction)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        if (firsts.Length > MaxCount) { return Status.Invalid; }
        foreach (BlockId first in firsts)
        {
            RecordKey key = RecordKey.Numbered(RecordKind.BlockDead, first.Value);
            transaction.Delete(ref key);
        }

        return Status.Ok;
    }
}
