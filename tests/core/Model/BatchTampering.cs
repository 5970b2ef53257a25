namespace KvFs.Core.Tests.Model;

/// <summary>Bugs of a transaction, planted between Build and the records: what it would have written is changed.</summary>
internal static class BatchTampering
{
    /// <summary>Changes one operation of a batch: null forgets it.</summary>
    public delegate (byte[] Key, byte[] Value)? Change(RecordOperation operation, byte[] key, byte[] value);

    /// <summary>Forgets to save what a snapshot still sees.</summary>
    public static Action<RecordBatch> ForgetHistory { get; } =
        Each((operation, key, value) => IsPut(operation, key, RecordKind.History) ? null : (key, value));

    /// <summary>Says of a name's history that it was never superseded: a snapshot after the delete shows it again.</summary>
    public static Action<RecordBatch> ResurrectNames { get; } = Each((operation, key, value) =>
    {
        bool isName = IsPut(operation, key, RecordKind.History) && key[DriveId.Size + 2] == (byte)RecordKind.Dentry;
        if (isName) { key.AsSpan(key.Length - 8).Fill(0xFE); }
        return (key, value);
    });

    /// <summary>Forgets that a clone must hide what its origin has: turns whiteouts into deletes.</summary>
    public static Action<RecordBatch> ForgetWhiteouts { get; } = Each((operation, key, value) =>
    {
        bool isWhiteout = operation == RecordOperation.Put
            && RecordEnvelope.Read(value, out RecordHeader header, out _) == Status.Ok && header.Whiteout;
        return isWhiteout ? null : (key, value);
    });

    /// <summary>Forgets every change of a link count.</summary>
    public static Action<RecordBatch> ForgetLinkCounts { get; } = EachVNode(vnode => vnode.Nlink > 1
        ? vnode with { Nlink = vnode.Nlink - 1 }
        : vnode);

    /// <summary>Leaves the names of what is removed.</summary>
    public static Action<RecordBatch> ForgetToDeleteNames { get; } = Each((operation, key, value) =>
        operation == RecordOperation.Delete && key[DriveId.Size] == (byte)RecordKind.Dentry ? null : (key, value));

    /// <summary>Forgets who holds what lost its last name.</summary>
    public static Action<RecordBatch> ForgetOrphans { get; } =
        Each((operation, key, value) => IsPut(operation, key, RecordKind.Orphan) ? null : (key, value));

    /// <summary>Forgets the parents of what moves.</summary>
    public static Action<RecordBatch> ForgetParents { get; } = EachVNode(vnode => vnode with { Parent = VNodeId.Root });

    /// <summary>Forgets the drive's counters, as a restart finds out.</summary>
    public static Action<RecordBatch> ForgetUsage { get; } =
        Each((operation, key, value) => IsPut(operation, key, RecordKind.Usage) ? null : (key, value));

    /// <summary>Takes every record of history for dead as soon as the reaper deletes one.</summary>
    public static Action<RecordBatch> ReapTooMuch { get; } = batch =>
    {
        byte[]? reaped = null;
        Each((operation, key, value) =>
        {
            bool isReaping = operation == RecordOperation.Delete && key[DriveId.Size] == (byte)RecordKind.History;
            reaped = isReaping ? key : reaped;
            return (key, value);
        })(batch);
        if (reaped is null) { return; }
        RecordKey from = RecordKey.Single(RecordKind.History);
        RecordKey to = from;
        to.ToPrefixEnd();
        DriveId drive = DriveId.Read(reaped);
        batch.DeleteRange(from.In(drive), to.In(drive));
    };

    public static Action<RecordBatch> Each(Change change) => batch =>
    {
        List<(RecordOperation Operation, byte[] Key, byte[] Value)> operations = [];
        ReadOnlySpan<byte> rest = batch.Bytes;
        while (RecordBatch.TryReadNext(
            ref rest, out RecordOperation operation, out ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value))
        {
            operations.Add((operation, key.ToArray(), value.ToArray()));
        }

        batch.Clear();
        foreach ((RecordOperation operation, byte[] key, byte[] value) in operations)
        {
            if (change(operation, key, value) is not { } kept) { continue; }
            switch (operation)
            {
                case RecordOperation.Put: batch.Put(kept.Key, kept.Value); break;
                case RecordOperation.Delete: batch.Delete(kept.Key); break;
                default: batch.DeleteRange(kept.Key, kept.Value); break;
            }
        }
    };

    private static Action<RecordBatch> EachVNode(Func<VNode, VNode> change) => Each((operation, key, value) =>
    {
        if (!IsPut(operation, key, RecordKind.VNode)) { return (key, value); }
        Assert.Equal(Status.Ok, RecordEnvelope.Read(value, out RecordHeader header, out ReadOnlySpan<byte> payload));
        if (header.Whiteout) { return (key, value); }
        Assert.True(VNode.TryDecode(payload, out VNode vnode));
        byte[] changed = new byte[VNode.PayloadBytes];
        change(vnode).Encode(changed);
        ByteBuffer envelope = new();
        RecordEnvelope.Write(header.Written, whiteout: false, changed, envelope);
        return (key, envelope.Span.ToArray());
    });

    private static bool IsPut(RecordOperation operation, byte[] key, RecordKind kind) =>
        operation == RecordOperation.Put && key[DriveId.Size] == (byte)kind;
}
