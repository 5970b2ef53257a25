using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>Gives a clone records of its own for all that it inherited, so that reads fall through to nobody any more.</summary>
/// <remarks>
/// In steps, each a transaction, while the drive is in use. A record that the clone still inherits is copied with the CoW
/// number of who wrote it, which is lower than all of the clone's own: so it shows the same at every version of the clone as
/// the origin's did. Where the clone has changed it already, what it was becomes history, if a retained version is older
/// than the change. Steps may be done again: a record that was copied is passed over. When all is copied the drive is flat:
/// <see cref="DrivePolicy.IsFlat"/>.
/// <para>Copied are records, which name the origin's blocks as before; no bytes. So the pin stays, and with it what the
/// origin had at that version, until the clone goes. Source: docs/design.md, section 5.</para>
/// </remarks>
public static class Flatten
{
    /// <summary>Inherited records that one step looks at: some milliseconds of the shard's gate.</summary>
    public const int RecordsPerStep = 256;

    /// <summary>The kinds that a clone inherits, in the order of their keys.</summary>
    private static readonly ImmutableArray<RecordKind> s_kinds =
    [
        RecordKind.Cut, RecordKind.Dentry, RecordKind.Link, RecordKind.Orphan, RecordKind.Slice, RecordKind.VNode,
        RecordKind.Xattr, RecordKind.Symlink,
    ];

    /// <summary>Where the first step begins.</summary>
    public static RecordKey Start => RecordKey.Single(s_kinds[0]);

    /// <summary>Does one step.</summary>
    /// <param name="from">Where to begin: <see cref="Start"/>, or where the last step came to.</param>
    /// <param name="transaction">A transaction without writes.</param>
    /// <param name="next">Where the next step begins, once this one is committed; null: the drive is flat.</param>
    /// <param name="records">Inherited records that the step looks at.</param>
    /// <returns>Ok, also for a drive that inherits nothing.</returns>
    public static Status Apply(RecordKey from, DriveTransaction transaction, out RecordKey? next, int records = RecordsPerStep)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        next = null;
        DrivePolicy policy = transaction.State.Policy;
        if (policy.Inherited.IsEmpty) { return Status.Ok; }
        DriveView inherited = transaction.ViewOfOrigins();
        ByteBuffer raw = new();
        int looked = 0;
        int kind = s_kinds.IndexOf((RecordKind)from.Relative[0]);
        while (kind < s_kinds.Length)
        {
            RecordKey end = RecordKey.Single(s_kinds[kind]);
            end.ToPrefixEnd();
            using DriveCursor cursor = inherited.Walk(from, end);
            while (cursor.MoveNext())
            {
                RecordKey key = RecordKey.FromRelative(cursor.Key);
                if (looked++ == records || transaction.IsStepFull)
                {
                    next = key;
                    return Status.Ok;
                }

                Adopt(ref key, cursor, transaction, raw);
            }

            if (++kind < s_kinds.Length) { from = RecordKey.Single(s_kinds[kind]); }
        }

        DriveRecords.PutPolicy(policy with { IsFlat = true, Origins = [policy.Origins[0]] }, transaction);
        return Status.Ok;
    }

    /// <summary>Cuts a clone's chain behind the first of its origins that is flat: nothing is found behind that.</summary>
    /// <param name="isFlat">Whether a drive is flat, durably or earlier in the same log.</param>
    /// <param name="transaction">A transaction of the clone.</param>
    public static Status Trim(Func<DriveId, bool> isFlat, DriveTransaction transaction)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        DrivePolicy policy = transaction.State.Policy;
        int depth = TrimmedDepth(policy, isFlat);
        if (depth < policy.Origins.Length)
        {
            DriveRecords.PutPolicy(policy with { Origins = policy.Origins[..depth] }, transaction);
        }

        return Status.Ok;
    }

    /// <summary>How many origins <see cref="Trim"/> would leave.</summary>
    public static int TrimmedDepth(DrivePolicy policy, Func<DriveId, bool> isFlat)
    {
        ArgumentNullException.ThrowIfNull(policy);
        ArgumentNullException.ThrowIfNull(isFlat);
        for (int at = 0; at < policy.Inherited.Length; at++)
        {
            if (isFlat(policy.Inherited[at].Drive)) { return at + 1; }
        }

        return policy.Origins.Length;
    }

    private static void Adopt(ref RecordKey key, DriveCursor found, DriveTransaction transaction, ByteBuffer raw)
    {
        if (!transaction.TryGetOldest(ref key, raw, out CowNumber oldest))
        {
            transaction.PutInherited(ref key, found.Header.Written, found.Payload);
            return;
        }

        // A copy of an earlier step, or what has come of it since.
        if (oldest <= found.Header.Written) { return; }
        ImmutableArray<CowNumber> retained = transaction.State.Retained;
        if (retained.IsEmpty || retained[0] >= oldest) { return; }
        RecordKey history = RecordKey.History(key.Relative, oldest);
        transaction.PutInherited(ref history, found.Header.Written, found.Payload);
    }
}
