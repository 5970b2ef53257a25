namespace KvFs.Core;

/// <summary>Ends a session's grants: the ids that it never committed are dead, and blocks that it stored under them with
/// them.</summary>
/// <remarks>In steps, so that a transaction stays small: again until <c>done</c>. The driver sees to it first that no block
/// of the session can arrive any more. For session 0, the node's packer: at each start of the node.</remarks>
public static class CloseGrants
{
    public static Status Apply(SessionId session, DriveTransaction transaction, out bool done)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        Span<byte> payload = stackalloc byte[DeadBlocks.PayloadBytes];
        using DriveCursor cursor = transaction.WalkPrefix(RecordKey.Numbered(RecordKind.Grant, session.Value));
        while (cursor.MoveNext())
        {
            if (transaction.IsStepFull)
            {
                done = false;
                return Status.Ok;
            }

            RecordKey key = GrantBlocks.Read(cursor, transaction, out ulong first, out ulong last);
            transaction.Delete(ref key);
            RecordKey dead = RecordKey.Numbered(RecordKind.BlockDead, first);
            new DeadBlocks(transaction.Cow, (uint)(last - first + 1)).Encode(payload);
            transaction.Put(ref dead, payload);
            transaction.FreedBlocks = true;
        }

        done = true;
        return Status.Ok;
    }
}
