namespace KvFs.Core;

/// <summary>Makes every record of a drive that has versions what it was at one.</summary>
/// <remarks>Walks the present and the old records side by side, in key order. Those that the same transaction wrote, or
/// that say the same, stay. Others are written anew (what the snapshot sees is kept, in history, as ever), or deleted.</remarks>
internal static class RestoreDrive
{
    /// <summary>Records that one step looks at: bounds the time that it keeps the shard's loop.</summary>
    private const int RecordsPerStep = 8192;

    /// <summary>All kinds that have versions, in the order in which they are restored.</summary>
    private static ReadOnlySpan<RecordKind> Kinds =>
    [
        RecordKind.Cut, RecordKind.Dentry, RecordKind.Link, RecordKind.Orphan, RecordKind.Slice, RecordKind.VNode,
        RecordKind.Xattr, RecordKind.Symlink,
    ];

    public static Status Begin(in RetainedVersion version, ReadOnlySpan<byte> path, DriveTransaction transaction)
    {
        DrivePolicy policy = transaction.State.Policy;
        if (policy.Flags != DriveFlags.None) { return Status.NotFound; }
        if (policy.QuotaBytes != 0 && version.UsedBytes > policy.QuotaBytes) { return Status.NoSpace; }
        if (policy.QuotaInodes != 0 && version.UsedInodes > policy.QuotaInodes) { return Status.NoInodes; }
        DriveRecords.PutPolicy(policy with { Flags = DriveFlags.Restoring }, transaction);
        RecordKey first = RecordKey.Single(Kinds[0]);
        RestoreJob job = new()
        {
            Phase = RestorePhase.Drive, At = version.At, Position = first.Relative, Path = path,
        };
        job.Write(transaction);
        return Status.Ok;
    }

    public static Status Step(in RestoreJob job, DriveTransaction transaction, out bool more)
    {
        int at = Kinds.IndexOf((RecordKind)job.Position[0]);
        if (at < 0)
        {
            RecordKey key = RecordKey.Single(RecordKind.Restore);
            transaction.ThrowCorrupt(ref key);
        }

        RecordKey next = RecordKey.FromRelative(job.Position);
        int budget = RecordsPerStep;
        more = !RestoreKind(next, job.At, transaction, ref budget, out next);
        if (!more && ++at < Kinds.Length)
        {
            next = RecordKey.Single(Kinds[at]);
            more = true;
        }

        if (more)
        {
            RestoreJob reached = new()
            {
                Phase = RestorePhase.Drive, At = job.At, Position = next.Relative, Path = job.Path,
            };
            reached.Write(transaction);
            return Status.Ok;
        }

        RestoreJob.Delete(transaction);
        DriveRecords.PutPolicy(transaction.State.Policy with { Flags = DriveFlags.None }, transaction);
        return Status.Ok;
    }

    /// <summary>Goes on with one kind; true if it came to its end, else <paramref name="next"/> is where it goes on.</summary>
    private static bool RestoreKind(
        RecordKey from, CowNumber at, DriveTransaction transaction, ref int budget, out RecordKey next)
    {
        RecordKey to = RecordKey.Single((RecordKind)from.Relative[0]);
        to.ToPrefixEnd();
        next = from;
        using DriveCursor present = transaction.Walk(from, to);
        using DriveCursor past = transaction.ViewAt(at).Walk(from, to);
        bool hasPresent = present.MoveNext();
        bool hasPast = past.MoveNext();
        while (hasPresent || hasPast)
        {
            int order = !hasPast ? -1 : !hasPresent ? 1 : present.Key.SequenceCompareTo(past.Key);
            next = RecordKey.FromRelative(order <= 0 ? present.Key : past.Key);
            if (budget-- == 0 || transaction.IsStepFull) { return false; }
            bool same = order == 0
                && (present.Header.Written == past.Header.Written || present.Payload.SequenceEqual(past.Payload));
            if (!same)
            {
                if (order <= 0) { Remove(ref next, present, transaction); }
                if (order >= 0) { Return(ref next, past, transaction); }
            }

            if (order <= 0) { hasPresent = present.MoveNext(); }
            if (order >= 0) { hasPast = past.MoveNext(); }
        }

        return true;
    }

    private static void Remove(ref RecordKey key, DriveCursor record, DriveTransaction transaction)
    {
        switch ((RecordKind)key.Relative[0])
        {
            case RecordKind.Slice:
                SliceWriter.Delete(ref key, record.Header, record.Payload, transaction);
                ForgetCoverage(ref key, transaction);
                return;
            case RecordKind.VNode:
                transaction.AdjustUsage(-(long)Decode(ref key, record, transaction).AllocatedBytes, -1);
                break;
            default:
                break;
        }

        if (transaction.KeepsHistory(record.Header)) { transaction.OnSuperseded(record.Payload.Length); }
        transaction.Delete(ref key);
    }

    private static void Return(ref RecordKey key, DriveCursor record, DriveTransaction transaction)
    {
        switch ((RecordKind)key.Relative[0])
        {
            case RecordKind.Slice:
                transaction.Blocks.AddRecord(record.Payload);
                ForgetCoverage(ref key, transaction);
                break;
            case RecordKind.VNode:
                transaction.AdjustUsage((long)Decode(ref key, record, transaction).AllocatedBytes, 1);
                break;
            default:
                break;
        }

        transaction.Put(ref key, record.Payload);
    }

    private static VNode Decode(ref RecordKey key, DriveCursor record, DriveTransaction transaction)
    {
        if (!VNode.TryDecode(record.Payload, out VNode vnode)) { transaction.ThrowCorrupt(ref key); }
        return vnode;
    }

    private static void ForgetCoverage(ref RecordKey key, DriveTransaction transaction)
    {
        if (!RecordKey.TrySplitSlice(key.Relative, out SliceKey place)) { transaction.ThrowCorrupt(ref key); }
        transaction.ForgetCoverage(place.Node, place.Cluster);
    }
}
