namespace KvFs.Core;

/// <summary>Gives a session a run of VNode ids: it may create one VNode under each (<see cref="CreateRequest.Id"/>), and name it by
/// that before it exists.</summary>
/// <remarks>The next ids of the drive's sequence, which no one else is given, ever: what is left when the session ends is never
/// used (<see cref="ExpireSession"/>). Source: docs/design.md, section 6, step 1.</remarks>
public static class GrantVNodes
{
    /// <summary>Ids of one grant: sixteen records of unused ids; of ids there are 2^64.</summary>
    public const uint MaxCount = 4096;

    /// <returns>Ok; Invalid: none, or more than <see cref="MaxCount"/>; Busy: not that many ids are reserved.</returns>
    public static Status Apply(SessionId session, uint count, DriveTransaction transaction, out VNodeId first)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        first = default;
        if (count is 0 or > MaxCount) { return Status.Invalid; }
        Status status = transaction.AllocateVNodes(count, out first);
        if (status != Status.Ok) { return status; }
        Span<byte> payload = stackalloc byte[VNodeGrant.PayloadBytes];
        ulong id = first.Value;
        for (ulong end = id + count; id < end;)
        {
            ulong group = id / VNodeGrant.GroupIds;
            RecordKey key = VNodeGrant.Key(session, group);
            if (!TryRead(ref key, payload, transaction)) { payload.Clear(); }
            for (; id < end && id / VNodeGrant.GroupIds == group; id++) { VNodeGrant.Add(payload, id); }
            transaction.Put(ref key, payload);
        }

        return Status.Ok;
    }

    /// <summary>Takes one id out of a session's grants; false if it is in none of them.</summary>
    internal static bool TryTake(SessionId session, VNodeId id, DriveTransaction transaction)
    {
        RecordKey key = VNodeGrant.Key(session, id.Value / VNodeGrant.GroupIds);
        Span<byte> payload = stackalloc byte[VNodeGrant.PayloadBytes];
        if (!TryRead(ref key, payload, transaction) || !VNodeGrant.TryTake(payload, id.Value)) { return false; }
        if (VNodeGrant.IsEmpty(payload)) { transaction.Delete(ref key); }
        else { transaction.Put(ref key, payload); }
        return true;
    }

    private static bool TryRead(ref RecordKey key, Span<byte> payload, DriveTransaction transaction)
    {
        ByteBuffer found = transaction.Scratch;
        if (!transaction.TryGet(ref key, found)) { return false; }
        if (!VNodeGrant.IsValid(found.Span)) { transaction.ThrowCorrupt(ref key); }
        found.Span.CopyTo(payload);
        return true;
    }
}
