namespace KvFs.Core;

/// <summary>Makes a drive: its records, and an empty root directory.</summary>
public static class CreateDrive
{
    /// <summary>Ids that a new drive has reserved from the start, of each sequence.</summary>
    private const ulong FirstReservation = 1024;

    /// <summary>In order: (1) check the request; (2) begin the drive's first transaction; (3) write policy and reservation;
    /// (4) make the root.</summary>
    /// <param name="request">What it is to be.</param>
    /// <param name="catalog">All drives there are.</param>
    /// <param name="records">Where they are.</param>
    /// <param name="now">The time.</param>
    /// <param name="transaction">Is begun here; the caller builds it, and keeps its state and counters.</param>
    /// <returns>Ok, Invalid, NameTooLong; Exists: the name or the RUID is taken.</returns>
    public static Status Apply(
        CreateDriveRequest request,
        DriveCatalog catalog,
        IRecordReader records,
        Timestamp now,
        DriveTransaction transaction)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(transaction);

        // 1.
        Status status = ObjectNames.Check(request.Name);
        if (status != Status.Ok) { return status; }
        if (request.Kind is < DriveKind.FileSystem or > DriveKind.Block || request.Drive == default
            || request.Spread is < 0 or > ShardOfBlock.MaxSpread)
        {
            return Status.Invalid;
        }

        if (catalog.Find(request.Name) is not null || catalog.Find(request.Drive) is not null) { return Status.Exists; }

        // 2.
        DrivePolicy policy = new(
            request.Name, request.Kind, DriveFlags.None, request.QuotaBytes, request.QuotaInodes, now, [])
        {
            Spread = request.Spread,
        };
        IdMarks first = new(Cow: 1, VNodeId.Root.Value, Block: 1, Session: 1);
        status = Begin(new(request.Drive, policy, []), first, default, records, now, transaction);
        if (status != Status.Ok) { return status; }

        // 3.
        DriveRecords.PutPolicy(policy, transaction);

        // 4.
        status = transaction.AllocateVNode(out VNodeId root);
        Invariant.Check(status != Status.Ok || root == VNodeId.Root);
        if (status == Status.Ok) { status = transaction.ChargeInodes(1); }
        transaction.PutVNode(root, new()
        {
            Kind = VNodeKind.Directory,
            Mode = (ushort)(request.RootMode & 0b111_111_111_111),
            Uid = request.Owner.Uid,
            Gid = request.Owner.Gid,
            Nlink = 2,
            AccessTime = now,
            ModifyTime = now,
            ChangeTime = now,
            BirthTime = now,
            Parent = root,
            DataVersion = transaction.Cow,
        });
        return status;
    }

    /// <summary>Begins the first transaction of a drive, which also reserves its first ids: they hold once the transaction
    /// is in the log.</summary>
    internal static Status Begin(
        DriveState state,
        IdMarks next,
        in RetainedVersion origin,
        IRecordReader records,
        Timestamp now,
        DriveTransaction transaction)
    {
        IdMarks reserved = next.Plus(FirstReservation);
        DriveCounters counters = new()
        {
            UsedBytes = origin.UsedBytes,
            UsedInodes = origin.UsedInodes,
            Next = next,
            Reserved = reserved,
        };
        Status status = transaction.Begin(state, counters, records, now);
        if (status != Status.Ok) { return status; }
        Span<byte> payload = stackalloc byte[IdMarks.PayloadBytes];
        reserved.Encode(payload);
        RecordKey key = RecordKey.Single(RecordKind.Reservation);
        transaction.Put(ref key, payload);
        return Status.Ok;
    }
}
