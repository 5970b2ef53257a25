namespace KvFs.Core;

/// <summary>Deletes a drive: its name is free at once. While a clone pins one of its versions it is only hidden.</summary>
/// <remarks>In order, over several transactions: (1) <see cref="Apply"/> marks it Hidden, or Deleting; (2) the driver removes
/// the blocks of a drive that is Deleting; (3) <see cref="Forget"/> removes all its records and its pin on its origin, which,
/// if that was hidden and has no other pin, is Deleting now, too. A crash between the steps is nothing but a pause.
/// Source: docs/design.md, section 5.</remarks>
public static class DeleteDrive
{
    /// <returns>Ok, also if it was deleted before. That nobody has a session is the driver's business.</returns>
    public static Status Apply(DriveTransaction transaction)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        DrivePolicy policy = transaction.State.Policy;
        if (policy.Flags != DriveFlags.None) { return Status.Ok; }
        DriveFlags flag = IsPinned(transaction) ? DriveFlags.Hidden : DriveFlags.Deleting;
        DriveRecords.PutPolicy(policy with { Flags = flag }, transaction);
        return Status.Ok;
    }

    /// <summary>Removes all records of a drive that is Deleting, once its blocks are gone.</summary>
    /// <param name="state">The drive.</param>
    /// <param name="origin">A transaction of the drive that it was cloned from; null if it is no clone.</param>
    /// <param name="batch">Where the removal goes; what <paramref name="origin"/> wrote must go into the same batch.</param>
    /// <returns>Ok; InUse: it is not Deleting.</returns>
    public static Status Forget(DriveState state, DriveTransaction? origin, RecordBatch batch)
    {
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(batch);
        if ((state.Policy.Flags & DriveFlags.Deleting) == 0) { return Status.InUse; }
        if (state.Policy.Origins is [DriveLayer layer, ..])
        {
            Invariant.Check(origin is not null && origin.Drive == layer.Drive);
            Unpin(state.Drive, layer.At, origin);
        }

        Span<byte> from = stackalloc byte[DriveId.Size];
        Span<byte> to = stackalloc byte[DriveId.Size];
        Invariant.Check(state.Drive.Value < UInt128.MaxValue);
        state.Drive.Write(from);
        new DriveId(state.Drive.Value + 1).Write(to);
        batch.DeleteRange(from, to);
        return Status.Ok;
    }

    private static void Unpin(DriveId clone, CowNumber version, DriveTransaction origin)
    {
        RecordKey pin = RecordKey.Pin(clone);
        origin.Delete(ref pin);
        DeleteSnapshot.Release(version, origin);
        DrivePolicy policy = origin.State.Policy;
        if ((policy.Flags & DriveFlags.Hidden) == 0 || IsPinned(origin)) { return; }
        DriveRecords.PutPolicy(policy with { Flags = DriveFlags.Deleting }, origin);
    }

    private static bool IsPinned(DriveView view)
    {
        using DriveCursor cursor = view.WalkPrefix(RecordKey.Single(RecordKind.Pin));
        return cursor.MoveNext();
    }
}
