namespace KvFs.Core;

/// <summary>Opens a session: from then on its requests are applied, exactly once each.</summary>
public static class OpenSession
{
    /// <param name="access">What it may do, and beside whom.</param>
    /// <param name="token">Default: it ends with the primary that opens it.</param>
    /// <param name="transaction">Gets its record.</param>
    /// <param name="session">Its number.</param>
    /// <returns>Ok; Busy: no session id is reserved.</returns>
    public static Status Apply(
        SessionAccess access, SessionToken token, DriveTransaction transaction, out SessionId session)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        Status status = transaction.AllocateSession(out session);
        if (status != Status.Ok) { return status; }
        RecordKey key = RecordKey.Numbered(RecordKind.Session, session.Value);
        SessionRecord record = new(transaction.Now, access, token);
        Span<byte> payload = stackalloc byte[SessionRecord.MaxPayloadBytes];
        record.Encode(payload);
        transaction.Put(ref key, payload[..record.PayloadBytes]);
        return Status.Ok;
    }
}
