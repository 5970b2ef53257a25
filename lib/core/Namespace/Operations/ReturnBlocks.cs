namespace KvFs.Core;

/// <summary>Gives ids of a grant back that nothing came of: they are dead, and what was stored under them with them.</summary>
/// <remarks>Those that a commit has named meanwhile are in no grant any more, and stay what they are.</remarks>
public static class ReturnBlocks
{
    public static Status Apply(SessionId session, BlockId first, uint count, DriveTransaction transaction)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        if (count > GrantBlocks.MaxCount) { return Status.Invalid; }
        Span<byte> payload = stackalloc byte[DeadBlocks.PayloadBytes];
        new DeadBlocks(transaction.Cow, 1).Encode(payload);
        for (ulong id = first.Value; id < first.Value + count; id++)
        {
            if (!GrantBlocks.TryTake(session, new(id), transaction)) { continue; }
            RecordKey dead = RecordKey.Numbered(RecordKind.BlockDead, id);
            transaction.Put(ref dead, payload);
            transaction.FreedBlocks = true;
        }

        return Status.Ok;
    }
}
