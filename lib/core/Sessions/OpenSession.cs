namespace KvFs.Core;

/// <summary>Opens a session: from then on its requests are applied, exactly once each.</summary>
public static class OpenSession
{
    /// <returns>Ok; Busy: no session id is reserved.</returns>
    public static Status Apply(bool readOnly, DriveTransaction transaction, out SessionId session)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        Status status = transaction.AllocateSession(out session);
        if (status != Status.Ok) { return status; }
        RecordKey key = RecordKey.Numbered(RecordKind.Session, session.Value);
        Span<byte> payload = stackalloc byte[SessionRecord.PayloadBytes];
        new SessionRecord(transaction.Now, readOnly).Encode(payload);
        transaction.Put(ref key, payload);
        return Status.Ok;
    }
}
