namespace KvFs.Core;

/// <summary>Makes a path of a drive, or with "/" all of it, as a snapshot shows it: in bounded steps that go on after a
/// restart.</summary>
/// <remarks>
/// <para>A path: what the snapshot shows there is copied, by reference to the same blocks, into new VNodes that nobody sees
/// (an orphan that the restore itself holds), charged to the quota as it goes. One last transaction puts it where the path
/// leads: what was there before goes, as if it were removed; who holds some of it open keeps that. Until then nothing has
/// changed, and after it everything.</para>
/// <para>The whole drive: record by record, each VNode under its own id, in the place of what there is; nothing is
/// needed but what differs. Meanwhile the drive refuses all other transactions (Busy), and shows neither the old nor
/// the new: the driver flushes its sessions before and has them forget what they cached after.</para>
/// <para>One restore at a time. While it lasts its snapshot cannot be deleted.</para>
/// </remarks>
public static class RestoreTree
{
    /// <summary>Bytes of a path: Linux's PATH_MAX.</summary>
    private const int PathBytes = 4096;

    /// <summary>Begins a restore, or goes on with it if it is this one that is going on.</summary>
    /// <param name="snapshot">The snapshot's name.</param>
    /// <param name="path">From the root; components as in <see cref="ResolvePath"/>, without "." and "..".</param>
    /// <param name="holders">Who holds what is replaced.</param>
    /// <param name="transaction">A transaction that was begun to restore.</param>
    /// <param name="more">Call again, in a later transaction.</param>
    /// <returns>Ok, Invalid, NameTooLong; NotFound: the snapshot, the path in it, or its parent in the drive; NotDirectory;
    /// NoSpace, NoInodes: the quota; TooManyLinks; InUse: another restore is going on; Busy: as in
    /// <see cref="DriveTransaction.Obstacle"/>. After a failure the restore stands where it was: try again later, or
    /// <see cref="Cancel"/>.</returns>
    public static Status Apply(
        string snapshot,
        ReadOnlySpan<byte> path,
        INodeHolders holders,
        DriveTransaction transaction,
        out bool more)
    {
        ArgumentNullException.ThrowIfNull(holders);
        ArgumentNullException.ThrowIfNull(transaction);
        more = false;
        if (path.Length > PathBytes) { return Status.NameTooLong; }
        bool exists = DriveRecords.TryGetSnapshot(transaction, snapshot, out RetainedVersion version);
        if (RestoreJob.TryRead(transaction, new ByteBuffer(), out RestoreJob job))
        {
            bool isThis = exists && job.At == version.At && job.Path.SequenceEqual(path);
            return isThis ? Step(job, holders, transaction, out more) : Status.InUse;
        }

        if (!exists) { return Status.NotFound; }
        more = true;
        return path.Trim((byte)'/').IsEmpty
            ? RestoreDrive.Begin(version, path, transaction)
            : RestorePath.Begin(version.At, path, transaction);
    }

    /// <summary>Goes on with the restore that is going on: after a restart.</summary>
    /// <returns>Ok, also if there is none; else as <see cref="Apply"/>.</returns>
    public static Status Resume(INodeHolders holders, DriveTransaction transaction, out bool more)
    {
        ArgumentNullException.ThrowIfNull(holders);
        ArgumentNullException.ThrowIfNull(transaction);
        more = false;
        return RestoreJob.TryRead(transaction, new ByteBuffer(), out RestoreJob job)
            ? Step(job, holders, transaction, out more)
            : Status.Ok;
    }

    /// <summary>Gives the restore of a path up; then <see cref="Resume"/> cleans up, and the reaper removes the copy.</summary>
    /// <returns>Ok, also if there is none; NotSupported: of a whole drive, half of which cannot be left.</returns>
    public static Status Cancel(DriveTransaction transaction)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        if (!RestoreJob.TryRead(transaction, new ByteBuffer(), out RestoreJob job)) { return Status.Ok; }
        if (job.Phase == RestorePhase.Drive) { return Status.NotSupported; }
        if (job.Phase == RestorePhase.Copy) { RestorePath.GiveUp(job, transaction); }
        return Status.Ok;
    }

    /// <summary>Whether a restore was begun and has not ended.</summary>
    public static bool IsPending(DriveView view)
    {
        ArgumentNullException.ThrowIfNull(view);
        return RestoreJob.TryRead(view, new ByteBuffer(), out _);
    }

    /// <summary>Whether a restore reads a version.</summary>
    internal static bool Uses(CowNumber version, DriveView view) =>
        RestoreJob.TryRead(view, new ByteBuffer(), out RestoreJob job) && job.At == version
        && job.Phase != RestorePhase.Clean;

    private static Status Step(
        in RestoreJob job, INodeHolders holders, DriveTransaction transaction, out bool more)
    {
        switch (job.Phase)
        {
            case RestorePhase.Drive: return RestoreDrive.Step(job, transaction, out more);
            case RestorePhase.Copy: return RestorePath.Step(job, holders, transaction, out more);
            default: return RestorePath.Clean(transaction, out more);
        }
    }
}
