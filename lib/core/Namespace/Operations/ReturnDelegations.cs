namespace KvFs.Core;

/// <summary>Takes the writes to files back from a session, which has committed what it had of them.</summary>
public static class ReturnDelegations
{
    /// <summary>Files that are given back at once.</summary>
    public const int MaxCount = 4096;

    /// <returns>Ok, also of what the session does not have; Invalid: more than <see cref="MaxCount"/>.</returns>
    public static Status Apply(SessionId session, IReadOnlyCollection<VNodeId> nodes, DriveTransaction transaction)
    {
        ArgumentNullException.ThrowIfNull(nodes);
        ArgumentNullException.ThrowIfNull(transaction);
        if (nodes.Count > MaxCount) { return Status.Invalid; }
        foreach (VNodeId node in nodes)
        {
            RecordKey key = DelegateWrites.Key(session, node);
            transaction.Delete(ref key);
        }

        return Status.Ok;
    }
}
