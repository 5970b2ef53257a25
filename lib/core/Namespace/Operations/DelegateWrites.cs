namespace KvFs.Core;

/// <summary>Leaves the writes to a file with one session: its client answers them from its memory, and commits them later.</summary>
/// <remarks>
/// A record, so that whoever is primary next knows whom to ask before anybody else is shown the file, or changes it. That nobody else has
/// one, or has the file open, is for the driver to know. Key: session, VNode. The payload is empty. Source: docs/format.md#delegations.
/// </remarks>
public static class DelegateWrites
{
    /// <returns>Ok; Stale: it is gone; IsDirectory or Invalid: it is no file.</returns>
    public static Status Apply(SessionId session, VNodeId id, DriveTransaction transaction, out NodeInfo result)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        result = default;
        Status status = FileNodes.Find(id, transaction, out VNode vnode);
        if (status != Status.Ok) { return status; }
        Put(session, id, transaction);
        result = new(id, vnode, transaction.Cow);
        return Status.Ok;
    }

    /// <summary>Adds the delegations that a drive has.</summary>
    /// <exception cref="RecordCorruptException">A record is damaged.</exception>
    public static void List(DriveView view, ICollection<(SessionId Session, VNodeId Node)> delegations)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(delegations);
        using DriveCursor cursor = view.WalkPrefix(RecordKey.Single(RecordKind.Delegation));
        while (cursor.MoveNext())
        {
            if (!RecordKey.TrySplitNumbers(cursor.Key, out ulong session, out ulong node) || node == 0)
            {
                RecordKey key = RecordKey.FromRelative(cursor.Key);
                view.ThrowCorrupt(ref key);
            }

            delegations.Add((new(session), new(node)));
        }
    }

    internal static RecordKey Key(SessionId session, VNodeId id) => RecordKey.Numbered(RecordKind.Delegation, session.Value, id.Value);

    internal static void Put(SessionId session, VNodeId id, DriveTransaction transaction)
    {
        RecordKey key = Key(session, id);
        transaction.Put(ref key, default);
    }
}
