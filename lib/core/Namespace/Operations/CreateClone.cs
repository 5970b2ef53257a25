namespace KvFs.Core;

/// <summary>Makes a writable drive that starts as another one was at a version. O(1): the clone reads through to its origin
/// until it changes something.</summary>
/// <remarks>Two drives change at once, so there are two transactions, whose batches the driver joins into one. The pin in
/// the origin keeps what its version sees for as long as the clone lives. Ids of the clone go on above the origin's, so
/// that inherited VNodes, slices and sessions are never confused with its own. Source: docs/design.md, section 5.</remarks>
public static class CreateClone
{
    /// <summary>In order: (1) check the request; (2) find the version, or retain the present one; (3) pin it in the origin;
    /// (4) begin the clone's first transaction with its policy.</summary>
    /// <param name="request">What it is to be.</param>
    /// <param name="catalog">All drives there are.</param>
    /// <param name="records">Where they are.</param>
    /// <param name="origin">A transaction of the origin that has begun, without writes.</param>
    /// <param name="clone">Is begun here; the caller builds both into one batch.</param>
    /// <returns>Ok, Invalid, NameTooLong, Exists; NotFound: no such snapshot, or the origin is deleted; Busy: the chain
    /// of origins is too deep until one of them is flat (<see cref="Flatten"/>): try again.</returns>
    public static Status Apply(
        CreateCloneRequest request,
        DriveCatalog catalog,
        IRecordReader records,
        DriveTransaction origin,
        DriveTransaction clone)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(origin);
        ArgumentNullException.ThrowIfNull(clone);

        // 1.
        Status status = ObjectNames.Check(request.Name);
        if (status != Status.Ok) { return status; }
        DriveState from = origin.State;
        if (from.Policy.Flags != DriveFlags.None) { return Status.NotFound; }
        if (request.Drive == default) { return Status.Invalid; }
        if (catalog.Find(request.Name) is not null || catalog.Find(request.Drive) is not null) { return Status.Exists; }
        if (from.Policy.Inherited.Length >= Limits.MaxCloneDepth) { return Status.Busy; }

        // 2.
        RetainedVersion version;
        if (request.Snapshot is null) { version = CreateSnapshot.RetainNow(origin); }
        else if (!DriveRecords.TryGetSnapshot(origin, request.Snapshot, out version)) { return Status.NotFound; }

        // 3.
        RecordKey pin = RecordKey.Pin(request.Drive);
        DriveRecords.PutVersion(ref pin, version with { Created = origin.Now }, origin);

        // 4.
        DrivePolicy policy = from.Policy with
        {
            IsFlat = false,
            Name = request.Name,
            Created = origin.Now,
            Origins = [new(origin.Drive, version.At), .. from.Policy.Inherited],
        };
        status = CreateDrive.Begin(
            new(request.Drive, policy, []), origin.Counters.Next, version, records, origin.Now, clone);
        if (status == Status.Ok) { DriveRecords.PutPolicy(policy, clone); }
        return status;
    }
}
